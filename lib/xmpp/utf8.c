#include "xmpp/utf8.h"

#include <stdint.h>

/* Length of the sequence that p begins, 0 when it is none. */
static size_t sequence(const unsigned char *p, size_t len)
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

/* Are all eight bytes ASCII and none NUL? May say no when they are. */
static bool plain_word(const char *p)
{
	const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return (((w - ones) | w) & highs) == 0;
}

/* The same of the 32 bytes at p. */
static bool plain_line(const char *p)
{
	const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
	uint64_t w[4];

	memcpy(w, p, sizeof(w));
	return ((((w[0] - ones) | w[0]) | ((w[1] - ones) | w[1]) | ((w[2] - ones) | w[2]) |
		 ((w[3] - ones) | w[3])) &
		highs) == 0;
}

bool utf8_ok(struct slice s)
{
	size_t i = 0;

	while (i < s.len) {
		size_t n;

		if (s.len - i >= 32 && plain_line(s.data + i)) {
			i += 32;
			continue;
		}
		if (s.len - i >= 8 && plain_word(s.data + i)) {
			i += 8;
			continue;
		}
		n = sequence((const unsigned char *)s.data + i, s.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}
