/*
 * userdata - the table userdata: what a user keeps here, as values by kind and key (vCard, private
 * XML, last status, preferences; enum db_data_kind).
 *
 * The values are opaque. accounts.data_bytes counts them, so that a share is judged without a scan.
 * Every function is one part of the transaction that is open on d (or a read of its own).
 */
#ifndef DATASTORE_USERDATA_H
#define DATASTORE_USERDATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/db.h"

#define USERDATA_KEY_MAX 2048 /* bytes */
#define USERDATA_ROW	 64   /* bytes that a value counts for besides its key and itself */

struct userdata_quota {
	uint64_t bytes; /* of all values of one user */
	uint64_t value; /* of one */
};

/* Appends the value. ERR_NOTFOUND: there is none, or no such account. */
enum err userdata_get(struct db *d, struct slice user, struct slice domain, uint8_t kind,
		      struct slice key, struct str *out, uint64_t *changed_ms);

/* Adds or replaces; an empty value removes (it need not be there). ERR_NOTFOUND: no such account;
 * ERR_FULL: his share is used up; ERR_TOOBIG: the value; ERR_FORMAT: the key. */
enum err userdata_set(struct db *d, struct slice user, struct slice domain, uint8_t kind,
		      struct slice key, struct slice value, uint64_t now_ms,
		      const struct userdata_quota *quota, struct str *why);

/* Appends packed (STR key, BYTES value) with a key above after, in order of key (of its bytes), at
 * least one if there is any, then as long as they are not more than about bytes. ERR_NOTFOUND: no
 * such account. */
enum err userdata_list(struct db *d, struct slice user, struct slice domain, uint8_t kind,
		       struct slice after, uint32_t bytes, struct str *out, uint32_t *count,
		       bool *more);

#endif
