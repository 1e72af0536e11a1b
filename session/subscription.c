#include "session/subscription.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "ipc/codec.h"
#include "ipc/stanza_kinds.h"
#include "session/blocking.h"
#include "session/contacts.h"
#include "session/presence.h"
#include "session/presence_contacts.h"
#include "session/registry.h"
#include "session/reply.h"
#include "session/roster.h"
#include "session/roster_item.h"
#include "session/roster_job.h"
#include "session/subscription_state.h"
#include "xmpp/jid.h"

/* What comes with a request and is kept until it is answered (the datastore takes 4096). */
#define REQUEST_BYTES_MAX 4000

/*
 * One step on one roster. A stanza between two local users takes two: out on the sender's roster,
 * then in on the receiver's; each may lead to another (an answer on a user's behalf).
 */
struct step {
	struct roster_job job;
	struct parked *parked;
	struct slice peer; /* the other side; in text */
	uint8_t type;
	bool out;
	bool blocked;  /* in: the owner has blocked the peer */
	bool original; /* the stanza in hand itself, not one that follows from it */
	struct subscription_state before;
	struct subscription_step result;
	struct db_roster_item item; /* as it is written; name and groups in kept */
	struct str kept, request;
	uint64_t version; /* of the roster with it */
	enum err status;
	void (*done)(void *arg, enum err status); /* NULL: nobody waits for its end */
	void *arg;
	char text[];
};

static void step_start(struct inbound *in, struct slice owner, struct slice peer, uint8_t type,
		       bool out, bool original);

static bool is_local(const struct inbound *in, struct slice jid)
{
	return session_is_local(in->m, jid_text_domain(jid));
}

/* A subscription stanza has bare addresses (RFC 6121 3.1.2). Only the original one has content. */
static struct session_stanza stanza(const struct inbound *in, uint8_t type, struct slice from,
				    struct slice to, bool original)
{
	struct session_stanza s = {.kind = STANZA_PRESENCE};

	if (original)
		s = in->s;
	s.type = type;
	s.from = from;
	s.to = to;
	return s;
}

/* From owner to peer, who is somewhere else on the bus. */
static void send_remote(struct inbound *in, struct slice owner, struct slice peer, uint8_t type,
			bool original)
{
	struct session_stanza s = stanza(in, type, owner, peer, original);

	if (!presence_to_address(in->m, in->e, !original, &s) && original)
		reply_drop(in, "subscription to a domain that is not there");
}

/* What the step made of the owner's roster, for his resources. */
static void push(struct inbound *in, const struct step *st, struct slice owner)
{
	if (subscription_state_seen(st->before, st->result.next))
		roster_push(in->m, in->e, owner, &st->item, false, st->version);
}

/* Sent by owner, whose roster is up to date. */
static void passed_out(struct inbound *in, const struct step *st, struct slice owner)
{
	uint8_t lost = st->before.subscription & ~st->result.next.subscription;
	uint8_t gained = st->result.next.subscription & ~st->before.subscription;

	/* 3.2.2: while the other side is still subscribed. */
	if (lost & ROSTER_FROM)
		presence_show(in->m, in->e, owner, st->peer, TYPE_UNAVAILABLE);
	push(in, st, owner);
	if (!st->result.pass) {
		reply_consume(in, "rfc6121-a.2 subscription kept here");
		return;
	}
	if (is_local(in, st->peer)) {
		step_start(in, st->peer, owner, st->type, false, st->original);
		return;
	}
	send_remote(in, owner, st->peer, st->type, st->original);
	/* 3.1.5; between local users this follows the other side's step. */
	if (gained & ROSTER_FROM)
		presence_show(in->m, in->e, owner, st->peer, TYPE_NONE);
}

/* To the owner's resources: a request to those available (3.1.3), the rest to those that follow the
 * roster (3.1.6). */
static void show_stanza(struct inbound *in, const struct step *st, struct slice owner)
{
	struct session_stanza s = stanza(in, st->type, st->peer, owner, st->original);
	const struct user *u = registry_user(in->m, owner);

	for (struct session *r = user_first(u); r; r = user_after(r)) {
		if (st->type == TYPE_SUBSCRIBE ? !registry_available(r) : !r->interested)
			continue;
		if (st->original)
			manager_deliver(in->m, in->e, r->sid, &s);
		else
			manager_answer(in->m, in->e, r->sid, &s);
	}
}

/* Received by owner, whose roster is up to date. */
static void passed_in(struct inbound *in, const struct step *st, struct slice owner)
{
	uint8_t lost = st->before.subscription & ~st->result.next.subscription;
	uint8_t gained = st->result.next.subscription & ~st->before.subscription;
	bool local = is_local(in, st->peer);

	if (st->result.pass && !st->blocked)
		show_stanza(in, st, owner);
	push(in, st, owner); /* after the stanza: 3.1.6 */
	if (local && (gained & ROSTER_TO))
		presence_show(in->m, in->e, st->peer, owner, TYPE_NONE);
	if (lost & ROSTER_FROM)
		presence_show(in->m, in->e, owner, st->peer, TYPE_UNAVAILABLE);
	if (st->result.reply && local)
		step_start(in, st->peer, owner, TYPE_SUBSCRIBED, false, false);
	else if (st->result.reply)
		send_remote(in, owner, st->peer, TYPE_SUBSCRIBED, false);
	if (!local && (gained & ROSTER_FROM))
		presence_show(in->m, in->e, owner, st->peer, TYPE_NONE);
	if (st->original)
		reply_consume(in, "rfc6121-a.3 subscription");
}

static void step_effects(struct step *st)
{
	struct slice owner = roster_job_owner(&st->job);
	struct inbound in;

	reply_resume(st->parked, st->job.m, &in);
	if (st->out)
		passed_out(&in, st, owner);
	else
		passed_in(&in, st, owner);
}

/* 3.1.3: the first request of a contact is kept as it came, without what is larger than is kept of
 * strangers; an answer ends it. */
static void note_request(struct step *st)
{
	const struct session_stanza *s;
	struct inbound in;

	if (!st->result.next.pending)
		st->item.request = SLICE_NONE;
	if (!st->result.next.pending || st->before.pending || !st->original)
		return;
	reply_resume(st->parked, st->job.m, &in);
	s = &in.s;
	if (s->lang.len + s->children.len + s->inner.len > REQUEST_BYTES_MAX || !s->inner.len)
		return;
	codec_put_str(&st->request, s->lang);
	codec_put_str(&st->request, s->children);
	codec_put_bytes(&st->request, s->inner);
	st->item.request = str_slice(&st->request);
}

/* Copies what the item borrows from the loaded roster. */
static void keep_item(struct step *st)
{
	str_add_slice(&st->kept, st->item.name);
	str_add_slice(&st->kept, st->item.groups);
	str_add_slice(&st->kept, st->item.request);
	st->item.name = slice_of(st->kept.data, st->item.name.len);
	st->item.groups = slice_of(st->kept.data + st->item.name.len, st->item.groups.len);
	st->item.request =
		slice_of(st->item.groups.data + st->item.groups.len, st->item.request.len);
	st->item.jid = st->peer;
}

/* A request of somebody who is blocked: nobody hears of it, and there is no answer (XEP-0191 3.3).
 * What ends or grants a subscription is noted, so that the two rosters agree, but not shown. */
static void step_drop(struct step *st)
{
	struct inbound in;

	reply_resume(st->parked, st->job.m, &in);
	if (st->original)
		reply_drop(&in, "xep0191-3.3 presence of a blocked JID");
}

static struct subscription_step transition(const struct step *st, struct subscription_state from)
{
	return st->out ? subscription_state_out(from, st->type)
		       : subscription_state_in(from, st->type);
}

/* Nothing changes: perhaps because an earlier router has made the change and died before anybody
 * knew. Then all are told now; what they have been told they recognise (CUSTODY 6). */
static void assume_changed(struct step *st)
{
	struct subscription_state before = subscription_state_before(st->before, st->type, st->out);
	struct subscription_step result = transition(st, before);
	struct session_manager *m = st->job.m;
	struct inbound in;

	reply_resume(st->parked, m, &in);
	if (!in.e || !m->host.repeated || !m->host.repeated(m->ctx, in.e) ||
	    !subscription_state_equal(result.next, st->before))
		return;
	st->before = before;
	st->result = result;
}

static void step_loaded(struct roster_job *j, const struct msg_db_roster *roster)
{
	struct step *st = (struct step *)j;
	bool found = roster_job_find(roster, st->peer, &st->item);

	st->blocked = !st->out && blocking_listed(roster->blocked, roster_job_owner(j), st->peer);
	if (st->blocked && st->type == TYPE_SUBSCRIBE) {
		step_drop(st);
		return;
	}
	st->before = subscription_state_of(&st->item, found);
	st->result = transition(st, st->before);
	keep_item(st);
	if (subscription_state_equal(st->before, st->result.next)) {
		st->version = roster->version;
		assume_changed(st);
		step_effects(st);
		return;
	}
	subscription_state_apply(&st->item, st->result.next);
	note_request(st);
	if (subscription_state_blank(st->result.next))
		roster_job_delete(j, st->peer);
	else
		roster_job_put(j, &st->item);
}

static void step_written(struct roster_job *j, uint64_t version)
{
	struct step *st = (struct step *)j;

	st->version = version;
	contacts_changed(j->m, roster_job_owner(j), &st->item,
			 subscription_state_blank(st->result.next));
	step_effects(st);
}

static void step_failed(struct roster_job *j, enum err why)
{
	struct step *st = (struct step *)j;
	struct inbound in;

	st->status = why;
	if (!st->original)
		return;
	reply_resume(st->parked, j->m, &in);
	if (reply_orphaned(st->parked, &in))
		reply_drop(&in, "subscription of a session that is gone");
	else if (!st->out && why == ERR_NOTFOUND)
		reply_drop(&in, "rfc6121-8.5.1 subscription to nobody");
	else
		roster_refuse(&in, why);
}

static void step_free(struct roster_job *j)
{
	struct step *st = (struct step *)j;

	reply_unpark(&st->parked, j->m);
	str_clear(&st->kept);
	str_clear(&st->request);
	if (st->done)
		st->done(st->arg, j->m ? st->status : ERR_CLOSED);
	free(st);
}

static const struct roster_job_ops step_ops = {
	.loaded = step_loaded, .written = step_written, .failed = step_failed, .free = step_free};

static struct step *step_new(struct inbound *in, struct slice peer, uint8_t type, bool out,
			     bool original)
{
	struct step *st = xcalloc(1, sizeof(*st) + peer.len);

	st->job.ops = &step_ops;
	st->parked = reply_park(in);
	memcpy(st->text, peer.data, peer.len);
	st->peer = slice_of(st->text, peer.len);
	st->type = type;
	st->out = out;
	st->original = original;
	str_init(&st->kept);
	str_init(&st->request);
	return st;
}

static void step_start(struct inbound *in, struct slice owner, struct slice peer, uint8_t type,
		       bool out, bool original)
{
	struct step *st = step_new(in, peer, type, out, original);

	roster_job_start_take(in->m, owner, &st->job);
}

/* The addressee cannot have what is asked. */
static bool refused(struct inbound *in, struct slice to)
{
	bool asks = in->s.type == TYPE_SUBSCRIBE;

	if (to.len == 0) {
		reply_error(in, STANZA_ERROR_BAD_REQUEST, "This type of presence needs a 'to'.",
			    "rfc6121-3.1 subscription to no address");
		return true;
	}
	if (is_local(in, to) && jid_text_local(to).len == 0) {
		if (asks)
			reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
				    "subscription to the server");
		else
			reply_drop(in, "subscription to the server");
		return true;
	}
	if (slice_eq(to, jid_text_bare(in->s.from)) && in->s.type != TYPE_PROBE) {
		reply_error(in, STANZA_ERROR_NOT_ALLOWED, "You see your own presence already.",
			    "rfc6121-4.2.2 subscription to oneself");
		return true;
	}
	if (asks && !is_local(in, to) && !manager_route(in->m, jid_text_domain(to), in->s.from)) {
		reply_error(in, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND,
			    "This domain is not served here and other servers cannot be reached "
			    "yet.",
			    "rfc6120-10.4 no such server");
		return true;
	}
	return false;
}

void subscription_handle(struct inbound *in)
{
	struct slice to = jid_text_bare(in->s.to), from = jid_text_bare(in->s.from);

	if (refused(in, to))
		return;
	if (in->sender && in->s.type != TYPE_PROBE)
		step_start(in, from, to, in->s.type, true, true);
	else if (!is_local(in, to))
		send_remote(in, in->s.from, to, in->s.type, true);
	else if (in->s.type == TYPE_PROBE)
		presence_contacts_probe(in, to);
	else
		step_start(in, to, from, in->s.type, false, true);
}

/* The end of a subscription that nobody sent as a stanza. */
static void end(struct inbound *in, struct slice owner, struct slice peer, uint8_t type)
{
	if (is_local(in, peer))
		step_start(in, peer, owner, type, false, false);
	else
		send_remote(in, owner, peer, type, false);
}

void subscription_removed(struct inbound *in, struct slice owner, const struct db_roster_item *item)
{
	if ((item->subscription & ROSTER_TO) || item->ask)
		end(in, owner, item->jid, TYPE_UNSUBSCRIBE);
	/* 3.2.2: while the contact is still subscribed. */
	if (item->subscription & ROSTER_FROM)
		presence_show(in->m, in->e, owner, item->jid, TYPE_UNAVAILABLE);
	if ((item->subscription & ROSTER_FROM) || item->pending_in)
		end(in, owner, item->jid, TYPE_UNSUBSCRIBED);
}

static unsigned int end_told(struct inbound *in, struct slice owner, struct slice peer,
			     uint8_t type, void (*done)(void *arg, enum err status), void *arg)
{
	struct step *st;

	if (!is_local(in, peer)) {
		send_remote(in, owner, peer, type, false);
		return 0;
	}
	st = step_new(in, owner, type, false, false);
	st->done = done;
	st->arg = arg;
	roster_job_start_take(in->m, peer, &st->job);
	return 1;
}

unsigned int subscription_ended(struct inbound *in, struct slice owner,
				const struct db_roster_item *item,
				void (*done)(void *arg, enum err status), void *arg)
{
	unsigned int steps = 0;

	if ((item->subscription & ROSTER_TO) || item->ask)
		steps += end_told(in, owner, item->jid, TYPE_UNSUBSCRIBE, done, arg);
	if (item->subscription & ROSTER_FROM)
		presence_show(in->m, in->e, owner, item->jid, TYPE_UNAVAILABLE);
	if ((item->subscription & ROSTER_FROM) || item->pending_in)
		steps += end_told(in, owner, item->jid, TYPE_UNSUBSCRIBED, done, arg);
	return steps;
}
