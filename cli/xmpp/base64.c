#include "cli/xmpp/base64.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/xmem.h"

void base64_write(struct str *out, struct slice bytes)
{
	size_t size = (bytes.len + 2) / 3 * 4;
	unsigned char *text = xmalloc(size + 1);

	EVP_EncodeBlock(text, (const unsigned char *)bytes.data, (int)bytes.len);
	str_add(out, text, size);
	xwipe(text, size);
	free(text);
}

bool base64_read(struct str *out, struct slice text)
{
	struct str packed = STR_INIT;
	unsigned char *bytes;
	size_t pad = 0;
	int n;

	for (size_t i = 0; i < text.len; i++)
		if (!strchr(" \t\r\n", text.data[i]) || !text.data[i])
			str_addc(&packed, text.data[i]);
	while (pad < packed.len && pad < 2 && packed.data[packed.len - 1 - pad] == '=')
		pad++;
	bytes = xmalloc(packed.len + 1);
	n = packed.len % 4 == 0 && strcspn(packed.data, "=") == packed.len - pad && packed.len > 0
		    ? EVP_DecodeBlock(bytes, (unsigned char *)packed.data, (int)packed.len)
		    : -1;
	if (n >= (int)pad)
		str_add(out, bytes, (size_t)n - pad);
	xwipe(bytes, packed.len);
	xwipe(packed.data, packed.len);
	free(bytes);
	str_clear(&packed);
	return n >= (int)pad && n > 0;
}
