/*
 * A simulated instance: one router (custody) and three connection managers (hold) with two sessions
 * each, joined by links over wires that lose everything in flight when an end dies. From a seed,
 * sessions write to each other while the router and the managers are killed and come back. No
 * process, no socket, no clock: SIM_SEED=n replays one run, SIM_SEEDS=n says how many.
 *
 * The ledger at the end: what a surviving sender saw settled as delivered was received exactly once
 * and in order by a session that never knew more than one manager; what was bounced or discarded
 * was not received; nothing is held and the books balance.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "ipc/hold.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/route_table.h"
#include "tests/support/cmocka_first.h"

#define CMS	 3
#define PER_CM	 2
#define MESSAGES 400 /* one session's, at the most */
#define SESSIONS 2000
#define WIRE	 256

struct message {
	uint16_t to;	 /* index of the session it is for; 0xffff = nobody known */
	uint8_t settled; /* enum settled, 0 = not yet */
	uint8_t received;
	uint8_t judged; /* a router found nobody to deliver it to; the next one may find somebody,
			 * later than what was sent after it: out of order, but told to nobody */
};

/* One session, from its bind to its end. Never reused. */
struct session {
	uint64_t sid;
	struct hold_session *hold; /* NULL = ended */
	struct cm *cm;
	bool was_killed;
	struct message sent[MESSAGES + 1]; /* by n */
	uint64_t nsent;
	uint64_t last_from[SESSIONS]; /* the newest n had of each sender: order */
	uint64_t written, queued;     /* q at the stream */
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
	struct wire to_router, from_router;
	struct session *sessions[PER_CM];
};

struct router_peer_sim {
	struct link *link;
	struct custody_peer *custody;
	bool announced, resent;
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
	struct cm *receiving;
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

/* ---- connection manager ---- */

static void on_deliver(void *stream, const struct msg_deliver *m)
{
	struct session *s = stream, *from = session_of(m->origin_sid);
	uint64_t n = m->origin_n;

	s->queued = m->q;
	assert_non_null(from);
	if (m->type == TYPE_ERROR)
		return;
	assert_int_equal(from->sent[n].received, 0);  /* seen twice */
	assert_true(from->sent[n].to == index_of(s)); /* led to somebody else */
	if (!from->sent[n].judged) {
		assert_true(s->last_from[index_of(from)] < n); /* overtaken */
		s->last_from[index_of(from)] = n;
	}
	from->sent[n].received = 1;
}

static void on_settled(void *stream, uint64_t n, uint8_t how)
{
	struct session *s = stream;

	assert_int_equal(s->sent[n].settled, 0); /* settled twice */
	s->sent[n].settled = how;
}

static const struct hold_events hold_events = {.on_deliver = on_deliver, .on_settled = on_settled};

static void session_start(struct cm *cm, int place)
{
	struct session *s;

	if (sim->nsessions == SESSIONS)
		return;
	s = calloc(1, sizeof(*s));
	s->sid = 1000 + sim->nsessions;
	s->cm = cm;
	sim->all[sim->nsessions++] = s;
	cm->sessions[place] = s;
	link_put_bind(cm->link, &(struct msg_bind){.sid = s->sid, .jid = slice_str("s")});
}

static void cm_record(void *arg, uint16_t type, struct slice body)
{
	struct cm *cm = arg;
	struct msg_bound m;
	struct session *s;

	if (hold_record(cm->hold, type, body))
		return;
	assert_int_equal(type, MSG_BOUND);
	assert_int_equal(msg_bound_get(body, &m), ERR_OK);
	s = session_of(m.sid);
	if (!s->hold)
		s->hold = hold_add(cm->hold, m.sid, m.epoch, SESSION_CLIENT, m.jid, "c", "a", s);
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
	for (int i = 0; i < PER_CM; i++) {
		if (cm->sessions[i]) {
			cm->sessions[i]->hold = NULL;
			cm->sessions[i]->was_killed = true;
		}
		cm->sessions[i] = NULL;
	}
	hold_free(&cm->hold);
	link_free(&cm->link);
	wire_cut(&cm->to_router);
	wire_cut(&cm->from_router);
	cm_start(cm);
}

static void session_send(struct session *s)
{
	struct msg_stanza m = {.kind = STANZA_MESSAGE, .type = TYPE_CHAT};
	size_t to = (size_t)random() % sim->nsessions;
	char name[24];

	/* mostly to one of the living */
	for (int i = 0; i < 4 && !sim->all[to]->hold; i++)
		to = (size_t)random() % sim->nsessions;
	if (s->nsent == MESSAGES)
		return;
	snprintf(name, sizeof(name), "s%zu", to);
	m.to = slice_str(name);
	m.inner = slice_of("<body>0123456789012345678901234567890</body>", 12 + random() % 30);
	s->sent[++s->nsent].to = (uint16_t)to;
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

static void on_undelivered(void *ctx, struct custody_entry *e, uint64_t sid,
			   const struct session_stanza *s, const char *reason)
{
	(void)ctx;
	(void)sid;
	(void)s;
	(void)reason;
	bounce_to(session_of(custody_entry_sender(e)), custody_entry_number(e), e);
}

static void router_stanza(struct endpoint *ep, const struct msg_stanza *m, bool resent)
{
	struct custody_entry *e = custody_accept(sim->custody, ep, m->n, m->inner.len, resent);
	struct endpoint *to;

	if (!e)
		return;
	to = endpoint_find(sim->custody, route_table_find(sim->names, m->to));
	if (custody_was_delivered(sim->custody, m->sid, m->n))
		custody_conclude(e, SETTLED_DELIVERED);
	else if (custody_was_answered(sim->custody, e, ep))
		; /* its sender has had the error */
	else if (to && !endpoint_ended(to))
		custody_deliver(
			sim->custody, e, to,
			&(struct session_stanza){
				.kind = m->kind, .type = m->type, .to = m->to, .inner = m->inner});
	else
		bounce_to(session_of(m->sid), m->n, e);
	custody_handled(sim->custody, e);
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
	if (!endpoint_ended(ep))
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
	struct msg_announce m;
	struct endpoint *ep;

	assert_int_equal(msg_announce_get(body, &m), ERR_OK);
	ep = endpoint_add(sim->custody, p->custody, m.sid, m.epoch, m.kind, m.base_q, m.jid);
	assert_non_null(ep);
	if (m.ended)
		endpoint_remove(sim->custody, ep, "gone");
	else
		name_bind(m.sid);
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
	} m;
	struct endpoint *ep;

	if (type == MSG_ANNOUNCE) {
		router_announce(p, body);
	} else if (type == MSG_ANNOUNCE_HAVE) {
		assert_int_equal(msg_announce_have_get(body, &m.have), ERR_OK);
		endpoint_have(sim->custody, endpoint_find(sim->custody, m.have.sid), &m.have);
	} else if (type == MSG_ANNOUNCE_END) {
		p->announced = true;
	} else if (type == MSG_RESEND_END) {
		p->resent = true;
		custody_peer_each(p->custody, unbind_ended, NULL);
	} else if (type == MSG_BIND) {
		assert_int_equal(msg_bind_get(body, &m.bind), ERR_OK);
		endpoint_add(sim->custody, p->custody, m.bind.sid, 1, SESSION_CLIENT, 1,
			     m.bind.jid);
		name_bind(m.bind.sid);
		link_put_bound(p->link, &(struct msg_bound){m.bind.sid, 1, m.bind.jid});
	} else if (type == MSG_UNBIND) {
		assert_int_equal(msg_unbind_get(body, &m.unbind), ERR_OK);
		ep = endpoint_find(sim->custody, m.unbind.sid);
		assert_non_null(ep);
		session_over(NULL, ep);
		endpoint_remove(sim->custody, ep, "gone");
		endpoint_unbound(sim->custody, ep);
	} else if (type == MSG_STANZA) {
		assert_int_equal(msg_stanza_get(body, &m.stanza), ERR_OK);
		ep = endpoint_find(sim->custody, m.stanza.sid);
		assert_non_null(ep);
		router_stanza(ep, &m.stanza, !p->resent);
	} else if (type == MSG_DELIVERED) {
		assert_int_equal(msg_delivered_get(body, &m.delivered), ERR_OK);
		ep = endpoint_find(sim->custody, m.delivered.sid);
		if (ep)
			custody_delivered(sim->custody, ep, m.delivered.q);
	} else {
		fail_msg("unexpected record %s", codec_name(type));
	}
}

static void barrier_check(void)
{
	bool announced = true, resent = true;

	for (int i = 0; i < CMS; i++) {
		announced = announced && sim->peers[i].announced;
		resent = resent && sim->peers[i].resent;
	}
	if (sim->barrier && announced) {
		sim->barrier = false;
		for (size_t k = 0; k < sim->nkept; k++) {
			struct slice in = str_slice(&sim->kept[k]), body;
			uint16_t type;

			codec_next(&in, &type, &body);
			if (sim->kept_cm[k] >= 0)
				router_handle(sim->kept_cm[k], type, body);
		}
		sim->nkept = 0;
		for (int i = 0; i < CMS; i++)
			resent = resent && sim->peers[i].resent;
	}
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
	if (p->custody) {
		custody_peer_each(p->custody, session_over, NULL);
		custody_peer_dead(sim->custody, &p->custody, "gone", (struct monotime){0});
	}
	link_free(&p->link);
	*p = (struct router_peer_sim){0};
}

static void books_balance(void)
{
	const struct custody_books *b = custody_books(sim->custody);
	uint64_t done = b->held;

	for (int i = 0; i <= SETTLED_DISCARDED; i++)
		done += b->settled[i];
	assert_int_equal(b->accepted + b->announced + b->generated, done);
}

static void router_start(void)
{
	sim->router_boot = ++sim->next_boot;
	sim->custody = custody_new(sim->router_boot,
				   (struct custody_limits){.flight = 200, .queue = 1 << 20},
				   on_undelivered, NULL);
	sim->names = route_table_new();
	sim->barrier = sim->restoring = true;
	sim->nkept = 0;
}

static void router_kill(void)
{
	books_balance();
	custody_free(&sim->custody);
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
			if (cm->sessions[k] && !cm->sessions[k]->hold)
				link_put_bind(cm->link,
					      &(struct msg_bind){.sid = cm->sessions[k]->sid,
								 .jid = slice_str("s")});
		hold_announce(cm->hold);
	}
	cm->up = true;
}

/* ---- steps ---- */

static void step_cm(struct cm *cm)
{
	int place = (int)(random() % PER_CM);
	struct session *s = cm->sessions[place];
	long what = random() % 10;

	if (!s) {
		session_start(cm, place);
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

static void step(bool trouble)
{
	int i = (int)(random() % CMS);

	switch (random() % 8) {
	case 0:
	case 1:
		if (trouble)
			step_cm(&sim->cms[i]);
		break;
	case 2:
		barrier_check();
		custody_turn(sim->custody);
		break;
	case 3:
		if (trouble && random() % 60 == 0)
			router_kill();
		else if (trouble && random() % 60 == 0)
			cm_kill(&sim->cms[i]);
		else if (trouble && random() % 30 == 0)
			sim->cms[i].up = false; /* the connection broke, both ends live */
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
		for (size_t i = 0; i < sim->nsessions; i++) {
			struct session *s = sim->all[i];

			if (s->hold)
				hold_delivered(s->hold, s->queued);
		}
	}
}

static void ledger(void)
{
	const struct custody_books *b = custody_books(sim->custody);

	for (size_t i = 0; i < sim->nsessions; i++) {
		struct session *s = sim->all[i];

		if (!s->hold)
			continue; /* ended or killed: nobody was promised a report */
		assert_int_equal(hold_unsettled(s->hold), 0);
		assert_int_equal(hold_reported(s->hold), 0);
		for (uint64_t n = 1; n <= s->nsent; n++) {
			struct session *to =
				s->sent[n].to == 0xffff ? NULL : sim->all[s->sent[n].to];

			assert_int_not_equal(s->sent[n].settled, 0);
			if (s->sent[n].settled == SETTLED_DELIVERED)
				assert_int_equal(s->sent[n].received, 1);
			else if (to && to->hold)
				assert_int_equal(s->sent[n].received, 0);
		}
	}
	assert_int_equal(b->held, 0);
	assert_int_equal(b->held_bytes, 0);
	books_balance();
}

static void sim_free(void)
{
	custody_free(&sim->custody);
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
