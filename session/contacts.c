#include "session/contacts.h"

#include "ipc/codec.h"
#include "ipc/db_pack.h"
#include "session/registry.h"

static uint8_t bits_of(const struct db_roster_item *item)
{
	return (item->subscription & (CONTACT_TO | CONTACT_FROM)) |
	       (item->pending_in ? CONTACT_PENDING : 0) | (item->ask ? CONTACT_ASKED : 0);
}

static void put(struct contacts *c, const struct db_roster_item *item)
{
	if (bits_of(item) == 0)
		return;
	codec_put_u8(&c->list, bits_of(item));
	codec_put_str(&c->list, item->jid);
	if (item->pending_in)
		codec_put_bytes(&c->list, item->request);
}

void contacts_load(struct contacts *c, const struct msg_db_roster *roster)
{
	struct slice list = roster->list;
	struct db_roster_item item;

	contacts_forget(c);
	while (db_roster_item_get(&list, &item))
		put(c, &item);
	c->known = true;
	contacts_block(c, roster->blocked);
}

void contacts_forget(struct contacts *c)
{
	str_clear(&c->list);
	c->known = false;
}

void contacts_clear(struct contacts *c)
{
	contacts_forget(c);
	contacts_doubt(c);
	c->blocking_doubt = false;
}

void contacts_block(struct contacts *c, struct slice packed)
{
	struct blob *list = packed.len ? blob_new(packed.data, packed.len) : NULL;

	blob_unref(&c->blocked);
	c->blocked = list;
	c->blocking = list ? BLOCKING_SOME : BLOCKING_NONE;
	c->blocking_doubt = false;
}

void contacts_doubt(struct contacts *c)
{
	blob_unref(&c->blocked);
	c->blocking = BLOCKING_UNKNOWN;
	c->blocking_doubt = true;
}

bool contacts_next(struct slice *left, uint8_t *bits, struct slice *jid)
{
	struct slice request;

	return contacts_next_request(left, bits, jid, &request);
}

bool contacts_next_request(struct slice *left, uint8_t *bits, struct slice *jid,
			   struct slice *request)
{
	*request = SLICE_NONE;
	return codec_get_u8(left, bits) && codec_get_str(left, jid) &&
	       (!(*bits & CONTACT_PENDING) || codec_get_bytes(left, request));
}

void contacts_change(struct contacts *c, const struct db_roster_item *item, bool removed)
{
	struct slice left = contacts_all(c), jid;
	uint8_t bits;

	if (!c->known)
		return;
	while (contacts_next(&left, &bits, &jid)) {
		char *start = c->list.data + (jid.data - c->list.data) - 3;

		if (!slice_eq(jid, item->jid))
			continue;
		c->list.len -= (size_t)(left.data - start);
		memmove(start, left.data, left.len);
		break;
	}
	if (!removed)
		put(c, item);
}

uint8_t contacts_find(const struct contacts *c, struct slice jid)
{
	struct slice left = contacts_all(c), one;
	uint8_t bits;

	while (contacts_next(&left, &bits, &one)) {
		if (slice_eq(one, jid))
			return bits;
	}
	return 0;
}

void contacts_changed(struct session_manager *m, struct slice bare,
		      const struct db_roster_item *item, bool removed)
{
	struct user *u = registry_user(m, bare);

	if (u)
		contacts_change(&u->contacts, item, removed);
}

void contacts_lost(struct session_manager *m, struct slice bare)
{
	struct user *u = registry_user(m, bare);

	if (u)
		contacts_forget(&u->contacts);
}
