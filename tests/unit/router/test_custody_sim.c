/*
 * A simulated instance: one router (custody) and three connection managers (hold) with two sessions
 * each, joined by links over wires that lose everything in flight when an end dies. From a seed,
 * sessions write to each other while the router and the managers are killed and come back. Half of
 * the sessions use XEP-0198: what is written to such a client may be lost with its connection, it
 * acknowledges now and then, its connection breaks, and it resumes on any manager and sends again
 * what <resumed h/> does not cover. Some of those log out, or never come back and are given up.
 * Some messages are for two of those, some for the server, which answers them and pushes something
 * to a third. Some cannot be written to a plain client. Of every third message another session is
 * to have a copy (custody_copy), however often it is judged. No process, no socket, no clock:
 * SIM_SEED=n replays one run, SIM_SEEDS=n says how many.
 *
 * The ledger at the end. Between XEP-0198 clients every message is received exactly once and in
 * order. For others: what a surviving sender saw settled as delivered was received once, what was
 * bounced or discarded was not. What the server was asked is answered exactly once, and nothing is
 * pushed twice. No copy comes twice, or to one who has the message; to an XEP-0198 client that was
 * there when the message was sent, exactly once, whatever became of the message. Nothing is held
 * anywhere and the books balance.
 *
 * The router's shelf is a table that survives it; batches reach it with delay, and one that is
 * under way when the router dies may or may not be applied. Left out is only a router's death
 * before what the death of a manager left to it alone is on the shelf: `fragile`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/map.h"
#include "ipc/db_pack.h"
#include "ipc/hold.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/route_table.h"
#include "router/shelf.h"
#include "tests/support/cmocka_first.h"

#define CMS	 3
#define PER_CM	 2
#define MESSAGES 400 /* one session's, at the most */
#define SESSIONS 2000
#define STREAM	 4096 /* deliveries written to one connection and not yet read by its client */
#define WIRE	 256
#define FETCHES	 64
#define SERVER	 0xfffe
#define GIVE_UP                                                                           \
	400 /* ms that a detached session is waited for, when its client is gone for good \
	     */
#define STEP_US 500

struct message {
	uint16_t to;	 /* index of the session it is for; SERVER = an iq to the server */
	uint16_t also;	 /* and another one (a bare JID), 0xffff = none */
	uint8_t settled; /* enum settled, 0 = not yet */
	uint8_t received;
	uint8_t received_also;
	uint8_t answered, pushed[2]; /* an iq's result and its pushes, at their clients */
	uint8_t copied;
	bool instead;	 /* its copy stands for it: it must come, or it is judged again */
	bool copy_due;	 /* its copy's receiver can be resumed: it must come */
	bool copy_loose; /* it was written before <enabled/>: it may come again */
	uint8_t judged;	 /* a router found nobody to deliver it to; the next one may find somebody,
			  * later than what was sent after it: out of order, but told to nobody */
};

/* One connection of a session: what hold calls its stream. */
struct conn {
	struct session *s;
	struct hold_session *hold; /* of an abandoned one; else session.hold */
	struct conn *next;	   /* all of them, to be freed at the end */
};

/* One session, from its bind to its end. Never reused. */
struct session {
	uint64_t sid;
	struct hold_session *hold; /* NULL = ended, or away */
	struct conn *conn;	   /* the present connection */
	struct cm *cm;
	bool was_killed;
	bool gone; /* with XEP-0198, and its client logged out or will never come back */
	struct message sent[MESSAGES + 1]; /* by n */
	uint64_t nsent;
	uint64_t last_from[SESSIONS]; /* the newest n had of each sender: order */
	uint64_t written, queued;     /* q at the stream */

	/* XEP-0198, the client's side */
	bool sm;
	bool enabled;
	uint64_t epoch;
	uint32_t h;		      /* stanzas received since <enabled/> */
	uint64_t stream_from[STREAM]; /* written to it and not yet read: sender's sid, n, counted */
	uint64_t stream_n[STREAM];    /* as in the record: bits 48.. say which answer it is */
	bool stream_counts[STREAM];
	size_t stream_head, stream_tail;
	bool resuming;
};

struct wire {
	struct str frames[WIRE];
	size_t head, tail;
};

struct cm {
	struct link *link;
	struct hold *hold;
	uint64_t boot;
	bool up;
	bool mourned; /* the router has not seen yet that it died */
	struct wire to_router, from_router;
	struct session *sessions[PER_CM];
};

struct router_peer_sim {
	struct link *link;
	struct custody_peer *custody;
	bool announced, all_in, resent;
};

struct sim {
	struct cm cms[CMS];
	struct session *all[SESSIONS];
	size_t nsessions;
	uint64_t next_boot;
	uint64_t router_boot;
	struct custody *custody;
	struct route_table *names; /* "s12" -> sid, sessions that the router knows */
	struct router_peer_sim peers[CMS];
	bool barrier, restoring;
	struct str kept[4096];
	int kept_cm[4096];
	size_t nkept;
	struct conn *conns;
	struct custody_fetch fetches[FETCHES]; /* asked of the datastore */
	size_t nfetches;
	struct monotime now;
	unsigned int store_down; /* steps for which the datastore takes nothing */
	struct shelf *shelf;
	struct map rows;   /* the datastore: struct row_key -> struct blob */
	struct str flying; /* a batch on its way there */
	bool batch_out, batch_applied;
	uint64_t fragile; /* until this change is there the router is the only one to hold something
			   */
	struct resume {
		int cm; /* -1 = free */
		uint64_t sid;
		uint32_t h;
	} resumes[64];
};

struct row_key {
	uint64_t sid, kind, n;
};

static struct sim *sim; /* the one that runs: hold's events carry only the stream */

static void wire_put(struct wire *w, struct slice frame)
{
	struct str *s = &w->frames[w->tail++ % WIRE];

	assert_true(w->tail - w->head <= WIRE);
	str_reset(s);
	str_add_slice(s, frame);
}

static void wire_cut(struct wire *w)
{
	w->head = w->tail;
}

static void wire_free(struct wire *w)
{
	for (size_t i = 0; i < WIRE; i++)
		str_clear(&w->frames[i]);
}

static struct session *session_of(uint64_t sid)
{
	return sid >= 1000 && sid - 1000 < sim->nsessions ? sim->all[sid - 1000] : NULL;
}

static uint16_t index_of(const struct session *s)
{
	return (uint16_t)(s->sid - 1000);
}

/* "s12" or "s12+s15". */
static void address(char name[24], const struct message *m)
{
	int len = snprintf(name, 24, m->to == SERVER ? "server" : "s%u", (unsigned int)m->to);

	if (m->also != 0xffff)
		snprintf(name + len, 24 - (size_t)len, "+s%u", (unsigned int)m->also);
}

/* ---- connection manager ---- */

#define NUMBER(n)  ((n)&0xffffffffULL)
#define IS_COPY(n) ((n) >> 62 & 1)

/* Who is to have a copy of message n of s, NULL = nobody. */
static struct session *bystander(const struct session *s, uint64_t n)
{
	size_t at = (size_t)((s->sid + n * 5) % 6);

	return (s->sid + n) % 3 == 0 && s->sent[n].to != SERVER && at < sim->nsessions &&
			       sim->all[at] != s
		       ? sim->all[at]
		       : NULL;
}

static void received_copy(struct session *s, struct session *from, uint64_t n, bool counted)
{
	struct message *m = &from->sent[n];

	assert_ptr_equal(s, bystander(from, n));
	assert_true(m->to != index_of(s) && m->also != index_of(s)); /* has the message */
	if (!counted && s->sm)
		m->copy_loose = true;
	if (m->copied && !m->copy_loose)
		fail_msg("a copy of %llu of s%u: s%u has seen it twice", (unsigned long long)n,
			 (unsigned int)index_of(from), (unsigned int)index_of(s));
	m->copied = 1;
}

/* Made by the server: the result of an iq, or a push. */
static void received_made(struct session *s, struct session *from, uint64_t n, bool counted)
{
	struct message *m = &from->sent[NUMBER(n)];
	uint8_t *times = n >> 63 ? &m->answered : &m->pushed[s->sid % 2];

	if (n >> 63)
		assert_ptr_equal(s, from);
	if (!counted)
		m->judged = 1;
	if (m->judged && s->sm)
		*times = 0;
	if (*times)
		fail_msg("made for %llu of s%u (%llx): s%u has seen it twice",
			 (unsigned long long)NUMBER(n), (unsigned int)index_of(from),
			 (unsigned long long)n >> 32, (unsigned int)index_of(s));
	*times = 1;
}

static void received(struct session *s, struct session *from, uint64_t n, bool counted)
{
	/* Written before <enabled/>: nobody knows whether the client had it when the connection
	 * broke, so it may come again. */
	struct message *m = &from->sent[NUMBER(n)];
	uint8_t *times = m->also == index_of(s) ? &m->received_also : &m->received;

	if (IS_COPY(n)) {
		received_copy(s, from, NUMBER(n), counted);
		return;
	}
	if (n != NUMBER(n)) {
		received_made(s, from, n, counted);
		return;
	}
	if (!counted && s->sm)
		m->judged = 1;
	if (m->judged && s->sm)
		*times = 0;
	assert_int_equal(*times, 0);				     /* seen twice */
	assert_true(m->to == index_of(s) || m->also == index_of(s)); /* led to somebody else */
	if (!m->judged) {
		assert_true(s->last_from[index_of(from)] < n); /* overtaken */
		s->last_from[index_of(from)] = n;
	}
	*times = 1;
}

/* A plain client cannot be written it. */
static bool is_too_large(uint64_t sid, uint64_t n)
{
	return sid % 5 == 0 && n % 16 == 0;
}

static void on_deliver(void *stream, const struct msg_deliver *m)
{
	struct conn *conn = stream;
	struct session *s = conn->s, *from = session_of(m->origin_sid);

	if (s->conn != conn)
		return; /* written to a connection that its client has left */
	s->queued = m->q;
	assert_non_null(from);
	if (s->sm) {
		size_t i = s->stream_tail++ % STREAM;

		assert_true(s->stream_tail - s->stream_head <= STREAM);
		s->stream_from[i] = m->type == TYPE_ERROR ? 0 : m->origin_sid;
		s->stream_n[i] = m->origin_n;
		s->stream_counts[i] = s->enabled;
		/* Before <enabled/> written is delivered, whether the client read it or not. */
		if (!s->enabled && IS_COPY(m->origin_n))
			from->sent[NUMBER(m->origin_n)].copy_loose = true;
		else if (!s->enabled && m->type != TYPE_ERROR)
			from->sent[NUMBER(m->origin_n)].judged = 1;
	} else if (m->type == TYPE_CHAT && is_too_large(m->origin_sid, m->origin_n)) {
		hold_undeliverable(s->hold, m->q, "not-acceptable"); /* too large for it, say */
	} else if (m->type != TYPE_ERROR) {
		received(s, from, m->origin_n, false);
	}
}

static bool in_vain(uint8_t how)
{
	return how == SETTLED_DISCARDED || how == SETTLED_STORED;
}

static void on_settled(void *stream, uint64_t first, uint64_t last, uint8_t how)
{
	struct session *s = ((struct conn *)stream)->s;

	/* Twice only when two cms held it, one in vain: then one of them was told "discarded", or
	 * that somebody else has it. */
	for (uint64_t n = first; n <= last; n++) {
		assert_true(s->sent[n].settled == 0 ||
			    (s->sm && (in_vain(s->sent[n].settled) || in_vain(how))));
		s->sent[n].settled = how;
	}
}

static void on_enabled(void *stream, struct slice id, uint32_t max_s)
{
	struct session *s = ((struct conn *)stream)->s;

	(void)max_s;
	assert_true(id.len > 0);
	s->enabled = true;
}

static void connection_lost(struct session *s)
{
	s->stream_head = s->stream_tail;
	s->hold = NULL;
	s->resuming = false;
}

static void on_detach(void *stream)
{
	struct conn *conn = stream;

	if (conn->s->conn == conn) {
		hold_detach(&conn->s->hold, "resumed elsewhere");
		connection_lost(conn->s);
	} else {
		hold_detach(&conn->hold, "resumed elsewhere");
	}
}

static struct conn *conn_new(struct session *s)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	conn->s = s;
	conn->next = sim->conns;
	sim->conns = conn;
	s->conn = conn;
	return conn;
}

static const struct hold_events hold_events = {
	.on_deliver = on_deliver,
	.on_settled = on_settled,
	.on_enabled = on_enabled,
	.on_detach = on_detach,
};

static void session_start(struct cm *cm, int place)
{
	struct session *s;

	if (sim->nsessions == SESSIONS)
		return;
	s = calloc(1, sizeof(*s));
	s->sid = 1000 + sim->nsessions;
	s->cm = cm;
	s->sm = place == 0; /* one that lives as long as the run */
	sim->all[sim->nsessions++] = s;
	cm->sessions[place] = s;
	link_put_bind(cm->link, &(struct msg_bind){.sid = s->sid, .jid = slice_str("s/r")});
}

static void on_resumed(struct cm *cm, const struct msg_resumed *m)
{
	struct session *s = session_of(m->sid);
	uint64_t h = m->seen_n - m->in_base;

	if (!s->resuming || s->cm != cm)
		return;
	s->resuming = false;
	assert_true(h <= s->nsent);
	s->stream_head = s->stream_tail;
	s->hold = hold_add_resumed(cm->hold, m, "c", "a", conn_new(s));
	s->queued = m->next_q - 1;
	while (h < s->nsent) {
		char name[24];
		struct msg_stanza out = {.kind = STANZA_MESSAGE, .type = TYPE_CHAT};

		h++;
		out.kind = s->sent[h].to == SERVER ? STANZA_IQ : STANZA_MESSAGE;
		address(name, &s->sent[h]);
		out.to = slice_str(name);
		assert_int_equal(hold_send(s->hold, &out), h);
	}
}

static void cm_record(void *arg, uint16_t type, struct slice body)
{
	struct cm *cm = arg;
	struct msg_bound m;
	struct msg_resumed resumed;
	struct session *s;

	if (hold_record(cm->hold, type, body))
		return;
	if (type == MSG_RESUMED) {
		assert_int_equal(msg_resumed_get(body, &resumed), ERR_OK);
		on_resumed(cm, &resumed);
		return;
	}
	assert_int_equal(type, MSG_BOUND);
	assert_int_equal(msg_bound_get(body, &m), ERR_OK);
	s = session_of(m.sid);
	if (!s->hold && s->cm == cm && s->epoch == 0) {
		s->epoch = m.epoch;
		s->hold = hold_add(cm->hold, m.sid, m.epoch, SESSION_CLIENT, m.jid, "c", "a",
				   conn_new(s));
		if (s->sm)
			hold_enable(s->hold, true, 300);
	}
}

static void cm_start(struct cm *cm)
{
	cm->boot = ++sim->next_boot;
	cm->link = link_new(cm->boot, 1 << 20, 300);
	cm->hold = hold_new(cm->link, &hold_events);
	cm->up = false;
}

static void cm_kill(struct cm *cm)
{
	for (size_t i = 0; i < sim->nsessions; i++) {
		struct session *s = sim->all[i];

		if (s->cm != cm)
			continue;
		if (s->sm && s->enabled) {
			/* not with an old connection that nobody has noticed to be dead */
			s->gone = s->gone || (!s->resuming && random() % 10 == 0);
			connection_lost(s);
		} else if (s->hold || s->epoch == 0)
			s->hold = NULL, s->was_killed = true, s->epoch = s->epoch ? s->epoch : 1;
	}
	for (int i = 0; i < PER_CM; i++)
		cm->sessions[i] = NULL;
	for (size_t i = 0; i < 64; i++)
		if (sim->resumes[i].cm == (int)(cm - sim->cms))
			sim->resumes[i].cm = -1;
	cm->mourned = true;
	hold_free(&cm->hold);
	link_free(&cm->link);
	wire_cut(&cm->to_router);
	wire_cut(&cm->from_router);
	cm_start(cm);
}

/* A second receiver now and then: both can be resumed, and so are always there. */
static uint16_t twin_of(size_t to)
{
	size_t also = (size_t)random() % sim->nsessions;

	if (also == to || !sim->all[to]->enabled || !sim->all[also]->enabled)
		return 0xffff;
	return (uint16_t)also;
}

static void session_send(struct session *s)
{
	struct msg_stanza m = {.kind = STANZA_MESSAGE, .type = TYPE_CHAT};
	size_t to = (size_t)random() % sim->nsessions;
	const struct session *seer;
	char name[24];

	/* mostly to one of the living */
	for (int i = 0; i < 4 && !sim->all[to]->hold; i++)
		to = (size_t)random() % sim->nsessions;
	if (s->nsent == MESSAGES)
		return;
	s->sent[++s->nsent].to = (uint16_t)to;
	s->sent[s->nsent].also = twin_of(to);
	if (random() % 10 == 0) {
		s->sent[s->nsent].to = SERVER;
		s->sent[s->nsent].also = 0xffff;
		m.kind = STANZA_IQ;
	}
	seer = bystander(s, s->nsent);
	s->sent[s->nsent].copy_due = seer && seer->sm && seer->enabled &&
				     s->sent[s->nsent].to != index_of(seer) &&
				     s->sent[s->nsent].also != index_of(seer);
	address(name, &s->sent[s->nsent]);
	m.to = slice_str(name);
	m.inner = slice_of("<body>0123456789012345678901234567890</body>", 12 + random() % 30);
	assert_int_equal(hold_send(s->hold, &m), s->nsent);
}

/* ---- router ---- */

static void bounce_to(struct session *from, uint64_t n, struct custody_entry *e)
{
	struct endpoint *ep = endpoint_find(sim->custody, from->sid);

	custody_conclude(e, SETTLED_BOUNCED);
	from->sent[n].judged = 1;
	if (ep && !endpoint_ended(ep))
		custody_answer(
			sim->custody, e, ep,
			&(struct session_stanza){.kind = STANZA_MESSAGE, .type = TYPE_ERROR});
}

static struct endpoint *seer_of(const struct session *from, uint64_t n)
{
	const struct session *seer = bystander(from, n);
	struct endpoint *ep = seer ? endpoint_find(sim->custody, seer->sid) : NULL;

	return ep && !endpoint_ended(ep) ? ep : NULL;
}

static void copy(struct custody_entry *e, const struct session *from, uint64_t n, bool instead)
{
	struct endpoint *ep = seer_of(from, n);

	if (ep)
		custody_copy(sim->custody, e, ep,
			     &(struct session_stanza){.kind = STANZA_MESSAGE,
						      .type = TYPE_CHAT,
						      .inner = slice_of("copy", 4)},
			     instead);
}

static bool has_it(const struct session *from, uint64_t n)
{
	const struct session *seer = bystander(from, n);

	return seer && (from->sent[n].to == index_of(seer) || from->sent[n].also == index_of(seer));
}

/* Nobody whom it is for is there, but somebody has, or gets, a copy; every second time that will
 * do.
 */
static bool copy_instead(struct custody_entry *e, struct session *from, uint64_t n)
{
	struct endpoint *ep = seer_of(from, n);

	from->sent[n].instead =
		n % 2 && ep && !has_it(from, n) && custody_had_copy(sim->custody, e, ep);
	if (!from->sent[n].instead)
		return false;
	from->sent[n].judged = 1;
	custody_conclude(e, SETTLED_DELIVERED);
	copy(e, from, n, true);
	return true;
}

static void on_undelivered(void *ctx, struct custody_entry *e, uint64_t sid,
			   const struct session_stanza *s, const char *reason)
{
	struct session *from = session_of(custody_entry_sender(e));

	(void)ctx;
	(void)sid;
	(void)s;
	(void)reason;
	if (copy_instead(e, from, custody_entry_number(e)))
		return;
	if (!has_it(from, custody_entry_number(e)))
		copy(e, from, custody_entry_number(e), false); /* once more */
	bounce_to(from, custody_entry_number(e), e);
}

/* false: nobody is there. */
static bool router_deliver(struct custody_entry *e, const struct msg_stanza *m)
{
	const char *plus = memchr(m->to.data, '+', m->to.len);
	size_t first = plus ? (size_t)(plus - m->to.data) : m->to.len;
	struct slice names[2] = {slice_of(m->to.data, first)};
	bool found = false;

	if (plus)
		names[1] = slice_of(plus + 1, m->to.len - first - 1);
	for (int i = 0; i < (plus ? 2 : 1); i++) {
		struct endpoint *to =
			endpoint_find(sim->custody, route_table_find(sim->names, names[i]));

		if (!to || endpoint_ended(to))
			continue;
		custody_deliver(
			sim->custody, e, to,
			&(struct session_stanza){
				.kind = m->kind, .type = m->type, .to = m->to, .inner = m->inner});
		found = true;
	}
	return found;
}

static void push(struct custody_entry *e, uint64_t sid, const struct msg_stanza *m)
{
	struct endpoint *other = endpoint_find(sim->custody, sid);

	if (other && !endpoint_ended(other) && sid != m->sid)
		custody_answer(sim->custody, e, other,
			       &(struct session_stanza){
				       .kind = STANZA_IQ, .type = TYPE_SET, .inner = m->inner});
}

/* An iq to the server: pushes to two of the first sessions, which another router may find in
 * another order, then the result. */
static void answer_iq(struct custody_entry *e, struct endpoint *ep, const struct msg_stanza *m)
{
	uint64_t turn = sim->router_boot % 2;

	push(e, 1000 + (m->n + turn) % 6, m);
	push(e, 1000 + (m->n + 1 - turn) % 6, m);
	if (ep && !endpoint_ended(ep))
		custody_answer(sim->custody, e, ep,
			       &(struct session_stanza){
				       .kind = STANZA_IQ, .type = TYPE_RESULT, .inner = m->inner});
}

static void handle_stanza(struct custody_entry *e, struct endpoint *ep, const struct msg_stanza *m)
{
	enum custody_answered answered;
	char name[16];

	if (!e)
		return;
	if (custody_was_delivered(sim->custody, e))
		answered = ANSWERED; /* somebody who is gone has had it */
	else
		answered =
			ep ? custody_was_answered(sim->custody, e, ep, SLICE_NONE) : ANSWERED_NOT;
	if (answered == ANSWERED)
		; /* or its sender has had the error */
	else if (m->kind == STANZA_IQ)
		answer_iq(e, ep, m);
	else if (answered == ANSWERED_AGAIN)
		bounce_to(session_of(m->sid), m->n, e);
	else if (!router_deliver(e, m) && !copy_instead(e, session_of(m->sid), m->n))
		bounce_to(session_of(m->sid), m->n, e);
	if (answered == ANSWERED_NOT || !has_it(session_of(m->sid), m->n))
		copy(e, session_of(m->sid), m->n, false);
	snprintf(name, sizeof(name), "s%u", (unsigned int)index_of(session_of(m->sid)));
	custody_keep(e, m, slice_str(name));
	custody_handled(sim->custody, e);
}

static void router_stanza(struct router_peer_sim *p, struct endpoint *ep,
			  const struct msg_stanza *m)
{
	handle_stanza(custody_accept(sim->custody, p->custody, ep, m->n, m->inner.len, !p->resent),
		      ep, m);
}

/* One in three wants what it sends to be on disk before it counts. */
static void set_durable(struct endpoint *ep)
{
	assert_non_null(ep);
	if (endpoint_sid(ep) % 3 == 0)
		endpoint_set_durable(ep);
}

static void name_bind(uint64_t sid)
{
	char name[16];

	snprintf(name, sizeof(name), "s%u", (unsigned int)index_of(session_of(sid)));
	route_table_bind(sim->names, slice_str(name), sid);
}

static void session_over(void *ctx, struct endpoint *ep)
{
	(void)ctx;
	if (!endpoint_ended(ep) && !endpoint_can_resume(ep))
		route_table_unbind(sim->names, endpoint_sid(ep));
}

static void unbind_ended(void *ctx, struct endpoint *ep)
{
	(void)ctx;
	if (endpoint_ended(ep))
		endpoint_unbound(sim->custody, ep);
}

static void router_announce(struct router_peer_sim *p, struct slice body)
{
	struct custody_peer *loser = NULL;
	uint64_t loser_epoch = 0;
	uint8_t loser_state = SESSION_ENDED;
	struct msg_announce m;
	struct endpoint *ep;

	assert_int_equal(msg_announce_get(body, &m), ERR_OK);
	ep = endpoint_find(sim->custody, m.sid);
	if (ep && m.epoch <= endpoint_epoch(ep)) {
		endpoint_beat(sim->custody, ep, p->custody, m.epoch, m.state);
		return;
	}
	if (ep) {
		loser = endpoint_owner(ep) ? endpoint_owner(ep) : endpoint_former(ep);
		loser_epoch = endpoint_epoch(ep);
		loser_state = endpoint_state(ep);
		route_table_unbind(sim->names, m.sid);
		ep = endpoint_supersede(sim->custody, ep, p->custody, &m);
	} else {
		ep = endpoint_add(sim->custody, p->custody, m.sid, m.epoch, m.kind, m.base_q,
				  m.jid);
	}
	set_durable(ep);
	if (loser)
		endpoint_beat(sim->custody, ep, loser, loser_epoch, loser_state);
	assert_non_null(ep);
	endpoint_restore(sim->custody, ep, &m);
	if (m.state == SESSION_ENDED || m.state == SESSION_MOVED)
		endpoint_remove(sim->custody, ep, "gone");
	else
		name_bind(m.sid);
	if (m.state == SESSION_DETACHED)
		endpoint_announced_detached(ep);
}

static void detach_announced(void *ctx, struct endpoint *ep)
{
	(void)ctx;
	if (endpoint_is_announced_detached(ep))
		endpoint_detach(sim->custody, ep, sim->now);
}

/* A session is given when it is detached and everything is in; its old owner is asked first. */
static void resumes_check(void)
{
	for (size_t i = 0; i < 64; i++) {
		struct resume *w = &sim->resumes[i];
		struct endpoint *ep;

		if (w->cm < 0 || sim->barrier || sim->restoring || !sim->peers[w->cm].custody)
			continue;
		ep = endpoint_find(sim->custody, w->sid);
		assert_non_null(ep);
		if (!endpoint_detached(ep)) {
			link_put_detach(custody_peer_link(endpoint_owner(ep)),
					&(struct msg_detach){w->sid, endpoint_epoch(ep)});
			if (random() % 30)
				continue;
			custody_peer_former(endpoint_owner(ep), w->sid); /* it does not answer */
			endpoint_detach(sim->custody, ep, sim->now);
		}
		if (!endpoint_is_secured(sim->custody, ep))
			continue;
		assert_int_equal(
			endpoint_resume(sim->custody, ep, sim->peers[w->cm].custody, w->sid, w->h),
			ERR_OK);
		w->cm = -1;
	}
}

static void router_resume(int cm, const struct msg_resume *m)
{
	for (size_t i = 0; i < 64; i++)
		if (sim->resumes[i].cm >= 0 && sim->resumes[i].sid == m->request)
			sim->resumes[i].cm = -1; /* asked again */
	for (size_t i = 0; i < 64; i++)
		if (sim->resumes[i].cm < 0) {
			sim->resumes[i] = (struct resume){cm, m->request, m->h};
			return;
		}
	fail();
}

static int peer_number(const struct custody_peer *p)
{
	for (int i = 0; i < CMS; i++)
		if (sim->peers[i].custody == p && p)
			return i;
	return -1;
}

static struct endpoint *router_sender(struct router_peer_sim *p, uint64_t sid)
{
	struct endpoint *ep = endpoint_find(sim->custody, sid);

	if (!ep && session_of(sid)->gone)
		return NULL;
	assert_non_null(ep);
	if (endpoint_owner(ep) == p->custody)
		return ep;
	if (!p->resent &&
	    (custody_peer_is_former(p->custody, sid) || endpoint_former(ep) == p->custody))
		return ep;
	if (!custody_peer_is_former(p->custody, sid))
		fail_msg("sid %llu: owner %d of %d, former %d, ended %d, resent %d",
			 (unsigned long long)sid, peer_number(endpoint_owner(ep)),
			 peer_number(p->custody), peer_number(endpoint_former(ep)),
			 endpoint_ended(ep), p->resent);
	return NULL; /* stale */
}

static void router_handle(int i, uint16_t type, struct slice body)
{
	struct router_peer_sim *p = &sim->peers[i];
	union {
		struct msg_announce_have have;
		struct msg_bind bind;
		struct msg_unbind unbind;
		struct msg_stanza stanza;
		struct msg_delivered delivered;
		struct msg_enable enable;
		struct msg_detached detached;
		struct msg_resume resume;
		struct msg_undeliverable undeliverable;
	} m;
	char id[24];
	struct endpoint *ep;

	if (type == MSG_ANNOUNCE) {
		router_announce(p, body);
	} else if (type == MSG_ANNOUNCE_HAVE) {
		assert_int_equal(msg_announce_have_get(body, &m.have), ERR_OK);
		if (custody_peer_is_former(p->custody, m.have.sid))
			custody_have_former(sim->custody, &m.have);
		else
			endpoint_have(sim->custody, endpoint_find(sim->custody, m.have.sid),
				      &m.have);
	} else if (type == MSG_ANNOUNCE_END) {
		p->announced = true;
		custody_peer_each(p->custody, detach_announced, NULL);
	} else if (type == MSG_ENABLE) {
		assert_int_equal(msg_enable_get(body, &m.enable), ERR_OK);
		snprintf(id, sizeof(id), "r%llu", (unsigned long long)m.enable.sid);
		endpoint_enable(sim->custody, endpoint_find(sim->custody, m.enable.sid),
				m.enable.in_base, 300, slice_str(id));
	} else if (type == MSG_DETACHED) {
		assert_int_equal(msg_detached_get(body, &m.detached), ERR_OK);
		ep = endpoint_find(sim->custody, m.detached.sid);
		if (!ep || m.detached.epoch != endpoint_epoch(ep))
			return;
		ep = router_sender(p, m.detached.sid);
		if (ep)
			endpoint_detach(sim->custody, ep, sim->now);
	} else if (type == MSG_RESUME) {
		assert_int_equal(msg_resume_get(body, &m.resume), ERR_OK);
		router_resume(i, &m.resume);
	} else if (type == MSG_RESEND_END) {
		p->resent = true;
		custody_peer_each(p->custody, unbind_ended, NULL);
	} else if (type == MSG_BIND) {
		assert_int_equal(msg_bind_get(body, &m.bind), ERR_OK);
		set_durable(endpoint_add(sim->custody, p->custody, m.bind.sid, 1, SESSION_CLIENT, 1,
					 m.bind.jid));
		name_bind(m.bind.sid);
		link_put_bound(p->link, &(struct msg_bound){m.bind.sid, 1, m.bind.jid});
	} else if (type == MSG_UNBIND) {
		assert_int_equal(msg_unbind_get(body, &m.unbind), ERR_OK);
		ep = endpoint_find(sim->custody, m.unbind.sid);
		if (session_of(m.unbind.sid)->gone && (!ep || endpoint_owner(ep) != p->custody ||
						       endpoint_epoch(ep) != m.unbind.epoch))
			return;
		assert_non_null(ep);
		if (!endpoint_ended(ep))
			route_table_unbind(sim->names, endpoint_sid(ep));
		endpoint_remove(sim->custody, ep, "gone");
		endpoint_unbound(sim->custody, ep);
	} else if (type == MSG_STANZA) {
		assert_int_equal(msg_stanza_get(body, &m.stanza), ERR_OK);
		ep = router_sender(p, m.stanza.sid);
		if (ep)
			router_stanza(p, ep, &m.stanza);
		else if (endpoint_find(sim->custody, m.stanza.sid) &&
			 endpoint_handed_over(endpoint_find(sim->custody, m.stanza.sid)))
			link_put_settled(p->link, &(struct msg_settled){m.stanza.sid, m.stanza.n,
									SETTLED_DISCARDED});
	} else if (type == MSG_UNDELIVERABLE) {
		assert_int_equal(msg_undeliverable_get(body, &m.undeliverable), ERR_OK);
		ep = endpoint_find(sim->custody, m.undeliverable.sid);
		if (ep && endpoint_owner(ep) == p->custody)
			custody_undeliverable(sim->custody, ep, m.undeliverable.q,
					      "not-acceptable");
	} else if (type == MSG_DELIVERED) {
		assert_int_equal(msg_delivered_get(body, &m.delivered), ERR_OK);
		ep = endpoint_find(sim->custody, m.delivered.sid);
		if (ep && endpoint_owner(ep) == p->custody)
			custody_delivered(sim->custody, ep, m.delivered.q);
	} else {
		fail_msg("unexpected record %s", codec_name(type));
	}
}

struct numbered {
	uint64_t n;
	size_t kept;
	const struct blob *row; /* of the shelf, instead */
};

static int by_number(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	return x->n < y->n ? -1 : x->n > y->n;
}

static void handle_kept(size_t k)
{
	struct slice in = str_slice(&sim->kept[k]), body;
	uint16_t type;
	int cm = sim->kept_cm[k];

	codec_next(&in, &type, &body);
	sim->kept_cm[k] = -1;
	if (cm >= 0)
		router_handle(cm, type, body);
}

static void handle_row(const struct blob *row)
{
	struct slice in = blob_slice(row), body;
	struct msg_stanza m;
	uint16_t type;

	assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
	assert_int_equal(type, MSG_STANZA);
	assert_int_equal(msg_stanza_get(body, &m), ERR_OK);
	handle_stanza(custody_accept_shelved(sim->custody, m.sid, m.n, m.inner.len),
		      endpoint_find(sim->custody, m.sid), &m);
}

/* As in router_barrier.c: what several cms, or the shelf, hold of one session goes first, in
 * order. */
static void shared_first(void)
{
	static struct numbered list[8192];
	size_t count = 0, it = 0;
	struct map64 shared;
	struct slice key;
	void *row;

	map64_init(&shared);
	while (map_next(&sim->rows, &it, &key, &row)) {
		struct row_key k;

		memcpy(&k, key.data, sizeof(k));
		if (k.kind == SHELF_ANSWER)
			custody_load_answer(sim->custody, k.sid, k.n, blob_slice(row));
		if (k.kind != SHELF_STANZA)
			continue;
		map64_put(&shared, k.sid, sim);
		list[count++] = (struct numbered){k.n, 0, row};
	}
	for (int pass = 0; pass < 2; pass++) {
		for (size_t k = 0; k < sim->nkept; k++) {
			struct slice in = str_slice(&sim->kept[k]), body;
			struct msg_stanza m;
			uint16_t type;

			codec_next(&in, &type, &body);
			if (sim->kept_cm[k] < 0 || type != MSG_STANZA)
				continue;
			assert_int_equal(msg_stanza_get(body, &m), ERR_OK);
			if (pass == 0 &&
			    custody_peer_is_former(sim->peers[sim->kept_cm[k]].custody, m.sid))
				map64_put(&shared, m.sid, sim);
			if (pass == 1 && map64_find(&shared, m.sid))
				list[count++] = (struct numbered){m.n, k, NULL};
		}
	}
	map64_clear(&shared);
	qsort(list, count, sizeof(*list), by_number);
	for (size_t i = 0; i < count; i++) {
		if (list[i].row)
			handle_row(list[i].row);
		else
			handle_kept(list[i].kept);
	}
}

static void barrier_check(void)
{
	bool all_in = true, resent = true;

	for (int i = 0; i < CMS; i++)
		all_in = all_in && sim->peers[i].all_in;
	if (sim->barrier && all_in) {
		shared_first();
		sim->barrier = false;
		for (size_t k = 0; k < sim->nkept; k++)
			handle_kept(k);
		sim->nkept = 0;
	}
	for (int i = 0; i < CMS; i++)
		resent = resent && sim->peers[i].resent;
	if (!sim->barrier && sim->restoring && resent) {
		sim->restoring = false;
		custody_restored(sim->custody);
	}
}

static void router_record(void *arg, uint16_t type, struct slice body)
{
	int i = (int)((struct cm *)arg - sim->cms);
	bool announcing =
		type == MSG_ANNOUNCE || type == MSG_ANNOUNCE_HAVE || type == MSG_ANNOUNCE_END;

	if (sim->barrier && !announcing) {
		struct str *k = &sim->kept[sim->nkept];

		assert_true(sim->nkept < 4096);
		if (type == MSG_RESEND_END)
			sim->peers[i].all_in = true;
		str_reset(k);
		codec_put_u32(k, (uint32_t)body.len + 2);
		codec_put_u16(k, type);
		str_add_slice(k, body);
		sim->kept_cm[sim->nkept++] = i;
		return;
	}
	router_handle(i, type, body);
}

static void peer_drop(int i)
{
	struct router_peer_sim *p = &sim->peers[i];

	for (size_t k = 0; k < sim->nkept; k++)
		if (sim->kept_cm[k] == i)
			sim->kept_cm[k] = -1;
	for (size_t k = 0; k < 64; k++)
		if (sim->resumes[k].cm == i)
			sim->resumes[k].cm = -1;
	if (p->custody) {
		custody_peer_each(p->custody, session_over, NULL);
		custody_peer_dead(sim->custody, &p->custody, "gone", sim->now);
		sim->fragile = shelf_last(sim->shelf);
	}
	sim->cms[i].mourned = false;
	link_free(&p->link);
	*p = (struct router_peer_sim){0};
}

static bool is_fragile(void)
{
	for (int i = 0; i < CMS; i++)
		if (sim->cms[i].mourned)
			return true;
	return shelf_synced(sim->shelf) < sim->fragile;
}

static void books_balance(void)
{
	const struct custody_books *b = custody_books(sim->custody);
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

	if (sim->store_down) {
		sim->store_down--;
		return;
	}
	if (!sim->batch_out) {
		if (!shelf_next(sim->shelf, &changes, &only_deletes))
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
			shelf_done(sim->shelf, random() % 20 != 0);
			if (random() % 20 == 0)
				shelf_shrink(sim->shelf);
		}
	}
}

/* Rows that were paged out come back in any order, some only when they are asked for again. */
static void step_fetch(void)
{
	struct custody_fetch f;
	struct row_key key;
	struct blob *row;
	size_t i;

	while (sim->nfetches < FETCHES && custody_next_fetch(sim->custody, &f))
		sim->fetches[sim->nfetches++] = f;
	if (sim->nfetches == 0 || random() % 3)
		return;
	i = (size_t)random() % sim->nfetches;
	f = sim->fetches[i];
	sim->fetches[i] = sim->fetches[--sim->nfetches];
	key = (struct row_key){f.sid, f.kind, f.n};
	row = map_find(&sim->rows, slice_of((const char *)&key, sizeof(key)));
	if (random() % 5 == 0) {
		custody_fetch_again(sim->custody, f.id);
		return;
	}
	if (!row)
		assert_false(custody_fetch_is_wanted(sim->custody, f.id));
	custody_fetched(sim->custody, f.id, row != NULL, blob_slice(row));
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
		set_durable(endpoint_load(sim->custody, &s, sim->now));
		name_bind(k.sid);
	}
}

static void router_start(void)
{
	sim->router_boot = ++sim->next_boot;
	sim->custody =
		custody_new(sim->router_boot,
			    (struct custody_limits){.flight = 200, .queue = 1 << 20, .memory = 100},
			    on_undelivered, NULL);
	sim->names = route_table_new();
	sim->shelf = shelf_new();
	custody_set_shelf(sim->custody, sim->shelf, 0);
	sim->fragile = 0;
	sim->batch_out = false;
	sim->nfetches = 0;
	load_sessions();
	sim->barrier = sim->restoring = true;
	sim->nkept = 0;
	for (size_t i = 0; i < 64; i++)
		sim->resumes[i].cm = -1;
}

static void router_kill(void)
{
	books_balance();
	custody_free(&sim->custody);
	if (sim->batch_out && !sim->batch_applied && random() % 2)
		store_apply();
	shelf_free(&sim->shelf);
	route_table_free(&sim->names);
	for (int i = 0; i < CMS; i++) {
		link_free(&sim->peers[i].link);
		sim->peers[i] = (struct router_peer_sim){0};
		sim->cms[i].up = false;
		wire_cut(&sim->cms[i].to_router);
		wire_cut(&sim->cms[i].from_router);
	}
	router_start();
}

static void ask_resume(struct session *s)
{
	char id[24];

	snprintf(id, sizeof(id), "r%llu", (unsigned long long)s->sid);
	link_put_resume(
		s->cm->link,
		&(struct msg_resume){.request = s->sid, .resume_id = slice_str(id), .h = s->h});
}

/* HELLO and WELCOME in one step: what bus.c and hub.c do. */
static void hello(int i)
{
	struct cm *cm = &sim->cms[i];
	struct router_peer_sim *p = &sim->peers[i];
	bool known = p->link && link_peer_boot(p->link) == cm->boot;

	wire_cut(&cm->to_router);
	wire_cut(&cm->from_router);
	if (!known) {
		peer_drop(i);
		p->link = link_new(sim->router_boot, 1 << 20, 300);
		link_restart(p->link, cm->boot);
		p->custody = custody_peer_add(sim->custody, p->link);
	}
	if (known && link_peer_boot(cm->link) == sim->router_boot) {
		assert_int_equal(link_resume(p->link, link_received(cm->link)), ERR_OK);
		assert_int_equal(link_resume(cm->link, link_received(p->link)), ERR_OK);
	} else {
		link_restart(cm->link, sim->router_boot);
		for (int k = 0; k < PER_CM; k++)
			if (cm->sessions[k] && !cm->sessions[k]->hold && !cm->sessions[k]->epoch)
				link_put_bind(cm->link,
					      &(struct msg_bind){.sid = cm->sessions[k]->sid,
								 .jid = slice_str("s/r")});
		hold_announce(cm->hold);
		for (size_t k = 0; k < sim->nsessions; k++)
			if (sim->all[k]->resuming && sim->all[k]->cm == cm)
				ask_resume(sim->all[k]);
	}
	cm->up = true;
}

/* ---- steps ---- */

static void client_reads(struct session *s, size_t most)
{
	while (s->stream_head != s->stream_tail && most--) {
		size_t i = s->stream_head++ % STREAM;

		if (s->stream_counts[i])
			s->h++;
		if (s->stream_from[i])
			received(s, session_of(s->stream_from[i]), s->stream_n[i],
				 s->stream_counts[i]);
	}
}

static void client_acks(struct session *s)
{
	uint32_t sent;

	if (s->enabled)
		assert_int_equal(hold_acked(s->hold, s->h, &sent), ERR_OK);
}

static void step_sm(struct session *s, bool trouble)
{
	if (s->gone)
		return;
	if (!s->hold && s->enabled && !s->resuming) {
		s->cm = &sim->cms[random() % CMS];
		s->resuming = true;
		ask_resume(s);
	} else if (s->hold) {
		client_reads(s, (size_t)random() % 8);
		if (random() % 3 == 0)
			client_acks(s);
		s->written = s->queued;
		hold_delivered(s->hold, s->written);
		if (trouble && s->enabled && random() % 60 == 0) {
			hold_detach(&s->hold, "broken");
			connection_lost(s);
			s->gone = random() % 8 == 0;
		} else if (trouble && s->enabled && random() % 300 == 0) {
			hold_end(&s->hold, "logged out");
			connection_lost(s);
			s->gone = true;
		} else if (trouble && s->enabled && random() % 200 == 0) {
			/* comes back while the server still believes in the old connection */
			s->conn->hold = s->hold;
			s->conn = NULL;
			connection_lost(s);
			s->cm = &sim->cms[random() % CMS];
			s->resuming = true;
			ask_resume(s);
		}
	}
}

static void step_cm(struct cm *cm)
{
	int place = (int)(random() % PER_CM);
	struct session *s = cm->sessions[place];
	long what = random() % 10;

	if (s && s->gone)
		s = NULL;
	if (!s) {
		session_start(cm, place);
	} else if (s->sm) {
		if (s->hold && !s->resuming && what < 6)
			session_send(s);
		else
			step_sm(s, true);
	} else if (s->hold && what < 6) {
		session_send(s);
	} else if (s->hold && what < 9) {
		s->written = s->queued;
		hold_delivered(s->hold, s->written);
	} else if (s->hold && random() % 20 == 0) {
		hold_end(&s->hold, "over");
		cm->sessions[place] = NULL;
	}
}

/* Sessions that have lost their cm's table of them act too. */
static void step_any_sm(bool trouble)
{
	struct session *s = sim->nsessions ? sim->all[(size_t)random() % sim->nsessions] : NULL;

	if (s && s->sm)
		step_sm(s, trouble);
}

static void step_wire(int i)
{
	struct cm *cm = &sim->cms[i];
	struct slice frame;

	if (!cm->up) {
		hello(i);
		return;
	}
	switch (random() % 4) {
	case 0:
		if (cm->to_router.tail - cm->to_router.head < WIRE &&
		    link_next(cm->link, random() % 2, &frame)) {
			wire_put(&cm->to_router, frame);
			link_sent(cm->link);
		}
		break;
	case 1:
		if (cm->from_router.tail - cm->from_router.head < WIRE &&
		    link_next(sim->peers[i].link, random() % 2, &frame)) {
			wire_put(&cm->from_router, frame);
			link_sent(sim->peers[i].link);
		}
		break;
	case 2:
		if (cm->to_router.head != cm->to_router.tail)
			link_receive(sim->peers[i].link,
				     str_slice(&cm->to_router.frames[cm->to_router.head++ % WIRE]),
				     router_record, cm);
		break;
	default:
		if (cm->from_router.head != cm->from_router.tail)
			link_receive(
				cm->link,
				str_slice(&cm->from_router.frames[cm->from_router.head++ % WIRE]),
				cm_record, cm);
		break;
	}
}

/* Sessions whose client never learned that it can resume, or will never come back. */
static void expire(void *ctx, struct endpoint *ep)
{
	bool trouble = ctx != NULL;
	const struct session *s = session_of(endpoint_sid(ep));

	if ((s->enabled && !s->gone) || (trouble && !s->gone))
		return;
	if (trouble && monotime_ms_between(endpoint_detached_at(ep), sim->now) < GIVE_UP)
		return;
	route_table_unbind(sim->names, endpoint_sid(ep));
	endpoint_release(ep);
	endpoint_remove(sim->custody, ep, "gone");
}

static void step_router(bool trouble)
{
	struct session *s = sim->nsessions ? sim->all[(size_t)random() % sim->nsessions] : NULL;
	struct endpoint *ep;
	struct slice blob = slice_of("0123456789", 1 + (size_t)(random() % 10));

	if (trouble && !sim->barrier)
		custody_each_detached(sim->custody, expire, sim);
	ep = s ? endpoint_find(sim->custody, s->sid) : NULL;
	if (!ep || endpoint_ended(ep) || random() % 20)
		return;
	endpoint_set_blob(sim->custody, ep, blob);
	if (endpoint_owner(ep))
		link_put_blob(custody_peer_link(endpoint_owner(ep)),
			      &(struct msg_blob){.sid = s->sid, .blob = blob});
}

static void step(bool trouble)
{
	int i = (int)(random() % CMS);

	sim->now.us += STEP_US;
	switch (random() % 8) {
	case 0:
	case 1:
		if (trouble)
			step_cm(&sim->cms[i]);
		step_any_sm(trouble);
		break;
	case 2:
		barrier_check();
		resumes_check();
		custody_turn(sim->custody);
		step_store();
		step_fetch();
		step_router(trouble);
		if (random() % 20 == 0)
			custody_spool(sim->custody, sim->now, 50);
		break;
	case 3:
		step_store();
		if (trouble && !is_fragile() && random() % 60 == 0)
			router_kill();
		else if (trouble && !sim->restoring && random() % 60 == 0)
			cm_kill(&sim->cms[i]);
		else if (trouble && random() % 30 == 0)
			sim->cms[i].up = false; /* the connection broke, both ends live */
		else if (trouble && random() % 200 == 0)
			sim->store_down = (unsigned int)random() % 200;
		break;
	default:
		step_wire(i);
		break;
	}
}

/* Everybody reads and nobody dies until nothing moves any more. */
static void quiesce(void)
{
	for (int round = 0; round < 400; round++) {
		for (int k = 0; k < 60; k++)
			step(false);
		if (!sim->restoring)
			custody_each_detached(sim->custody, expire, NULL);
		for (size_t i = 0; i < sim->nsessions; i++) {
			struct session *s = sim->all[i];

			if (s->hold && s->sm) {
				client_reads(s, STREAM);
				client_acks(s);
			}
			if (s->hold)
				hold_delivered(s->hold, s->queued);
		}
	}
}

/* What became of stanza n of s, against what should have. */
static void expect_times(const struct session *s, uint64_t n, const char *what, int times,
			 int expected)
{
	const struct message *m = &s->sent[n];

	if (times != expected)
		fail_msg("%s %d times, not %d: n %llu of s%u (sm %d) to %u and %u, settled %u, "
			 "received %u %u, judged %u",
			 what, times, expected, (unsigned long long)n, (unsigned int)index_of(s),
			 s->sm, (unsigned int)m->to, (unsigned int)m->also, m->settled, m->received,
			 m->received_also, m->judged);
}

/* Of copies one is enough, if the receiver of the other is gone. */
static void ledger_copies(const struct session *s, uint64_t n)
{
	const struct message *m = &s->sent[n];
	bool first = !sim->all[m->to]->gone, second = !sim->all[m->also]->gone;

	if (m->judged)
		return;
	if (first && second)
		expect_times(s, n, "received as copies", m->received + m->received_also, 2);
	else if ((first || second) && m->received + m->received_also == 0)
		expect_times(s, n, "received as copies", 0, 1);
}

/* Whatever became of the message itself. */
static void ledger_bystander(const struct session *s, uint64_t n)
{
	const struct message *m = &s->sent[n];

	if (m->instead && !m->copied && !m->received && !m->received_also)
		expect_times(s, n, "instead of it a copy", 0, 1);
	if (m->copy_due && !m->copy_loose && !bystander(s, n)->gone)
		expect_times(s, n, "seen by a bystander", m->copied, 1);
}

/* A client that always comes back: everything it sent is somewhere. */
static void ledger_sm(const struct session *s)
{
	assert_non_null(s->hold);
	assert_int_equal(hold_unsettled(s->hold), 0);
	assert_int_equal(hold_h(s->hold), s->nsent);
	for (uint64_t n = 1; n <= s->nsent; n++) {
		ledger_bystander(s, n);
		if (s->sent[n].to == SERVER) {
			if (!s->sent[n].judged)
				expect_times(s, n, "answered", s->sent[n].answered, 1);
			continue;
		}
		if (s->sent[n].also != 0xffff)
			ledger_copies(s, n);
		else if (sim->all[s->sent[n].to]->enabled && !sim->all[s->sent[n].to]->gone &&
			 !s->sent[n].judged)
			expect_times(s, n, "received", s->sent[n].received, 1);
	}
}

static void ledger(void)
{
	const struct custody_books *b = custody_books(sim->custody);

	for (size_t i = 0; i < sim->nsessions; i++) {
		struct session *s = sim->all[i];

		if (s->sm && s->enabled && !s->gone)
			ledger_sm(s);
		if (!s->hold || s->sm)
			continue; /* ended or killed: nobody was promised a report */
		assert_int_equal(hold_unsettled(s->hold), 0);
		assert_int_equal(hold_reported(s->hold), 0);
		for (uint64_t n = 1; n <= s->nsent; n++) {
			struct session *to =
				s->sent[n].to == SERVER ? NULL : sim->all[s->sent[n].to];

			assert_int_not_equal(s->sent[n].settled, 0);
			ledger_bystander(s, n);
			if (!to) {
				expect_times(s, n, "answered", s->sent[n].answered, 1);
				continue;
			}
			if (s->sent[n].instead)
				continue;
			/* Written before <enabled/> to a client that then lost its connection. */
			if (to && to->sm && s->sent[n].judged)
				continue;
			if (s->sent[n].also != 0xffff)
				ledger_copies(s, n);
			else if (s->sent[n].settled == SETTLED_DELIVERED)
				expect_times(s, n, "received", s->sent[n].received, 1);
			else if (to && to->hold && s->sent[n].settled != SETTLED_STORED)
				expect_times(s, n, "received", s->sent[n].received, 0);
		}
	}
	for (int i = 0; i < CMS; i++) {
		assert_int_equal(hold_total(sim->cms[i].hold), 0);
		assert_int_equal(hold_books_difference(hold_books(sim->cms[i].hold)), 0);
	}
	assert_int_equal(b->held, 0);
	assert_int_equal(b->held_bytes, 0);
	assert_int_equal(b->queued, 0);
	assert_int_equal(b->paged, 0);
	assert_int_equal(shelf_synced(sim->shelf), shelf_last(sim->shelf));
	assert_int_equal(sim->rows.count, 0);
	books_balance();
}

static void rows_free(void)
{
	size_t it = 0;
	void *value;

	while (map_next(&sim->rows, &it, NULL, &value))
		blob_unref((struct blob **)&value);
	map_clear(&sim->rows);
}

static void sim_free(void)
{
	while (sim->conns) {
		struct conn *conn = sim->conns;

		sim->conns = conn->next;
		free(conn);
	}
	custody_free(&sim->custody);
	shelf_free(&sim->shelf);
	rows_free();
	str_clear(&sim->flying);
	route_table_free(&sim->names);
	for (int i = 0; i < CMS; i++) {
		link_free(&sim->peers[i].link);
		hold_free(&sim->cms[i].hold);
		link_free(&sim->cms[i].link);
		wire_free(&sim->cms[i].to_router);
		wire_free(&sim->cms[i].from_router);
	}
	for (size_t i = 0; i < sim->nsessions; i++)
		free(sim->all[i]);
	for (size_t i = 0; i < 4096; i++)
		str_clear(&sim->kept[i]);
	free(sim);
}

static void run(unsigned int seed)
{
	srandom(seed);
	sim = calloc(1, sizeof(*sim));
	map_init(&sim->rows);
	str_init(&sim->flying);
	for (int i = 0; i < CMS; i++) {
		for (size_t k = 0; k < WIRE; k++) {
			str_init(&sim->cms[i].to_router.frames[k]);
			str_init(&sim->cms[i].from_router.frames[k]);
		}
		cm_start(&sim->cms[i]);
	}
	for (size_t i = 0; i < 4096; i++)
		str_init(&sim->kept[i]);
	router_start();
	for (int i = 0; i < 3000; i++)
		step(true);
	quiesce();
	ledger();
	sim_free();
}

static void nothing_is_lost_doubled_or_overtaken_from_any_seed(void **state)
{
	const char *one = getenv("SIM_SEED"), *many = getenv("SIM_SEEDS");
	unsigned int count = many ? (unsigned int)atoi(many) : 300;

	(void)state;
	log_open("sim", STDERR_FILENO, LOG_LEVEL_WARN, false);
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
		cmocka_unit_test(nothing_is_lost_doubled_or_overtaken_from_any_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
