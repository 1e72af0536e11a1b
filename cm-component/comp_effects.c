/*
 * comp_effects - what the core of a stream decided, done in order; and the log's line for it.
 */
#include "base/log.h"
#include "base/random.h"
#include "cm-component/comp_service.h"
#include "ipc/stanza_kinds.h"

struct cm_traced comp_traced(const struct comp_conn *c)
{
	struct slice jid = comp_stream_jid(c->stream);

	return (struct cm_traced){.sid = c->session ? hold_sid(c->session) : 0,
				  .conn = c->short_name,
				  .addr = conn_addr(c->conn),
				  .jid = c->stranger ? SLICE_NONE : jid,
				  .claimed = jid,
				  .domain = jid};
}

void comp_trace_event(struct comp_conn *c, const char *event, const char *fmt, ...)
{
	struct cm_traced who = comp_traced(c);
	va_list ap;

	va_start(ap, fmt);
	cm_trace(c->comp->traces, &who, event, fmt, ap);
	va_end(ap);
}

static void ask_router(struct comp_conn *c)
{
	c->sid = random_u64();
	map64_put(&c->comp->by_sid, c->sid, c);
}

static void ask_bind(struct comp_conn *c)
{
	if (c->sid)
		map64_remove(&c->comp->by_sid, c->sid); /* a resumption was refused */
	ask_router(c);
	comp_conn_ask_bind(c);
}

static void ask_resume(struct comp_conn *c, const struct cm_effect *e)
{
	ask_router(c);
	str_reset(&c->previd);
	str_add_slice(&c->previd, e->data);
	c->previd_h = e->number;
	comp_conn_ask_resume(c);
}

static void send_stanza(struct comp_conn *c, const struct stanza_in *st)
{
	struct msg_stanza m = {
		.kind = st->kind,
		.type = st->type,
		.flags = st->flags,
		.to = jid_full(&st->to),
		.from = jid_full(&st->from),
		.id = st->id,
		.lang = st->lang,
		.children = st->children,
		.inner = st->inner,
	};

	hold_send(c->session, &m);
}

static void refuse_stanza(struct comp_conn *c, const struct stanza_in *st,
			  const struct cm_effect *e)
{
	hold_refuse(c->session, st->kind, st->type, st->id, e->name, e->text);
}

static void note(struct comp_conn *c, const struct cm_effect *e)
{
	log_info(c->name, "event=%s condition=%s reason=%s", e->data.data, e->name,
		 log_quote(slice_str(e->text)));
	comp_trace(c, e->data.data, "condition=%s reason=%s", e->name,
		   log_quote(slice_str(e->text)));
}

/* A handshake that did not go well: who, from where, why (P4). */
static void log_failed(struct comp_conn *c, const struct cm_effect *e)
{
	struct slice jid = comp_stream_jid(c->stream);

	c->comp->stats.logins_failed++;
	log_warn(c->name, "event=auth_failed component=%s condition=%s reason=%s addr=%s%s",
		 log_quote(jid), e->name, log_quote(slice_str(e->text)), conn_addr(c->conn),
		 strcmp(e->name, "host-unknown") == 0
			 ? " hint=\"xmpp component list shows which there are\""
		 : strcmp(e->name, "not-authorized") == 0
			 ? " hint=\"its secret is another: see xmpp callbridge list\""
			 : "");
	comp_trace(c, "auth_failed", "condition=%s reason=%s", e->name,
		   log_quote(slice_str(e->text)));
}

static const char *hint_of(const char *condition)
{
	if (strcmp(condition, "invalid-namespace") == 0)
		return " hint=\"clients connect to the addresses of cm-client.listen\"";
	if (strcmp(condition, "invalid-from") == 0)
		return " hint=\"a component may only speak for its own domain\"";
	return "";
}

static void close_stream(struct comp_conn *c, const struct cm_effect *e, enum comp_state before)
{
	const char *text = e->text ? e->text : "";
	bool failed = before == COMP_LOOKING || before == COMP_CHECKING || before == COMP_BINDING ||
		      strcmp(e->name, "host-unknown") == 0;

	comp_conn_drop_lookup(c);
	if (failed && e->kind == CM_FX_CLOSE)
		log_failed(c, e);
	conn_close(c->conn); /* flushes: what was delivered by that is told before the end */
	log_info(c->name,
		 "event=close condition=%s reason=\"%s\" stanzas_in=%llu stanzas_out=%llu "
		 "bytes_in=%llu bytes_out=%llu%s",
		 e->name, text, (unsigned long long)c->stanzas_in,
		 (unsigned long long)c->stanzas_out, (unsigned long long)conn_read(c->conn),
		 (unsigned long long)conn_queued(c->conn), hint_of(e->name));
	comp_trace(c, "close", "condition=%s reason=%s", e->name, log_quote(slice_str(text)));
	if (e->kind == CM_FX_LOST)
		comp_conn_lose_session(c, e->name);
	else
		comp_conn_close_session(c, e->name);
}

static void do_effect(struct comp_conn *c, const struct comp_event *ev, const struct cm_effect *e,
		      enum comp_state before)
{
	switch (e->kind) {
	case CM_FX_WRITE:
		conn_write(c->conn, c->comp->fx.bytes.data + e->from, e->len);
		break;
	case CM_FX_START_TLS:
		conn_start_tls(c->conn, cm_certs_tls(c->comp->certs), SLICE_NONE);
		break;
	case CM_FX_RESTART:
		framer_init(&c->framer, &c->comp->settings.before);
		break;
	case COMP_FX_LOOKUP:
		comp_conn_lookup(c, e->data);
		break;
	case CM_FX_BIND:
		ask_bind(c);
		break;
	case CM_FX_SEND:
		send_stanza(c, ev->stanza);
		break;
	case CM_FX_REFUSE:
		refuse_stanza(c, ev->stanza, e);
		break;
	case CM_FX_ENABLE:
		hold_enable(c->session, e->has_data, e->number);
		break;
	case CM_FX_RESUME:
		ask_resume(c, e);
		break;
	case CM_FX_ACKED:
		comp_conn_acked(c, e->number);
		break;
	case CM_FX_ACK_WAIT:
		comp_conn_ack_wait(c, (enum cm_ack_wait)e->number);
		break;
	case CM_FX_NOTE:
		note(c, e);
		break;
	case CM_FX_CLOSE:
	case CM_FX_LOST:
		close_stream(c, e, before);
		break;
	default:
		break;
	}
}

static enum comp_deadline_class class_of(enum comp_state state)
{
	static const enum comp_deadline_class classes[COMP_STATES] = {
		[COMP_OPENING] = COMP_DEADLINE_STEP,   [COMP_SECURING] = COMP_DEADLINE_STEP,
		[COMP_SECURED] = COMP_DEADLINE_STEP,   [COMP_LOOKING] = COMP_DEADLINE_ANSWER,
		[COMP_OFFERED] = COMP_DEADLINE_STEP,   [COMP_CHECKING] = COMP_DEADLINE_ANSWER,
		[COMP_BINDING] = COMP_DEADLINE_PROBED, [COMP_RESUMING] = COMP_DEADLINE_RESUME,
		[COMP_BOUND] = COMP_DEADLINE_IDLE,     [COMP_CLOSED] = COMP_DEADLINE_LINGER,
	};

	return classes[state];
}

void comp_set_deadline(struct comp_conn *c)
{
	struct comp *s = c->comp;
	enum comp_deadline_class of = class_of(comp_stream_state(c->stream));
	uint64_t ms = s->settings.wait_ms[of];

	if (ms == 0) {
		cm_deadline_clear(&c->deadline);
		return;
	}
	cm_deadline_set(&s->deadlines, &c->deadline, of, monotime_add_ms(loop_now(s->loop), ms));
	comp_arm(s);
}

/* What a step turned out to have done, as an event of its own. */
static void follow_up(struct comp_conn *c)
{
	if (c->dead || comp_stream_state(c->stream) != COMP_BOUND)
		return;
	if (c->acked_too_much) {
		c->acked_too_much = false;
		comp_step(c, &(struct comp_event){.kind = COMP_EV_ACK_RANGE,
						  .h = c->acked_h,
						  .sent = c->acked_sent});
		return;
	}
	comp_conn_check_backlog(c);
}

void comp_step(struct comp_conn *c, struct comp_event *ev)
{
	struct comp *s = c->comp;
	enum comp_state before = comp_stream_state(c->stream), after;

	if (c->dead)
		return;
	if (!comp_stream_is_open(c->stream) ||
	    ev->kind == COMP_EV_PROBE) /* our header may be due */
		ev->fresh = random_u64();
	comp_stream_step(c->stream, ev, &s->fx);
	for (unsigned int i = 0; i < s->fx.count && !c->dead; i++)
		do_effect(c, ev, &s->fx.item[i], before);
	after = comp_stream_state(c->stream);
	if (after != before && !c->dead) {
		log_debug(c->name, "event=state on=%s from=%s to=%s", comp_event_name(ev->kind),
			  comp_state_name(before), comp_state_name(after));
		comp_trace(c, "state", "on=%s from=%s to=%s", comp_event_name(ev->kind),
			   comp_state_name(before), comp_state_name(after));
		if (class_of(after) != class_of(before))
			comp_set_deadline(c);
	}
	if (s->fx.count > 0)
		follow_up(c);
}
