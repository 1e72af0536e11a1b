/*
 * random - bytes from the kernel's generator; for ids and tokens, never for test data.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);

/* Never 0, so that 0 can mean "none". */
uint64_t random_u64(void);

/* Writes 2 * bytes lower-case hex digits and a NUL to out. */
void random_hex(char *out, size_t bytes);

#endif
