/*
 * hold_sm - XEP-0198 in custody: the counters of a session, its detached time, and its coming back
 * here or elsewhere (CUSTODY 4, 10, 12).
 */
#include <stdlib.h>

#include "base/blob.h"
#include "base/check.h"
#include "base/xmem.h"
#include "ipc/hold_types.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"

void hold_put_enable(const struct hold_session *s)
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
	hold_put_enable(s);
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

enum err hold_acked(struct hold_session *s, uint32_t h, uint32_t *sent)
{
	uint64_t done = hold_in_done(&s->in), next = hold_in_next(&s->in), upto;
	uint64_t first = done > s->out_base ? done : s->out_base;
	uint32_t more = h - (uint32_t)(first - s->out_base); /* modulo 2^32 (XEP-0198 section 4) */

	*sent = (uint32_t)(next - s->out_base);
	if (!s->enabled || more > next - first)
		return ERR_RANGE;
	if (hold_in_deliver(&s->in, first + more - 1, &upto))
		hold_tell_delivered(s, upto);
	return ERR_OK;
}

/* Keeps also the origins that the client may or may not have had: their numbers must stand. */
void hold_detach(struct hold_session **sp, const char *reason)
{
	struct hold_session *s = *sp;
	struct hold *h = hold_leave(sp, SESSION_DETACHED);

	s->told_seq = link_put_detached(
		h->link, &(struct msg_detached){s->sid, s->epoch, slice_str(reason)});
}

void hold_on_enabled(struct hold *h, struct slice body)
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

void hold_on_detach(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_detach m;

	if (msg_detach_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)))
		return;
	if (s->state == SESSION_LIVE && s->epoch == m.epoch && h->events->on_detach)
		h->events->on_detach(s->stream);
}

void hold_on_released(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_released m;

	if (msg_released_get(body, &m) != ERR_OK || !(s = map64_find(&h->by_sid, m.sid)) ||
	    s->state != SESSION_DETACHED)
		return;
	if (m.epoch < s->epoch)
		return; /* it came back here since */
	/* A cm that was given it after this one died before it knew. Its queue may have got other
	 * numbers there: what was delivered here stays as it is, and is announced. */
	if (m.epoch > s->epoch) {
		hold_release_after(s, m.seen_n);
		return;
	}
	s->state = SESSION_ENDED;
	s->moved = true;
	hold_in_rewind(&s->in, m.q);
	hold_count_reported(s);
	hold_release_after(s, m.seen_n);
	hold_free_if_done(s);
}

/* The same session again in this process: what it owes is kept. */
static struct hold_session *revive(struct hold_session *s, const struct msg_resumed *m,
				   const char *conn, const char *addr, void *stream)
{
	hold_release_after(s, m->own_n);
	hold_out_skip_to(&s->out, m->seen_n + 1);
	free(s->unbind_reason); /* it was closed here at the same time */
	s->unbind_reason = NULL;
	free(s->conn);
	free(s->addr);
	free(s->resume_id);
	s->conn = xstrdup(conn);
	s->addr = xstrdup(addr);
	s->stream = stream;
	s->epoch = m->epoch;
	s->state = SESSION_LIVE;
	s->moved = false;
	list_remove(&s->link);
	list_append(&s->hold->sessions, &s->link);
	return s;
}

void hold_on_resume_have(struct hold *h, struct slice body)
{
	struct msg_resume_have m;
	struct hold_in *in;

	if (msg_resume_have_get(body, &m) != ERR_OK)
		return;
	in = map64_find(&h->had, m.sid);
	if (!in) {
		in = xcalloc(1, sizeof(*in));
		hold_in_init(in);
		hold_in_start(in, m.q);
		map64_put(&h->had, m.sid, in);
	}
	hold_in_skip_to(in, m.q);
	if (hold_in_next(in) == m.q)
		hold_in_add(in, m.origin_sid, m.origin_n);
}

void hold_had_clear(struct hold *h)
{
	struct hold_in *in;
	size_t it = 0;

	while (map64_next(&h->had, &it, NULL, (void **)&in)) {
		hold_in_clear(in);
		free(in);
	}
	map64_clear(&h->had);
}

/* The queue goes on with next_q; of what was before it is known what the router has said. */
static void take_had(struct hold_session *s, uint64_t next_q)
{
	struct hold_in *had = map64_remove(&s->hold->had, s->sid);
	uint64_t upto;

	hold_in_clear(&s->in);
	if (had) {
		s->in = *had;
		free(had);
		hold_in_skip_to(&s->in, next_q);
		hold_in_deliver(&s->in, next_q - 1, &upto);
	} else {
		hold_in_start(&s->in, next_q);
	}
	hold_count_reported(s);
}

/* Only a client's session has a resource. */
static uint8_t kind_of(struct slice jid)
{
	return jid.len && memchr(jid.data, '/', jid.len) ? SESSION_CLIENT : SESSION_DOMAIN;
}

struct hold_session *hold_add_resumed(struct hold *h, const struct msg_resumed *m, const char *conn,
				      const char *addr, void *stream)
{
	struct hold_session *s = map64_find(&h->by_sid, m->sid);

	if (s) {
		check(s->state != SESSION_LIVE);
		revive(s, m, conn, addr, stream);
	} else {
		s = hold_add(h, m->sid, m->epoch, kind_of(m->jid), m->jid, conn, addr, stream);
		hold_out_start(&s->out, m->seen_n + 1);
	}
	take_had(s, m->next_q);
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
