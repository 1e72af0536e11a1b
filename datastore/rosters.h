/*
 * rosters - the table roster and its version in accounts (RFC 6121 2).
 *
 * JIDs are normalised by the caller; lengths, ranges and the size of a roster are checked here.
 * Every change raises the account's roster version by one, in the same transaction.
 */
#ifndef DATASTORE_ROSTERS_H
#define DATASTORE_ROSTERS_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/db.h"

#define ROSTERS_JID_MAX	    3071	       /* bytes (RFC 7622 3.1) */
#define ROSTERS_NAME_MAX    1023	       /* bytes of an item's name */
#define ROSTERS_GROUPS_MAX  64		       /* groups of one item */
#define ROSTERS_GROUP_MAX   1023	       /* bytes of a group's name */
#define ROSTERS_REQUEST_MAX 4096	       /* bytes of a request that waits */
#define ROSTERS_BYTES_MAX   (8u * 1024 * 1024) /* packed items of one roster: fits one record */

/* Appends all packed items in the order of their JIDs. ERR_NOTFOUND: no such account. */
enum err rosters_get(struct db *d, struct slice user, struct slice domain, struct str *out,
		     uint32_t *count, uint64_t *version);

/* item: one packed item, added or put in place of the one with its JID. ERR_FULL: max_items or
 * ROSTERS_BYTES_MAX; ERR_FORMAT, ERR_RANGE, ERR_TOOBIG: why says what; ERR_NOTFOUND: no account. */
enum err rosters_set(struct db *d, struct slice user, struct slice domain, struct slice item,
		     uint32_t max_items, uint64_t *version, struct str *why);

/* ERR_NOTFOUND: no such account or no such item (why says which). */
enum err rosters_del(struct db *d, struct slice user, struct slice domain, struct slice jid,
		     uint64_t *version, struct str *why);

#endif
