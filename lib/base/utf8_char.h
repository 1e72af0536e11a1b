/*
 * utf8_char - one character of UTF-8 (RFC 3629): for whoever writes text that came from elsewhere.
 */
#ifndef BASE_UTF8_CHAR_H
#define BASE_UTF8_CHAR_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_CHAR_UNKNOWN "\xef\xbf\xbd" /* U+FFFD: in the place of what is no character */

/* Length of the character that begins at p, of which len bytes (at least one) are there; 0 when
 * they begin none. NUL is none. */
static inline size_t utf8_char_len(const unsigned char *p, size_t len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char c = p[0];
	size_t n = c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
	uint32_t u = c & (0x7fu >> n);

	if (c > 0 && c < 0x80)
		return 1;
	if (n == 0 || n > len)
		return 0;
	for (size_t k = 1; k < n; k++) {
		if (p[k] >> 6 != 2)
			return 0;
		u = u << 6 | (p[k] & 0x3f);
	}
	return u < least[n] || u > 0x10ffff || (u >= 0xd800 && u <= 0xdfff) ? 0 : n;
}

/* Where s, which goes on behind n bytes, can be cut: there, or before the character that would be
 * halved. */
static inline size_t utf8_char_cut(const char *s, size_t n)
{
	size_t at = n;

	while (at > 0 && n - at < 3 && ((unsigned char)s[at] & 0xc0) == 0x80)
		at--;
	return ((unsigned char)s[at] & 0xc0) == 0x80 ? n : at;
}

#endif
