/*
 * Components in a simulated instance: the real router_domain.c, custody and hold, joined by links
 * over wires that lose everything in flight when an end dies. One manager has the senders and
 * lives on; two have the sessions of three domains, one of each mode, which bind, end, break,
 * resume, fall silent, and are killed with their manager. The router is killed too. No process, no
 * socket, no clock: SIM_SEED=n replays one run, SIM_SEEDS=n says how many.
 *
 * The ledger (CUSTODY 14). Every stanza is settled. Delivered = a component has read it; bounced =
 * none has. None is read twice, except what was read and not known as delivered when its manager
 * was killed, its session fell silent, or (XEP-0198) it was never acknowledged and its session
 * given up: `loose`. To a domain of mode one nothing overtakes; where nobody is killed and sessions
 * only come and end (`calm`), to the others neither. What the server makes for a
 * component comes once. At the end nothing is held anywhere and the shelf is empty.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/log.h"
#include "ipc/db_pack.h"
#include "ipc/hold.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "router/router_types.h"
#include "router/shelf.h"
#include "tests/support/cmocka_first.h"

#define CMS	 3 /* 0 has the senders */
#define SENDERS	 4
#define DOMAINS	 3 /* by enum domain_mode */
#define MESSAGES 600
#define SESSIONS 3000
#define STREAM	 8192
#define WIRE	 256
#define KEPT	 8192
#define FETCHES	 64
#define GRACE_MS 60
#define MAX_MS	 120
#define STEP_US	 500
#define SERVER	 0xff

struct message {
	uint8_t to; /* domain; SERVER: it makes something for domain n % 3 */
	uint8_t settled;
	uint8_t received;
	bool bounced;
	bool judged;  /* nobody was there; the next router may find somebody: out of order */
	bool loose;   /* it may come again */
	bool written; /* before <enabled/>: delivered, read or not */
	uint64_t by;  /* who has read it */
};

/* A component's session; never reused. */
struct session {
	uint64_t sid;
	int domain, cm;
	bool sm, bound, over, silent, dead, enabled, resuming;
	struct hold_session *hold;
	unsigned int conn; /* its present connection */
	uint32_t h;
	uint64_t last[SENDERS]; /* the newest it has read of each */
	struct item {
		uint64_t sid, n, q;
		bool counted;
	} stream[STREAM];
	size_t head, tail;
};

struct conn {
	struct session *s;
	unsigned int number;
	struct hold_session *hold; /* once it is abandoned */
};

struct wire {
	struct str frames[WIRE];
	size_t head, tail;
};

struct cm {
	struct link *link;
	struct hold *hold;
	uint64_t boot;
	bool up, mourned;
	struct wire to_router, from_router;
};

struct row_key {
	uint64_t sid, kind, n;
};

struct peer {
	struct router_peer is;
	struct link *link;
};

static struct sim {
	struct router r;
	struct cm cms[CMS];
	struct peer peers[CMS];
	struct hold_session *senders[SENDERS];
	struct message sent[SENDERS][MESSAGES + 1];
	uint64_t nsent[SENDERS], sender_q[SENDERS];
	uint64_t last[DOMAINS][SENDERS];
	struct session *all[SESSIONS];
	size_t nsessions;
	struct conn *conns[SESSIONS * 8];
	size_t nconns;
	uint64_t next_boot, router_boot;
	struct monotime now;
	struct str kept[KEPT];
	int kept_cm[KEPT];
	size_t nkept;
	struct custody_fetch fetches[FETCHES];
	size_t nfetches;
	struct map rows;
	struct str flying;
	bool batch_out, batch_applied;
	uint64_t fragile;
	bool calm;
	struct {
		int cm;
		uint64_t sid;
		uint32_t h;
		struct monotime since;
	} resumes[32];
} * sim;

/* ---- the world of router_domain.c ---- */

struct link *hub_peer_link(struct hub_peer *p)
{
	return ((struct peer *)(void *)p)->link;
}

const char *hub_peer_instance(const struct hub_peer *p)
{
	(void)p;
	return "cm";
}

const struct config *proc_config(const struct proc *p)
{
	static const struct config cfg = {.router_component_probe = 60,
					  .router_component_waiting = 2};

	(void)p;
	return &cfg;
}

struct monotime loop_now(const struct loop *l)
{
	(void)l;
	return sim->now;
}

bool session_is_local(const struct session_manager *m, struct slice domain)
{
	(void)m;
	(void)domain;
	return false;
}

static uint64_t wall_ms(void *ctx)
{
	(void)ctx;
	return sim->now.us;
}

const struct session_host router_host = {.wall_ms = wall_ms};

void components_bound(struct router *r)
{
	(void)r;
}

void router_endpoint_added(struct router *r, struct endpoint *ep)
{
	(void)r;
	assert_non_null(ep);
	if (endpoint_sid(ep) % 3 == 0)
		endpoint_set_durable(ep);
}

/* ---- names ---- */

static const char *const domains[] = {"one.test", "shared.test", "standby.test"};

static int domain_index(struct slice jid)
{
	for (int i = 0; i < DOMAINS; i++)
		if (slice_is(custody_domain_of(jid), domains[i]))
			return i;
	return SERVER;
}

static bool is_sender(uint64_t sid)
{
	return sid >= 100 && sid < 100 + SENDERS;
}

static struct session *session_of(uint64_t sid)
{
	return sid >= 1000 && sid - 1000 < sim->nsessions ? sim->all[sid - 1000] : NULL;
}

/* ---- components ---- */

#define NUMBER(n) ((n)&0xffffffffULL)

/* What it has read and nobody may know: it can come again. */
static void loosen(const struct session *s)
{
	for (int i = 0; i < SENDERS; i++)
		for (uint64_t n = 1; n <= sim->nsent[i]; n++)
			if (sim->sent[i][n].by == s->sid &&
			    (sim->sent[i][n].settled == 0 ||
			     sim->sent[i][n].settled == SETTLED_STORED ||
			     sim->sent[i][n].to == SERVER))
				sim->sent[i][n].loose = true;
}

static void received(struct session *s, const struct item *it)
{
	int from = (int)it->sid - 100;
	struct message *m = &sim->sent[from][NUMBER(it->n)];

	if (m->received && !m->loose)
		fail_msg("%llu of sender %d: %llu has seen it, after %llu",
			 (unsigned long long)it->n, from, (unsigned long long)s->sid,
			 (unsigned long long)m->by);
	if (m->to != SERVER) {
		assert_int_equal(m->to, s->domain);
		uint64_t *last = &sim->last[s->domain][from];
		bool ordered = s->domain == DOMAIN_ONE || sim->calm;

		if (ordered && !m->loose && !m->judged && *last >= it->n)
			fail_msg("%llu of sender %d overtaken by %llu", (unsigned long long)it->n,
				 from, (unsigned long long)*last);
		if (ordered && !m->loose && !m->judged)
			*last = it->n;
	}
	m->received = 1;
	m->by = s->sid;
}

static void on_deliver(void *stream, const struct msg_deliver *m)
{
	struct conn *c = stream;
	struct session *s;
	struct item *it;

	if (is_sender(m->sid)) {
		assert_int_equal(m->type, TYPE_ERROR);
		assert_int_equal(m->sid, m->origin_sid);
		assert_false(sim->sent[m->sid - 100][NUMBER(m->origin_n)].bounced);
		sim->sent[m->sid - 100][NUMBER(m->origin_n)].bounced = true;
		sim->sender_q[m->sid - 100] = m->q;
		return;
	}
	s = c->s;
	if (s->conn != c->number)
		return;
	it = &s->stream[s->tail++ % STREAM];
	assert_true(s->tail - s->head <= STREAM);
	assert_true(is_sender(m->origin_sid));
	*it = (struct item){m->origin_sid, m->origin_n, m->q, s->enabled};
	if (s->sm && !s->enabled) {
		sim->sent[m->origin_sid - 100][NUMBER(m->origin_n)].loose = true;
		sim->sent[m->origin_sid - 100][NUMBER(m->origin_n)].written = true;
	}
}

static void on_settled(void *stream, uint64_t first, uint64_t last, uint8_t how)
{
	struct message *sent = stream; /* components send nothing */

	for (; first <= last; first++)
		if (!sent[first].settled || sent[first].settled == SETTLED_STORED)
			sent[first].settled = how;
}

static void on_enabled(void *stream, struct slice id, uint32_t max_s)
{
	struct conn *c = stream;

	(void)id;
	(void)max_s;
	if (c->s->conn == c->number)
		c->s->enabled = true;
}

static void connection_lost(struct session *s)
{
	s->hold = NULL;
	s->head = s->tail;
	s->conn++;
	s->resuming = false;
	/* a newcomer gets its queue, with what was read and not acknowledged */
	if (s->domain == DOMAIN_ONE)
		loosen(s);
}

static void on_detach(void *stream)
{
	struct conn *c = stream;

	if (c->s->conn == c->number) {
		hold_detach(&c->s->hold, "resumed elsewhere");
		connection_lost(c->s);
	} else {
		hold_detach(&c->hold, "resumed elsewhere");
	}
}

static const struct hold_events hold_events = {
	.on_deliver = on_deliver,
	.on_settled = on_settled,
	.on_enabled = on_enabled,
	.on_detach = on_detach,
};

static struct conn *conn_new(struct session *s)
{
	struct conn *c = calloc(1, sizeof(*c));

	assert_true(sim->nconns < SESSIONS * 8);
	sim->conns[sim->nconns++] = c;
	c->s = s;
	c->number = ++s->conn;
	return c;
}

static void put_bind(const struct session *s)
{
	link_put_bind_domain(sim->cms[s->cm].link,
			     &(struct msg_bind_domain){.sid = s->sid,
						       .jid = slice_str(domains[s->domain]),
						       .mode = (uint8_t)s->domain,
						       .max = 4});
}

static void session_start(int cm)
{
	struct session *s;

	if (sim->nsessions == SESSIONS)
		return;
	s = calloc(1, sizeof(*s));
	s->sid = 1000 + sim->nsessions;
	s->domain = (int)(random() % DOMAINS);
	s->sm = !sim->calm && random() % 2;
	s->cm = cm;
	sim->all[sim->nsessions++] = s;
	put_bind(s);
}

static void on_bound(struct session *s, const struct msg_bound *m)
{
	if (!s || s->over || s->bound)
		return;
	s->bound = true;
	s->hold = hold_add(sim->cms[s->cm].hold, m->sid, m->epoch, SESSION_DOMAIN, m->jid, "c", "a",
			   conn_new(s));
	if (s->sm)
		hold_enable(s->hold, true, 300);
}

static void sender_bound(const struct msg_bound *m)
{
	int i = (int)m->sid - 100;

	if (!sim->senders[i])
		sim->senders[i] = hold_add(sim->cms[0].hold, m->sid, m->epoch, SESSION_CLIENT,
					   m->jid, "c", "a", sim->sent[i]);
}

static void on_resumed(int cm, const struct msg_resumed *m)
{
	struct session *s = session_of(m->sid);

	if (!s->resuming || s->cm != cm)
		return;
	s->resuming = false;
	s->head = s->tail;
	s->hold = hold_add_resumed(sim->cms[cm].hold, m, "c", "a", conn_new(s));
}

static void on_close(struct session *s)
{
	if (!s->hold)
		return;
	loosen(s);
	hold_closed(&s->hold);
	s->over = true;
}

static void cm_record(void *arg, uint16_t type, struct slice body)
{
	struct cm *cm = arg;
	union {
		struct msg_bound bound;
		struct msg_bind_refused refused;
		struct msg_close close;
		struct msg_probe probe;
		struct msg_resumed resumed;
		struct msg_resume_refused no;
	} m;
	struct session *s;

	if (hold_record(cm->hold, type, body))
		return;
	if (type == MSG_BOUND && msg_bound_get(body, &m.bound) == ERR_OK &&
	    is_sender(m.bound.sid)) {
		sender_bound(&m.bound);
	} else if (type == MSG_BOUND && msg_bound_get(body, &m.bound) == ERR_OK) {
		on_bound(session_of(m.bound.sid), &m.bound);
	} else if (type == MSG_BIND_REFUSED && msg_bind_refused_get(body, &m.refused) == ERR_OK) {
		session_of(m.refused.sid)->over = true;
	} else if (type == MSG_CLOSE && msg_close_get(body, &m.close) == ERR_OK) {
		on_close(session_of(m.close.sid));
	} else if (type == MSG_PROBE && msg_probe_get(body, &m.probe) == ERR_OK) {
		s = session_of(m.probe.sid);
		if (random() % 3 == 0)
			s->silent = true;
		if (s->silent)
			loosen(s);
		if (!s->silent || random() % 2)
			link_put_probed(cm->link, &(struct msg_probed){m.probe.sid, m.probe.epoch,
								       !s->silent});
	} else if (type == MSG_RESUMED && msg_resumed_get(body, &m.resumed) == ERR_OK) {
		on_resumed((int)(cm - sim->cms), &m.resumed);
	} else if (type == MSG_RESUME_REFUSED && msg_resume_refused_get(body, &m.no) == ERR_OK) {
		s = session_of(m.no.request);
		if (s->resuming && s->cm == (int)(cm - sim->cms))
			s->over = true, s->resuming = false;
	} else {
		fail_msg("unexpected %s", codec_name(type));
	}
}

static void cm_start(struct cm *cm)
{
	cm->boot = ++sim->next_boot;
	cm->link = link_new(cm->boot, 1 << 20, 300);
	cm->hold = hold_new(cm->link, &hold_events);
	cm->up = false;
}

static void wire_cut(struct wire *w)
{
	w->head = w->tail;
}

static void cm_kill(int i)
{
	struct cm *cm = &sim->cms[i];

	for (size_t k = 0; k < sim->nsessions; k++) {
		struct session *s = sim->all[k];

		if (s->cm != i)
			continue;
		if (s->over) {
			loosen(s); /* what it said last may be lost */
			continue;
		}
		if (s->sm && s->enabled) {
			connection_lost(s);
			continue;
		}
		loosen(s);
		s->hold = NULL;
		s->over = true;
	}
	for (size_t k = 0; k < 32; k++)
		if (sim->resumes[k].cm == i)
			sim->resumes[k].cm = -1;
	cm->mourned = true;
	hold_free(&cm->hold);
	link_free(&cm->link);
	wire_cut(&cm->to_router);
	wire_cut(&cm->from_router);
	cm_start(cm);
}

/* ---- senders ---- */

static void sender_send(int i)
{
	struct msg_stanza m = {.kind = STANZA_MESSAGE, .type = TYPE_CHAT};
	uint64_t n = sim->nsent[i] + 1;

	if (!sim->senders[i] || n > MESSAGES)
		return;
	sim->nsent[i] = n;
	sim->sent[i][n].to = (uint8_t)(random() % (DOMAINS + 1));
	if (sim->sent[i][n].to == DOMAINS)
		sim->sent[i][n].to = SERVER;
	m.to = slice_str(sim->sent[i][n].to == SERVER ? "server" : domains[sim->sent[i][n].to]);
	if (sim->sent[i][n].to == SERVER)
		m.kind = STANZA_IQ;
	m.inner = slice_of("<body>0123456789012345678901234567890</body>", 12 + random() % 30);
	assert_int_equal(hold_send(sim->senders[i], &m), n);
}

/* ---- router ---- */

static void bounce(struct custody_entry *e)
{
	uint64_t sid = custody_entry_sender(e);
	struct endpoint *ep = endpoint_find(sim->r.custody, sid);

	sim->sent[sid - 100][NUMBER(custody_entry_number(e))].judged = true;
	custody_conclude(e, SETTLED_BOUNCED);
	if (ep && !endpoint_ended(ep))
		custody_answer(
			sim->r.custody, e, ep,
			&(struct session_stanza){.kind = STANZA_MESSAGE, .type = TYPE_ERROR});
}

static void on_undelivered(void *ctx, struct custody_entry *e, uint64_t sid,
			   const struct session_stanza *s, const char *reason)
{
	(void)ctx;
	(void)sid;
	(void)s;
	(void)reason;
	bounce(e);
}

static void sender_jid(char out[32], uint64_t sid)
{
	snprintf(out, 32, "s%u@x.test/r", (unsigned int)sid);
}

/* The server makes something for a component. */
static void make(struct custody_entry *e, const struct msg_stanza *m, struct slice from)
{
	struct slice jid = slice_str(domains[m->n % DOMAINS]);
	struct endpoint *to = domain_endpoint(&sim->r, jid, from);

	custody_conclude(e, SETTLED_CONSUMED);
	if (to)
		custody_answer(sim->r.custody, e, to,
			       &(struct session_stanza){.kind = STANZA_PRESENCE,
							.from = from,
							.to = jid,
							.inner = m->inner});
}

static void handle_stanza(struct custody_entry *e, struct endpoint *ep, const struct msg_stanza *m)
{
	struct custody *c = sim->r.custody;
	enum custody_answered answered;
	struct endpoint *to;
	char jid[32];

	if (!e)
		return;
	sender_jid(jid, m->sid);
	if (custody_was_delivered(c, e))
		answered = ANSWERED;
	else
		answered = ep ? custody_was_answered(c, e, ep, SLICE_NONE) : ANSWERED_NOT;
	if (answered == ANSWERED_AGAIN) {
		bounce(e);
	} else if (answered == ANSWERED_NOT && domain_index(m->to) == SERVER) {
		make(e, m, slice_str(jid));
	} else if (answered == ANSWERED_NOT) {
		to = domain_endpoint(&sim->r, m->to, slice_str(jid));
		if (to)
			custody_deliver(c, e, to,
					&(struct session_stanza){.kind = m->kind,
								 .type = m->type,
								 .from = slice_str(jid),
								 .to = m->to,
								 .inner = m->inner});
		else
			bounce(e);
	}
	custody_keep(e, m, slice_str(jid));
	custody_handled(c, e);
}

static void handle_announce(struct peer *p, struct slice body)
{
	struct custody *c = sim->r.custody;
	struct custody_peer *loser = NULL;
	uint64_t loser_epoch = 0;
	uint8_t loser_state = SESSION_ENDED;
	struct msg_announce m;
	struct endpoint *ep;

	assert_int_equal(msg_announce_get(body, &m), ERR_OK);
	assert_int_equal(m.kind, is_sender(m.sid) ? SESSION_CLIENT : SESSION_DOMAIN);
	ep = endpoint_find(c, m.sid);
	if (ep && m.epoch <= endpoint_epoch(ep)) {
		endpoint_beat(c, ep, p->is.custody, m.epoch, m.state);
		return;
	}
	if (ep) {
		loser = endpoint_owner(ep) ? endpoint_owner(ep) : endpoint_former(ep);
		loser_epoch = endpoint_epoch(ep);
		loser_state = endpoint_state(ep);
		ep = endpoint_supersede(c, ep, p->is.custody, &m);
	} else {
		ep = endpoint_add(c, p->is.custody, m.sid, m.epoch, m.kind, m.base_q, m.jid);
	}
	router_endpoint_added(&sim->r, ep);
	if (loser)
		endpoint_beat(c, ep, loser, loser_epoch, loser_state);
	endpoint_restore(c, ep, &m);
	if (is_sender(m.sid))
		return;
	if (m.state != SESSION_MOVED && domain_announce(&sim->r, &m) != ERR_OK) {
		link_put_close(p->link, &(struct msg_close){.sid = m.sid, .epoch = m.epoch});
		endpoint_remove(c, ep, "recipient-unavailable");
	} else if (m.state == SESSION_ENDED || m.state == SESSION_MOVED) {
		endpoint_remove(c, ep, "recipient-unavailable");
	} else if (m.state == SESSION_DETACHED) {
		endpoint_announced_detached(ep);
	}
}

static void detach_announced(void *ctx, struct endpoint *ep)
{
	(void)ctx;
	if (endpoint_is_announced_detached(ep))
		endpoint_detach(sim->r.custody, ep, sim->now);
}

static void unbind_ended(void *ctx, struct endpoint *ep)
{
	(void)ctx;
	if (endpoint_ended(ep))
		endpoint_unbound(sim->r.custody, ep);
}

static struct endpoint *own_endpoint(const struct peer *p, uint64_t sid)
{
	struct endpoint *ep = endpoint_find(sim->r.custody, sid);

	return ep && endpoint_owner(ep) == p->is.custody ? ep : NULL;
}

static void resumes_check(void)
{
	struct custody *c = sim->r.custody;

	for (size_t i = 0; i < 32; i++) {
		int cm = sim->resumes[i].cm;
		struct endpoint *ep;

		if (cm < 0 || sim->r.barrier || sim->r.restoring || !sim->peers[cm].is.custody)
			continue;
		ep = endpoint_find(c, sim->resumes[i].sid);
		if (!ep || endpoint_ended(ep)) {
			link_put_resume_refused(
				sim->peers[cm].link,
				&(struct msg_resume_refused){.request = sim->resumes[i].sid});
			sim->resumes[i].cm = -1;
			continue;
		}
		if (!endpoint_detached(ep)) {
			link_put_detach(custody_peer_link(endpoint_owner(ep)),
					&(struct msg_detach){endpoint_sid(ep), endpoint_epoch(ep)});
			if (monotime_ms_between(sim->resumes[i].since, sim->now) < 20)
				continue;
			custody_peer_former(endpoint_owner(ep), endpoint_sid(ep));
			endpoint_detach(c, ep, sim->now);
			domain_detached(&sim->r, ep);
			continue;
		}
		if (!endpoint_is_secured(c, ep))
			continue;
		assert_int_equal(endpoint_resume(c, ep, sim->peers[cm].is.custody,
						 sim->resumes[i].sid, sim->resumes[i].h),
				 ERR_OK);
		domain_resumed(&sim->r, ep, SLICE_NONE, SLICE_NONE);
		sim->resumes[i].cm = -1;
	}
}

static void handle_resume(int cm, const struct msg_resume *m)
{
	size_t free_at = 32;

	for (size_t i = 0; i < 32; i++) {
		if (sim->resumes[i].cm >= 0 && sim->resumes[i].sid == m->request)
			sim->resumes[i].cm = -1;
		if (sim->resumes[i].cm < 0 && free_at == 32)
			free_at = i;
	}
	assert_true(free_at < 32);
	sim->resumes[free_at].cm = cm;
	sim->resumes[free_at].sid = m->request;
	sim->resumes[free_at].h = m->h;
	sim->resumes[free_at].since = sim->now;
}

static void handle_unbind(struct peer *p, const struct msg_unbind *m)
{
	struct endpoint *ep = own_endpoint(p, m->sid);

	if (binders_forget(&sim->r, &p->is, m->sid) || !ep || m->epoch != endpoint_epoch(ep))
		return;
	if (!endpoint_ended(ep))
		domain_ended(&sim->r, ep);
	endpoint_remove(sim->r.custody, ep, "recipient-unavailable");
	endpoint_unbound(sim->r.custody, ep);
}

static void handle_detached(struct peer *p, const struct msg_detached *m)
{
	struct endpoint *ep = own_endpoint(p, m->sid);

	if (!ep || m->epoch != endpoint_epoch(ep))
		return;
	if (!endpoint_ended(ep) && endpoint_can_resume(ep)) {
		endpoint_detach(sim->r.custody, ep, sim->now);
		domain_detached(&sim->r, ep);
		return;
	}
	link_put_released(p->link, &(struct msg_released){m->sid, m->epoch, UINT64_MAX - 1, 0});
	endpoint_unbound(sim->r.custody, ep);
}

static void handle_bind(struct peer *p, struct slice body)
{
	struct msg_bind m;

	assert_int_equal(msg_bind_get(body, &m), ERR_OK);
	endpoint_add(sim->r.custody, p->is.custody, m.sid, 1, SESSION_CLIENT, 1, m.jid);
	link_put_bound(p->link, &(struct msg_bound){m.sid, 1, m.jid});
}

static void router_handle(int i, uint16_t type, struct slice body)
{
	struct custody *c = sim->r.custody;
	struct peer *p = &sim->peers[i];
	union {
		struct msg_announce_have have;
		struct msg_bind_domain bind;
		struct msg_unbind unbind;
		struct msg_stanza stanza;
		struct msg_delivered delivered;
		struct msg_enable enable;
		struct msg_detached detached;
		struct msg_resume resume;
		struct msg_probed probed;
	} m;
	struct endpoint *ep;
	char id[24];

	if (type == MSG_ANNOUNCE) {
		handle_announce(p, body);
	} else if (type == MSG_ANNOUNCE_HAVE && msg_announce_have_get(body, &m.have) == ERR_OK) {
		if (custody_peer_is_former(p->is.custody, m.have.sid))
			custody_have_former(c, &m.have);
		else if ((ep = own_endpoint(p, m.have.sid)))
			endpoint_have(c, ep, &m.have);
	} else if (type == MSG_ANNOUNCE_END) {
		custody_peer_each(p->is.custody, detach_announced, NULL);
	} else if (type == MSG_RESEND_END) {
		p->is.resent = true;
		custody_peer_each(p->is.custody, unbind_ended, NULL);
	} else if (type == MSG_BIND) {
		handle_bind(p, body);
	} else if (type == MSG_BIND_DOMAIN && msg_bind_domain_get(body, &m.bind) == ERR_OK) {
		if (!endpoint_find(c, m.bind.sid))
			binders_ask(&sim->r, &p->is, &m.bind);
	} else if (type == MSG_PROBED && msg_probed_get(body, &m.probed) == ERR_OK) {
		ep = own_endpoint(p, m.probed.sid);
		if (ep && m.probed.epoch == endpoint_epoch(ep) && !endpoint_ended(ep))
			binders_probed(&sim->r, ep, m.probed.alive);
	} else if (type == MSG_UNBIND && msg_unbind_get(body, &m.unbind) == ERR_OK) {
		handle_unbind(p, &m.unbind);
	} else if (type == MSG_ENABLE && msg_enable_get(body, &m.enable) == ERR_OK) {
		snprintf(id, sizeof(id), "r%llu", (unsigned long long)m.enable.sid);
		if ((ep = own_endpoint(p, m.enable.sid)) && !endpoint_ended(ep))
			endpoint_enable(c, ep, m.enable.in_base, 300, slice_str(id));
	} else if (type == MSG_DETACHED && msg_detached_get(body, &m.detached) == ERR_OK) {
		handle_detached(p, &m.detached);
	} else if (type == MSG_RESUME && msg_resume_get(body, &m.resume) == ERR_OK) {
		handle_resume(i, &m.resume);
	} else if (type == MSG_STANZA && msg_stanza_get(body, &m.stanza) == ERR_OK) {
		ep = own_endpoint(p, m.stanza.sid);
		handle_stanza(custody_accept(c, p->is.custody, ep, m.stanza.n, m.stanza.inner.len,
					     !p->is.resent),
			      ep, &m.stanza);
	} else if (type == MSG_DELIVERED && msg_delivered_get(body, &m.delivered) == ERR_OK) {
		if ((ep = own_endpoint(p, m.delivered.sid)))
			custody_delivered(c, ep, m.delivered.q);
	} else {
		fail_msg("unexpected record %s", codec_name(type));
	}
}

static void handle_answers(void)
{
	struct session_stanza s;
	struct slice key;
	size_t it = 0;
	void *row;

	while (map_next(&sim->rows, &it, &key, &row)) {
		struct endpoint *ep;
		struct row_key k;

		memcpy(&k, key.data, sizeof(k));
		if (k.kind != SHELF_ANSWER)
			continue;
		ep = endpoint_find(sim->r.custody, k.sid);
		if (!ep && custody_answer_get(blob_slice(row), &s))
			ep = domain_endpoint(&sim->r, custody_domain_of(s.to), s.from);
		custody_load_answer_for(sim->r.custody, ep, k.sid, k.n, blob_slice(row));
	}
}

static int by_number(const void *a, const void *b)
{
	const struct msg_stanza *x = a, *y = b;

	return x->n < y->n ? -1 : x->n > y->n;
}

/* A sender's stanzas in order, wherever they are: rows and what its manager sends again. */
static void handle_all(void)
{
	static struct msg_stanza list[KEPT * 2];
	struct slice key, in, body;
	size_t count = 0, it = 0;
	uint16_t type;
	void *row;

	while (map_next(&sim->rows, &it, &key, &row)) {
		struct row_key k;

		memcpy(&k, key.data, sizeof(k));
		in = blob_slice(row);
		if (k.kind != SHELF_STANZA || codec_next(&in, &type, &body) != ERR_OK)
			continue;
		assert_int_equal(msg_stanza_get(body, &list[count]), ERR_OK);
		list[count++].flags = 0x4000; /* of the shelf */
	}
	if (count == 0)
		return;
	for (size_t k = 0; k < sim->nkept; k++) {
		in = str_slice(&sim->kept[k]);
		if (sim->kept_cm[k] != 0 || codec_next(&in, &type, &body) != ERR_OK ||
		    type != MSG_STANZA)
			continue;
		assert_int_equal(msg_stanza_get(body, &list[count]), ERR_OK);
		list[count++].flags = 0;
		sim->kept_cm[k] = -1;
	}
	qsort(list, count, sizeof(*list), by_number);
	for (size_t i = 0; i < count; i++) {
		struct msg_stanza *m = &list[i];
		struct endpoint *ep = endpoint_find(sim->r.custody, m->sid);
		bool row_of = m->flags;

		m->flags = 0;
		handle_stanza(
			row_of ? custody_accept_shelved(sim->r.custody, m->sid, m->n, m->inner.len)
			       : custody_accept(sim->r.custody, sim->peers[0].is.custody, ep, m->n,
						m->inner.len, true),
			ep, m);
	}
}

static void barrier_step(void)
{
	bool all_in = true, resent = true;

	for (int i = 0; i < CMS; i++) {
		all_in = all_in && sim->peers[i].is.all_in;
		resent = resent && sim->peers[i].is.resent;
	}
	if (sim->r.barrier && all_in) {
		domain_announced(&sim->r);
		handle_answers();
		handle_all();
		sim->r.barrier = false;
		for (size_t k = 0; k < sim->nkept; k++) {
			struct slice in = str_slice(&sim->kept[k]), body;
			uint16_t type;

			codec_next(&in, &type, &body);
			if (sim->kept_cm[k] >= 0)
				router_handle(sim->kept_cm[k], type, body);
		}
		sim->nkept = 0;
	}
	if (!sim->r.barrier && sim->r.restoring && resent) {
		sim->r.restoring = false;
		custody_restored(sim->r.custody);
	}
}

static void router_record_here(void *arg, uint16_t type, struct slice body)
{
	int i = (int)((struct cm *)arg - sim->cms);
	struct str *k;

	if (!sim->r.barrier || type == MSG_ANNOUNCE || type == MSG_ANNOUNCE_HAVE ||
	    type == MSG_ANNOUNCE_END || type == MSG_BIND_DOMAIN) {
		router_handle(i, type, body);
		return;
	}
	assert_true(sim->nkept < KEPT);
	if (type == MSG_RESEND_END)
		sim->peers[i].is.all_in = true;
	k = &sim->kept[sim->nkept];
	str_reset(k);
	codec_put_u32(k, (uint32_t)body.len + 2);
	codec_put_u16(k, type);
	str_add_slice(k, body);
	sim->kept_cm[sim->nkept++] = i;
}

static void peer_drop(int i)
{
	struct peer *p = &sim->peers[i];

	for (size_t k = 0; k < sim->nkept; k++)
		if (sim->kept_cm[k] == i)
			sim->kept_cm[k] = -1;
	for (size_t k = 0; k < 32; k++)
		if (sim->resumes[k].cm == i)
			sim->resumes[k].cm = -1;
	if (p->is.custody) {
		domain_peer_dead(&sim->r, &p->is);
		custody_peer_dead(sim->r.custody, &p->is.custody, "gone", sim->now);
		sim->fragile = shelf_last(sim->r.shelf);
	}
	sim->cms[i].mourned = false;
	link_free(&p->link);
	*p = (struct peer){0};
	p->is.hub = (struct hub_peer *)(void *)p;
}

static bool is_fragile(void)
{
	for (int i = 0; i < CMS; i++)
		if (sim->cms[i].mourned)
			return true;
	return shelf_synced(sim->r.shelf) < sim->fragile;
}

static void books_balance(void)
{
	const struct custody_books *b = custody_books(sim->r.custody);
	uint64_t done = b->held;

	for (int i = 0; i <= SETTLED_DISCARDED; i++)
		done += b->settled[i];
	assert_int_equal(b->accepted + b->announced + b->generated, done);
}

/* ---- datastore ---- */

static void store_apply(void)
{
	struct slice left = str_slice(&sim->flying);
	struct db_shelf_change c;

	while (db_shelf_change_get(&left, &c)) {
		struct row_key key = {c.sid, c.kind, c.n};
		struct slice k = slice_of((const char *)&key, sizeof(key));
		struct blob *old = map_remove(&sim->rows, k);

		blob_unref(&old);
		if (c.op == SHELF_PUT)
			map_put(&sim->rows, k, blob_new(c.body.data, c.body.len));
	}
	sim->batch_applied = true;
}

static void step_store(void)
{
	struct slice changes;
	bool only_deletes;

	if (!sim->batch_out) {
		if (!shelf_next(sim->r.shelf, &changes, &only_deletes))
			return;
		str_reset(&sim->flying);
		str_add_slice(&sim->flying, changes);
		sim->batch_out = true;
		sim->batch_applied = false;
	} else if (random() % 10 == 0) {
		if (!sim->batch_applied) {
			store_apply();
		} else {
			sim->batch_out = false;
			shelf_done(sim->r.shelf, random() % 20 != 0);
		}
	}
}

static void step_fetch(void)
{
	struct custody *c = sim->r.custody;
	struct custody_fetch f;
	struct row_key key;
	struct blob *row;
	size_t i;

	while (sim->nfetches < FETCHES && custody_next_fetch(c, &f))
		sim->fetches[sim->nfetches++] = f;
	if (sim->nfetches == 0 || random() % 3)
		return;
	i = (size_t)random() % sim->nfetches;
	f = sim->fetches[i];
	sim->fetches[i] = sim->fetches[--sim->nfetches];
	key = (struct row_key){f.sid, f.kind, f.n};
	row = map_find(&sim->rows, slice_of((const char *)&key, sizeof(key)));
	if (!row)
		assert_false(custody_fetch_is_wanted(c, f.id));
	custody_fetched(c, f.id, row != NULL, blob_slice(row));
}

static void load_sessions(void)
{
	size_t it = 0;
	struct slice key;
	void *row;

	while (map_next(&sim->rows, &it, &key, &row)) {
		struct session_row s;
		struct row_key k;

		memcpy(&k, key.data, sizeof(k));
		if (k.kind != SHELF_SESSION)
			continue;
		assert_true(session_row_get(blob_slice(row), &s));
		router_endpoint_added(&sim->r, endpoint_load(sim->r.custody, &s, sim->now));
		assert_int_equal(domain_announce(&sim->r, &s.m), ERR_OK);
	}
}

static void router_start(void)
{
	struct router *r = &sim->r;

	*r = (struct router){0};
	sim->router_boot = ++sim->next_boot;
	r->custody = custody_new(
		sim->router_boot,
		(struct custody_limits){.flight = 1000, .queue = 1 << 20, .memory = 100},
		on_undelivered, NULL);
	r->routes = route_table_new();
	r->shelf = shelf_new();
	custody_set_shelf(r->custody, r->shelf, 0);
	list_init(&r->binders);
	domains_start(r);
	r->barrier = r->restoring = true;
	sim->fragile = 0;
	sim->batch_out = false;
	sim->nfetches = 0;
	sim->nkept = 0;
	for (size_t i = 0; i < 32; i++)
		sim->resumes[i].cm = -1;
	load_sessions();
}

static void router_end(void)
{
	binders_peer_dead(&sim->r, NULL);
	domains_end(&sim->r);
	custody_free(&sim->r.custody);
	shelf_free(&sim->r.shelf);
	route_table_free(&sim->r.routes);
}

static void router_kill(void)
{
	books_balance();
	if (sim->batch_out && !sim->batch_applied && random() % 2)
		store_apply();
	router_end();
	/* who was given up and has not heard that he was bound asks the next router */
	for (size_t i = 0; i < sim->nsessions; i++)
		if (!sim->all[i]->bound)
			sim->all[i]->silent = sim->all[i]->dead = false;
	for (int i = 0; i < CMS; i++) {
		link_free(&sim->peers[i].link);
		sim->peers[i] = (struct peer){0};
		sim->peers[i].is.hub = (struct hub_peer *)(void *)&sim->peers[i];
		sim->cms[i].up = false;
		wire_cut(&sim->cms[i].to_router);
		wire_cut(&sim->cms[i].from_router);
	}
	router_start();
}

/* ---- steps ---- */

static void ask_resume(struct session *s)
{
	char id[24];

	snprintf(id, sizeof(id), "r%llu", (unsigned long long)s->sid);
	link_put_resume(
		sim->cms[s->cm].link,
		&(struct msg_resume){.request = s->sid, .resume_id = slice_str(id), .h = s->h});
}

static void hello(int i)
{
	struct cm *cm = &sim->cms[i];
	struct peer *p = &sim->peers[i];
	bool known = p->link && link_peer_boot(p->link) == cm->boot;

	wire_cut(&cm->to_router);
	wire_cut(&cm->from_router);
	if (!known) {
		peer_drop(i);
		p->link = link_new(sim->router_boot, 1 << 20, 300);
		link_restart(p->link, cm->boot);
		p->is.custody = custody_peer_add(sim->r.custody, p->link);
	}
	if (known && link_peer_boot(cm->link) == sim->router_boot) {
		assert_int_equal(link_resume(p->link, link_received(cm->link)), ERR_OK);
		assert_int_equal(link_resume(cm->link, link_received(p->link)), ERR_OK);
	} else {
		link_restart(cm->link, sim->router_boot);
		for (size_t k = 0; k < sim->nsessions; k++)
			if (sim->all[k]->cm == i && !sim->all[k]->bound && !sim->all[k]->over)
				put_bind(sim->all[k]);
		for (int k = 0; i == 0 && k < SENDERS; k++)
			if (!sim->senders[k])
				link_put_bind(cm->link,
					      &(struct msg_bind){.sid = 100 + (uint64_t)k,
								 .jid = slice_str("s@x.test/r")});
		hold_announce(cm->hold);
		for (size_t k = 0; k < sim->nsessions; k++)
			if (sim->all[k]->resuming && sim->all[k]->cm == i)
				ask_resume(sim->all[k]);
	}
	cm->up = true;
}

static void reads(struct session *s, size_t most)
{
	uint32_t sent;

	while (s->head != s->tail && most--) {
		const struct item *it = &s->stream[s->head++ % STREAM];

		received(s, it);
		if (it->counted)
			s->h++;
		else
			hold_delivered(s->hold, it->q);
	}
	if (s->enabled && random() % 3 == 0)
		assert_int_equal(hold_acked(s->hold, s->h, &sent), ERR_OK);
}

static void comes_back(struct session *s)
{
	s->cm = 1 + (int)(random() % (CMS - 1));
	s->resuming = true;
	ask_resume(s);
}

/* Something happens to its connection. */
static void breaks(struct session *s)
{
	long what = random() % 100;

	if (what < 10 && s->enabled) {
		hold_detach(&s->hold, "broken");
		connection_lost(s);
		s->over = random() % 4 == 0;
		if (s->over)
			loosen(s);
	} else if (what < 14) {
		if (s->enabled)
			loosen(s);
		hold_end(&s->hold, "over");
		s->over = true;
	} else if (what < 18 && s->enabled) {
		/* while the server still believes in the old connection */
		for (size_t i = 0; i < sim->nconns; i++)
			if (sim->conns[i]->s == s && sim->conns[i]->number == s->conn)
				sim->conns[i]->hold = s->hold;
		connection_lost(s);
		comes_back(s);
	}
}

static void step_session(struct session *s, bool trouble)
{
	if (s->over || s->resuming)
		return;
	if (!trouble)
		s->silent = s->dead;
	if (!s->bound) {
		if (trouble && random() % 100 == 0) {
			link_put_unbind(sim->cms[s->cm].link,
					&(struct msg_unbind){.sid = s->sid, .epoch = 1});
			s->over = true;
		}
	} else if (!s->hold) {
		comes_back(s);
	} else {
		if (!s->silent)
			reads(s, (size_t)random() % 8);
		if (trouble && random() % 4 == 0)
			breaks(s);
	}
}

static void step_living(bool trouble)
{
	size_t at = sim->nsessions ? (size_t)random() % sim->nsessions : 0;

	for (size_t k = 0; k < sim->nsessions; k++) {
		struct session *s = sim->all[(at + k) % sim->nsessions];

		if (s->over)
			continue;
		step_session(s, trouble);
		break;
	}
}

static void step_any(bool trouble)
{
	int i = (int)(random() % SENDERS);

	if (trouble && random() % 20 == 0)
		session_start(1 + (int)(random() % (CMS - 1)));
	if (trouble && random() % 2)
		sender_send(i);
	if (sim->senders[i] && sim->sender_q[i])
		hold_delivered(sim->senders[i], sim->sender_q[i]);
	for (int k = 0; k < 3; k++)
		step_living(trouble);
}

static void step_wire(int i)
{
	struct cm *cm = &sim->cms[i];
	struct peer *p = &sim->peers[i];
	struct slice frame;
	struct wire *w;

	if (!cm->up) {
		hello(i);
		return;
	}
	switch (random() % 4) {
	case 0:
	case 1:
		w = random() % 2 ? &cm->to_router : &cm->from_router;
		if (w->tail - w->head < WIRE &&
		    link_next(w == &cm->to_router ? cm->link : p->link, random() % 2, &frame)) {
			struct str *out = &w->frames[w->tail++ % WIRE];

			str_reset(out);
			str_add_slice(out, frame);
			link_sent(w == &cm->to_router ? cm->link : p->link);
		}
		break;
	case 2:
		w = &cm->to_router;
		if (w->head != w->tail)
			link_receive(p->link, str_slice(&w->frames[w->head++ % WIRE]),
				     router_record_here, cm);
		break;
	default:
		w = &cm->from_router;
		if (w->head != w->tail)
			link_receive(cm->link, str_slice(&w->frames[w->head++ % WIRE]), cm_record,
				     cm);
		break;
	}
}

/* As in router_resume.c. */
static void expire(void *ctx, struct endpoint *ep)
{
	const struct session *s = session_of(endpoint_sid(ep));
	uint64_t wait = endpoint_can_resume(ep) ? MAX_MS : GRACE_MS;

	(void)ctx;
	if (endpoint_can_resume(ep) && s && !s->over)
		return;
	if (monotime_ms_between(endpoint_detached_at(ep), sim->now) < wait)
		return;
	/* some of them come from the shelf first, and this router may not see that */
	for (int i = 0; i < SENDERS; i++)
		for (uint64_t n = 1; n <= sim->nsent[i]; n++)
			sim->sent[i][n].judged |= !sim->sent[i][n].received;
	domain_expired(&sim->r, ep);
}

/* Who is given up because his manager does not answer is really dead; what he has read, and that is
 * still to be reported, may come again. */
static void tick(void)
{
	struct session *lived[SESSIONS];
	size_t count = 0;

	for (size_t i = 0; i < sim->nsessions; i++) {
		const struct endpoint *ep = endpoint_find(sim->r.custody, sim->all[i]->sid);

		if (ep && !endpoint_ended(ep))
			lived[count++] = sim->all[i];
	}
	binders_tick(&sim->r);
	for (size_t i = 0; i < count; i++) {
		const struct endpoint *ep = endpoint_find(sim->r.custody, lived[i]->sid);

		if (ep && !endpoint_ended(ep))
			continue;
		loosen(lived[i]);
		lived[i]->silent = lived[i]->dead = true;
	}
}

static void step_router(void)
{
	barrier_step();
	resumes_check();
	tick();
	custody_turn(sim->r.custody);
	step_store();
	step_fetch();
	if (!sim->r.barrier)
		custody_each_detached(sim->r.custody, expire, NULL);
	if (random() % 20 == 0)
		custody_spool(sim->r.custody, sim->now, 20);
}

static void step(bool trouble)
{
	int i = (int)(random() % CMS);

	sim->now.us += STEP_US;
	switch (random() % 8) {
	case 0:
	case 1:
		step_any(trouble);
		break;
	case 2:
		step_router();
		break;
	case 3:
		step_store();
		if (sim->calm)
			break;
		if (trouble && !is_fragile() && random() % 60 == 0)
			router_kill();
		else if (trouble && i && !sim->r.restoring && random() % 40 == 0)
			cm_kill(i);
		else if (trouble && random() % 30 == 0)
			sim->cms[i].up = false;
		break;
	default:
		step_wire(i);
		break;
	}
}

static bool is_quiet(void)
{
	for (int i = 0; i < SENDERS; i++)
		if (!sim->senders[i] || hold_unsettled(sim->senders[i]))
			return false;
	return custody_books(sim->r.custody)->held == 0 && sim->rows.count == 0;
}

static void ledger(void)
{
	const struct custody_books *b = custody_books(sim->r.custody);
	size_t count[6] = {0}, loose = 0, read = 0;

	for (int i = 0; i < SENDERS; i++) {
		assert_int_equal(hold_unsettled(sim->senders[i]), 0);
		for (uint64_t n = 1; n <= sim->nsent[i]; n++) {
			const struct message *m = &sim->sent[i][n];
			const char *wrong = NULL;

			if (!m->settled)
				wrong = "not settled";
			else if (m->settled != SETTLED_STORED && !m->loose &&
				 m->bounced != (m->settled == SETTLED_BOUNCED))
				wrong = "bounced without an error, or the reverse";
			else if (!m->bounced && !m->received && !m->written)
				wrong = "lost";
			else if (m->bounced && m->received && !m->loose)
				wrong = "bounced, and read";
			if (wrong && m->to != SERVER)
				fail_msg("%llu of sender %d to %u is %s: settled %u received %u",
					 (unsigned long long)n, i, m->to, wrong, m->settled,
					 m->received);
			count[m->settled]++;
			loose += m->loose;
			read += m->received;
		}
	}
	for (int i = 0; i < CMS; i++) {
		hold_sweep(sim->cms[i].hold);
		assert_int_equal(hold_total(sim->cms[i].hold), 0);
		assert_int_equal(hold_books_difference(hold_books(sim->cms[i].hold)), 0);
		assert_int_equal(hold_books(sim->cms[i].hold)->unforgotten, 0);
	}
	assert_int_equal(b->held, 0);
	assert_int_equal(b->queued, 0);
	assert_int_equal(b->paged, 0);
	assert_int_equal(sim->rows.count, 0);
	books_balance();
	if (getenv("SIM_SEED"))
		fprintf(stderr,
			"%zu delivered, %zu stored, %zu bounced, %zu consumed; %zu read, %zu of "
			"them loose; %zu sessions\n",
			count[SETTLED_DELIVERED], count[SETTLED_STORED], count[SETTLED_BOUNCED],
			count[SETTLED_CONSUMED], read, loose, sim->nsessions);
}

static void sim_free(void)
{
	size_t it = 0;
	void *row;

	router_end();
	for (int i = 0; i < CMS; i++) {
		link_free(&sim->peers[i].link);
		hold_free(&sim->cms[i].hold);
		link_free(&sim->cms[i].link);
		for (size_t k = 0; k < WIRE; k++) {
			str_clear(&sim->cms[i].to_router.frames[k]);
			str_clear(&sim->cms[i].from_router.frames[k]);
		}
	}
	while (map_next(&sim->rows, &it, NULL, &row))
		blob_unref((struct blob **)&row);
	map_clear(&sim->rows);
	str_clear(&sim->flying);
	for (size_t i = 0; i < KEPT; i++)
		str_clear(&sim->kept[i]);
	for (size_t i = 0; i < sim->nconns; i++)
		free(sim->conns[i]);
	for (size_t i = 0; i < sim->nsessions; i++)
		free(sim->all[i]);
	free(sim);
}

static void run(unsigned int seed)
{
	srandom(seed);
	sim = calloc(1, sizeof(*sim));
	sim->calm = seed % 4 == 0;
	map_init(&sim->rows);
	str_init(&sim->flying);
	for (size_t i = 0; i < KEPT; i++)
		str_init(&sim->kept[i]);
	for (int i = 0; i < CMS; i++) {
		for (size_t k = 0; k < WIRE; k++) {
			str_init(&sim->cms[i].to_router.frames[k]);
			str_init(&sim->cms[i].from_router.frames[k]);
		}
		cm_start(&sim->cms[i]);
		sim->peers[i].is.hub = (struct hub_peer *)(void *)&sim->peers[i];
	}
	router_start();
	for (int i = 0; i < 8000; i++)
		step(true);
	for (int i = 0; i < 200000 && (i < 4000 || !is_quiet()); i++)
		step(false);
	for (int i = 0; i < 4000; i++)
		step(false);
	ledger();
	sim_free();
}

static void no_component_loses_doubles_or_reorders_anything_from_any_seed(void **state)
{
	const char *one = getenv("SIM_SEED"), *many = getenv("SIM_SEEDS");
	unsigned int count = many ? (unsigned int)atoi(many) : 40;

	(void)state;
	log_open("sim", STDERR_FILENO, LOG_LEVEL_ERROR, false);
	if (one) {
		run((unsigned int)atoi(one));
		return;
	}
	for (unsigned int seed = 1; seed <= count; seed++) {
		fprintf(stderr, "\rSIM_SEED=%u ", seed);
		run(seed);
	}
	fprintf(stderr, "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_component_loses_doubles_or_reorders_anything_from_any_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
