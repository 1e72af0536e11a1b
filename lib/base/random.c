#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/check.h"

void random_bytes(void *out, size_t len)
{
	char *p = out;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		check(n > 0);
		p += n;
		len -= (size_t)n;
	}
}

uint64_t random_u64(void)
{
	uint64_t v = 0;

	while (v == 0)
		random_bytes(&v, sizeof(v));
	return v;
}

void random_hex(char *out, size_t bytes)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char b[32];

	while (bytes) {
		size_t n = bytes < sizeof(b) ? bytes : sizeof(b);

		random_bytes(b, n);
		bytes -= n;
		for (size_t i = 0; i < n; i++) {
			*out++ = digits[b[i] >> 4];
			*out++ = digits[b[i] & 15];
		}
	}
	*out = '\0';
}
