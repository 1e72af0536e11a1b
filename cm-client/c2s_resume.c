/*
 * c2s_resume - the shell's part of XEP-0198: what custody and the router say about it goes to the
 * core, what the core wants of them is done; <r/> at the end of a turn and the wait for <a/>.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "cm-client/c2s_service.h"

void c2s_conn_ask_resume(struct c2s_conn *c)
{
	link_put_resume(bus_link(c->c2s->bus),
			&(struct msg_resume){.request = c->sid,
					     .resume_id = str_slice(&c->wish),
					     .jid = c2s_stream_bare(c->stream),
					     .h = c->wish_h,
					     .conn = slice_str(c->short_name),
					     .addr = slice_str(conn_addr(c->conn))});
}

/* A stream that asked to resume and still waits for the answer. */
static struct c2s_conn *find_asker(struct c2s *s, uint64_t request)
{
	struct c2s_conn *c = map64_find(&s->by_sid, request);

	return c && c2s_stream_state(c->stream) == C2S_RESUMING ? c : NULL;
}

/* The asker gave up or went away meanwhile: the session waits for the next one. */
static void leave_detached(struct c2s *s, const struct msg_resumed *m)
{
	struct hold_session *session = hold_add_resumed(s->hold, m, "-", "-", NULL);

	hold_detach(&session, "gone");
}

static void resume(struct c2s_conn *c, const struct msg_resumed *m)
{
	struct c2s *s = c->c2s;
	struct c2s_event ev = {.kind = C2S_EV_RESUMED,
			       .jid = m->jid,
			       .data = m->resume_id,
			       .h = (uint32_t)(m->seen_n - m->in_base)};

	map64_remove(&s->by_sid, c->sid);
	c->sid = m->sid;
	map64_put(&s->by_sid, c->sid, c);
	str_clear(&c->wish);
	c->acked_h = c->wish_h;
	c->inactive = false; /* XEP-0352 5.2 */
	c->session = hold_add_resumed(s->hold, m, c->short_name, conn_addr(c->conn), c);
	s->stats.resumed++;
	c2s_step(c, &ev);
	if (c->dead)
		return;
	c2s_conn_set_name(c);
	log_info(c->name, "event=resume jid=%s sid=%016llx h_in=%u h_out=%u", log_quote(m->jid),
		 (unsigned long long)c->sid, ev.h, c->wish_h);
	c2s_trace(c, "resume", "sid=%016llx h_in=%u h_out=%u", (unsigned long long)c->sid, ev.h,
		  c->wish_h);
	c2s_feed_more(c);
}

void c2s_resumed(struct c2s *s, struct slice body)
{
	struct c2s_conn *c, *old;
	struct msg_resumed m;

	if (msg_resumed_get(body, &m) != ERR_OK)
		return;
	/* DETACH came before this, if the session was here; there must not be two of it. */
	old = map64_find(&s->by_sid, m.sid);
	if (old && old->session)
		c2s_conn_moved(old);
	c = find_asker(s, m.request);
	if (c)
		resume(c, &m);
	else
		leave_detached(s, &m);
}

void c2s_resume_refused(struct c2s *s, struct slice body)
{
	struct msg_resume_refused m;
	struct c2s_event ev = {.kind = C2S_EV_RESUME_REFUSED};
	char *condition, *text;
	struct c2s_conn *c;

	if (msg_resume_refused_get(body, &m) != ERR_OK || !(c = find_asker(s, m.request)))
		return;
	ev.condition = condition = xstrndup(m.condition.data, m.condition.len);
	ev.text = text = xstrndup(m.text.data, m.text.len);
	c2s_conn_end_session(c, condition);
	c2s_step(c, &ev);
	c2s_feed_more(c);
	free(condition);
	free(text);
}

void c2s_conn_enabled(struct c2s_conn *c, struct slice id, uint32_t max_s)
{
	struct c2s_event ev = {.kind = C2S_EV_ENABLED, .data = id, .max_s = max_s};

	c2s_conn_write_kept(c, "enabled"); /* it is not counted: it goes before <enabled/> */
	c->acked_h = 0;
	ev.h = hold_h(c->session);
	c2s_step(c, &ev);
	if (!c->dead)
		log_info(c->name, "event=sm_enabled resumable=%s max_s=%u", id.len ? "yes" : "no",
			 max_s);
}

void c2s_conn_held(struct c2s_conn *c)
{
	struct c2s_event ev = {.kind = C2S_EV_HELD};

	if (!c->session || !c2s_stream_owes_ack(c->stream))
		return;
	ev.h = hold_h(c->session);
	c2s_step(c, &ev);
}

void c2s_conn_moved(struct c2s_conn *c)
{
	c2s_step(c, &(struct c2s_event){.kind = C2S_EV_MOVED});
	c2s_update_reading(c);
}

/* What is kept back was not sent: to custody it was. */
static bool acknowledges_kept(struct c2s_conn *c, uint32_t h)
{
	uint32_t written = (uint32_t)(hold_unacked(c->session) - c2s_conn_kept(c));

	if (h - c->acked_h <= written)
		return false;
	c->acked_sent = c->acked_h + written;
	return true;
}

void c2s_conn_acked(struct c2s_conn *c, uint32_t h)
{
	c->acked_too_much = c->csi && acknowledges_kept(c, h);
	c->acked_h = h;
	if (c->acked_too_much)
		return;
	c->acked_too_much = hold_acked(c->session, h, &c->acked_sent) == ERR_RANGE;
	c2s_conn_will_ask(c);
}

void c2s_conn_will_ask(struct c2s_conn *c)
{
	if (c->session && list_empty(&c->ask) && hold_is_enabled(c->session))
		list_append(&c->c2s->asking, &c->ask);
}

/* What the client could acknowledge. */
static uint64_t unacked(const struct c2s_conn *c)
{
	return hold_unacked(c->session) - c2s_conn_kept(c);
}

void c2s_ask_all(struct c2s *s)
{
	struct list *l;

	while ((l = list_first(&s->asking))) {
		struct c2s_conn *c = list_entry(l, struct c2s_conn, ask);
		struct c2s_event ev = {.kind = C2S_EV_FLUSH};

		list_remove(l);
		if (c->dead || !c->session)
			continue;
		ev.unacked = unacked(c);
		c2s_step(c, &ev);
	}
}

void c2s_conn_ack_wait(struct c2s_conn *c, enum cm_ack_wait wait)
{
	static const enum c2s_deadline_class classes[] = {
		[CM_ACK_ANSWER] = C2S_DEADLINE_ACK,
		[CM_ACK_AGAIN] = C2S_DEADLINE_ASK,
		[CM_ACK_SOON] = C2S_DEADLINE_SOON,
	};
	struct c2s *s = c->c2s;
	uint64_t ms = wait == CM_ACK_NONE ? 0 : s->settings.wait_ms[classes[wait]];

	if (ms == 0) {
		cm_deadline_clear(&c->ack);
		return;
	}
	c->ack_written = conn_written(c->conn);
	cm_deadline_set(&s->deadlines, &c->ack, classes[wait],
			monotime_add_ms(loop_now(s->loop), ms));
	c2s_arm(s);
}

void c2s_conn_ack_deadline(struct c2s_conn *c)
{
	struct c2s_event ev = {.kind = C2S_EV_ASK_AGAIN};

	if (c->dead || !c->session)
		return;
	if (c->ack.of == C2S_DEADLINE_ACK) {
		/* Slow is not dead: our <r/> may still be on its way; or the answer is behind what
		 * we have not read for a while. */
		if ((conn_backlog(c->conn) > 0 && conn_written(c->conn) != c->ack_written) ||
		    !cm_rate_is_idle(c->rate, loop_now(c->c2s->loop))) {
			c2s_conn_ack_wait(c, CM_ACK_ANSWER);
			return;
		}
		ev.kind = C2S_EV_ACK_LATE;
	}
	ev.unacked = unacked(c);
	c2s_step(c, &ev);
	c2s_update_reading(c);
}
