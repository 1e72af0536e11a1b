/*
 * offline - the table offline: messages for users who were not there (XEP-0160).
 *
 * Kept in the order of arrival until they are delivered. A repeat is recognised by its origin
 * (CUSTODY 6), also for some time after the message itself is gone (table offline_done). Every
 * function is one part of the transaction that is open on d (or a read of its own).
 */
#ifndef DATASTORE_OFFLINE_H
#define DATASTORE_OFFLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/db.h"

struct offline_quota {
	uint64_t messages;
	uint64_t bytes; /* of addresses, index and content */
};

/* Keeps one packed message. ERR_NOTFOUND: no such account; ERR_FULL: his quota; ERR_BLOCKED: he has
 * blocked its sender; ERR_FORMAT (why
 * says what is wrong). One whose origin was here before changes nothing: ERR_OK. */
enum err offline_add(struct db *d, struct slice user, struct slice domain, struct slice packed,
		     uint64_t now_ms, const struct offline_quota *quota, struct str *why);

/* Appends packed messages with an id above after, at least one if there is any, then as long as
 * they are not more than about bytes. *more: others follow. ERR_NOTFOUND: no such account. */
enum err offline_get(struct db *d, struct slice user, struct slice domain, uint64_t after,
		     uint32_t bytes, struct str *out, uint32_t *count, bool *more);

/* Removes the messages with these ids (packed U64) if they are his, and remembers their origins.
 * ERR_NOTFOUND: no such account. */
enum err offline_del(struct db *d, struct slice user, struct slice domain, struct slice ids,
		     uint64_t now_ms, struct str *why);

/* Forgets up to limit origins of messages that went before before_ms. */
enum err offline_prune(struct db *d, uint64_t before_ms, uint32_t limit);

#endif
