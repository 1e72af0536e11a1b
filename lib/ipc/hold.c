#include "ipc/hold.h"

#include <stdlib.h>

#include "base/blob.h"
#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/xmem.h"
#include "ipc/hold_ring.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"

struct hold_session {
	struct list link; /* hold.sessions or hold.ended, in order of arrival */
	struct hold *hold;
	uint64_t sid;
	uint64_t epoch;
	uint8_t kind;
	uint8_t state; /* enum session_state */
	char *jid, *conn, *addr;
	struct blob *blob;
	void *stream; /* NULL once ended */

	struct hold_out out; /* accepted from the stream, not settled */
	size_t out_bytes;
	struct hold_in in;    /* from the router, not forgotten */
	uint64_t announced_q; /* numbers below were known to an earlier router */
	uint64_t told_seq;    /* ended: the link record that says so */

	/* XEP-0198 */
	bool enabling; /* ENABLE is out */
	bool enabled;
	bool want_resume;
	char *resume_id; /* NULL = cannot be resumed */
	uint32_t max_s;
	uint64_t in_base;  /* n at <enable/> */
	uint64_t out_base; /* the first q that the client counts */
	uint64_t held_n;   /* the router holds everything up to here */
};

struct hold {
	struct link *link; /* to the router; borrowed */
	const struct hold_events *events;
	struct map64 by_sid;
	struct list sessions;
	struct list ended;
	size_t total;
};

struct hold *hold_new(struct link *link, const struct hold_events *events)
{
	struct hold *h = xcalloc(1, sizeof(*h));

	h->link = link;
	h->events = events;
	map64_init(&h->by_sid);
	list_init(&h->sessions);
	list_init(&h->ended);
	return h;
}

static void session_free(struct hold_session *s)
{
	map64_remove(&s->hold->by_sid, s->sid);
	s->hold->total -= s->out_bytes;
	list_remove(&s->link);
	hold_out_clear(&s->out);
	hold_in_clear(&s->in);
	blob_unref(&s->blob);
	free(s->resume_id);
	free(s->jid);
	free(s->conn);
	free(s->addr);
	free(s);
}

void hold_free(struct hold **hp)
{
	struct hold *h = *hp;

	*hp = NULL;
	if (!h)
		return;
	list_each_safe (it, &h->sessions)
		session_free(list_entry(it, struct hold_session, link));
	list_each_safe (it, &h->ended)
		session_free(list_entry(it, struct hold_session, link));
	map64_clear(&h->by_sid);
	free(h);
}

/* An ended session is kept while it owes something: a settlement, a report not yet forgotten, or
 * the news of its end itself. */
static void free_if_done(struct hold_session *s)
{
	if (s->state == SESSION_ENDED && hold_out_empty(&s->out) && hold_in_reported(&s->in) == 0 &&
	    link_receipted(s->hold->link) >= s->told_seq)
		session_free(s);
}

void hold_sweep(struct hold *h)
{
	list_each_safe (it, &h->ended)
		free_if_done(list_entry(it, struct hold_session, link));
}

struct hold_session *hold_add(struct hold *h, uint64_t sid, uint64_t epoch, uint8_t kind,
			      struct slice jid, const char *conn, const char *addr, void *stream)
{
	struct hold_session *s = xcalloc(1, sizeof(*s));

	hold_sweep(h);
	check(!map64_find(&h->by_sid, sid));
	s->hold = h;
	s->sid = sid;
	s->epoch = epoch;
	s->kind = kind;
	s->jid = xstrndup(jid.data, jid.len);
	s->conn = xstrdup(conn);
	s->addr = xstrdup(addr);
	s->stream = stream;
	hold_out_init(&s->out);
	hold_in_init(&s->in);
	map64_put(&h->by_sid, sid, s);
	list_append(&h->sessions, &s->link);
	return s;
}

static struct hold *leave(struct hold_session **sp, uint8_t state)
{
	struct hold_session *s = *sp;

	*sp = NULL;
	s->stream = NULL;
	s->state = state;
	list_remove(&s->link);
	list_append(&s->hold->ended, &s->link);
	return s->hold;
}

void hold_end(struct hold_session **sp, const char *reason)
{
	struct hold_session *s = *sp;
	struct hold *h = leave(sp, SESSION_ENDED);

	/* What was not delivered never will be: the router judges it when it sees the UNBIND. */
	hold_in_drop_undelivered(&s->in);
	s->told_seq =
		link_put_unbind(h->link, &(struct msg_unbind){s->sid, s->epoch, slice_str(reason)});
	hold_sweep(h);
}

/* Keeps also the origins that the client may or may not have had: their numbers must stand. */
void hold_detach(struct hold_session **sp, const char *reason)
{
	struct hold_session *s = *sp;
	struct hold *h = leave(sp, SESSION_DETACHED);

	s->told_seq = link_put_detached(
		h->link, &(struct msg_detached){s->sid, s->epoch, slice_str(reason)});
}

void hold_closed(struct hold_session **sp)
{
	hold_end(sp, "closed");
}

/* Keeps one encoded record as stanza n and sends it. Also while the bus is down: a resumed link
 * sends it, a restarted one forgets it and hold_announce() sends it again. */
static uint64_t take(struct hold_session *s, uint16_t type, struct str *record)
{
	struct blob *b = blob_new(record->data, record->len);
	uint64_t n = hold_out_next(&s->out);

	str_clear(record);
	hold_out_add_take(&s->out, b);
	s->out_bytes += b->len;
	s->hold->total += b->len;
	link_put_encoded(s->hold->link, type, blob_slice(b));
	return n;
}

uint64_t hold_send(struct hold_session *s, struct msg_stanza *m)
{
	struct str record = STR_INIT;

	check(s->state == SESSION_LIVE);
	m->sid = s->sid;
	m->n = hold_out_next(&s->out);
	msg_stanza_put(&record, m);
	return take(s, MSG_STANZA, &record);
}

uint64_t hold_refuse(struct hold_session *s, uint8_t kind, uint8_t type, struct slice id,
		     const char *condition, const char *text)
{
	struct str record = STR_INIT;
	struct msg_refused m = {s->sid, hold_out_next(&s->out), kind,		type,
				id,	slice_str(condition),	slice_str(text)};

	check(s->state == SESSION_LIVE);
	msg_refused_put(&record, &m);
	return take(s, MSG_REFUSED, &record);
}

static void put_enable(const struct hold_session *s)
{
	link_put_enable(s->hold->link,
			&(struct msg_enable){s->sid, s->want_resume, s->max_s, s->in_base});
}

void hold_enable(struct hold_session *s, bool resume, uint32_t max_s)
{
	check(s->state == SESSION_LIVE && !s->enabling && !s->enabled);
	s->enabling = true;
	s->want_resume = resume;
	s->max_s = max_s;
	s->in_base = hold_out_next(&s->out) - 1;
	put_enable(s);
}

bool hold_is_enabled(const struct hold_session *s)
{
	return s->enabled;
}

bool hold_can_resume(const struct hold_session *s)
{
	return s->enabled && s->resume_id;
}

uint32_t hold_h(const struct hold_session *s)
{
	return s->held_n > s->in_base ? (uint32_t)(s->held_n - s->in_base) : 0;
}

uint64_t hold_unacked(const struct hold_session *s)
{
	uint64_t done = hold_in_done(&s->in);

	if (!s->enabled)
		return 0;
	return hold_in_next(&s->in) - (done > s->out_base ? done : s->out_base);
}

static void tell_delivered(struct hold_session *s, uint64_t upto);

enum err hold_acked(struct hold_session *s, uint32_t h, uint32_t *sent)
{
	uint64_t done = hold_in_done(&s->in), next = hold_in_next(&s->in), upto;
	uint64_t first = done > s->out_base ? done : s->out_base;
	uint32_t more = h - (uint32_t)(first - s->out_base); /* modulo 2^32 (XEP-0198 section 4) */

	*sent = (uint32_t)(next - s->out_base);
	if (!s->enabled || more > next - first)
		return ERR_RANGE;
	if (hold_in_deliver(&s->in, first + more - 1, &upto))
		tell_delivered(s, upto);
	return ERR_OK;
}

size_t hold_unsettled(const struct hold_session *s)
{
	return s->out_bytes;
}

size_t hold_total(const struct hold *h)
{
	return h->total;
}

size_t hold_reported(const struct hold_session *s)
{
	return hold_in_reported(&s->in);
}

static void tell_delivered(struct hold_session *s, uint64_t upto)
{
	link_put_delivered(s->hold->link, &(struct msg_delivered){s->sid, upto});
}

void hold_delivered(struct hold_session *s, uint64_t q)
{
	uint64_t upto;

	if (s->enabled && q >= s->out_base)
		q = s->out_base - 1; /* counted ones are the client's to acknowledge */
	if (hold_in_deliver(&s->in, q, &upto))
		tell_delivered(s, upto);
}

void hold_undeliverable(struct hold_session *s, uint64_t q, const char *reason)
{
	uint64_t upto;

	link_put_undeliverable(s->hold->link,
			       &(struct msg_undeliverable){s->sid, q, slice_str(reason)});
	if (hold_in_deliver_one(&s->in, q, &upto))
		tell_delivered(s, upto);
}

static void on_settled(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_settled m;
	size_t len;

	if (msg_settled_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)))
		return;
	len = hold_out_settle(&s->out, m.n);
	if (len == 0)
		return;
	s->out_bytes -= len;
	h->total -= len;
	if (s->stream && h->events->on_settled)
		h->events->on_settled(s->stream, m.n, m.how);
	/* The stream may have ended the session in that call. */
	if ((s = map64_find(&h->by_sid, m.sid)))
		free_if_done(s);
}

static void on_held(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_held m;

	if (msg_held_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)))
		return;
	if (m.n > s->held_n)
		s->held_n = m.n;
	if (s->stream && h->events->on_held)
		h->events->on_held(s->stream, m.n);
}

static void on_deliver(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_deliver m;
	uint64_t upto;
	bool repeat;

	if (msg_deliver_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)))
		return; /* a session that ended while this was under way: its UNBIND settles it */
	if (s->state != SESSION_LIVE)
		return;
	if (m.q != hold_in_next(&s->in)) {
		log_err(s->conn, "event=queue_gap sid=%016llx got=%llu expected=%llu",
			(unsigned long long)s->sid, (unsigned long long)m.q,
			(unsigned long long)hold_in_next(&s->in));
		return;
	}
	repeat = hold_in_has(&s->in, s->announced_q, m.origin_sid, m.origin_n);
	hold_in_add(&s->in, m.origin_sid, m.origin_n);
	if (repeat)
		log_warn(s->conn, "event=repeat sid=%016llx q=%llu", (unsigned long long)s->sid,
			 (unsigned long long)m.q);
	/* A counted number must be written, or the client's h would mean something else. */
	if (!repeat || s->enabled)
		h->events->on_deliver(s->stream, &m);
	else if (hold_in_deliver_one(&s->in, m.q, &upto))
		tell_delivered(s, upto);
}

static void on_forget(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_forget m;

	if (msg_forget_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)))
		return;
	hold_in_forget(&s->in, m.q);
	free_if_done(s);
}

static void on_enabled(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_enabled m;

	if (msg_enabled_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)) ||
	    s->state != SESSION_LIVE || !s->enabling)
		return;
	s->enabling = false;
	s->enabled = true;
	s->resume_id = m.resume_id.len ? xstrndup(m.resume_id.data, m.resume_id.len) : NULL;
	s->max_s = m.max_s;
	s->in_base = m.in_base;
	s->out_base = m.out_base;
	if (h->events->on_enabled)
		h->events->on_enabled(s->stream, m.resume_id, m.max_s);
}

static void on_detach(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_detach m;

	if (msg_detach_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)))
		return;
	if (s->state == SESSION_LIVE && s->epoch == m.epoch && h->events->on_detach)
		h->events->on_detach(s->stream);
}

static void on_released(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_released m;
	size_t bytes = 0;

	if (msg_released_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)) ||
	    s->state != SESSION_DETACHED || s->epoch != m.epoch)
		return;
	s->state = SESSION_ENDED;
	hold_in_rewind(&s->in, m.q);
	hold_out_drop_after(&s->out, m.seen_n, &bytes);
	s->out_bytes -= bytes;
	h->total -= bytes;
	free_if_done(s);
}

/* The same session again in this process: what it owes is kept. */
static struct hold_session *revive(struct hold_session *s, const struct msg_resumed *m,
				   const char *conn, const char *addr, void *stream)
{
	size_t bytes = 0;

	hold_out_drop_after(&s->out, m->own_n, &bytes);
	s->out_bytes -= bytes;
	s->hold->total -= bytes;
	hold_out_skip_to(&s->out, m->seen_n + 1);
	hold_in_rewind(&s->in, m->next_q - 1);
	free(s->conn);
	free(s->addr);
	free(s->resume_id);
	s->conn = xstrdup(conn);
	s->addr = xstrdup(addr);
	s->stream = stream;
	s->epoch = m->epoch;
	s->state = SESSION_LIVE;
	list_remove(&s->link);
	list_append(&s->hold->sessions, &s->link);
	return s;
}

struct hold_session *hold_add_resumed(struct hold *h, const struct msg_resumed *m, const char *conn,
				      const char *addr, void *stream)
{
	struct hold_session *s = map64_find(&h->by_sid, m->sid);

	if (s) {
		check(s->state != SESSION_LIVE);
		revive(s, m, conn, addr, stream);
	} else {
		s = hold_add(h, m->sid, m->epoch, SESSION_CLIENT, m->jid, conn, addr, stream);
		hold_out_start(&s->out, m->seen_n + 1);
		hold_in_start(&s->in, m->next_q);
	}
	s->enabled = true;
	s->enabling = false;
	s->resume_id = xstrndup(m->resume_id.data, m->resume_id.len);
	s->max_s = m->max_s;
	s->in_base = m->in_base;
	s->out_base = m->out_base;
	s->held_n = m->seen_n;
	blob_unref(&s->blob);
	s->blob = blob_new(m->blob.data, m->blob.len);
	return s;
}

static void on_blob(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_blob m;

	if (msg_blob_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)))
		return;
	blob_unref(&s->blob);
	s->blob = blob_new(m.blob.data, m.blob.len);
}

bool hold_record(struct hold *h, uint16_t type, struct slice body)
{
	switch (type) {
	case MSG_DELIVER:
		on_deliver(h, body);
		return true;
	case MSG_SETTLED:
		on_settled(h, body);
		return true;
	case MSG_HELD:
		on_held(h, body);
		return true;
	case MSG_FORGET:
		on_forget(h, body);
		return true;
	case MSG_ENABLED:
		on_enabled(h, body);
		return true;
	case MSG_DETACH:
		on_detach(h, body);
		return true;
	case MSG_RELEASED:
		on_released(h, body);
		return true;
	case MSG_BLOB:
		on_blob(h, body);
		return true;
	default:
		return false;
	}
}

static void announce_one(struct hold_session *s, struct link *l)
{
	struct msg_announce m = {
		.sid = s->sid,
		.epoch = s->epoch,
		.kind = s->kind,
		.state = s->state,
		.sent_n = hold_out_next(&s->out) - 1,
		.base_q = hold_in_base(&s->in),
		.next_q = hold_in_next(&s->in),
		.jid = slice_str(s->jid),
		.conn = slice_str(s->conn),
		.addr = slice_str(s->addr),
		.resume_id = slice_str(s->resume_id),
		.max_s = s->enabled ? s->max_s : 0,
		.in_base = s->in_base,
		.out_base = s->enabled ? s->out_base : 0,
		.blob = blob_slice(s->blob),
	};
	uint64_t seq = link_put_announce(l, &m);

	for (uint64_t q = m.base_q; q < m.next_q; q++) {
		const struct hold_have *have = hold_in_get(&s->in, q);

		link_put_announce_have(l, &(struct msg_announce_have){s->sid, q, have->origin_sid,
								      have->origin_n,
								      have->delivered});
	}
	s->announced_q = m.next_q;
	if (s->state != SESSION_LIVE)
		s->told_seq = seq;
}

static uint32_t announce_list(const struct list *sessions, struct link *l)
{
	uint32_t count = 0;

	list_each (it, sessions) {
		announce_one(list_entry(it, struct hold_session, link), l);
		count++;
	}
	return count;
}

static uint32_t resend_list(const struct list *sessions, struct link *l)
{
	uint32_t count = 0;
	struct blob *b;

	list_each (it, sessions) {
		struct hold_session *s = list_entry(it, struct hold_session, link);
		uint64_t n = 0;

		while (hold_out_each(&s->out, &n, &b)) {
			struct slice in = blob_slice(b), body;
			uint16_t type;

			check(codec_next(&in, &type, &body) == ERR_OK);
			link_put_encoded(l, type, blob_slice(b));
			count++;
		}
		if (s->enabling)
			put_enable(s);
	}
	return count;
}

void hold_announce(struct hold *h)
{
	struct link *l = h->link;
	uint32_t sessions, resent;

	sessions = announce_list(&h->ended, l) + announce_list(&h->sessions, l);
	link_put_announce_end(l, &(struct msg_announce_end){sessions});
	resent = resend_list(&h->ended, l) + resend_list(&h->sessions, l);
	link_put_resend_end(l, &(struct msg_resend_end){resent});
	log_info("hold", "event=announced sessions=%u resent=%u", sessions, resent);
}

uint64_t hold_sid(const struct hold_session *s)
{
	return s->sid;
}

uint64_t hold_epoch(const struct hold_session *s)
{
	return s->epoch;
}

struct hold_session *hold_find(const struct hold *h, uint64_t sid)
{
	return map64_find(&h->by_sid, sid);
}
