/*
 * c2s_conn - one client connection: from accept to its end, and what the bus, the SASL engine and
 * the clock have to say to it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "cm-client/c2s_service.h"
#include "ipc/stanza_kinds.h"
#include "xmpp/xml_out.h"

#define REFUSAL_LOG_MS 1000

/* For the log: "c2s#41", then with the account, then with the full JID. */
void c2s_conn_set_name(struct c2s_conn *c)
{
	struct slice jid = c2s_stream_full(c->stream);

	if (!jid.len)
		jid = c2s_stream_bare(c->stream);
	free(c->name);
	c->name = jid.len ? xasprintf("%s %.*s", c->short_name, SLICE_ARG(jid))
			  : xstrdup(c->short_name);
}

/* Queue numbers reach as far as write() got (CUSTODY, Words). */
static void on_written(void *arg, uint64_t total)
{
	struct c2s_conn *c = arg;
	unsigned int n = 0;

	while (n < c->nmarks && c->marks[n].upto <= total)
		n++;
	if (n == 0 || !c->session)
		return;
	hold_delivered(c->session, c->marks[n - 1].q);
	c->nmarks -= n;
	memmove(c->marks, c->marks + n, c->nmarks * sizeof(c->marks[0]));
}

static void on_bytes(void *arg, const char *data, size_t len)
{
	c2s_feed(arg, data, len);
}

static void on_secure(void *arg)
{
	struct c2s_conn *c = arg;
	unsigned char binding[CONN_BINDING_MAX];
	struct c2s_event ev = {.kind = C2S_EV_SECURE};

	if (conn_was_direct(c->conn))
		c2s_stream_direct_tls(c->stream);
	ev.exporter = conn_binding_exporter(c->conn, binding) > 0;
	ev.unique = conn_binding_unique(c->conn, binding) > 0 &&
		    strcmp(conn_tls_version(c->conn), "TLSv1.2") == 0; /* see net/conn.h */
	xwipe(binding, sizeof(binding));
	log_info(c->name, "event=tls version=%s cipher=%s direct=%s", conn_tls_version(c->conn),
		 conn_tls_cipher(c->conn), conn_was_direct(c->conn) ? "yes" : "no");
	c2s_trace(c, "tls", "version=%s cipher=%s direct=%s", conn_tls_version(c->conn),
		  conn_tls_cipher(c->conn), conn_was_direct(c->conn) ? "yes" : "no");
	c2s_step(c, &ev);
	c2s_update_reading(c);
}

static void no_stranger(struct c2s_conn *c)
{
	if (c->stranger)
		cm_limits_login(&c->c2s->limits, &c->address);
	c->stranger = false;
}

/* The connection is over, whatever the stream thought. Freed at the end of the turn, because its
 * functions may be on the stack. */
static void on_closed(void *arg, const char *reason)
{
	struct c2s_conn *c = arg;
	struct c2s *s = c->c2s;

	if (c->dead)
		return;
	c->dead = true;
	if (c2s_stream_state(c->stream) != C2S_CLOSED)
		log_info(c->name,
			 "event=close condition=connection-lost reason=%s state=%s stanzas_in=%llu "
			 "stanzas_out=%llu",
			 log_quote(slice_str(reason)), c2s_state_name(c2s_stream_state(c->stream)),
			 (unsigned long long)c->stanzas_in, (unsigned long long)c->stanzas_out);
	if (c2s_stream_state(c->stream) != C2S_CLOSED)
		c2s_trace(c, "close", "condition=connection-lost reason=%s state=%s",
			  log_quote(slice_str(reason)),
			  c2s_state_name(c2s_stream_state(c->stream)));
	c2s_conn_lose_session(c, "connection-lost");
	c2s_login_free(&c->login);
	c2s_conn_drop_register(c);
	cm_deadline_clear(&c->deadline);
	list_remove(&c->wait);
	list_remove(&c->all);
	list_append(&s->dead, &c->all);
	loop_wake(s->loop);
}

static const struct conn_events conn_events = {
	.on_bytes = on_bytes,
	.on_secure = on_secure,
	.on_written = on_written,
	.on_closed = on_closed,
};

/* Too many: one line a second for the log, the standard's error for the peer, no state for us. */
static void refuse(struct c2s *s, int fd, const struct sockaddr_storage *peer, const char *why)
{
	struct cm_effects fx;
	struct c2s_stream *stream = c2s_stream_new(&s->settings.rules);
	struct c2s_event ev = {.kind = C2S_EV_STOP,
			       .fresh = random_u64(),
			       .condition = "policy-violation",
			       .text = why};
	struct monotime now = loop_now(s->loop);
	struct cm_address a = cm_address_of(peer);

	s->stats.refused++;
	cm_trace_refused(s->traces, peer, why);
	cm_effects_init(&fx);
	c2s_stream_step(stream, &ev, &fx);
	if (send(fd, fx.bytes.data, fx.bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("-", "event=refusal_not_sent");
	close(fd);
	cm_effects_clear(&fx);
	c2s_stream_free(&stream);
	if (s->refusal_logged.us && monotime_ms_between(s->refusal_logged, now) < REFUSAL_LOG_MS)
		return;
	s->refusal_logged = now;
	log_warn("-",
		 "event=refused reason=\"%s\" address_family=%s refused_so_far=%llu "
		 "hint=\"see section limits of the configuration\"",
		 why, a.len == 4 ? "ipv4" : "ipv6", (unsigned long long)s->stats.refused);
}

void c2s_conn_new(struct c2s *s, int fd, const struct sockaddr_storage *peer)
{
	struct cm_address address = cm_address_of(peer);
	const char *why = cm_limits_enter(&s->limits, &address);
	struct c2s_conn *c;

	if (why) {
		refuse(s, fd, peer, why);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->c2s = s;
	c->address = address;
	c->stranger = true;
	c->id = ++s->last_id;
	c->last_read = loop_now(s->loop);
	list_init(&c->wait);
	list_init(&c->ask);
	cm_deadline_init(&c->ack);
	str_init(&c->in);
	str_init(&c->wish);
	list_append(&s->conns, &c->all);
	snprintf(c->short_name, sizeof(c->short_name), "c2s#%llu", (unsigned long long)c->id);
	c->stream = c2s_stream_new(&s->settings.rules);
	c2s_conn_set_name(c);
	framer_init(&c->framer, &s->settings.before);
	cm_deadline_init(&c->deadline);
	c2s_set_deadline(c);
	c->conn = conn_new(s->conn_set, fd, peer, &conn_events, c);
	conn_detect_tls(c->conn, s->tls);
	s->stats.accepted++;
	log_info(c->name, "event=connect addr=%s", conn_addr(c->conn));
	c2s_trace(c, "connect", "%s", "");
}

void c2s_conn_free(struct c2s_conn *c)
{
	struct c2s *s = c->c2s;

	s->stats.bytes_in += conn_read(c->conn);
	s->stats.bytes_out += conn_written(c->conn);
	no_stranger(c);
	cm_limits_leave(&s->limits);
	list_remove(&c->all);
	list_remove(&c->wait);
	list_remove(&c->ask);
	cm_deadline_clear(&c->deadline);
	cm_deadline_clear(&c->ack);
	c2s_login_free(&c->login);
	c2s_conn_drop_register(c);
	c2s_conn_drop_kept(c);
	conn_free(&c->conn);
	c2s_stream_free(&c->stream);
	str_clear(&c->in);
	str_clear(&c->wish);
	free(c->name);
	free(c);
}

static void forget_session(struct c2s_conn *c)
{
	if (c->sid)
		map64_remove(&c->c2s->by_sid, c->sid);
	c->sid = 0;
	c->nmarks = 0;
	c2s_conn_drop_kept(c); /* not delivered: for whoever resumes, or judged again */
	str_clear(&c->wish);
	cm_deadline_clear(&c->ack);
	list_remove(&c->ask);
}

void c2s_conn_end_session(struct c2s_conn *c, const char *reason)
{
	forget_session(c);
	if (c->session && c->router_closed)
		hold_closed(&c->session);
	else if (c->session)
		hold_end(&c->session, reason);
}

void c2s_conn_lose_session(struct c2s_conn *c, const char *reason)
{
	if (!c->session || c->router_closed || !hold_can_resume(c->session)) {
		c2s_conn_end_session(c, reason);
		return;
	}
	forget_session(c);
	c->c2s->stats.detached++;
	log_info(c->name, "event=detach reason=%s sid=%016llx", reason,
		 (unsigned long long)hold_sid(c->session));
	c2s_trace(c, "detach", "reason=%s", reason);
	hold_detach(&c->session, reason);
}

void c2s_conn_lost(struct c2s_conn *c, const char *condition, const char *text)
{
	struct c2s_event ev = {.kind = C2S_EV_LOST, .condition = condition, .text = text};

	c2s_step(c, &ev);
	c2s_update_reading(c);
}

void c2s_conn_stop(struct c2s_conn *c, const char *condition, const char *text)
{
	struct c2s_event ev = {.kind = C2S_EV_STOP, .condition = condition, .text = text};

	c2s_step(c, &ev);
	c2s_update_reading(c);
}

static void on_idle(struct c2s_conn *c)
{
	const struct c2s_settings *set = &c->c2s->settings;
	uint64_t silent = monotime_ms_between(c->last_read, loop_now(c->c2s->loop));

	if (set->idle_ms && silent >= set->idle_ms) {
		c2s_step(c, &(struct c2s_event){.kind = C2S_EV_LATE});
		c2s_update_reading(c);
		return;
	}
	if (set->keepalive_ms && silent >= set->keepalive_ms)
		conn_write(c->conn, " ", 1);
	c2s_set_deadline(c);
}

void c2s_conn_deadline(struct c2s_conn *c)
{
	if (c->deadline.of == C2S_DEADLINE_IDLE) {
		on_idle(c);
	} else if (c->deadline.of == C2S_DEADLINE_LINGER) {
		on_closed(c, "the peer did not close in time");
	} else {
		c2s_step(c, &(struct c2s_event){.kind = C2S_EV_LATE});
		if (!c->dead && c2s_stream_state(c->stream) == C2S_BINDABLE)
			c2s_conn_end_session(c, "bind-timeout"); /* BOUND may still come: unknown */
		c2s_feed_more(c);
	}
}

/* Binding */

void c2s_conn_ask_bind(struct c2s_conn *c)
{
	link_put_bind(bus_link(c->c2s->bus),
		      &(struct msg_bind){.sid = c->sid,
					 .kind = SESSION_CLIENT,
					 .jid = c2s_stream_bare(c->stream),
					 .resource = str_slice(&c->wish),
					 .conn = slice_str(c->short_name),
					 .addr = slice_str(conn_addr(c->conn))});
}

void c2s_conn_bound(struct c2s_conn *c, uint64_t epoch, struct slice jid)
{
	struct c2s_event ev = {.kind = C2S_EV_BOUND, .jid = jid};

	str_clear(&c->wish);
	c->session = hold_add(c->c2s->hold, c->sid, epoch, SESSION_CLIENT, jid, c->short_name,
			      conn_addr(c->conn), c);
	c2s_step(c, &ev);
	if (c->dead)
		return;
	c2s_conn_set_name(c);
	log_info(c->name, "event=bind jid=%s sid=%016llx", log_quote(jid),
		 (unsigned long long)c->sid);
	c2s_trace(c, "bind", "sid=%016llx", (unsigned long long)c->sid);
	c2s_feed_more(c);
}

void c2s_conn_bind_refused(struct c2s_conn *c, const char *condition, const char *text)
{
	struct c2s_event ev = {.kind = C2S_EV_BIND_REFUSED, .condition = condition, .text = text};

	c2s_trace(c, "bind_refused", "condition=%s reason=%s", condition,
		  log_quote(slice_str(text)));
	c2s_conn_end_session(c, condition);
	c2s_step(c, &ev);
	c2s_feed_more(c);
}

/* Deliveries */

void c2s_conn_add_mark(struct c2s_conn *c, uint64_t q)
{
	struct c2s_mark m = {q, conn_queued(c->conn)};

	/* More than these are only told apart when a client reads slowly; the last then stands for
	 * all that follow: told later, never too early. */
	if (c->nmarks == C2S_MARKS)
		c->nmarks--;
	c->marks[c->nmarks++] = m;
}

void c2s_conn_check_backlog(struct c2s_conn *c)
{
	size_t most = c->c2s->settings.session_queue;

	if (conn_backlog(c->conn) <= most)
		return;
	conn_flush(c->conn);
	if (!c->dead && conn_backlog(c->conn) > most)
		c2s_conn_lost(c, "policy-violation",
			      "you do not read: too much is waiting for you");
}

void c2s_conn_deliver(struct c2s_conn *c, const struct msg_deliver *m)
{
	struct c2s *s = c->c2s;

	if (c->inactive && c2s_conn_keep_back(c, m))
		return;
	xml_out_stanza(conn_write_begin(c->conn), &(struct stanza_out){.kind = m->kind,
								       .type = m->type,
								       .from = m->from,
								       .to = m->to,
								       .id = m->id,
								       .lang = m->lang,
								       .inner = m->inner});
	conn_write_end(c->conn);
	c2s_conn_add_mark(c, m->q);
	c->stanzas_out++;
	s->stats.stanzas_out++;
	c2s_conn_will_ask(c);
	c2s_conn_check_backlog(c);
}

/* SASL */

static void on_challenge(void *arg, struct slice data)
{
	struct c2s_conn *c = arg;
	struct c2s_event ev = {.kind = C2S_EV_CHALLENGE, .data = data};

	c2s_step(c, &ev);
	c2s_feed_more(c);
}

static void on_auth_done(void *arg, struct slice user, struct slice data)
{
	struct c2s_conn *c = arg;
	struct c2s_event ev = {.kind = C2S_EV_AUTHENTICATED, .data = data, .user = user};

	c->c2s->stats.logins++;
	c2s_step(c, &ev);
	if (c->dead)
		return;
	no_stranger(c);
	c->rate = 0;
	c2s_conn_set_name(c);
	log_info(c->name, "event=auth mechanism=%.*s", SLICE_ARG(c2s_stream_mechanism(c->stream)));
	c2s_trace(c, "auth", "mechanism=%.*s", SLICE_ARG(c2s_stream_mechanism(c->stream)));
	c2s_feed_more(c);
}

static void on_auth_failed(void *arg, const char *condition, const char *text, const char *detail)
{
	struct c2s_conn *c = arg;
	struct c2s_event ev = {.kind = C2S_EV_AUTH_FAILED, .condition = condition, .text = text};

	c->detail = detail;
	c2s_step(c, &ev);
	c->detail = NULL;
	c2s_feed_more(c);
}

const struct c2s_sasl_events c2s_conn_sasl_events = {
	.on_challenge = on_challenge,
	.on_done = on_auth_done,
	.on_failed = on_auth_failed,
};
