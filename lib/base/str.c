#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/xmem.h"

char str_empty[1];

void str_init(struct str *s)
{
	*s = STR_INIT;
}

void str_clear(struct str *s)
{
	if (s->cap)
		free(s->data);
	str_init(s);
}

void str_reset(struct str *s)
{
	s->len = 0;
	if (s->cap)
		s->data[0] = '\0';
}

void str_grow(struct str *s, size_t more)
{
	size_t need = s->len + more + 1;
	size_t cap;

	check(need > s->len);
	if (need <= s->cap)
		return;
	cap = s->cap ? s->cap : 64;
	while (cap < need)
		cap += cap / 2 + 32;
	s->data = xrealloc(s->cap ? s->data : NULL, cap);
	s->cap = cap;
	s->data[s->len] = '\0';
}

void str_vaddf(struct str *s, const char *fmt, va_list ap)
{
	va_list copy;
	int n;

	va_copy(copy, ap);
	n = vsnprintf(NULL, 0, fmt, copy);
	va_end(copy);
	check(n >= 0);
	str_reserve(s, (size_t)n);
	vsnprintf(s->data + s->len, (size_t)n + 1, fmt, ap);
	s->len += (size_t)n;
}

void str_addf(struct str *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(s, fmt, ap);
	va_end(ap);
}

void str_consume(struct str *s, size_t n)
{
	check(n <= s->len);
	if (n == 0)
		return;
	s->len -= n;
	memmove(s->data, s->data + n, s->len);
	s->data[s->len] = '\0';
}

char *str_detach(struct str *s)
{
	char *p = s->cap ? s->data : xstrdup("");

	str_init(s);
	return p;
}
