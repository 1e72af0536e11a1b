/*
 * roster_item - one contact: checked as a client writes it, written as a client reads it.
 *
 * Pure (RFC 6121 2.1.2 to 2.5).
 */
#ifndef SESSION_ROSTER_ITEM_H
#define SESSION_ROSTER_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "ipc/db_pack.h"
#include "xmpp/jid.h"
#include "xmpp/stanza_error.h"

struct xml_node;

#define ROSTER_NAME_MAX	  1023 /* bytes of a name and of a group */
#define ROSTER_GROUPS_MAX 64   /* of one contact */

/* Bits of db_roster_item.subscription: none 0, to 1, from 2, both 3. */
#define ROSTER_TO   1
#define ROSTER_FROM 2

/* A roster set, checked. Owns its strings. */
struct roster_wish {
	struct jid jid; /* bare */
	struct str name;
	struct str groups; /* packed */
	uint16_t ngroups;
	bool remove;
};

struct roster_refusal {
	enum stanza_error error;
	const char *text;
	const char *rule;
};

/* payload: the <query/> of a roster set by the owner of bare. false: *why says what is wrong with
 * it, and *wish needs no clearing. */
bool roster_item_parse(const struct xml_node *payload, struct slice bare, struct roster_wish *wish,
		       struct roster_refusal *why);
void roster_wish_clear(struct roster_wish *wish);

/* Is the item one that the user sees? Not when there is nothing but a request of the contact (RFC
 * 6121 3.1.3): such an item is stored as pending in and approved at once, which is no state of
 * appendix A, because a request of an approved contact is never pending. */
bool roster_item_visible(const struct db_roster_item *item);
void roster_item_hide(struct db_roster_item *item);
void roster_item_show(struct db_roster_item *item);

/* Appends <item/>; removed: as a push tells of a deletion (2.5.2). */
void roster_item_write(struct str *out, const struct db_roster_item *item, bool removed);

#endif
