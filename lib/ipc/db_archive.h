/*
 * db_archive - what the lists inside DB_ARCHIVE_* records look like, and whom a user's archiving
 * preferences mean (XEP-0313, XEP-0441).
 *
 * Shared by the datastore and those who ask it. Decoded strings borrow from the packed bytes.
 */
#ifndef IPC_DB_ARCHIVE_H
#define IPC_DB_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

/* The name of a message within an archive. Who makes it (session/archive_id) gives neighbours in
 * one stream of stanzas the same group: so a name is found by its group in few places. */
struct db_archive_id {
	uint64_t group;
	uint32_t number;
};

void db_archive_id_put(struct str *out, struct db_archive_id id);
bool db_archive_id_get(struct slice *in, struct db_archive_id *id);

static inline bool db_archive_id_eq(struct db_archive_id a, struct db_archive_id b)
{
	return a.group == b.group && a.number == b.number;
}

/* One message, as it is added, kept and handed out. from and to as its receiver saw them; inner
 * without the stanza-id that the receiver's server has added. */
struct db_archive_entry {
	struct db_archive_id id;
	uint64_t stamp_ms; /* since 1970 */
	uint8_t type;
	struct slice from, to, stanza_id, lang, inner;
};

void db_archive_entry_put(struct str *out, const struct db_archive_entry *e);
bool db_archive_entry_get(struct slice *in, struct db_archive_entry *e);

/* One addition: owner numbers index DB_ARCHIVE_ADD.owners (packed STR bare JID each). again: it may
 * have been added before, by a router that is gone. entry: one packed entry. */
#define DB_ARCHIVE_NOBODY 0xffff

struct db_archive_addition {
	uint16_t sender, receiver;
	uint8_t again;
	struct slice entry;
};

void db_archive_addition_put(struct str *out, const struct db_archive_addition *a);
bool db_archive_addition_get(struct slice *in, struct db_archive_addition *a);

/* The value of DB_DATA_ARCHIVE_PREFS. always, never: packed STR JID each, bare or full. */
enum db_archive_policy { ARCHIVE_ALWAYS = 0, ARCHIVE_NEVER = 1, ARCHIVE_ROSTER = 2 };

struct db_archive_prefs {
	uint8_t policy; /* for who is in neither list */
	struct slice always, never;
};

void db_archive_prefs_put(struct str *out, const struct db_archive_prefs *p);
bool db_archive_prefs_get(struct slice *in, struct db_archive_prefs *p);

/* XEP-0441 2.3: what holds for messages to or from peer (full or bare JID). A full JID in a list
 * outweighs a bare one, never outweighs always. */
uint8_t db_archive_prefs_for(const struct db_archive_prefs *p, struct slice peer);

/* "always", "never", "roster" and back; false for anything else. */
const char *db_archive_policy_name(uint8_t policy);
bool db_archive_policy_parse(struct slice name, uint8_t *policy);

#endif
