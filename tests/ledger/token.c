#include "tests/ledger/token.h"

#include <stdio.h>
#include <stdlib.h>

/* FNV-1a: nobody is to be kept from forging it. */
static uint64_t hash(uint64_t h, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)data[i]) * 0x100000001b3;
	return h;
}

static uint64_t hash_of(uint32_t run, uint32_t sender, uint32_t number, struct slice padding)
{
	char text[48];
	int len = snprintf(text, sizeof text, "%08x %u %u ", run, sender, number);

	return hash(hash(0xcbf29ce484222325, text, (size_t)len), padding.data, padding.len);
}

void token_add(struct str *out, uint32_t run, uint32_t sender, uint32_t number, uint32_t padding)
{
	str_addf(out, "ledger %08x %u %u 0000000000000000 ", run, sender, number);
	size_t at = out->len;
	str_reserve(out, padding);
	for (uint32_t i = 0; i < padding; i++)
		str_addc(out, (char)('a' + (number + i * 7) % 26));
	char digits[17];
	uint64_t h = hash_of(run, sender, number, slice_of(out->data + at, padding));
	snprintf(digits, sizeof digits, "%016llx", (unsigned long long)h);
	memcpy(out->data + at - 17, digits, 16);
}

/* A number in base up to the next space; moves *rest behind that. */
static bool take(struct slice *rest, int base, uint64_t *out)
{
	const char *space = rest->len ? memchr(rest->data, ' ', rest->len) : NULL;
	char digits[24];
	char *end;

	if (!space || (size_t)(space - rest->data) >= sizeof digits || space == rest->data)
		return false;
	size_t len = (size_t)(space - rest->data);
	memcpy(digits, rest->data, len);
	digits[len] = 0;
	*out = strtoull(digits, &end, base);
	*rest = slice_of(space + 1, rest->len - len - 1);
	return *end == 0;
}

enum token_result token_parse(struct slice body, uint32_t run, uint32_t *sender, uint32_t *number)
{
	static const char word[] = "ledger ";
	uint64_t of, from, n, h;

	if (body.len < sizeof word || memcmp(body.data, word, sizeof word - 1) != 0)
		return TOKEN_FOREIGN;
	struct slice rest = slice_of(body.data + sizeof word - 1, body.len - (sizeof word - 1));
	if (!take(&rest, 16, &of))
		return TOKEN_DAMAGED;
	if (of != run)
		return TOKEN_FOREIGN;
	if (!take(&rest, 10, &from) || !take(&rest, 10, &n) || !take(&rest, 16, &h))
		return TOKEN_DAMAGED;
	*sender = (uint32_t)from;
	*number = (uint32_t)n;
	return h == hash_of(run, *sender, *number, rest) ? TOKEN_OK : TOKEN_DAMAGED;
}

uint64_t token_hash(struct slice text)
{
	return hash(0xcbf29ce484222325, text.data, text.len);
}

void token_add_name(struct str *out, char letter, uint32_t run, uint32_t number)
{
	str_addf(out, "%c%08x-%u", letter, run, number);
}

bool token_parse_name(struct slice id, char letter, uint32_t run, uint32_t *number)
{
	char text[32];
	char mine[16];
	char *end;
	int len = snprintf(mine, sizeof mine, "%c%08x-", letter, run);

	if (id.len <= (size_t)len || id.len >= sizeof text ||
	    memcmp(id.data, mine, (size_t)len) != 0)
		return false;
	memcpy(text, id.data, id.len);
	text[id.len] = 0;
	*number = (uint32_t)strtoul(text + len, &end, 10);
	return *end == 0;
}

void token_add_id(struct str *out, uint32_t run, uint32_t number)
{
	token_add_name(out, 'l', run, number);
}

bool token_parse_id(struct slice id, uint32_t run, uint32_t *number)
{
	return token_parse_name(id, 'l', run, number);
}
