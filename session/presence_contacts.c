#include "session/presence_contacts.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "ipc/codec.h"
#include "ipc/stanza_kinds.h"
#include "session/blocking.h"
#include "session/contacts.h"
#include "session/presence.h"
#include "session/registry.h"
#include "session/reply.h"
#include "session/roster_job.h"
#include "xmpp/jid.h"

/* What waits until the contacts of a user are read. */
struct wait {
	struct roster_job job;
	struct parked *parked;
	presence_contacts_fn *go;
	uint64_t leaving, before; /* of the manager, at its time */
};

static void wait_done(struct wait *w, const struct contacts *c, bool known)
{
	uint64_t leaving = w->job.m->leaving, before = w->job.m->before;
	struct inbound in;

	reply_resume(w->parked, w->job.m, &in);
	in.m->leaving = w->leaving;
	in.m->before = w->before;
	w->go(&in, roster_job_owner(&w->job), c, known);
	in.m->leaving = leaving;
	in.m->before = before;
}

static void wait_loaded(struct roster_job *j, const struct msg_db_roster *roster)
{
	struct user *u = registry_user(j->m, roster_job_owner(j));
	struct contacts c = {.list = STR_INIT};

	contacts_load(u ? &u->contacts : &c, roster);
	wait_done((struct wait *)j, u ? &u->contacts : &c, true);
	contacts_clear(&c);
}

/* Somebody before us in the queue has read them. */
static bool wait_ready(struct roster_job *j)
{
	struct user *u = registry_user(j->m, roster_job_owner(j));

	if (!u || !u->contacts.known)
		return false;
	wait_done((struct wait *)j, &u->contacts, true);
	return true;
}

static void wait_failed(struct roster_job *j, enum err why)
{
	struct contacts none = {.list = STR_INIT};

	/* It may have become known meanwhile. */
	if (wait_ready(j))
		return;
	if (why != ERR_NOTFOUND)
		log_warn("-",
			 "event=contacts-unread jid=%s error=%s hint=\"contacts see the next "
			 "change of presence; see the datastore's log\"",
			 log_quote(roster_job_owner(j)), err_name(why));
	wait_done((struct wait *)j, &none, false);
}

static void wait_free(struct roster_job *j)
{
	struct wait *w = (struct wait *)j;

	if (j->m && w->leaving)
		j->m->leaves--;
	reply_unpark(&w->parked, j->m);
	free(w);
}

static const struct roster_job_ops wait_ops = {
	.ready = wait_ready, .loaded = wait_loaded, .failed = wait_failed, .free = wait_free};

void presence_contacts_with(struct inbound *in, struct slice bare, presence_contacts_fn *go)
{
	struct user *u = registry_user(in->m, bare);
	struct wait *w;

	if (u && u->contacts.known) {
		go(in, bare, &u->contacts, true);
		return;
	}
	w = xcalloc(1, sizeof(*w));
	w->job.ops = &wait_ops;
	w->parked = reply_park(in);
	w->go = go;
	w->leaving = in->m->leaving;
	w->before = in->m->before;
	if (w->leaving)
		in->m->leaves++;
	roster_job_start_take(in->m, bare, &w->job);
}

void presence_contacts_tell(struct session_manager *m, struct custody_entry *e,
			    const struct contacts *c, struct session_stanza *s)
{
	struct slice left = contacts_all(c), jid;
	uint8_t bits;

	while (contacts_next(&left, &bits, &jid)) {
		if (!(bits & CONTACT_FROM))
			continue;
		s->to = jid;
		presence_to_contact(m, e, e == NULL, c, s);
	}
}

/* Shows the resources of bare to the session whose presence is in hand, if bare allows it. */
static void show_to_asker(struct inbound *in, struct slice bare, const struct contacts *c,
			  bool known)
{
	if (!known || !in->sender || !registry_available(in->sender))
		return;
	if (contacts_find(c, in->sender->user->bare) & CONTACT_FROM)
		presence_show(in->m, in->e, bare, in->sender->full, TYPE_NONE);
}

/* The same for a contact that was blocked until now: also that it is gone. */
static void show_again(struct inbound *in, struct slice bare, const struct contacts *c, bool known)
{
	if (!known || !in->sender || !registry_available(in->sender) ||
	    !(contacts_find(c, in->sender->user->bare) & CONTACT_FROM) ||
	    blocking_hits(c, bare, in->sender->full))
		return;
	if (presence_show(in->m, in->e, bare, in->sender->full, TYPE_NONE) == 0)
		presence_to_address(in->m, in->e, true,
				    &(struct session_stanza){.kind = STANZA_PRESENCE,
							     .type = TYPE_UNAVAILABLE,
							     .from = bare,
							     .to = in->sender->full});
}

/* 4.3: what the user sees. Local contacts are looked up, others are probed. */
static void see(struct inbound *in, struct slice contact)
{
	struct slice domain = jid_text_domain(contact);
	uint64_t sid;

	if (session_is_local(in->m, domain)) {
		/* Nobody there: nothing to see, and no reason to read a roster. */
		if (registry_user(in->m, contact))
			presence_contacts_with(in, contact, show_to_asker);
		return;
	}
	sid = manager_route(in->m, domain, in->sender->full);
	if (sid)
		manager_answer(in->m, in->e, sid,
			       &(struct session_stanza){.kind = STANZA_PRESENCE,
							.type = TYPE_PROBE,
							.from = in->sender->full,
							.to = contact});
}

void presence_contacts_see_again(struct inbound *in, struct slice contact)
{
	if (session_is_local(in->m, jid_text_domain(contact)))
		presence_contacts_with(in, contact, show_again);
	else
		see(in, contact);
}

/* 3.1.3: again and again until it is answered, with what came with it. */
static void show_request(struct inbound *in, struct slice from, struct slice request)
{
	struct session_stanza out = {.kind = STANZA_PRESENCE,
				     .type = TYPE_SUBSCRIBE,
				     .from = from,
				     .to = in->sender->user->bare};

	if (request.len &&
	    (!codec_get_str(&request, &out.lang) || !codec_get_str(&request, &out.children) ||
	     !codec_get_bytes(&request, &out.inner)))
		out.lang = out.children = out.inner = SLICE_NONE;
	manager_answer(in->m, in->e, in->sender->sid, &out);
}

/* 3.1.2: a request that another server has not answered may have been lost there. */
static void ask_again(struct inbound *in, struct slice contact)
{
	struct slice domain = jid_text_domain(contact);
	uint64_t sid = session_is_local(in->m, domain)
			       ? 0
			       : manager_route(in->m, domain, in->sender->full);

	if (sid)
		manager_answer(in->m, in->e, sid,
			       &(struct session_stanza){.kind = STANZA_PRESENCE,
							.type = TYPE_SUBSCRIBE,
							.from = in->sender->user->bare,
							.to = contact});
}

/* A session has become available: whom it sees, who asks for leave (3.1.3). */
static void inform(struct inbound *in, const struct contacts *c)
{
	struct session *self = in->sender;
	struct str copy = STR_INIT;
	struct slice left, jid, request;
	uint8_t bits;

	self->informed = true;
	/* What happens on the way may change the contacts. */
	str_add_slice(&copy, contacts_all(c));
	left = str_slice(&copy);
	while (contacts_next_request(&left, &bits, &jid, &request)) {
		if (blocking_hits(c, self->user->bare, jid))
			continue;
		if (bits & CONTACT_TO)
			see(in, jid);
		if (bits & CONTACT_ASKED)
			ask_again(in, jid);
		if (bits & CONTACT_PENDING)
			show_request(in, jid, request);
	}
	str_clear(&copy);
}

static void available_go(struct inbound *in, struct slice bare, const struct contacts *c,
			 bool known)
{
	struct session *self = in->sender;

	(void)bare;
	if (known && self && registry_shown(self)) {
		struct session_stanza out = in->s;

		/* It may have changed while the contacts were read. */
		out.flags = self->last->flags;
		out.lang = self->last->lang;
		out.children = self->last->children;
		out.inner = self->last->inner;
		presence_contacts_tell(in->m, in->e, c, &out);
		if (!self->informed)
			inform(in, c);
	}
	reply_consume(in, "rfc6121-4.2 presence broadcast");
}

void presence_contacts_available(struct inbound *in)
{
	presence_contacts_with(in, in->sender->user->bare, available_go);
}

static void unavailable_go(struct inbound *in, struct slice bare, const struct contacts *c,
			   bool known)
{
	const struct user *u = registry_user(in->m, bare);
	const struct session *s = user_shown(u, NULL);

	/* It may have come back while the contacts were read. */
	while (s && !slice_eq(s->full, in->s.from))
		s = user_shown(u, s);
	if (known && !s)
		presence_contacts_tell(in->m, in->e, c, &in->s);
}

void presence_contacts_unavailable(struct session_manager *m, struct custody_entry *e,
				   struct session *s, const struct session_stanza *out)
{
	struct inbound in = {.m = m, .e = e, .s = *out};

	in.s.to = SLICE_NONE;
	/* A session that is gone may have been the user's last: its contacts are still here. */
	if (s->user->contacts.known)
		presence_contacts_tell(m, e, &s->user->contacts, &in.s);
	else
		presence_contacts_with(&in, s->user->bare, unavailable_go);
}

static void probe_go(struct inbound *in, struct slice bare, const struct contacts *c, bool known)
{
	struct slice asker = jid_text_bare(in->s.from);
	struct session_stanza out = {.kind = STANZA_PRESENCE, .from = in->s.to, .to = in->s.from};

	if (!known && registry_user(in->m, bare)) {
		reply_drop(in, "probe that cannot be judged now");
		return;
	}
	/* XEP-0191 3.3: not even an answer. */
	if (blocking_hits(c, bare, in->s.from)) {
		reply_drop(in, "xep0191-3.3 presence of a blocked JID");
		return;
	}
	/* 4.3.2: no leave, no account: the same answer, which is that of the account. */
	if (!(contacts_find(c, asker) & CONTACT_FROM)) {
		out.type = TYPE_UNSUBSCRIBED;
		out.from = bare;
	} else if (presence_show(in->m, in->e, in->s.to, in->s.from, TYPE_NONE) == 0) {
		out.type = TYPE_UNAVAILABLE;
	}
	if (out.type != TYPE_NONE)
		presence_to_address(in->m, in->e, true, &out);
	reply_consume(in, "rfc6121-4.3.2 probe");
}

void presence_contacts_probe(struct inbound *in, struct slice bare)
{
	/* The user's own resources see each other (4.2.2). */
	if (in->sender && slice_eq(bare, in->sender->user->bare)) {
		presence_show(in->m, in->e, in->s.to, in->s.from, TYPE_NONE);
		reply_consume(in, "rfc6121-4.3.2 probe");
		return;
	}
	presence_contacts_with(in, bare, probe_go);
}
