/*
 * scram_keys - what the server keeps instead of a password (RFC 5802 section 3, RFC 7677).
 *
 * Used by the command that sets a password and by the datastore, when a client does. Owns nothing;
 * wipes what it derives.
 */
#ifndef SCRAM_SCRAM_KEYS_H
#define SCRAM_SCRAM_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

#define SCRAM_KEYS_ITERATIONS	  4096 /* RFC 7677 section 4: at least */
#define SCRAM_KEYS_ITERATIONS_MAX 1000000
#define SCRAM_KEYS_SALT_LEN	  16
#define SCRAM_KEYS_HASH_MAX	  32
#define SCRAM_KEYS_PASSWORD_MAX	  1023 /* bytes, as given */

struct scram_keys {
	size_t len; /* of a hash: 20 or 32 */
	unsigned char stored_key[SCRAM_KEYS_HASH_MAX];
	unsigned char server_key[SCRAM_KEYS_HASH_MAX];
};

/* hash: "SHA-1" or "SHA-256"; password prepared already. ERR_UNSUPPORTED: another hash. */
enum err scram_keys_derive(struct scram_keys *out, const char *hash, struct slice password,
			   struct slice salt, uint32_t iterations);

/* SASLprep (RFC 4013) for a string that is kept: unassigned code points are refused. Appends to
 * out, which the caller wipes. ERR_FORMAT, ERR_TOOBIG: why says what is wrong with it. */
enum err scram_keys_prepare(struct str *out, const char *password, struct str *why);

/* Appends the packed keys (lib/ipc/db_pack) for SHA-1 and SHA-256 with fresh salts. */
enum err scram_keys_pack(struct str *out, const char *password, uint32_t iterations,
			 struct str *why);

#endif
