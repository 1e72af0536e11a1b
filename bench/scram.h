/*
 * scram - the client's side of SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, 7677), without channel
 * binding, and of PLAIN.
 *
 * ClientKey and ServerKey are remembered by (mechanism, password, salt, iterations), as RFC 5802
 * section 5.1 allows, so that a login storm measures the server and not our PBKDF2.
 */
#ifndef BENCH_SCRAM_H
#define BENCH_SCRAM_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/str.h"

struct scram {
	bool sha256;
	struct str first_bare;
	struct str nonce;
	unsigned char server_signature[32];
};

void scram_init(struct scram *s, bool sha256);
void scram_clear(struct scram *s);

/* The initial response, base64. */
void scram_first(struct scram *s, const char *user, struct str *out);

/* Answers the server's first message (base64). False: not understood. */
bool scram_final(struct scram *s, const char *password, struct slice challenge, struct str *out);

/* Is this the signature of a server that knows the password? additional: base64. */
bool scram_verify(const struct scram *s, struct slice additional);

void scram_plain(const char *user, const char *password, struct str *out);

#endif
