/*
 * custody_bed - custody by hand with a shelf: a router's end, the connection managers' ends of
 * their links, and a table that stands for the datastore. What each manager got and what is in the
 * table are compared as text. custody_free() and a new custody on the same table = a router that
 * was killed.
 */
#ifndef TEST_CUSTODY_BED_H
#define TEST_CUSTODY_BED_H

#include <stdio.h>
#include <stdlib.h>

#include "base/blob.h"
#include "ipc/db_pack.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/shelf.h"
#include "tests/support/cmocka_first.h"

#define BED_CMS	  3
#define BED_ROWS  64
#define UNLIMITED ((struct custody_limits){.flight = 1 << 20, .queue = 1 << 20, .memory = 1 << 20})

struct bed_row {
	uint64_t sid, n;
	uint8_t kind;
	struct blob *body; /* NULL = free */
};

struct bed_cm {
	struct link *link; /* the router's end */
	struct link *far;
	struct custody_peer *peer;
	struct str text; /* what it got */
	bool deaf;	 /* nothing reaches it */
};

struct bed {
	struct custody *c;
	struct shelf *shelf;
	uint64_t boot;
	struct custody_limits limits;
	struct bed_cm cm[BED_CMS];
	struct bed_row rows[BED_ROWS];
	struct str judged, rows_text;
};

static inline void bed_undelivered(void *ctx, struct custody_entry *e, uint64_t sid,
				   const struct session_stanza *s, const char *reason)
{
	struct bed *b = ctx;

	(void)e;
	str_addf(&b->judged, "%d:%.*s:%s;", (int)sid, SLICE_ARG(s->inner), reason);
}

static inline void bed_deliver_text(struct bed_cm *cm, const struct msg_deliver *m)
{
	str_addf(&cm->text, "DELIVER %d q%d %.*s;", (int)m->sid, (int)m->q, SLICE_ARG(m->inner));
}

static inline void bed_resumed_text(struct bed_cm *cm, const struct msg_resumed *m)
{
	str_addf(&cm->text, "RESUMED %d epoch%d seen%d own%d in%d out%d q%d;", (int)m->sid,
		 (int)m->epoch, (int)m->seen_n, (int)m->own_n, (int)m->in_base, (int)m->out_base,
		 (int)m->next_q);
}

static inline void bed_on_record(void *arg, uint16_t type, struct slice body)
{
	struct bed_cm *cm = arg;
	struct msg_deliver d;
	struct msg_settled s;
	struct msg_settled_run run;
	struct msg_forget f;
	struct msg_held h;
	struct msg_enabled en;
	struct msg_resumed r;
	struct msg_released rel;
	struct msg_resume_have had;
	struct msg_detach det;

	if (type == MSG_DELIVER && msg_deliver_get(body, &d) == ERR_OK)
		bed_deliver_text(cm, &d);
	else if (type == MSG_SETTLED && msg_settled_get(body, &s) == ERR_OK)
		str_addf(&cm->text, "SETTLED %d n%d how%d;", (int)s.sid, (int)s.n, s.how);
	else if (type == MSG_SETTLED_RUN && msg_settled_run_get(body, &run) == ERR_OK)
		str_addf(&cm->text, "SETTLED %d n%d-%d how%d;", (int)run.sid, (int)run.first,
			 (int)run.last, run.how);
	else if (type == MSG_FORGET && msg_forget_get(body, &f) == ERR_OK)
		str_addf(&cm->text, "FORGET %d q%d;", (int)f.sid, (int)f.q);
	else if (type == MSG_HELD && msg_held_get(body, &h) == ERR_OK)
		str_addf(&cm->text, "HELD %d n%d;", (int)h.sid, (int)h.n);
	else if (type == MSG_ENABLED && msg_enabled_get(body, &en) == ERR_OK)
		str_addf(&cm->text, "ENABLED %d out%d;", (int)en.sid, (int)en.out_base);
	else if (type == MSG_RESUMED && msg_resumed_get(body, &r) == ERR_OK)
		bed_resumed_text(cm, &r);
	else if (type == MSG_RELEASED && msg_released_get(body, &rel) == ERR_OK)
		str_addf(&cm->text, "RELEASED %d epoch%d seen%d q%d;", (int)rel.sid, (int)rel.epoch,
			 rel.seen_n == UINT64_MAX - 1 ? -1 : (int)rel.seen_n, (int)rel.q);
	else if (type == MSG_RESUME_HAVE && msg_resume_have_get(body, &had) == ERR_OK)
		str_addf(&cm->text, "HAD %d q%d;", (int)had.sid, (int)had.q);
	else if (type == MSG_DETACH && msg_detach_get(body, &det) == ERR_OK)
		str_addf(&cm->text, "DETACH %d epoch%d;", (int)det.sid, (int)det.epoch);
	else
		str_addf(&cm->text, "type%d;", type);
}

/* One loop turn; everything moves both ways, so receipts are known at the next one. */
static inline void bed_turn(struct bed *b)
{
	struct slice frame;

	custody_turn(b->c);
	for (int i = 0; i < BED_CMS; i++) {
		struct bed_cm *cm = &b->cm[i];

		if (!cm->link || cm->deaf)
			continue;
		while (link_next(cm->link, false, &frame)) {
			assert_int_equal(link_receive(cm->far, frame, bed_on_record, cm), ERR_OK);
			link_sent(cm->link);
		}
		if (link_next(cm->far, true, &frame)) {
			link_receive(cm->link, frame, bed_on_record, cm);
			link_sent(cm->far);
		}
	}
}

/* What cm got since it was asked last. */
#define bed_got(b, i, expected)                                      \
	do {                                                         \
		assert_string_equal((b)->cm[i].text.data, expected); \
		str_reset(&(b)->cm[i].text);                         \
	} while (0)

#define expect(b, i, expected)           \
	do {                             \
		bed_turn(b);             \
		bed_got(b, i, expected); \
	} while (0)

/* ---- the datastore ---- */

static inline struct bed_row *bed_row(struct bed *b, uint64_t sid, uint8_t kind, uint64_t n)
{
	for (size_t i = 0; i < BED_ROWS; i++) {
		struct bed_row *r = &b->rows[i];

		if (r->body && r->sid == sid && r->kind == kind && r->n == n)
			return r;
	}
	return NULL;
}

static inline void bed_row_put(struct bed *b, uint64_t sid, uint8_t kind, uint64_t n,
			       struct slice body)
{
	struct bed_row *r = bed_row(b, sid, kind, n);

	for (size_t i = 0; !r && i < BED_ROWS; i++)
		if (!b->rows[i].body)
			r = &b->rows[i];
	assert_non_null(r);
	blob_unref(&r->body);
	*r = (struct bed_row){sid, n, kind, blob_new(body.data, body.len)};
}

static inline void bed_apply(struct bed *b, struct slice changes)
{
	struct db_shelf_change c;
	struct bed_row *r;

	while (changes.len && db_shelf_change_get(&changes, &c)) {
		if (c.op == SHELF_PUT)
			bed_row_put(b, c.sid, c.kind, c.n, c.body);
		else if ((r = bed_row(b, c.sid, c.kind, c.n)))
			blob_unref(&r->body);
	}
}

/* Everything that was put on the shelf is on disk now. */
static inline void bed_sync(struct bed *b)
{
	struct slice changes;
	bool only_deletes;

	while (shelf_next(b->shelf, &changes, &only_deletes)) {
		bed_apply(b, changes);
		shelf_done(b->shelf, true);
	}
}

/* Everything that custody wants back from there. */
static inline size_t bed_fetch(struct bed *b)
{
	struct custody_fetch f;
	size_t count = 0;

	for (; custody_next_fetch(b->c, &f); count++) {
		struct bed_row *r = bed_row(b, f.sid, f.kind, f.n);

		custody_fetched(b->c, f.id, r != NULL, r ? blob_slice(r->body) : SLICE_NONE);
	}
	return count;
}

static inline int bed_row_order(const void *x, const void *y)
{
	const struct bed_row *a = x, *b = y;

	if (!a->body || !b->body)
		return !a->body - !b->body;
	if (a->kind != b->kind)
		return a->kind - b->kind;
	if (a->sid != b->sid)
		return a->sid < b->sid ? -1 : 1;
	return a->n < b->n ? -1 : a->n > b->n;
}

/* "session 1;stanza 1 n2;answer 3 n1;" */
static inline const char *bed_rows(struct bed *b)
{
	static const char *const names[] = {"", "session", "stanza", "answer", "lost"};

	qsort(b->rows, BED_ROWS, sizeof(b->rows[0]), bed_row_order);
	str_reset(&b->rows_text);
	for (size_t i = 0; i < BED_ROWS && b->rows[i].body; i++) {
		const struct bed_row *r = &b->rows[i];

		str_addf(&b->rows_text, "%s %d", names[r->kind], (int)r->sid);
		if (r->kind != SHELF_SESSION)
			str_addf(&b->rows_text, " n%d", (int)r->n);
		str_adds(&b->rows_text, ";");
	}
	return b->rows_text.data;
}

/* ---- processes ---- */

static inline void bed_cm_start(struct bed *b, int i)
{
	struct bed_cm *cm = &b->cm[i];

	cm->link = link_new(b->boot, 1 << 20, 1 << 16);
	cm->far = link_new(500 + (uint64_t)i, 1 << 20, 1 << 16);
	link_restart(cm->link, 500 + (uint64_t)i);
	link_restart(cm->far, b->boot);
	cm->peer = custody_peer_add(b->c, cm->link);
	cm->deaf = false;
	str_reset(&cm->text);
}

static inline void bed_cm_free(struct bed_cm *cm)
{
	link_free(&cm->link);
	link_free(&cm->far);
}

static inline void bed_cm_dies(struct bed *b, int i)
{
	custody_peer_dead(b->c, &b->cm[i].peer, "gone", (struct monotime){0});
	bed_cm_free(&b->cm[i]);
}

static inline void bed_router_start(struct bed *b, struct custody_limits limits)
{
	b->boot++;
	b->c = custody_new(b->boot, limits, bed_undelivered, b);
	b->shelf = shelf_new();
	custody_set_shelf(b->c, b->shelf, 0);
	for (int i = 0; i < BED_CMS; i++)
		bed_cm_start(b, i);
}

static inline void bed_router_ends(struct bed *b)
{
	const struct custody_books *books = custody_books(b->c);
	uint64_t done = books->held;

	for (int how = 0; how <= SETTLED_DISCARDED; how++)
		done += books->settled[how];
	assert_int_equal(books->accepted + books->announced + books->generated, done);
	custody_free(&b->c);
	shelf_free(&b->shelf);
	for (int i = 0; i < BED_CMS; i++)
		bed_cm_free(&b->cm[i]);
}

/* Killed: what is not on disk is gone. The next one takes announcements. */
static inline void bed_router_dies(struct bed *b)
{
	bed_router_ends(b);
	bed_router_start(b, b->limits);
}

static inline struct bed *bed_new(struct custody_limits limits)
{
	struct bed *b = calloc(1, sizeof(*b));

	str_init(&b->judged);
	str_init(&b->rows_text);
	for (int i = 0; i < BED_CMS; i++)
		str_init(&b->cm[i].text);
	b->boot = 76;
	b->limits = limits;
	bed_router_start(b, limits);
	return b;
}

/* A router that has just started, and one whose announcements are all in. */
static inline int bed_setup_starting(void **state)
{
	*state = bed_new(UNLIMITED);
	return 0;
}

static inline int bed_setup(void **state)
{
	bed_setup_starting(state);
	custody_restored(((struct bed *)*state)->c);
	return 0;
}

static inline int bed_teardown(void **state)
{
	struct bed *b = *state;

	bed_router_ends(b);
	for (size_t i = 0; i < BED_ROWS; i++)
		blob_unref(&b->rows[i].body);
	for (int i = 0; i < BED_CMS; i++)
		str_clear(&b->cm[i].text);
	str_clear(&b->judged);
	str_clear(&b->rows_text);
	free(b);
	return 0;
}

/* ---- sessions and stanzas ---- */

static inline struct endpoint *client(struct bed *b, int cm, uint64_t sid)
{
	return endpoint_add(b->c, b->cm[cm].peer, sid, 1, SESSION_CLIENT, 1,
			    slice_str("a@x.test/r"));
}

/* One that can be resumed. */
static inline struct endpoint *sm_client(struct bed *b, int cm, uint64_t sid)
{
	struct endpoint *ep = client(b, cm, sid);
	char id[24];

	snprintf(id, sizeof(id), "id%d", (int)sid);
	endpoint_enable(b->c, ep, 0, 300, slice_str(id));
	bed_turn(b);
	str_reset(&b->cm[cm].text);
	return ep;
}

static inline struct session_stanza text(const char *inner)
{
	return (struct session_stanza){.kind = STANZA_MESSAGE, .inner = slice_str(inner)};
}

static inline struct custody_entry *accept_from(struct bed *b, struct endpoint *from, uint64_t n)
{
	struct bed_cm *cm = &b->cm[0];

	for (int i = 0; i < BED_CMS; i++)
		if (b->cm[i].peer == endpoint_owner(from))
			cm = &b->cm[i];
	return custody_accept(b->c, cm->peer, from, n, 10, false);
}

/* Stanza n of `from`, to one or two sessions; then handled. */
static inline void send_to(struct bed *b, struct endpoint *from, uint64_t n, const char *inner,
			   struct endpoint *first, struct endpoint *second)
{
	struct custody_entry *e = accept_from(b, from, n);
	struct session_stanza s = text(inner);

	assert_non_null(e);
	custody_deliver(b->c, e, first, &s);
	if (second)
		custody_deliver(b->c, e, second, &s);
	custody_handled(b->c, e);
}

static inline struct endpoint *bed_heir(void *ctx, struct endpoint *ep, uint64_t digest)
{
	(void)ep;
	(void)digest;
	return ctx;
}

/* Its domain has another session, sid, which gets what *ep was not delivered. */
static inline void take_over(struct bed *b, struct endpoint **ep, int cm, uint64_t sid)
{
	struct endpoint *to =
		endpoint_add(b->c, b->cm[cm].peer, sid, 1, SESSION_DOMAIN, 1, endpoint_jid(*ep));

	endpoint_hand_over(b->c, *ep, bed_heir, to);
	endpoint_remove(b->c, *ep, "gone");
	*ep = to;
}

static inline void detach(struct bed *b, struct endpoint *ep)
{
	endpoint_detach(b->c, ep, (struct monotime){0});
}

static inline void have(struct bed *b, struct endpoint *ep, uint64_t q, uint64_t origin_sid,
			uint64_t origin_n, bool delivered)
{
	endpoint_have(
		b->c, ep,
		&(struct msg_announce_have){endpoint_sid(ep), q, origin_sid, origin_n, delivered});
}

#endif
