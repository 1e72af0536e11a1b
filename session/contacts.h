/*
 * contacts - of an online user's roster what presence needs, in memory: who may see him, whom he
 * sees, who asks.
 *
 * So presence works while the datastore is away (DESIGN 3). Loaded at the first presence, kept up
 * to date by every change of the roster, forgotten when a change's outcome is not known.
 */
#ifndef SESSION_CONTACTS_H
#define SESSION_CONTACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

struct db_roster_item;
struct msg_db_roster;
struct session_manager;

/* Bits of an entry; ROSTER_TO and ROSTER_FROM are the first two. */
#define CONTACT_TO	1
#define CONTACT_FROM	2
#define CONTACT_PENDING 4

struct contacts {
	bool known;
	struct str list; /* packed: U8 bits, STR bare JID; only entries with a bit */
};

void contacts_load(struct contacts *c, const struct msg_db_roster *roster);
void contacts_forget(struct contacts *c); /* unknown again */

/* One item changed (item->subscription and pending_in count); removed: it is gone. */
void contacts_change(struct contacts *c, const struct db_roster_item *item, bool removed);

/* The bits of jid, 0 when it is no contact. */
uint8_t contacts_find(const struct contacts *c, struct slice jid);

/* Iteration: start with *left = contacts_all(c). */
static inline struct slice contacts_all(const struct contacts *c)
{
	return str_slice(&c->list);
}
bool contacts_next(struct slice *left, uint8_t *bits, struct slice *jid);

/* The same for the online user with this bare JID; nothing happens when there is none. */
void contacts_changed(struct session_manager *m, struct slice bare,
		      const struct db_roster_item *item, bool removed);
void contacts_lost(struct session_manager *m, struct slice bare);

#endif
