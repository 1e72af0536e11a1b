/*
 * str - a growing byte buffer, always terminated by a NUL that len does not count.
 *
 * Owns its memory. data is never NULL after init; appending may move it.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stddef.h>

#include "base/slice.h"

struct str {
	char *data;
	size_t len;
	size_t cap;
};

/* An empty str that has allocated nothing yet. */
#define STR_INIT ((struct str){str_empty, 0, 0})

extern char str_empty[1];

void str_init(struct str *s);
void str_clear(struct str *s); /* frees; s is empty and usable again */
void str_reset(struct str *s); /* len = 0, memory kept */
void str_reserve(struct str *s, size_t more);
void str_add(struct str *s, const void *data, size_t len);
void str_adds(struct str *s, const char *text);
void str_addc(struct str *s, char c);
void str_add_slice(struct str *s, struct slice sl);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vaddf(struct str *s, const char *fmt, va_list ap);

/* Removes the first n bytes. n <= len. */
void str_consume(struct str *s, size_t n);

/* Hands the memory to the caller (who frees); s is empty afterwards. */
char *str_detach(struct str *s);

static inline struct slice str_slice(const struct str *s)
{
	return slice_of(s->data, s->len);
}

#endif
