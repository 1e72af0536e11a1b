/*
 * router_remove - `xmpp user del`: session/ removes the account, the command is told when it is
 * done (if it is still there).
 */
#include <stdlib.h>

#include "base/xmem.h"
#include "ipc/link.h"
#include "net/loop.h"
#include "router/router_types.h"
#include "xmpp/jid.h"

struct removal {
	struct list link;
	struct router_peer *peer; /* NULL: the command has gone away */
	uint64_t req;
};

static void on_done(void *arg, enum err status)
{
	struct removal *q = arg;
	struct str text = STR_INIT;

	list_remove(&q->link);
	/* CLOSED: this router ends, and its links have ended. */
	if (status != ERR_OK && status != ERR_NOTFOUND)
		str_addf(&text,
			 "the datastore did not do it (%s); see its log, then run this again: what "
			 "was done already does no harm",
			 err_text(status));
	else if (status == ERR_OK)
		str_adds(&text, "{\"removed\":1}\n");
	if (q->peer && status != ERR_CLOSED)
		link_put_admin_reply(
			hub_peer_link(q->peer->hub),
			&(struct msg_admin_reply){q->req, (uint8_t)status, 0, str_slice(&text)});
	str_clear(&text);
	free(q);
}

enum err router_remove(struct router *r, struct router_peer *p, uint64_t req, struct slice jid)
{
	struct removal *q;
	struct jid who;

	if (jid_parse(&who, jid) != ERR_OK)
		return ERR_FORMAT;
	if (!who.local.len || who.resource.len) {
		jid_clear(&who);
		return ERR_FORMAT;
	}
	q = xcalloc(1, sizeof(*q));
	q->peer = p;
	q->req = req;
	list_append(&r->removals, &q->link);
	session_remove_account(r->sessions, jid_bare(&who), loop_now(r->loop), on_done, q);
	jid_clear(&who);
	return ERR_OK;
}

void router_remove_peer_dead(struct router *r, const struct router_peer *p)
{
	list_each (it, &r->removals) {
		struct removal *q = list_entry(it, struct removal, link);

		if (q->peer == p)
			q->peer = NULL;
	}
}
