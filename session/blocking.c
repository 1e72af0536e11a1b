#include "session/blocking.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "ipc/codec.h"
#include "ipc/stanza_kinds.h"
#include "session/presence.h"
#include "session/reply.h"
#include "session/roster_job.h"
#include "session/session_blob.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"

#define HELD_OVERHEAD 256

/* OUT: its sender's list is awaited. IN: its receiver's. PASSED, MADE: likewise, a presence of
 * which nobody is told what became; MADE: the server's own. */
enum held_kind { HELD_OUT, HELD_IN, HELD_PASSED, HELD_MADE };

struct held {
	struct list link;
	struct parked *parked;
	enum held_kind kind;
	void (*go)(struct inbound *in);
};

/* All that waits for one user's list; his roster queue sees to it that it is read. */
struct blocking_wait {
	struct roster_job job;
	struct list held;
	size_t bytes;
};

/* Section 5: his own resources, and the server that answers him. */
static bool exempt(struct slice owner, struct slice jid)
{
	return slice_eq(jid_text_bare(jid), owner) ||
	       (jid_text_local(jid).len == 0 &&
		slice_eq(jid_text_domain(jid), jid_text_domain(owner)));
}

bool blocking_listed(struct slice packed, struct slice owner, struct slice jid)
{
	struct slice bare = jid_text_bare(jid), domain = jid_text_domain(jid), item;

	if (jid.len == 0 || exempt(owner, jid))
		return false;
	while (codec_get_str(&packed, &item)) {
		if (slice_eq(item, bare) || slice_eq(item, domain) || slice_eq(item, jid))
			return true;
	}
	return false;
}

bool blocking_hits(const struct contacts *c, struct slice owner, struct slice jid)
{
	return c->blocking == BLOCKING_SOME && blocking_listed(blob_slice(c->blocked), owner, jid);
}

static void refuse_out(struct inbound *in)
{
	/* What cannot be answered is dropped. */
	reply_error_with(in, STANZA_ERROR_NOT_ACCEPTABLE, "You have blocked this address.",
			 "<blocked xmlns='" NS_BLOCKING_ERR "'/>", "xep0191-3.3 to a blocked JID");
}

/* So that nobody can tell a block from an absent user. */
static void refuse_in(struct inbound *in)
{
	if (in->s.kind == STANZA_PRESENCE)
		reply_drop(in, "xep0191-3.3 presence of a blocked JID");
	else if (in->s.kind == STANZA_MESSAGE &&
		 (in->s.type == TYPE_GROUPCHAT || in->s.type == TYPE_HEADLINE))
		reply_drop(in, "xep0191-3.3 message of a blocked JID that nobody waits for");
	else
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
			    "xep0191-3.3 stanza of a blocked JID");
}

/* The list cannot be read, or too much waits for it: the sender may try again. */
static void refuse_now(struct inbound *in, enum held_kind kind)
{
	if (kind != HELD_OUT && in->s.kind == STANZA_PRESENCE)
		reply_drop(in, "presence to a user whose blocklist cannot be read");
	else
		reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
			    "Whom the user has blocked cannot be read now; try again later.",
			    "xep0191 blocklist away");
}

/* One that waited. known: the list could be read, blocked: it says no. */
static void held_go(struct session_manager *m, struct held *h, bool known, bool blocked)
{
	struct inbound in;

	reply_resume(h->parked, m, &in);
	if (h->kind == HELD_PASSED || h->kind == HELD_MADE) {
		if (known && !blocked)
			presence_to_address(m, in.e, h->kind == HELD_MADE, &in.s);
	} else if (reply_orphaned(h->parked, &in) && in.s.kind != STANZA_MESSAGE) {
		reply_drop(&in, "stanza of a session that is gone");
	} else if (!known) {
		refuse_now(&in, h->kind);
	} else if (!blocked) {
		h->go(&in);
	} else if (h->kind == HELD_OUT) {
		refuse_out(&in);
	} else {
		refuse_in(&in);
	}
}

static void held_free(struct held **hp, struct session_manager *m)
{
	struct held *h = *hp;

	*hp = NULL;
	list_remove(&h->link);
	reply_unpark(&h->parked, m);
	free(h);
}

/* Everything goes on, in order. It does not come back: the list is known now, or the user is gone.
 */
static void wait_over(struct blocking_wait *w, bool known, struct slice packed)
{
	struct session_manager *m = w->job.m;
	struct slice owner = roster_job_owner(&w->job);
	struct user *u = registry_user(m, owner);
	struct list *l;

	if (u && u->wait == w)
		u->wait = NULL;
	while ((l = list_first(&w->held)) != NULL) {
		struct held *h = list_entry(l, struct held, link);
		struct inbound in;
		struct slice other;

		reply_resume(h->parked, m, &in);
		other = h->kind == HELD_OUT ? in.s.to : in.s.from;
		held_go(m, h, known, known && blocking_listed(packed, owner, other));
		held_free(&h, m);
	}
}

static bool wait_ready(struct roster_job *j)
{
	const struct user *u = registry_user(j->m, roster_job_owner(j));
	struct blob *list;

	if (!u || u->contacts.blocking == BLOCKING_UNKNOWN)
		return false;
	list = u->contacts.blocked ? blob_ref(u->contacts.blocked) : NULL;
	wait_over((struct blocking_wait *)j, true, blob_slice(list));
	blob_unref(&list);
	return true;
}

static void wait_loaded(struct roster_job *j, const struct msg_db_roster *roster)
{
	wait_over((struct blocking_wait *)j, true, roster->blocked);
}

static void wait_failed(struct roster_job *j, enum err why)
{
	/* Somebody before us in the queue may have had more luck. */
	if (wait_ready(j))
		return;
	/* Without an account there is nothing that could be blocked. */
	if (why == ERR_NOTFOUND)
		blocking_learn(j->m, roster_job_owner(j), SLICE_NONE);
	else
		log_warn("-",
			 "event=blocklist-unread jid=%s error=%s hint=\"what depends on it is "
			 "refused until it can be read; see the datastore's log\"",
			 log_quote(roster_job_owner(j)), err_name(why));
	wait_over((struct blocking_wait *)j, why == ERR_NOTFOUND, SLICE_NONE);
}

static void wait_free(struct roster_job *j)
{
	struct blocking_wait *w = (struct blocking_wait *)j;
	struct list *l;

	while ((l = list_first(&w->held)) != NULL) {
		struct held *h = list_entry(l, struct held, link);

		held_free(&h, j->m);
	}
	free(w);
}

static const struct roster_job_ops wait_ops = {
	.ready = wait_ready, .loaded = wait_loaded, .failed = wait_failed, .free = wait_free};

/* Behind what waits for owner's list already. */
static void hold(struct inbound *in, struct slice owner, enum held_kind kind,
		 void (*go)(struct inbound *in))
{
	size_t bytes = HELD_OVERHEAD + in->s.inner.len + in->s.children.len;
	struct user *u = registry_user(in->m, owner);
	struct blocking_wait *w = u ? u->wait : NULL;
	bool fresh = !w;
	struct held *h;

	if (w && w->bytes + bytes > BLOCKING_HELD_MAX) {
		if (kind == HELD_OUT || kind == HELD_IN)
			refuse_now(in, kind);
		return;
	}
	if (fresh) {
		w = xcalloc(1, sizeof(*w));
		w->job.ops = &wait_ops;
		list_init(&w->held);
	}
	if (u)
		u->wait = w;
	h = xcalloc(1, sizeof(*h));
	h->parked = reply_park(in);
	h->kind = kind;
	h->go = go;
	w->bytes += bytes;
	list_append(&w->held, &h->link);
	if (fresh)
		roster_job_start_take(in->m, owner, &w->job);
}

bool blocking_out(struct inbound *in, void (*go)(struct inbound *in))
{
	const struct user *u = in->sender->user;

	if (exempt(u->bare, in->s.to))
		return false;
	if (u->contacts.blocking == BLOCKING_UNKNOWN)
		hold(in, u->bare, HELD_OUT, go);
	else if (blocking_hits(&u->contacts, u->bare, in->s.to))
		refuse_out(in);
	else
		return false;
	return true;
}

bool blocking_refuse_again(struct inbound *in)
{
	const struct user *u = in->sender->user;

	if (!blocking_hits(&u->contacts, u->bare, in->s.to))
		return false;
	refuse_out(in);
	return true;
}

bool blocking_in(struct inbound *in, void (*go)(struct inbound *in))
{
	struct slice owner = jid_text_bare(in->s.to);
	const struct user *u = registry_user(in->m, owner);

	if (exempt(owner, in->s.from))
		return false;
	if (!u || u->contacts.blocking == BLOCKING_UNKNOWN)
		hold(in, owner, HELD_IN, go);
	else if (blocking_hits(&u->contacts, u->bare, in->s.from))
		refuse_in(in);
	else
		return false;
	return true;
}

bool blocking_presence(struct session_manager *m, struct custody_entry *e, bool made,
		       const struct session_stanza *s)
{
	const struct user *u = registry_user(m, s->to);
	struct inbound in = {.m = m, .e = e, .s = *s};

	if (exempt(u->bare, s->from))
		return false;
	if (u->contacts.blocking != BLOCKING_UNKNOWN)
		return blocking_hits(&u->contacts, u->bare, s->from);
	hold(&in, u->bare, made ? HELD_MADE : HELD_PASSED, NULL);
	return true;
}

void blocking_learn(struct session_manager *m, struct slice bare, struct slice packed)
{
	struct user *u = registry_user(m, bare);

	if (!u || (u->contacts.blocking != BLOCKING_UNKNOWN &&
		   slice_eq(blob_slice(u->contacts.blocked), packed)))
		return;
	contacts_block(&u->contacts, packed);
	for (struct session *s = user_first(u); s; s = user_after(s))
		s->knows_blocked = false;
}

void blocking_go_on(struct session_manager *m, struct slice bare)
{
	const struct user *u = registry_user(m, bare);

	if (u && u->wait)
		wait_ready(&u->wait->job);
}

void blocking_spread(struct session_manager *m, struct slice bare)
{
	const struct user *u = registry_user(m, bare);

	if (!u || u->contacts.blocking == BLOCKING_UNKNOWN)
		return;
	for (struct session *s = user_first(u); s; s = user_after(s)) {
		if (!s->knows_blocked)
			session_blob_emit(m, s);
	}
}
