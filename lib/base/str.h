/*
 * str - a growing byte buffer, always terminated by a NUL that len does not count.
 *
 * Owns its memory. data is never NULL after init; appending may move it.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

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
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vaddf(struct str *s, const char *fmt, va_list ap);

/* Removes the first n bytes. n <= len. */
void str_consume(struct str *s, size_t n);

/* Room for more bytes that is not there yet: what str_reserve() does when it must. */
void str_grow(struct str *s, size_t more);

/* Appending is most of what a record and a stanza cost: it is inline. */
static inline void str_reserve(struct str *s, size_t more)
{
	if (more >= s->cap - s->len)
		str_grow(s, more);
}

static inline void str_add(struct str *s, const void *data, size_t len)
{
	if (len == 0)
		return;
	str_reserve(s, len);
	memcpy(s->data + s->len, data, len);
	s->len += len;
	s->data[s->len] = '\0';
}

static inline void str_adds(struct str *s, const char *text)
{
	str_add(s, text, strlen(text));
}

static inline void str_addc(struct str *s, char c)
{
	str_reserve(s, 1);
	s->data[s->len++] = c;
	s->data[s->len] = '\0';
}

static inline void str_add_slice(struct str *s, struct slice sl)
{
	str_add(s, sl.data, sl.len);
}

/* Hands the memory to the caller (who frees); s is empty afterwards. */
char *str_detach(struct str *s);

static inline struct slice str_slice(const struct str *s)
{
	return slice_of(s->data, s->len);
}

#endif
