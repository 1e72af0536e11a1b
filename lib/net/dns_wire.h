/*
 * dns_wire - names and records between text and the bytes of DNS messages (RFC 1035, 2782, 6698).
 *
 * Pure; everything that comes in is a stranger's. Private to lib/net but for dns_name_parse().
 */
#ifndef NET_DNS_WIRE_H
#define NET_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/resolver.h"

#define DNS_NAME_MAX 254 /* bytes of a name as text with its NUL (RFC 1035 2.3.4) */

/* UTF-8 to what DNS is asked: IDNA (RFC 3490) where it is not ASCII, lower case, no dot at the end.
 * "." becomes "". ERR_FORMAT: a label is empty or longer than 63 bytes, or the whole too long. */
enum err dns_name_parse(char out[DNS_NAME_MAX], const char *name);

/* An uncompressed name (RFC 1035 3.1) to text. Returns its bytes, 0 when it is malformed or has
 * bytes that no host name has. */
size_t dns_name_unpack(char out[DNS_NAME_MAX], const unsigned char *data, size_t len);

/* One record's data. false: malformed. */
bool dns_srv_unpack(struct srv_record *out, const unsigned char *data, size_t len);
bool dns_address_unpack(struct dns_address *out, enum dns_type type, const unsigned char *data,
			size_t len);
bool dns_tlsa_unpack(struct dns_tlsa *out, const unsigned char *data, size_t len); /* borrows */

#define DNS_QUESTION_MAX (12 + DNS_NAME_MAX + 1 + 4)
/* A whole message that asks for name (as dns_name_parse() made it). Returns its bytes. */
size_t dns_question_pack(unsigned char out[DNS_QUESTION_MAX], uint16_t id, const char *name,
			 enum dns_type type);

/* Whether data is an answer to that question; its code and whether it was cut off. */
bool dns_answer_matches(const unsigned char *data, size_t len, const unsigned char *question,
			size_t question_len, unsigned int *rcode, bool *truncated);

/* "SERVFAIL", "REFUSED", "code 23" */
const char *dns_rcode_name(unsigned int rcode);

#endif
