#include "net/dns_wire.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <idna.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LABEL_MAX 63

/* ---- names */

static enum err checked_copy(char out[DNS_NAME_MAX], const char *name)
{
	size_t len = strlen(name), label = 0;

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len >= DNS_NAME_MAX)
		return ERR_FORMAT;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c == '.' && label == 0)
			return ERR_FORMAT;
		if (c <= ' ' || c >= 0x7f || c == '\\' || c == '"')
			return ERR_FORMAT;
		label = c == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return ERR_FORMAT;
		out[i] = (char)tolower(c);
	}
	out[len] = '\0';
	return len > 0 && label == 0 ? ERR_FORMAT : ERR_OK;
}

enum err dns_name_parse(char out[DNS_NAME_MAX], const char *name)
{
	char copy[DNS_NAME_MAX];
	char *ascii = NULL;
	enum err e;

	if (strlen(name) > 1023) /* RFC 7622 3.2: no domain of a JID is longer */
		return ERR_FORMAT;
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p >= 0x80) {
			if (idna_to_ascii_8z(name, &ascii, IDNA_ALLOW_UNASSIGNED) != IDNA_SUCCESS)
				return ERR_FORMAT;
			break;
		}
	e = checked_copy(copy, ascii ? ascii : name);
	free(ascii);
	if (e == ERR_OK)
		memcpy(out, copy, strlen(copy) + 1);
	return e;
}

size_t dns_name_unpack(char out[DNS_NAME_MAX], const unsigned char *data, size_t len)
{
	size_t pos = 0, used = 0;

	while (pos < len && data[pos] != 0) {
		size_t n = data[pos++];

		if (n > LABEL_MAX || n > len - pos || used + n + 1 >= DNS_NAME_MAX)
			return 0;
		if (used > 0)
			out[used++] = '.';
		for (size_t i = 0; i < n; i++) {
			unsigned char c = data[pos + i];

			if (c <= ' ' || c >= 0x7f || c == '.' || c == '\\' || c == '"')
				return 0;
			out[used++] = (char)c;
		}
		pos += n;
	}
	if (pos >= len)
		return 0;
	out[used] = '\0';
	return pos + 1;
}

/* ---- records */

static uint16_t get16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

bool dns_srv_unpack(struct srv_record *out, const unsigned char *data, size_t len)
{
	if (len < 7 || dns_name_unpack(out->target, data + 6, len - 6) != len - 6)
		return false;
	out->priority = get16(data);
	out->weight = get16(data + 2);
	out->port = get16(data + 4);
	out->tag = 0;
	return true;
}

bool dns_address_unpack(struct dns_address *out, enum dns_type type, const unsigned char *data,
			size_t len)
{
	if (len != (type == DNS_A ? 4 : 16))
		return false;
	*out = (struct dns_address){.family = type == DNS_A ? AF_INET : AF_INET6};
	memcpy(out->bytes, data, len);
	return true;
}

bool dns_tlsa_unpack(struct dns_tlsa *out, const unsigned char *data, size_t len)
{
	if (len < 4)
		return false;
	*out = (struct dns_tlsa){data[0], data[1], data[2], data + 3, len - 3};
	return true;
}

/* ---- messages */

size_t dns_question_pack(unsigned char out[DNS_QUESTION_MAX], uint16_t id, const char *name,
			 enum dns_type type)
{
	unsigned char header[12] = {
		(unsigned char)(id >> 8), (unsigned char)id, 1 /* RD */, 0, 0, 1};
	size_t pos = sizeof(header);

	memcpy(out, header, sizeof(header));
	while (*name) {
		size_t n = strcspn(name, ".");

		out[pos++] = (unsigned char)n;
		memcpy(out + pos, name, n);
		pos += n;
		name += n + (name[n] == '.');
	}
	out[pos++] = 0;
	out[pos++] = 0;
	out[pos++] = (unsigned char)type;
	out[pos++] = 0;
	out[pos++] = 1; /* IN */
	return pos;
}

bool dns_answer_matches(const unsigned char *data, size_t len, const unsigned char *question,
			size_t question_len, unsigned int *rcode, bool *truncated)
{
	if (len < 12 || memcmp(data, question, 2) != 0 || !(data[2] & 0x80))
		return false;
	/* Some servers leave the question out when they refuse. */
	if (get16(data + 4) != 0 && len < question_len)
		return false;
	for (size_t i = 12; get16(data + 4) != 0 && i < question_len; i++)
		if (tolower(data[i]) != tolower(question[i]))
			return false;
	*rcode = data[3] & 0x0f;
	*truncated = data[2] & 0x02;
	return true;
}

const char *dns_rcode_name(unsigned int rcode)
{
	static const char *const names[16] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
					      "NOTIMP",	 "REFUSED", "YXDOMAIN", "YXRRSET",
					      "NXRRSET", "NOTAUTH", "NOTZONE",	"code 11",
					      "code 12", "code 13", "code 14",	"code 15"};

	return names[rcode & 15];
}

/* ---- texts */

const char *dns_outcome_name(enum dns_outcome o)
{
	static const char *const names[] = {
		[DNS_ANSWER] = "ANSWER",     [DNS_NXDOMAIN] = "NXDOMAIN",
		[DNS_NODATA] = "NODATA",     [DNS_NOSERVICE] = "NOSERVICE",
		[DNS_SERVFAIL] = "SERVFAIL", [DNS_TIMEOUT] = "TIMEOUT",
		[DNS_BOGUS] = "BOGUS",	     [DNS_MALFORMED] = "MALFORMED",
	};

	return names[o];
}

static const struct {
	enum dns_type type;
	const char *name;
} types[] = {{DNS_A, "A"}, {DNS_AAAA, "AAAA"}, {DNS_SRV, "SRV"}, {DNS_TLSA, "TLSA"}};

const char *dns_type_name(enum dns_type t)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == t)
			return types[i].name;
	return "?";
}

bool dns_type_parse(const char *text, enum dns_type *out)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(types[i].name, text) == 0) {
			*out = types[i].type;
			return true;
		}
	return false;
}

void dns_address_format(const struct dns_address *a, char out[DNS_ADDRESS_TEXT])
{
	inet_ntop(a->family, a->bytes, out, DNS_ADDRESS_TEXT);
}
