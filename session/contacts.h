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

#include "base/blob.h"
#include "base/slice.h"
#include "base/str.h"

struct db_roster_item;
struct msg_db_roster;
struct session_manager;

/* Bits of an entry; ROSTER_TO and ROSTER_FROM are the first two. */
#define CONTACT_TO	1
#define CONTACT_FROM	2
#define CONTACT_PENDING 4
#define CONTACT_ASKED	8 /* he has asked and has no answer yet */

/* What is known of whom the user has blocked (XEP-0191): see blocking.h. */
enum blocking_state {
	BLOCKING_UNKNOWN = 0,
	BLOCKING_NONE,
	BLOCKING_SOME,
};

struct contacts {
	bool known;
	uint8_t blocking;    /* enum blocking_state; not forgotten with the rest */
	bool blocking_doubt; /* what sessions brought from an earlier router differs */
	/* Packed: U8 bits, STR bare JID, with CONTACT_PENDING BYTES request (struct
	 * db_roster_item); only entries with a bit. */
	struct str list;
	struct blob *blocked; /* packed STR each; NULL = none */
};

void contacts_load(struct contacts *c, const struct msg_db_roster *roster);
void contacts_forget(struct contacts *c); /* unknown again */
void contacts_clear(struct contacts *c);  /* frees everything */

/* Whom the user has blocked. */
void contacts_block(struct contacts *c, struct slice packed);
void contacts_doubt(struct contacts *c); /* that is unknown until it is read */

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
/* The same; request is empty without CONTACT_PENDING. */
bool contacts_next_request(struct slice *left, uint8_t *bits, struct slice *jid,
			   struct slice *request);

/* The same for the online user with this bare JID; nothing happens when there is none. */
void contacts_changed(struct session_manager *m, struct slice bare,
		      const struct db_roster_item *item, bool removed);
void contacts_lost(struct session_manager *m, struct slice bare);

#endif
