#include "xmpp/utf8.h"

#include <stdint.h>

#include "base/utf8_char.h"

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
		n = utf8_char_len((const unsigned char *)s.data + i, s.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}
