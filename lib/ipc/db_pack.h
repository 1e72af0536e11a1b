/*
 * db_pack - what lists inside BYTES of DB_* records look like: roster items, SCRAM keys, messages.
 *
 * Shared by the datastore and those who ask it. Decoded strings borrow from the packed bytes.
 */
#ifndef IPC_DB_PACK_H
#define IPC_DB_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

/* One roster item (RFC 6121 2.1.2): subscription 0 none 1 to 2 from 3 both; ask = "subscribe"
 * pending out; approved = pre-approval (3.4); pending_in = a subscribe not yet answered. groups:
 * the names, each a packed STR, count of them in ngroups. A request from somebody who is not in the
 * roster is kept as pending_in and approved together (no other item has both): it is not an item
 * of the roster and is never shown as one. request: what came with it (RFC 6121 3.1.3): STR lang,
 * STR child index, BYTES inner; empty = nothing. */
struct db_roster_item {
	struct slice jid; /* normalised bare JID */
	struct slice name;
	uint8_t subscription;
	uint8_t ask;
	uint8_t approved;
	uint8_t pending_in;
	uint16_t ngroups;
	struct slice groups;
	struct slice request;
};

void db_roster_item_put(struct str *out, const struct db_roster_item *item);
bool db_roster_item_get(struct slice *in, struct db_roster_item *item);

/* SCRAM keys of one account for one hash (RFC 5802 section 3): binary salt, StoredKey, ServerKey
 * and the iteration count. hash: "SHA-1" or "SHA-256". Packed one after the other. */
struct db_scram {
	struct slice hash;
	uint32_t iterations;
	struct slice salt;
	struct slice stored_key;
	struct slice server_key;
};

void db_scram_put(struct str *out, const struct db_scram *s);
bool db_scram_get(struct slice *in, struct db_scram *s);

/* One message of offline storage (XEP-0160), as its envelope travels: origin (CUSTODY 6), when the
 * server had it (ms since 1970), the fields of STANZA. id is its place, 0 in a request. */
struct db_offline {
	uint64_t id;
	uint64_t origin_sid, origin_n;
	uint64_t stamp_ms; /* 0 in a request: now */
	uint8_t kind, type;
	uint16_t flags;
	struct slice from, to, stanza_id, lang, children, inner;
};

void db_offline_put(struct str *out, const struct db_offline *o);
bool db_offline_get(struct slice *in, struct db_offline *o);

/* What DB_DATA_* records keep for a user. The numbers stand in the database. */
enum db_data_kind {
	DB_DATA_VCARD = 1,	   /* XEP-0054; key "" */
	DB_DATA_PRIVATE = 2,	   /* XEP-0049; key = "namespace name" of the element */
	DB_DATA_LAST = 3,	   /* XEP-0012: the last status of a user who left; key "" */
	DB_DATA_ARCHIVE_PREFS = 4, /* XEP-0313 6; key "" */
	DB_DATA_ACCOUNT = 5,	   /* what an account was registered with (XEP-0077); key = field */
};

/* One change of the shelf (CUSTODY 13). op: SHELF_PUT takes body; SHELF_DEL deletes the rows of
 * (sid, kind) with n <= row n <= upto. */
enum db_shelf_op { SHELF_PUT = 1, SHELF_DEL = 2 };

struct db_shelf_change {
	uint8_t op;
	uint64_t sid;
	uint8_t kind;
	uint64_t n;
	uint64_t upto;	   /* SHELF_DEL */
	struct slice body; /* SHELF_PUT */
};

void db_shelf_change_put(struct str *out, const struct db_shelf_change *c);
bool db_shelf_change_get(struct slice *in, struct db_shelf_change *c);

struct db_shelf_row {
	uint64_t sid;
	uint8_t kind;
	uint64_t n;
	struct slice body;
};

void db_shelf_row_put(struct str *out, const struct db_shelf_row *r);
bool db_shelf_row_get(struct slice *in, struct db_shelf_row *r);

/* What DB_COMPONENT_LIST gives as secrets. Shown: to a person, which is logged. */
enum db_secrets { DB_SECRETS_NONE = 0, DB_SECRETS_SHOWN = 1, DB_SECRETS_FINGERPRINTS = 2 };

/* One of the records in a DB_COMPONENTS list. */
struct msg_db_component;
void db_component_put(struct str *out, const struct msg_db_component *c);
bool db_component_get(struct slice *in, struct msg_db_component *c);

#endif
