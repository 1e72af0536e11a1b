#include "session/archive_id.h"

#include "base/siphash.h"

#define GROUP_BITS 7
#define ROUNDS	   4

/* SipHash-1-3 of one number: its value for another key or purpose tells nothing about this one. */
static uint64_t keyed(uint64_t key, uint64_t purpose, uint64_t x)
{
	uint64_t v[4] = {0x736f6d6570736575ULL ^ key, 0x646f72616e646f6dULL ^ purpose,
			 0x6c7967656e657261ULL ^ key, 0x7465646279746573ULL ^ purpose};

	v[3] ^= x;
	sip_round(v);
	v[0] ^= x;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* A permutation (Feistel): different numbers stay different. */
static uint32_t shuffled(uint64_t key, uint32_t n)
{
	uint16_t left = (uint16_t)(n >> 16), right = (uint16_t)n;

	for (uint64_t i = 1; i <= ROUNDS; i++) {
		uint16_t next = (uint16_t)(left ^ keyed(key, i, right));

		left = right;
		right = next;
	}
	return (uint32_t)left << 16 | right;
}

struct db_archive_id archive_id(uint64_t origin_sid, uint64_t origin_n)
{
	return (struct db_archive_id){
		.group = keyed(origin_sid, 0, origin_n >> GROUP_BITS),
		.number = shuffled(origin_sid, (uint32_t)origin_n),
	};
}

static void put_hex(char *out, uint64_t value, int digits)
{
	for (int i = digits - 1; i >= 0; i--, value >>= 4)
		out[i] = "0123456789abcdef"[value & 15];
}

void archive_id_format(struct db_archive_id id, char out[ARCHIVE_ID_TEXT])
{
	put_hex(out, id.group, 16);
	put_hex(out + 16, id.number, 8);
	out[24] = '\0';
}

static bool get_hex(const char *text, int digits, uint64_t *value)
{
	*value = 0;
	for (int i = 0; i < digits; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			*value = *value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*value = *value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	return true;
}

bool archive_id_parse(struct slice text, struct db_archive_id *id)
{
	uint64_t number;

	if (text.len != ARCHIVE_ID_TEXT - 1 || !get_hex(text.data, 16, &id->group) ||
	    !get_hex(text.data + 16, 8, &number))
		return false;
	id->number = (uint32_t)number;
	return true;
}
