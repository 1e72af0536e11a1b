/*
 * c2s_effects - what the core of a stream decided, done in order; and the log's line for it.
 */
#include "base/log.h"
#include "base/random.h"
#include "cm-client/c2s_service.h"
#include "ipc/stanza_kinds.h"

static void start_tls(struct c2s_conn *c)
{
	conn_start_tls(c->conn, c->c2s->tls, c2s_stream_domain(c->stream));
}

static void restart(struct c2s_conn *c)
{
	bool in = c2s_stream_bare(c->stream).len > 0;

	framer_init(&c->framer, in ? &c->c2s->settings.after : &c->c2s->settings.before);
}

static void drop_login(struct c2s_conn *c)
{
	c2s_login_free(&c->login);
}

static void auth_start(struct c2s_conn *c, const struct cm_effect *e)
{
	struct c2s_binding b = {0};

	b.exporter_len = conn_binding_exporter(c->conn, b.exporter);
	b.unique_len = conn_binding_unique(c->conn, b.unique);
	drop_login(c);
	c->login = c2s_login_new(c->c2s->sasl, e->name, c2s_stream_domain(c->stream), &b, c);
	c2s_login_start(c->login, e->has_data, e->data);
}

static void ask_router(struct c2s_conn *c, struct slice wish)
{
	c->sid = random_u64();
	map64_put(&c->c2s->by_sid, c->sid, c);
	str_reset(&c->wish);
	str_add_slice(&c->wish, wish);
}

static void ask_bind(struct c2s_conn *c, const struct cm_effect *e)
{
	ask_router(c, e->data);
	c2s_conn_ask_bind(c);
}

/* XEP-0077 3.3: "the channel is not safe enough". */
static bool in_clear(const struct c2s_conn *c, const struct msg_stanza *m)
{
	static const char password[] = "password";

	return m->flags & STANZA_SECRET && m->type == TYPE_SET && !conn_is_secure(c->conn) &&
	       memmem(m->inner.data, m->inner.len, password, sizeof(password) - 1);
}

static void send_stanza(struct c2s_conn *c, const struct stanza_in *st)
{
	struct msg_stanza m = {
		.kind = st->kind,
		.type = st->type,
		.flags = st->flags,
		.to = st->to.text ? jid_full(&st->to) : SLICE_NONE,
		.id = st->id,
		.lang = st->lang,
		.children = st->children,
		.inner = st->inner,
	};

	if (!st->to.text && st->kind != STANZA_PRESENCE) { /* RFC 6120 10.3 */
		m.to = c2s_stream_bare(c->stream);
		m.flags |= STANZA_TO_SELF;
	}
	if (in_clear(c, &m))
		hold_refuse(c->session, m.kind, m.type, m.id, "not-authorized",
			    "A password is not taken on a connection without TLS.");
	else
		hold_send(c->session, &m);
}

static void refuse_stanza(struct c2s_conn *c, const struct stanza_in *st, const struct cm_effect *e)
{
	hold_refuse(c->session, st->kind, st->type, st->id, e->name, e->text);
}

static void ask_resume(struct c2s_conn *c, const struct cm_effect *e)
{
	ask_router(c, e->data);
	c->wish_h = e->number;
	c2s_conn_ask_resume(c);
}

static void trace_failure(struct c2s_conn *c, const struct cm_effect *e)
{
	struct slice user = c->login ? c2s_login_user(c->login) : SLICE_NONE;

	if (c->c2s->traces)
		c2s_trace_event(c, user, "auth_failed",
				"mechanism=%.*s user=%s condition=%s reason=%s detail=%s",
				SLICE_ARG(c2s_stream_mechanism(c->stream)), log_quote(user),
				e->name, log_quote(slice_str(e->text)),
				log_quote(slice_str(c->detail)));
}

/* The same words as the peer was told (P4); of a login also who, how and, for the operator only,
 * what was wrong. */
static void note(struct c2s_conn *c, const struct cm_effect *e)
{
	if (!slice_is(e->data, "auth_failed")) {
		log_info(c->name, "event=%s condition=%s reason=%s", e->data.data, e->name,
			 log_quote(slice_str(e->text)));
		c2s_trace(c, e->data.data, "condition=%s reason=%s", e->name,
			  log_quote(slice_str(e->text)));
		return;
	}
	c->c2s->stats.logins_failed++;
	trace_failure(c, e);
	log_info(c->name,
		 "event=auth_failed mechanism=%s user=%s condition=%s reason=%s detail=%s addr=%s",
		 c2s_stream_mechanism(c->stream).len ? c2s_stream_mechanism(c->stream).data : "-",
		 log_quote(c->login ? c2s_login_user(c->login) : SLICE_NONE), e->name,
		 log_quote(slice_str(e->text)), log_quote(slice_str(c->detail)),
		 conn_addr(c->conn));
}

static void close_stream(struct c2s_conn *c, const struct cm_effect *e)
{
	const char *text = e->text ? e->text : "";
	uint64_t in = conn_read(c->conn);
	bool lost = e->kind == CM_FX_LOST;

	drop_login(c);
	c2s_conn_drop_register(c);
	conn_close(c->conn); /* flushes: what was delivered by that is told before the end */
	log_info(c->name,
		 "event=close condition=%s reason=\"%s\" stanzas_in=%llu stanzas_out=%llu "
		 "bytes_in=%llu bytes_out=%llu",
		 e->name, text, (unsigned long long)c->stanzas_in,
		 (unsigned long long)c->stanzas_out, (unsigned long long)in,
		 (unsigned long long)conn_queued(c->conn));
	c2s_trace(c, "close", "condition=%s reason=%s", e->name, log_quote(slice_str(text)));
	if (lost)
		c2s_conn_lose_session(c, e->name);
	else
		c2s_conn_end_session(c, e->name);
}

static void do_effect(struct c2s_conn *c, const struct c2s_event *ev, const struct cm_effect *e)
{
	switch (e->kind) {
	case CM_FX_WRITE:
		conn_write(c->conn, c->c2s->fx.bytes.data + e->from, e->len);
		break;
	case CM_FX_START_TLS:
		start_tls(c);
		break;
	case CM_FX_RESTART:
		restart(c);
		break;
	case C2S_FX_AUTH_START:
		auth_start(c, e);
		break;
	case C2S_FX_AUTH_DATA:
		c2s_login_data(c->login, e->data);
		break;
	case C2S_FX_AUTH_DROP:
		drop_login(c);
		break;
	case CM_FX_BIND:
		ask_bind(c, e);
		break;
	case C2S_FX_REGISTER:
		c2s_conn_register(c, e);
		break;
	case C2S_FX_REGISTER_DROP:
		c2s_conn_drop_register(c);
		break;
	case C2S_FX_CSI:
		c2s_conn_set_inactive(c, e->number != 0);
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
		c2s_conn_acked(c, e->number);
		break;
	case CM_FX_ACK_WAIT:
		c2s_conn_ack_wait(c, (enum cm_ack_wait)e->number);
		break;
	case CM_FX_NOTE:
		note(c, e);
		break;
	case CM_FX_CLOSE:
	case CM_FX_LOST:
		close_stream(c, e);
		break;
	}
}

static enum c2s_deadline_class class_of(enum c2s_state state)
{
	static const enum c2s_deadline_class classes[C2S_STATES] = {
		[C2S_OPENING] = C2S_DEADLINE_TLS,     [C2S_OFFERED] = C2S_DEADLINE_TLS,
		[C2S_SECURING] = C2S_DEADLINE_TLS,    [C2S_SECURED] = C2S_DEADLINE_LOGIN,
		[C2S_LOGIN] = C2S_DEADLINE_LOGIN,     [C2S_CHECKING] = C2S_DEADLINE_ANSWER,
		[C2S_ASKED] = C2S_DEADLINE_LOGIN,     [C2S_PROVEN] = C2S_DEADLINE_LOGIN,
		[C2S_BINDABLE] = C2S_DEADLINE_LOGIN,  [C2S_BINDING] = C2S_DEADLINE_ANSWER,
		[C2S_BOUND] = C2S_DEADLINE_IDLE,      [C2S_CLOSED] = C2S_DEADLINE_LINGER,
		[C2S_RESUMING] = C2S_DEADLINE_RESUME, [C2S_REGISTERING] = C2S_DEADLINE_ANSWER,
	};

	return classes[state];
}

void c2s_set_deadline(struct c2s_conn *c)
{
	struct c2s *s = c->c2s;
	enum c2s_deadline_class of = class_of(c2s_stream_state(c->stream));
	uint64_t ms = s->settings.wait_ms[of];

	if (ms == 0) {
		cm_deadline_clear(&c->deadline);
		return;
	}
	cm_deadline_set(&s->deadlines, &c->deadline, of, monotime_add_ms(loop_now(s->loop), ms));
	c2s_arm(s);
}

/* What a step turned out to have done, as an event of its own. */
static void follow_up(struct c2s_conn *c)
{
	if (!c->dead && c2s_stream_state(c->stream) == C2S_REGISTERING)
		c2s_conn_register_refused(c);
	if (c->dead || c2s_stream_state(c->stream) != C2S_BOUND)
		return;
	if (c->acked_too_much) {
		c->acked_too_much = false;
		c2s_step(c, &(struct c2s_event){.kind = C2S_EV_ACK_RANGE,
						.h = c->acked_h,
						.sent = c->acked_sent});
		return;
	}
	c2s_conn_check_backlog(c);
}

void c2s_step(struct c2s_conn *c, struct c2s_event *ev)
{
	struct c2s *s = c->c2s;
	enum c2s_state before = c2s_stream_state(c->stream), after;

	if (c->dead)
		return;
	if (ev->kind == C2S_EV_HEADER || !c2s_stream_is_open(c->stream)) /* our header may be due */
		ev->fresh = random_u64();
	c2s_stream_step(c->stream, ev, &s->fx);
	for (unsigned int i = 0; i < s->fx.count && !c->dead; i++)
		do_effect(c, ev, &s->fx.item[i]);
	after = c2s_stream_state(c->stream);
	if (after != before && !c->dead) {
		log_debug(c->name, "event=state on=%s from=%s to=%s", c2s_event_name(ev->kind),
			  c2s_state_name(before), c2s_state_name(after));
		c2s_trace(c, "state", "on=%s from=%s to=%s", c2s_event_name(ev->kind),
			  c2s_state_name(before), c2s_state_name(after));
		if (class_of(after) != class_of(before))
			c2s_set_deadline(c);
	}
	if (s->fx.count > 0)
		follow_up(c);
}
