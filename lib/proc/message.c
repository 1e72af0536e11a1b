#include "proc/message.h"

#include <errno.h>
#include <stdlib.h>

#include "base/xmem.h"

void message_begin(struct str *m, const char *verb)
{
	str_reset(m);
	str_adds(m, verb);
}

void message_add(struct str *m, const char *key, const char *value)
{
	str_addf(m, " %s=", key);
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c <= 0x20 || c == '%' || c == 0x7f)
			str_addf(m, "%%%02x", c);
		else
			str_addc(m, (char)c);
	}
}

void message_addu(struct str *m, const char *key, uint64_t value)
{
	str_addf(m, " %s=%llu", key, (unsigned long long)value);
}

bool message_is(struct slice m, const char *verb)
{
	size_t n = strlen(verb);

	return m.len >= n && memcmp(m.data, verb, n) == 0 && (m.len == n || m.data[n] == ' ');
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *decode(const char *p, size_t len)
{
	char *out = xmalloc(len + 1), *q = out;

	for (size_t i = 0; i < len; i++) {
		int high = p[i] == '%' && i + 2 < len ? hex(p[i + 1]) : -1;
		int low = high >= 0 ? hex(p[i + 2]) : -1;

		if (low >= 0) {
			*q++ = (char)(high * 16 + low);
			i += 2;
		} else {
			*q++ = p[i];
		}
	}
	*q = '\0';
	return out;
}

/* The raw bytes behind " key=", or data NULL. */
static struct slice find(struct slice m, const char *key)
{
	size_t klen = strlen(key);

	for (size_t i = 0; i < m.len; i++) {
		size_t end;

		if (m.data[i] != ' ')
			continue;
		if (m.len - i - 1 <= klen || memcmp(m.data + i + 1, key, klen) != 0 ||
		    m.data[i + 1 + klen] != '=')
			continue;
		i += klen + 2;
		for (end = i; end < m.len && m.data[end] != ' '; end++)
			;
		return slice_of(m.data + i, end - i);
	}
	return SLICE_NONE;
}

char *message_get(struct slice m, const char *key)
{
	struct slice raw = find(m, key);

	return raw.data ? decode(raw.data, raw.len) : NULL;
}

uint64_t message_getu(struct slice m, const char *key, uint64_t otherwise)
{
	char *text = message_get(m, key), *end;
	uint64_t v;

	if (!text)
		return otherwise;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		v = otherwise;
	free(text);
	return v;
}
