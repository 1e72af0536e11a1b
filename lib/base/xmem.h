/*
 * xmem - allocation that cannot fail: no memory = abort (STYLE 8).
 *
 * So limit what a stranger can make us allocate before allocating it.
 */
#ifndef BASE_XMEM_H
#define BASE_XMEM_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);

/* A copy of the first n bytes of s, terminated. */
char *xstrndup(const char *s, size_t n);

/* printf into a fresh string; the caller frees. */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Overwrites n bytes in a way the compiler keeps: for secrets, before free. */
void xwipe(void *p, size_t n);

#endif
