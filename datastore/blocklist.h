/*
 * blocklist - the table blocked: with whom a user does not want to speak (XEP-0191).
 *
 * JIDs are normalised by the caller; their number and size are bounded here, because a list
 * travels whole: with the roster, and in the session blob. Every function is one part of the
 * transaction that is open on d (or a read of its own).
 */
#ifndef DATASTORE_BLOCKLIST_H
#define DATASTORE_BLOCKLIST_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/db.h"

#define BLOCKLIST_BYTES_MAX (64u * 1024) /* of the JIDs of one list */

/* Appends his list: packed STRs in the order of their bytes; of no such account nothing. */
enum err blocklist_get(struct db *d, struct slice user, struct slice domain, struct str *out);

/* Adds the packed jids, those that are not there, and appends the new list to out. ERR_FULL: it
 * would have more than max items or BLOCKLIST_BYTES_MAX; ERR_NOTFOUND: no such account; ERR_FORMAT,
 * ERR_TOOBIG: why says what. */
enum err blocklist_add(struct db *d, struct slice user, struct slice domain, struct slice jids,
		       uint32_t max, struct str *out, struct str *why);

/* Removes them, those that are there; no jids: all. Appends the new list to out. */
enum err blocklist_del(struct db *d, struct slice user, struct slice domain, struct slice jids,
		       struct str *out, struct str *why);

/* May `from` (a normalised JID) reach the user? ERR_BLOCKED: an item is that JID, its bare JID or
 * its domain (XEP-0191 section 6); but never for his own account and his server. */
enum err blocklist_judge(struct db *d, uint64_t account, struct slice user, struct slice domain,
			 struct slice from);

#endif
