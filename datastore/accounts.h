/*
 * accounts - the tables accounts and scram: who may log in, with keys and never with passwords.
 *
 * Names are normalised by the caller; lengths and key sizes are checked here. Every function is
 * one part of the transaction that is open on d (or a read of its own).
 */
#ifndef DATASTORE_ACCOUNTS_H
#define DATASTORE_ACCOUNTS_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/db.h"

#define ACCOUNTS_PART_MAX	1023 /* bytes of user and of domain (RFC 7622 3.2, 3.3) */
#define ACCOUNTS_MIN_ITERATIONS 4096 /* RFC 5802 5.1, RFC 7677 4 */
#define ACCOUNTS_PAGE_MAX	1000 /* accounts in one DB_ACCOUNTS */

/* scram: packed keys, at least one hash, each once. ERR_CONFLICT: the account exists. ERR_FORMAT,
 * ERR_RANGE: names or keys that cannot be (why says which). */
enum err accounts_add(struct db *d, struct slice user, struct slice domain, struct slice scram,
		      uint64_t now_ms, struct str *why);

/* New keys in place of all old ones. ERR_NOTFOUND. */
enum err accounts_set(struct db *d, struct slice user, struct slice domain, struct slice scram,
		      struct str *why);

/* The account with everything that belongs to it. ERR_NOTFOUND. */
enum err accounts_del(struct db *d, struct slice user, struct slice domain);

/* The row's number, for the tables that hang on it. ERR_NOTFOUND. */
enum err accounts_id(struct db *d, struct slice user, struct slice domain, uint64_t *id,
		     uint64_t *created_ms);

/* Appends the packed keys for hash ("SHA-1"); nothing if the account has none for it. */
enum err accounts_keys(struct db *d, uint64_t id, struct slice hash, struct str *out);

/* Appends up to limit (0 = ACCOUNTS_PAGE_MAX) packed (STR jid, U64 created) in the order of domain
 * and user, after the bare JID `after` (empty = from the start), of one domain or of all. */
enum err accounts_list(struct db *d, struct slice domain, struct slice after, uint32_t limit,
		       struct str *out, uint32_t *count, bool *more);

#endif
