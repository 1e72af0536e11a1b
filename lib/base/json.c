#include "base/json.h"

#include "base/utf8_char.h"

void json_text(struct str *out, struct slice text)
{
	str_addc(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];
		size_t n = utf8_char_len((const unsigned char *)text.data + i, text.len - i);

		if (c == '"' || c == '\\')
			str_addf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			str_addf(out, "\\u%04x", c);
		else if (n == 0)
			str_adds(out, UTF8_CHAR_UNKNOWN);
		else
			str_add(out, text.data + i, n);
		i += n > 1 ? n - 1 : 0;
	}
	str_addc(out, '"');
}
