/*
 * router_records - one small function per record from a service; the table at the foot is the
 * table of contents.
 */
#include <stdlib.h>

#include "base/blob.h"
#include "base/log.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "router/router_types.h"
#include "router/shelf.h"

typedef void record_fn(struct router *r, struct router_peer *p, struct slice body);

static void spoof(struct router *r, const struct router_peer *p, const char *what, uint64_t sid)
{
	r->spoofs++;
	log_err(hub_peer_instance(p->hub),
		"event=spoof record=%s sid=%016llx reason=\"not a session of this service\"", what,
		(unsigned long long)sid);
}

/* The endpoint sid if this peer owns it; else it is dropped and logged. */
static struct endpoint *own_endpoint(struct router *r, const struct router_peer *p,
				     const char *what, uint64_t sid)
{
	struct endpoint *ep = endpoint_find(r->custody, sid);

	if (ep && endpoint_owner(ep) == p->custody)
		return ep;
	if (ep && custody_peer_is_former(p->custody, sid))
		r->stale++; /* of an older epoch (CUSTODY 12) */
	else if (ep)
		spoof(r, p, what, sid);
	else
		r->dropped++;
	return NULL;
}

/* The session was resumed meanwhile, here again (CUSTODY 12). */
static bool is_stale(struct router *r, const struct endpoint *ep, uint64_t epoch)
{
	if (epoch == endpoint_epoch(ep))
		return false;
	r->stale++;
	return true;
}

static void bad_record(const struct router_peer *p, const char *what)
{
	log_err(hub_peer_instance(p->hub),
		"event=bad_record type=%s reason=\"fields do not add up\"", what);
}

void router_endpoint_added(struct router *r, struct endpoint *ep)
{
	struct slice domain = custody_domain_of(endpoint_jid(ep));

	for (char **d = proc_config(r->proc)->router_durable_domains; *d; d++)
		if (slice_is(domain, *d))
			endpoint_set_durable(ep);
}

/* Two cms may announce one session: it was resumed on the second. The highest epoch has it. */
static struct endpoint *announced_endpoint(struct router *r, struct router_peer *p,
					   const struct msg_announce *m)
{
	struct endpoint *ep = endpoint_find(r->custody, m->sid);

	struct custody_peer *loser = NULL;
	uint64_t loser_epoch = 0;
	uint8_t loser_state = SESSION_ENDED;

	if (ep && m->epoch <= endpoint_epoch(ep)) {
		endpoint_beat(r->custody, ep, p->custody, m->epoch, m->state);
		return NULL;
	}
	if (ep) {
		loser = endpoint_owner(ep) ? endpoint_owner(ep) : endpoint_former(ep);
		loser_epoch = endpoint_epoch(ep);
		loser_state = endpoint_state(ep);
		session_detached(r->sessions, m->sid, loop_now(r->loop));
		ep = endpoint_supersede(r->custody, ep, p->custody, m);
	} else {
		ep = endpoint_add(r->custody, p->custody, m->sid, m->epoch, m->kind, m->base_q,
				  m->jid);
	}
	router_endpoint_added(r, ep);
	if (loser)
		endpoint_beat(r->custody, ep, loser, loser_epoch, loser_state);
	endpoint_restore(r->custody, ep, m);
	return ep;
}

enum err router_announce(struct router *r, const struct msg_announce *m)
{
	/* It is over, and somebody else has its address already: there is nothing to tell. */
	if (m->kind == SESSION_CLIENT && m->state == SESSION_ENDED &&
	    session_find(r->sessions, m->jid))
		return ERR_OK;
	if (m->state == SESSION_MOVED)
		return ERR_OK; /* who has it announces it */
	if (m->kind == SESSION_DOMAIN)
		return domain_announce(r, m);
	return session_announce(r->sessions, m->sid, m->jid, m->conn, m->addr, m->blob,
				loop_now(r->loop));
}

static void on_announce(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_announce m;
	struct endpoint *ep;
	enum err e;

	if (msg_announce_get(body, &m) != ERR_OK || !custody_announce_is_sane(&m)) {
		bad_record(p, "ANNOUNCE");
		return;
	}
	ep = announced_endpoint(r, p, &m);
	if (!ep)
		return;
	e = router_announce(r, &m);
	if (e != ERR_OK) {
		link_put_close(hub_peer_link(p->hub),
			       &(struct msg_close){m.sid, m.epoch, slice_str("conflict"),
						   slice_str("another session has this address")});
		endpoint_remove(r->custody, ep, "recipient-unavailable");
	} else if (m.state == SESSION_ENDED || m.state == SESSION_MOVED) {
		if (m.kind == SESSION_CLIENT && m.state == SESSION_ENDED)
			barrier_end_session(r, m.sid);
		endpoint_remove(r->custody, ep, "recipient-unavailable");
	} else if (m.state == SESSION_DETACHED) {
		endpoint_announced_detached(ep);
		if (m.kind == SESSION_CLIENT)
			session_detached(r->sessions, m.sid, loop_now(r->loop));
	}
}

static void on_announce_have(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_announce_have m;
	struct endpoint *ep;

	if (msg_announce_have_get(body, &m) != ERR_OK)
		bad_record(p, "ANNOUNCE_HAVE");
	else if (custody_peer_is_former(p->custody, m.sid))
		custody_have_former(r->custody, &m);
	else if ((ep = own_endpoint(r, p, "ANNOUNCE_HAVE", m.sid)))
		endpoint_have(r->custody, ep, &m);
}

static void detach_announced(void *ctx, struct endpoint *ep)
{
	struct router *r = ctx;

	if (endpoint_is_announced_detached(ep))
		endpoint_detach(r->custody, ep, loop_now(r->loop));
}

static void on_announce_end(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_announce_end m;

	if (msg_announce_end_get(body, &m) != ERR_OK) {
		bad_record(p, "ANNOUNCE_END");
		return;
	}
	barrier_late(r, p);
	custody_peer_each(p->custody, detach_announced, r);
	if (!r->barrier)
		domain_announced(r);
	if (m.count)
		log_info(hub_peer_instance(p->hub), "event=announced sessions=%u", m.count);
}

static void unbind_ended(void *ctx, struct endpoint *ep)
{
	struct router *r = ctx;

	if (endpoint_ended(ep))
		endpoint_unbound(r->custody, ep);
}

static void on_resend_end(struct router *r, struct router_peer *p, struct slice body)
{
	(void)body;
	p->all_in = p->resent = true;
	suspects_leave(r->suspects, hub_peer_link(p->hub), loop_now(r->loop));
	custody_peer_each(p->custody, unbind_ended, r);
}

static void on_suspect(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_suspect m;

	if (msg_suspect_get(body, &m) != ERR_OK)
		bad_record(p, "SUSPECT");
	else
		suspects_ask(r->suspects, hub_peer_link(p->hub), &m, loop_now(r->loop));
}

static void on_bind(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_bind m;

	if (msg_bind_get(body, &m) != ERR_OK) {
		bad_record(p, "BIND");
		return;
	}
	if (endpoint_find(r->custody, m.sid)) {
		spoof(r, p, "BIND", m.sid);
		return;
	}
	if (m.kind == SESSION_DOMAIN) {
		domain_bind(r, p, &m);
		return;
	}
	router_endpoint_added(r, endpoint_add(r->custody, p->custody, m.sid, 1, m.kind, 1, m.jid));
	session_bind(r->sessions, m.sid, m.jid, m.resource, m.conn, m.addr, loop_now(r->loop));
}

static void on_bind_domain(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_bind_domain m;

	if (msg_bind_domain_get(body, &m) != ERR_OK)
		bad_record(p, "BIND_DOMAIN");
	else if (endpoint_find(r->custody, m.sid))
		spoof(r, p, "BIND_DOMAIN", m.sid);
	else
		binders_ask(r, p, &m);
}

static void on_probed(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_probed m;
	struct endpoint *ep;

	if (msg_probed_get(body, &m) != ERR_OK) {
		bad_record(p, "PROBED");
		return;
	}
	ep = own_endpoint(r, p, "PROBED", m.sid);
	if (ep && !is_stale(r, ep, m.epoch) && !endpoint_ended(ep))
		binders_probed(r, ep, m.alive);
}

/* Takes the JID or domain out of the tables first, so that nothing new is led to it. */
static void session_over(struct router *r, struct endpoint *ep, struct slice reason)
{
	if (endpoint_kind(ep) == SESSION_DOMAIN)
		domain_ended(r, ep);
	else if (slice_is(reason, "system-shutdown")) /* it is expected back (CUSTODY 4) */
		session_lost(r->sessions, endpoint_sid(ep), reason, 0, loop_now(r->loop));
	else
		session_unbind(r->sessions, endpoint_sid(ep), reason, loop_now(r->loop));
}

static void on_unbind(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_unbind m;
	struct endpoint *ep;

	if (msg_unbind_get(body, &m) != ERR_OK) {
		bad_record(p, "UNBIND");
		return;
	}
	if (binders_forget(r, p, m.sid))
		return;
	ep = own_endpoint(r, p, "UNBIND", m.sid);
	if (!ep || is_stale(r, ep, m.epoch))
		return;
	if (!endpoint_ended(ep))
		session_over(r, ep, m.reason);
	endpoint_remove(r->custody, ep, "recipient-unavailable");
	endpoint_unbound(r->custody, ep);
}

static void session_without_cm(void *ctx, struct endpoint *ep)
{
	struct router *r = ctx;
	struct monotime now = loop_now(r->loop);

	if (endpoint_kind(ep) != SESSION_CLIENT || endpoint_ended(ep))
		return;
	if (endpoint_can_resume(ep))
		session_detached(r->sessions, endpoint_sid(ep), now);
	else
		session_lost(r->sessions, endpoint_sid(ep),
			     slice_str("its connection manager died"), 0, now);
}

void router_peer_sessions_end(struct router *r, struct router_peer *p, const char *reason)
{
	custody_peer_each(p->custody, session_without_cm, r);
	domain_peer_dead(r, p);
	custody_peer_dead(r->custody, &p->custody, reason, loop_now(r->loop));
}

/* A stanza whose `to` is of a domain that another service on the bus serves: no need to ask
 * session/. */
static bool route_onward(struct router *r, struct custody_entry *e, struct slice from,
			 const struct msg_stanza *m)
{
	struct endpoint *ep = domain_endpoint(r, custody_domain_of(m->to), from);
	struct session_stanza s;

	if (!ep)
		return false;
	s = custody_stanza(m);
	s.from = from;
	ep = asked_by(r, ep, &s);
	if (r->traces)
		router_trace_stanza(r, "out", ep, &s);
	custody_deliver(r->custody, e, ep, &s);
	return true;
}

/* What the server itself answers is asked again; for all others that answer was an error. */
static bool answer_again(struct router *r, struct custody_entry *e, const struct msg_stanza *m)
{
	if (m->kind == STANZA_IQ && (!m->to.len || !memchr(m->to.data, '/', m->to.len)))
		return false;
	session_bounce(r->sessions, m->sid, e, m, "service-unavailable", loop_now(r->loop));
	return true;
}

/* Before this router started. */
static bool was_answered(struct router *r, struct custody_entry *e, struct endpoint *ep,
			 const struct msg_stanza *m)
{
	bool client = ep && endpoint_kind(ep) == SESSION_CLIENT;
	enum custody_answered answered = custody_was_answered(
		r->custody, e, ep, client ? SLICE_NONE : custody_domain_of(m->from));

	return answered == ANSWERED || (answered == ANSWERED_AGAIN && answer_again(r, e, m));
}

static void trace_in(struct router *r, const struct endpoint *ep, struct slice from,
		     const struct msg_stanza *m)
{
	struct session_stanza s = custody_stanza(m);

	s.from = from;
	router_trace_stanza(r, "in", ep, &s);
}

/* ep is NULL for a stanza of the shelf whose session is over. */
static void handle_stanza(struct router *r, struct endpoint *ep, struct custody_entry *e,
			  const struct msg_stanza *m)
{
	bool client = ep && endpoint_kind(ep) == SESSION_CLIENT;
	struct slice from = client ? endpoint_jid(ep) : m->from;
	struct monotime now = loop_now(r->loop);
	bool delivered;

	if (r->abort_id && slice_is(m->id, r->abort_id))
		abort();
	if (r->traces)
		trace_in(r, ep, from, m);
	if (ep && !client)
		asked_note(r, ep, m);
	if ((delivered = custody_was_delivered(r->custody, e)) || was_answered(r, e, ep, m)) {
		session_copies(r->sessions, m->sid, from, e, m, delivered, now);
		custody_keep(e, m, from);
		return;
	}
	if (!client && m->to.len && route_onward(r, e, from, m))
		; /* from one service to another */
	else if (!client || endpoint_ended(ep))
		session_stanza_from(r->sessions, from, e, m, now);
	else
		session_stanza(r->sessions, m->sid, e, m, now);
	custody_keep(e, m, from);
}

void router_shelved_stanza(struct router *r, const struct shelf_row *row)
{
	struct slice in = blob_slice(row->body), body;
	struct custody_entry *e;
	struct msg_stanza m;
	uint16_t type;

	if (codec_next(&in, &type, &body) != ERR_OK || type != MSG_STANZA ||
	    msg_stanza_get(body, &m) != ERR_OK) {
		log_err("shelf", "event=bad_row sid=%016llx n=%llu", (unsigned long long)row->sid,
			(unsigned long long)row->n);
		shelf_del(r->shelf, row->sid, SHELF_STANZA, row->n);
		return;
	}
	e = custody_accept_shelved(r->custody, row->sid, row->n, body.len);
	if (!e)
		return;
	handle_stanza(r, endpoint_find(r->custody, row->sid), e, &m);
	custody_handled(r->custody, e);
}

/* Who was the owner of a session when it was resumed elsewhere still holds what it had accepted,
 * and sends that again to a new router. */
static struct endpoint *sender_endpoint(struct router *r, struct router_peer *p, const char *what,
					uint64_t sid)
{
	struct endpoint *ep = endpoint_find(r->custody, sid);

	if (ep && !p->resent && custody_peer_is_former(p->custody, sid))
		return ep;
	/* detached in the announcement, then its resends */
	if (ep && !p->resent && endpoint_former(ep) == p->custody)
		return ep;
	return own_endpoint(r, p, what, sid);
}

/* A stanza that came too late from where its session was: the client sends it again to where the
 * session is now, since its h did not cover it. Nobody need hold this copy. */
static void refuse_late(struct router *r, struct router_peer *p, uint64_t sid, uint64_t n)
{
	const struct endpoint *ep = endpoint_find(r->custody, sid);

	if (ep && endpoint_handed_over(ep) && custody_peer_is_former(p->custody, sid))
		link_put_settled(hub_peer_link(p->hub),
				 &(struct msg_settled){sid, n, SETTLED_DISCARDED});
}

static void on_stanza(struct router *r, struct router_peer *p, struct slice body)
{
	struct custody_entry *e;
	struct msg_stanza m;
	struct endpoint *ep;

	if (msg_stanza_get(body, &m) != ERR_OK) {
		bad_record(p, "STANZA");
		return;
	}
	ep = sender_endpoint(r, p, "STANZA", m.sid);
	if (!ep) {
		refuse_late(r, p, m.sid, m.n);
		return;
	}
	if (endpoint_kind(ep) == SESSION_DOMAIN &&
	    !slice_eq(custody_domain_of(m.from), endpoint_jid(ep))) {
		spoof(r, p, "STANZA", m.sid);
		link_put_settled(hub_peer_link(p->hub),
				 &(struct msg_settled){m.sid, m.n, SETTLED_DISCARDED});
		return;
	}
	e = custody_accept(r->custody, p->custody, ep, m.n, body.len, !p->resent);
	if (!e)
		return;
	handle_stanza(r, ep, e, &m);
	custody_handled(r->custody, e);
}

static void on_refused(struct router *r, struct router_peer *p, struct slice body)
{
	struct slice domain = SLICE_NONE;
	struct custody_entry *e;
	struct msg_refused m;
	struct endpoint *ep;

	if (msg_refused_get(body, &m) != ERR_OK) {
		bad_record(p, "REFUSED");
		return;
	}
	ep = sender_endpoint(r, p, "REFUSED", m.sid);
	if (!ep)
		refuse_late(r, p, m.sid, m.n);
	e = ep ? custody_accept(r->custody, p->custody, ep, m.n, body.len, !p->resent) : NULL;
	if (!e)
		return;
	if (endpoint_kind(ep) == SESSION_DOMAIN)
		domain = endpoint_jid(ep);
	if (!custody_was_delivered(r->custody, e) &&
	    custody_was_answered(r->custody, e, ep, domain) != ANSWERED)
		session_refuse(r->sessions, e, domain, &m, loop_now(r->loop));
	custody_handled(r->custody, e);
}

static void on_enable(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_enable m;
	struct endpoint *ep;

	if (msg_enable_get(body, &m) != ERR_OK)
		bad_record(p, "ENABLE");
	else if ((ep = own_endpoint(r, p, "ENABLE", m.sid)) && !endpoint_ended(ep))
		resume_enable(r, ep, &m);
}

static void on_detached(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_detached m;
	struct endpoint *ep;

	if (msg_detached_get(body, &m) != ERR_OK) {
		bad_record(p, "DETACHED");
		return;
	}
	ep = own_endpoint(r, p, "DETACHED", m.sid);
	if (!ep || is_stale(r, ep, m.epoch))
		return;
	if (!endpoint_ended(ep) && endpoint_can_resume(ep)) {
		resume_detached(r, ep, m.reason);
		return;
	}
	/* Closed from here at the same time: nobody will resume it. */
	link_put_released(hub_peer_link(p->hub),
			  &(struct msg_released){m.sid, m.epoch, UINT64_MAX - 1, 0});
	endpoint_unbound(r->custody, ep);
}

static void on_resume(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_resume m;

	if (msg_resume_get(body, &m) != ERR_OK)
		bad_record(p, "RESUME");
	else
		resume_ask(r, p, &m);
}

static void on_delivered(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_delivered m;
	struct endpoint *ep;

	if (msg_delivered_get(body, &m) != ERR_OK)
		bad_record(p, "DELIVERED");
	else if ((ep = own_endpoint(r, p, "DELIVERED", m.sid)))
		custody_delivered(r->custody, ep, m.q);
}

static void on_undeliverable(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_undeliverable m;
	struct endpoint *ep;
	char reason[64];

	if (msg_undeliverable_get(body, &m) != ERR_OK) {
		bad_record(p, "UNDELIVERABLE");
		return;
	}
	snprintf(reason, sizeof(reason), "%.*s", SLICE_ARG(m.reason));
	if ((ep = own_endpoint(r, p, "UNDELIVERABLE", m.sid)))
		custody_undeliverable(r->custody, ep, m.q, reason);
}

static void on_store(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_store m;
	struct slice in, inner;
	uint16_t type;

	if (msg_store_get(body, &m) != ERR_OK) {
		bad_record(p, "STORE");
		return;
	}
	in = m.body;
	if (codec_next(&in, &type, &inner) != ERR_OK ||
	    !codec_may_send(type, hub_peer_roles(p->hub))) {
		link_put_stored(hub_peer_link(p->hub),
				&(struct msg_stored){m.op_boot, m.op_n, ERR_DENIED,
						     slice_str("not this service's to ask"),
						     SLICE_NONE});
		return;
	}
	store_ops_forward(r->store, hub_peer_link(p->hub), &m, loop_now(r->loop));
}

static void on_stored(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_stored m;

	if (msg_stored_get(body, &m) != ERR_OK)
		bad_record(p, "STORED");
	else
		store_ops_answer(r->store, &m);
}

static void on_admin(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_admin m;

	if (msg_admin_get(body, &m) != ERR_OK)
		bad_record(p, "ADMIN");
	else
		router_admin(r, p, &m);
}

static void on_traced(struct router *r, struct router_peer *p, struct slice body)
{
	struct msg_traced m;

	if (msg_traced_get(body, &m) != ERR_OK)
		bad_record(p, "TRACED");
	else
		router_trace_traced(r, p, &m);
}

static record_fn *const handlers[] = {
	[MSG_ANNOUNCE] = on_announce,
	[MSG_ANNOUNCE_HAVE] = on_announce_have,
	[MSG_ANNOUNCE_END] = on_announce_end,
	[MSG_RESEND_END] = on_resend_end,
	[MSG_SUSPECT] = on_suspect,
	[MSG_BIND] = on_bind,
	[MSG_BIND_DOMAIN] = on_bind_domain,
	[MSG_PROBED] = on_probed,
	[MSG_UNBIND] = on_unbind,
	[MSG_STANZA] = on_stanza,
	[MSG_REFUSED] = on_refused,
	[MSG_ENABLE] = on_enable,
	[MSG_DETACHED] = on_detached,
	[MSG_RESUME] = on_resume,
	[MSG_DELIVERED] = on_delivered,
	[MSG_UNDELIVERABLE] = on_undeliverable,
	[MSG_STORE] = on_store,
	[MSG_STORED] = on_stored,
	[MSG_ADMIN] = on_admin,
	[MSG_TRACED] = on_traced,
};

void router_record(struct router *r, struct router_peer *p, uint16_t type, struct slice body)
{
	if (type >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[type]) {
		log_err(hub_peer_instance(p->hub),
			"event=bad_record type=%s reason=\"the router has no use for it\"",
			codec_name(type));
		return;
	}
	handlers[type](r, p, body);
}
