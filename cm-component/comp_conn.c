/*
 * comp_conn - one component connection: from accept to its end, and what the clock says to it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "cm-component/comp_service.h"

#define REFUSAL_LOG_MS 1000

/* For the log: "comp#41", then with the domain that it has proven to be. */
void comp_conn_set_name(struct comp_conn *c)
{
	struct slice jid = c->stranger ? SLICE_NONE : comp_stream_jid(c->stream);

	free(c->name);
	c->name = jid.len ? xasprintf("%s %.*s", c->short_name, SLICE_ARG(jid))
			  : xstrdup(c->short_name);
}

static void on_written(void *arg, uint64_t total)
{
	comp_watch_written(arg, total);
}

static void on_bytes(void *arg, const char *data, size_t len)
{
	comp_feed(arg, data, len);
}

static void on_secure(void *arg)
{
	struct comp_conn *c = arg;

	if (conn_was_direct(c->conn))
		comp_stream_direct_tls(c->stream);
	log_info(c->name, "event=tls version=%s cipher=%s direct=%s", conn_tls_version(c->conn),
		 conn_tls_cipher(c->conn), conn_was_direct(c->conn) ? "yes" : "no");
	comp_trace(c, "tls", "version=%s cipher=%s direct=%s", conn_tls_version(c->conn),
		   conn_tls_cipher(c->conn), conn_was_direct(c->conn) ? "yes" : "no");
	comp_step(c, &(struct comp_event){.kind = COMP_EV_SECURE});
	comp_update_reading(c);
}

static void no_stranger(struct comp_conn *c)
{
	if (c->stranger)
		cm_limits_login(&c->comp->limits, &c->address);
	c->stranger = false;
}

void comp_conn_is_known(struct comp_conn *c)
{
	if (!c->stranger)
		return;
	no_stranger(c);
	c->comp->stats.logins++;
	c->rate = 0;
	c->framer.limits = &c->comp->settings.after; /* the same stream goes on */
	comp_conn_set_name(c);
}

/* The router need not go on asking on its behalf. */
static void withdraw(struct comp_conn *c, uint64_t sid)
{
	if (sid && !c->session)
		link_put_unbind(bus_link(c->comp->bus),
				&(struct msg_unbind){.sid = sid, .reason = slice_str("gone")});
}

/* The connection is over, whatever the stream thought. Freed at the end of the turn, because its
 * functions may be on the stack. */
static void on_closed(void *arg, const char *reason)
{
	struct comp_conn *c = arg;
	struct comp *s = c->comp;
	enum comp_state state = comp_stream_state(c->stream);

	if (c->dead)
		return;
	comp_watch_look(c); /* the last time that the kernel can say what has left */
	if (state == COMP_BINDING)
		withdraw(c, c->sid);
	c->dead = true;
	if (state != COMP_CLOSED) {
		log_info(c->name,
			 "event=close condition=connection-lost reason=%s state=%s stanzas_in=%llu "
			 "stanzas_out=%llu in_flight=%s",
			 log_quote(slice_str(reason)), comp_state_name(state),
			 (unsigned long long)c->stanzas_in, (unsigned long long)c->stanzas_out,
			 comp_flight_is_empty(&c->flight) ? "no" : "yes");
		comp_trace(c, "close", "condition=connection-lost reason=%s state=%s",
			   log_quote(slice_str(reason)), comp_state_name(state));
		comp_conn_lose_session(c, "connection-lost");
	} else {
		comp_conn_end_session(c, c->end_reason ? c->end_reason : "closed");
	}
	comp_conn_drop_lookup(c);
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
static void refuse(struct comp *s, int fd, const struct sockaddr_storage *peer, const char *why)
{
	struct cm_effects fx;
	struct comp_stream *stream = comp_stream_new(&s->settings.rules);
	struct comp_event ev = {.kind = COMP_EV_STOP,
				.fresh = random_u64(),
				.condition = "policy-violation",
				.text = why};
	struct monotime now = loop_now(s->loop);
	struct cm_address a = cm_address_of(peer);

	s->stats.refused++;
	cm_trace_refused(s->traces, peer, why);
	cm_effects_init(&fx);
	comp_stream_step(stream, &ev, &fx);
	if (send(fd, fx.bytes.data, fx.bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("-", "event=refusal_not_sent");
	close(fd);
	cm_effects_clear(&fx);
	comp_stream_free(&stream);
	if (s->refusal_logged.us && monotime_ms_between(s->refusal_logged, now) < REFUSAL_LOG_MS)
		return;
	s->refusal_logged = now;
	log_warn("-",
		 "event=refused reason=\"%s\" address_family=%s refused_so_far=%llu "
		 "hint=\"see section cm-component of the configuration\"",
		 why, a.len == 4 ? "ipv4" : "ipv6", (unsigned long long)s->stats.refused);
}

static void init_lists(struct comp_conn *c)
{
	list_init(&c->wait);
	list_init(&c->ask);
	list_init(&c->fly);
	cm_deadline_init(&c->ack);
	cm_deadline_init(&c->probe);
	cm_deadline_init(&c->deadline);
	str_init(&c->in);
	str_init(&c->previd);
}

void comp_conn_new(struct comp *s, int fd, const struct sockaddr_storage *peer)
{
	struct cm_address address = cm_address_of(peer);
	const char *why = cm_limits_enter(&s->limits, &address);
	struct comp_conn *c;

	if (why) {
		refuse(s, fd, peer, why);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->comp = s;
	c->address = address;
	c->stranger = true;
	c->id = ++s->last_id;
	c->last_read = loop_now(s->loop);
	init_lists(c);
	list_append(&s->conns, &c->all);
	snprintf(c->short_name, sizeof(c->short_name), "comp#%llu", (unsigned long long)c->id);
	c->stream = comp_stream_new(&s->settings.rules);
	comp_conn_set_name(c);
	framer_init(&c->framer, &s->settings.before);
	comp_set_deadline(c);
	c->conn = conn_new(s->conn_set, fd, peer, &conn_events, c);
	conn_detect_tls(c->conn, cm_certs_tls(s->certs));
	s->stats.accepted++;
	log_info(c->name, "event=connect addr=%s", conn_addr(c->conn));
	comp_trace(c, "connect", "%s", "");
}

void comp_conn_free(struct comp_conn *c)
{
	struct comp *s = c->comp;

	s->stats.bytes_in += conn_read(c->conn);
	s->stats.bytes_out += conn_written(c->conn);
	no_stranger(c);
	cm_limits_leave(&s->limits);
	list_remove(&c->all);
	list_remove(&c->wait);
	list_remove(&c->ask);
	comp_watch_end(c);
	cm_deadline_clear(&c->deadline);
	cm_deadline_clear(&c->ack);
	cm_deadline_clear(&c->probe);
	comp_conn_drop_lookup(c);
	conn_free(&c->conn);
	comp_stream_free(&c->stream);
	str_clear(&c->in);
	str_clear(&c->previd);
	free(c->account.name);
	free(c->name);
	free(c);
}

static void forget_session(struct comp_conn *c)
{
	if (c->sid)
		map64_remove(&c->comp->by_sid, c->sid);
	c->sid = 0;
	c->probing = false;
	c->end_reason = NULL;
	comp_watch_end(c);
	str_clear(&c->previd);
	cm_deadline_clear(&c->ack);
	cm_deadline_clear(&c->probe);
	list_remove(&c->ask);
}

void comp_conn_end_session(struct comp_conn *c, const char *reason)
{
	comp_watch_look(c);
	forget_session(c);
	if (c->session && c->router_closed)
		hold_closed(&c->session);
	else if (c->session)
		hold_end(&c->session, reason);
}

void comp_conn_lose_session(struct comp_conn *c, const char *reason)
{
	if (!c->session || c->router_closed || !hold_can_resume(c->session)) {
		comp_conn_end_session(c, reason);
		return;
	}
	comp_watch_look(c);
	forget_session(c);
	c->comp->stats.detached++;
	log_info(c->name, "event=detach reason=%s sid=%016llx", reason,
		 (unsigned long long)hold_sid(c->session));
	comp_trace(c, "detach", "reason=%s", reason);
	hold_detach(&c->session, reason);
}

/* What was written may be on its way: its session ends when that has left, or with the connection.
 * reason may be gone by then. */
void comp_conn_close_session(struct comp_conn *c, const char *reason)
{
	if (c->dead || !c->session || c->router_closed || hold_is_enabled(c->session) ||
	    list_empty(&c->fly)) {
		comp_conn_end_session(c, reason);
		return;
	}
	comp_watch_look(c);
	if (list_empty(&c->fly))
		comp_conn_end_session(c, reason);
	else
		c->end_reason = "closed";
}

void comp_conn_lost(struct comp_conn *c, const char *condition, const char *text)
{
	struct comp_event ev = {.kind = COMP_EV_LOST, .condition = condition, .text = text};

	comp_step(c, &ev);
	comp_update_reading(c);
}

void comp_conn_stop(struct comp_conn *c, const char *condition, const char *text)
{
	struct comp_event ev = {.kind = COMP_EV_STOP, .condition = condition, .text = text};

	comp_step(c, &ev);
	comp_update_reading(c);
}

static void on_idle(struct comp_conn *c)
{
	const struct comp_settings *set = &c->comp->settings;
	uint64_t silent = monotime_ms_between(c->last_read, loop_now(c->comp->loop));

	if (set->idle_ms && silent >= set->idle_ms) {
		comp_step(c, &(struct comp_event){.kind = COMP_EV_LATE});
		comp_update_reading(c);
		return;
	}
	if (set->keepalive_ms && silent >= set->keepalive_ms)
		conn_write(c->conn, " ", 1);
	comp_set_deadline(c);
}

void comp_conn_deadline(struct comp_conn *c)
{
	uint64_t asked = comp_stream_state(c->stream) == COMP_BINDING ? c->sid : 0;

	if (c->deadline.of == COMP_DEADLINE_IDLE) {
		on_idle(c);
	} else if (c->deadline.of == COMP_DEADLINE_LINGER) {
		on_closed(c, "the peer did not close in time");
	} else {
		comp_step(c, &(struct comp_event){.kind = COMP_EV_LATE});
		withdraw(c, asked); /* BOUND may be on its way: unknown by then */
		comp_feed_more(c);
	}
}
