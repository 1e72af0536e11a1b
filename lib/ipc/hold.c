#include "ipc/hold.h"

#include <stdlib.h>

#include "base/blob.h"
#include "base/check.h"
#include "base/log.h"
#include "base/xmem.h"
#include "ipc/hold_types.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"

struct hold *hold_new(struct link *link, const struct hold_events *events)
{
	struct hold *h = xcalloc(1, sizeof(*h));

	h->link = link;
	h->events = events;
	map64_init(&h->by_sid);
	map64_init(&h->had);
	list_init(&h->sessions);
	list_init(&h->ended);
	list_init(&h->waiting);
	str_init(&h->aside);
	return h;
}

static void session_free(struct hold_session *s)
{
	map64_remove(&s->hold->by_sid, s->sid);
	s->hold->total -= s->out_bytes;
	s->hold->books.unforgotten -= s->in_reported;
	list_remove(&s->link);
	list_remove(&s->waiting);
	hold_out_clear(&s->out);
	hold_in_clear(&s->in);
	blob_unref(&s->blob);
	free(s->unbind_reason);
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
	hold_had_clear(h);
	str_clear(&h->aside);
	free(h);
}

/* An ended session is kept while it owes something: a settlement, a report not yet forgotten, or
 * the news of its end itself. */
void hold_free_if_done(struct hold_session *s)
{
	if (s->state == SESSION_ENDED && hold_out_empty(&s->out) && hold_in_reported(&s->in) == 0 &&
	    link_receipted(s->hold->link) >= s->told_seq)
		session_free(s);
}

void hold_sweep(struct hold *h)
{
	list_each_safe (it, &h->ended)
		hold_free_if_done(list_entry(it, struct hold_session, link));
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
	list_init(&s->waiting);
	hold_out_init(&s->out);
	hold_in_init(&s->in);
	map64_put(&h->by_sid, sid, s);
	list_append(&h->sessions, &s->link);
	return s;
}

struct hold *hold_leave(struct hold_session **sp, uint8_t state)
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
	struct hold *h = hold_leave(sp, SESSION_ENDED);

	/* What was not delivered never will be: the router judges it when it sees the UNBIND. */
	hold_in_drop_undelivered(&s->in);
	if (s->wait_n) { /* UNBIND is the last record about it */
		s->told_seq = UINT64_MAX;
		s->unbind_reason = xstrdup(reason);
	} else {
		s->told_seq = link_put_unbind(
			h->link, &(struct msg_unbind){s->sid, s->epoch, slice_str(reason)});
	}
	hold_sweep(h);
}

void hold_closed(struct hold_session **sp)
{
	hold_end(sp, "closed");
}

/* Where the next stanza is encoded: on the link. Also while the bus is down: a resumed link sends
 * it, a restarted one forgets it and hold_announce() sends it again. */
static struct str *open_record(struct hold_session *s, size_t *at)
{
	struct str *out = s->wait_n ? &s->hold->aside : link_open_record(s->hold->link);

	*at = out->len;
	return out;
}

/* Keeps the record that begins at `at` as the next stanza and sends it. */
static uint64_t take(struct hold_session *s, uint16_t type, struct str *out, size_t at, bool secret)
{
	struct blob *b = blob_new(out->data + at, out->len - at);
	uint64_t n = hold_out_next(&s->out);

	if (secret)
		blob_set_secret(b);
	if (s->wait_n)
		str_clear(out);
	else
		link_close_record(s->hold->link, type);
	hold_out_add_take(&s->out, b);
	s->out_bytes += b->len;
	s->hold->total += b->len;
	s->hold->books.accepted++;
	s->hold->books.held++;
	return n;
}

uint64_t hold_send(struct hold_session *s, struct msg_stanza *m)
{
	struct str *out;
	size_t at;

	check(s->state == SESSION_LIVE);
	m->sid = s->sid;
	m->n = hold_out_next(&s->out);
	out = open_record(s, &at);
	msg_stanza_put(out, m);
	return take(s, MSG_STANZA, out, at, m->flags & STANZA_SECRET);
}

uint64_t hold_refuse(struct hold_session *s, uint8_t kind, uint8_t type, struct slice id,
		     const char *condition, const char *text)
{
	struct msg_refused m = {s->sid, hold_out_next(&s->out), kind,		type,
				id,	slice_str(condition),	slice_str(text)};
	struct str *out;
	size_t at;

	check(s->state == SESSION_LIVE);
	out = open_record(s, &at);
	msg_refused_put(out, &m);
	return take(s, MSG_REFUSED, out, at, false);
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

void hold_tell_delivered(struct hold_session *s, uint64_t upto)
{
	hold_count_reported(s);
	link_put_delivered(s->hold->link, &(struct msg_delivered){s->sid, upto});
}

void hold_delivered(struct hold_session *s, uint64_t q)
{
	uint64_t upto;

	if (s->enabled && q >= s->out_base)
		q = s->out_base - 1; /* counted ones are the client's to acknowledge */
	if (hold_in_deliver(&s->in, q, &upto))
		hold_tell_delivered(s, upto);
}

void hold_undeliverable(struct hold_session *s, uint64_t q, const char *reason)
{
	uint64_t upto;

	s->hold->books.undeliverable++;
	link_put_undeliverable(s->hold->link,
			       &(struct msg_undeliverable){s->sid, q, slice_str(reason)});
	hold_in_disown(&s->in, q); /* a new router must not take it for delivered */
	if (hold_in_deliver_one(&s->in, q, &upto))
		hold_tell_delivered(s, upto);
}

void hold_count_reported(struct hold_session *s)
{
	size_t now = hold_in_reported(&s->in);

	s->hold->books.unforgotten += now - s->in_reported;
	s->in_reported = now;
}

void hold_release_after(struct hold_session *s, uint64_t n)
{
	size_t bytes = 0, count = hold_out_drop_after(&s->out, n, &bytes);

	s->out_bytes -= bytes;
	s->hold->total -= bytes;
	s->hold->books.held -= count;
	s->hold->books.released += count;
	hold_wait_check(s);
}

/* Some of them may have been told before. */
static void settle_run(struct hold *h, struct msg_settled_run *m)
{
	struct hold_session *s;
	size_t count;

	while ((s = map64_find(&h->by_sid, m->sid))) {
		size_t bytes = 0;

		count = hold_out_settle(&s->out, &m->first, m->last, &bytes);
		if (count == 0)
			break;
		s->out_bytes -= bytes;
		h->total -= bytes;
		h->books.held -= count;
		h->books.settled[m->how < HOLD_BOOKS_HOW ? m->how : 0] += count;
		m->first += count;
		/* The stream may end the session in this call. */
		if (s->stream && h->events->on_settled)
			h->events->on_settled(s->stream, m->first - count, m->first - 1, m->how);
		else
			hold_free_if_done(s);
	}
	if (s)
		hold_free_if_done(s);
}

static void on_settled(struct hold *h, struct slice body)
{
	struct msg_settled m;

	if (msg_settled_get(body, &m) == ERR_OK)
		settle_run(h, &(struct msg_settled_run){m.sid, m.n, m.n, m.how});
}

static void on_settled_run(struct hold *h, struct slice body)
{
	struct msg_settled_run m;

	if (msg_settled_run_get(body, &m) == ERR_OK)
		settle_run(h, &m);
}

static void on_held(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_held m;

	if (msg_held_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)))
		return;
	/* A router that waits no longer for RESEND_END may say so of what is not on the link. */
	if (s->wait_n && m.n >= s->wait_n)
		m.n = s->wait_n - 1;
	if (m.n > s->held_n)
		s->held_n = m.n;
	if (m.n > s->boot_held_n)
		s->boot_held_n = m.n;
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
	h->books.deliveries++;
	h->books.repeats += repeat;
	if (repeat)
		log_warn(s->conn, "event=repeat sid=%016llx q=%llu", (unsigned long long)s->sid,
			 (unsigned long long)m.q);
	/* A counted number must be written, or the client's h would mean something else. */
	if (!repeat || s->enabled)
		h->events->on_deliver(s->stream, &m);
	else if (hold_in_deliver_one(&s->in, m.q, &upto))
		hold_tell_delivered(s, upto);
}

static void on_forget(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_forget m;

	if (msg_forget_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)))
		return;
	hold_in_forget(&s->in, m.q);
	hold_count_reported(s);
	hold_free_if_done(s);
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
	case MSG_SETTLED_RUN:
		on_settled_run(h, body);
		return true;
	case MSG_HELD:
		on_held(h, body);
		return true;
	case MSG_FORGET:
		on_forget(h, body);
		return true;
	case MSG_ENABLED:
		hold_on_enabled(h, body);
		return true;
	case MSG_DETACH:
		hold_on_detach(h, body);
		return true;
	case MSG_RESUME_HAVE:
		hold_on_resume_have(h, body);
		return true;
	case MSG_RELEASED:
		hold_on_released(h, body);
		return true;
	case MSG_TRY:
		hold_on_try(h, body);
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
		.state = s->moved ? SESSION_MOVED : s->state,
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
	uint64_t seq;

	/* What was sent before <enabled/> and not delivered is not announced when it has ended. */
	if (m.out_base > m.next_q)
		m.out_base = m.next_q;
	seq = link_put_announce(l, &m);
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

static void resend_list(const struct list *sessions)
{
	list_each (it, sessions) {
		struct hold_session *s = list_entry(it, struct hold_session, link);

		hold_resend(s);
		if (s->enabling)
			hold_put_enable(s);
	}
}

void hold_announce(struct hold *h)
{
	struct link *l = h->link;
	uint32_t sessions;

	hold_had_clear(h);
	hold_new_boot(h);
	sessions = announce_list(&h->ended, l) + announce_list(&h->sessions, l);
	link_put_announce_end(l, &(struct msg_announce_end){sessions});
	resend_list(&h->ended);
	resend_list(&h->sessions);
	log_info("hold", "event=announced sessions=%u resent=%u suspects=%s", sessions, h->resent,
		 list_empty(&h->waiting) ? "no" : "yes");
	hold_try_next(h);
}

const struct hold_books *hold_books(const struct hold *h)
{
	return &h->books;
}

uint64_t hold_books_difference(const struct hold_books *b)
{
	uint64_t done = b->released + b->held;

	for (int how = 0; how < HOLD_BOOKS_HOW; how++)
		done += b->settled[how];
	return b->accepted > done ? b->accepted - done : done - b->accepted;
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
