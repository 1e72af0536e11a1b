#include "cm-client/c2s_base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void c2s_base64_encode(struct str *out, struct slice in)
{
	const unsigned char *p = (const unsigned char *)in.data;

	str_reserve(out, (in.len + 2) / 3 * 4);
	for (size_t i = 0; i < in.len; i += 3) {
		size_t left = in.len - i;
		uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
			     (left > 2 ? p[i + 2] : 0);

		str_addc(out, alphabet[v >> 18]);
		str_addc(out, alphabet[v >> 12 & 63]);
		str_addc(out, left > 1 ? alphabet[v >> 6 & 63] : '=');
		str_addc(out, left > 2 ? alphabet[v & 63] : '=');
	}
}

static int value(char c)
{
	const char *p = c ? strchr(alphabet, c) : NULL;

	return p ? (int)(p - alphabet) : -1;
}

bool c2s_base64_decode(struct str *out, struct slice in)
{
	size_t pad = 0, before = out->len;

	if (in.len % 4 != 0)
		return false;
	while (pad < 2 && pad < in.len && in.data[in.len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < in.len; i += 4) {
		size_t digits = i + 4 == in.len ? 4 - pad : 4;
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = k < digits ? value(in.data[i + k]) : 0;

			if (d < 0)
				goto bad;
			v = v << 6 | (uint32_t)d;
		}
		/* Bits that no byte takes must be zero: one spelling for the same bytes. */
		if ((digits == 2 && (v & 0xffff)) || (digits == 3 && (v & 0xff)))
			goto bad;
		for (size_t k = 0; k + 1 < digits; k++)
			str_addc(out, (char)(v >> (16 - 8 * k) & 0xff));
	}
	return true;
bad:
	if (out->cap)
		out->data[before] = '\0';
	out->len = before;
	return false;
}
