/*
 * comp_resume - the shell's part of XEP-0198: what custody and the router say about it goes to the
 * core, what the core wants of them is done; <r/> at the end of a turn and the wait for <a/>.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "cm-component/comp_service.h"

void comp_conn_ask_resume(struct comp_conn *c)
{
	link_put_resume(bus_link(c->comp->bus),
			&(struct msg_resume){.request = c->sid,
					     .resume_id = str_slice(&c->previd),
					     .jid = comp_stream_jid(c->stream),
					     .h = c->previd_h,
					     .conn = slice_str(c->short_name),
					     .addr = slice_str(conn_addr(c->conn))});
}

/* A stream that asked to resume and still waits for the answer. */
static struct comp_conn *find_asker(struct comp *s, uint64_t request)
{
	struct comp_conn *c = map64_find(&s->by_sid, request);

	return c && comp_stream_state(c->stream) == COMP_RESUMING ? c : NULL;
}

/* The asker gave up or went away meanwhile: the session waits for the next one. */
static void leave_detached(struct comp *s, const struct msg_resumed *m)
{
	struct hold_session *session = hold_add_resumed(s->hold, m, "-", "-", NULL);

	hold_detach(&session, "gone");
}

static void resume(struct comp_conn *c, const struct msg_resumed *m)
{
	struct comp *s = c->comp;
	struct comp_event ev = {.kind = COMP_EV_RESUMED,
				.data = m->resume_id,
				.h = (uint32_t)(m->seen_n - m->in_base)};

	map64_remove(&s->by_sid, c->sid);
	c->sid = m->sid;
	map64_put(&s->by_sid, c->sid, c);
	str_clear(&c->previd);
	c->acked_h = c->previd_h;
	c->session = hold_add_resumed(s->hold, m, c->short_name, conn_addr(c->conn), c);
	s->stats.resumed++;
	comp_conn_is_known(c);
	comp_step(c, &ev);
	if (c->dead)
		return;
	log_info(c->name, "event=resume component=%s jid=%s sid=%016llx h_in=%u h_out=%u addr=%s",
		 log_quote(slice_str(c->account.name)), log_quote(m->jid),
		 (unsigned long long)c->sid, ev.h, c->previd_h, conn_addr(c->conn));
	comp_trace(c, "resume", "sid=%016llx h_in=%u h_out=%u", (unsigned long long)c->sid, ev.h,
		   c->previd_h);
	comp_feed_more(c);
}

void comp_resumed(struct comp *s, struct slice body)
{
	struct comp_conn *c, *old;
	struct msg_resumed m;

	if (msg_resumed_get(body, &m) != ERR_OK)
		return;
	/* DETACH came before this, if the session was here; there must not be two of it. */
	old = map64_find(&s->by_sid, m.sid);
	if (old && old->session)
		comp_conn_moved(old);
	c = find_asker(s, m.request);
	if (c)
		resume(c, &m);
	else
		leave_detached(s, &m);
}

void comp_resume_refused(struct comp *s, struct slice body)
{
	struct msg_resume_refused m;
	struct comp_event ev = {.kind = COMP_EV_RESUME_REFUSED};
	char *condition, *text;
	struct comp_conn *c;

	if (msg_resume_refused_get(body, &m) != ERR_OK || !(c = find_asker(s, m.request)))
		return;
	ev.condition = condition = xstrndup(m.condition.data, m.condition.len);
	ev.text = text = xstrndup(m.text.data, m.text.len);
	comp_step(c, &ev); /* binds anew */
	comp_feed_more(c);
	free(condition);
	free(text);
}

void comp_conn_enabled(struct comp_conn *c, struct slice id, uint32_t max_s)
{
	struct comp_event ev = {.kind = COMP_EV_ENABLED, .data = id, .max_s = max_s};

	c->acked_h = 0;
	ev.h = hold_h(c->session);
	comp_step(c, &ev);
	if (!c->dead)
		log_info(c->name, "event=sm_enabled resumable=%s max_s=%u", id.len ? "yes" : "no",
			 max_s);
}

void comp_conn_held(struct comp_conn *c)
{
	struct comp_event ev = {.kind = COMP_EV_HELD};

	if (!c->session || !comp_stream_sm(c->stream)->owes)
		return;
	ev.h = hold_h(c->session);
	comp_step(c, &ev);
}

void comp_conn_moved(struct comp_conn *c)
{
	if (comp_stream_state(c->stream) == COMP_CLOSED) /* see comp_conn_close_session() */
		comp_conn_lose_session(c, "moved");
	comp_step(c, &(struct comp_event){.kind = COMP_EV_MOVED});
	comp_update_reading(c);
}

void comp_conn_acked(struct comp_conn *c, uint32_t h)
{
	c->acked_h = h;
	c->acked_too_much = hold_acked(c->session, h, &c->acked_sent) == ERR_RANGE;
	comp_conn_will_ask(c);
}

void comp_conn_will_ask(struct comp_conn *c)
{
	if (c->session && list_empty(&c->ask) && hold_is_enabled(c->session))
		list_append(&c->comp->asking, &c->ask);
}

void comp_ask_all(struct comp *s)
{
	struct list *l;

	while ((l = list_first(&s->asking))) {
		struct comp_conn *c = list_entry(l, struct comp_conn, ask);
		struct comp_event ev = {.kind = COMP_EV_FLUSH};

		list_remove(l);
		if (c->dead || !c->session)
			continue;
		ev.unacked = hold_unacked(c->session);
		comp_step(c, &ev);
	}
}

void comp_conn_ack_wait(struct comp_conn *c, enum cm_ack_wait wait)
{
	static const enum comp_deadline_class classes[] = {
		[CM_ACK_ANSWER] = COMP_DEADLINE_ACK,
		[CM_ACK_AGAIN] = COMP_DEADLINE_ASK,
		[CM_ACK_SOON] = COMP_DEADLINE_SOON,
	};
	struct comp *s = c->comp;
	uint64_t ms = wait == CM_ACK_NONE ? 0 : s->settings.wait_ms[classes[wait]];

	if (ms == 0) {
		cm_deadline_clear(&c->ack);
		return;
	}
	c->ack_written = conn_written(c->conn);
	cm_deadline_set(&s->deadlines, &c->ack, classes[wait],
			monotime_add_ms(loop_now(s->loop), ms));
	comp_arm(s);
}

void comp_conn_ack_deadline(struct comp_conn *c)
{
	struct comp_event ev = {.kind = COMP_EV_ASK_AGAIN};

	if (c->dead || !c->session)
		return;
	if (c->ack.of == COMP_DEADLINE_ACK) {
		/* Slow is not dead: our <r/> may still be on its way; or the answer is behind what
		 * we have not read for a while. */
		if ((conn_backlog(c->conn) > 0 && conn_written(c->conn) != c->ack_written) ||
		    !cm_rate_is_idle(c->rate, loop_now(c->comp->loop))) {
			comp_conn_ack_wait(c, CM_ACK_ANSWER);
			return;
		}
		ev.kind = COMP_EV_ACK_LATE;
	}
	ev.unacked = hold_unacked(c->session);
	comp_step(c, &ev);
	comp_update_reading(c);
}
