#include "cm-client/c2s.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "cm-client/c2s_service.h"
#include "cm/cm_stats.h"
#include "ipc/stanza_kinds.h"
#include "proc/proc_listen.h"

#define BUS_PATH	"run/bus/router"
#define DRAIN_TICK_MS	20
#define DRAIN_SETTLE_MS 1000
#define DRAIN_LINGER_MS 500 /* for the peer's FIN: the supervisor waits for us */

static struct c2s_conn *conn_of(struct list *l)
{
	return list_entry(l, struct c2s_conn, all);
}

/* Bus */

static void on_up(void *arg, bool fresh)
{
	struct c2s *s = arg;

	proc_ready(s->proc, true);
	if (!fresh)
		return;
	cm_traces_free(&s->traces);
	cm_quarantine_ask_again(s->quarantine);
	hold_announce(s->hold);
	c2s_keys_ask_again(s->keys);
	c2s_accounts_ask_again(s->accounts);
	list_each (it, &s->conns) {
		struct c2s_conn *c = conn_of(it);

		if (c2s_stream_state(c->stream) == C2S_BINDING)
			c2s_conn_ask_bind(c);
		else if (c2s_stream_state(c->stream) == C2S_RESUMING)
			c2s_conn_ask_resume(c);
	}
}

static struct c2s_conn *find_sid(struct c2s *s, uint64_t sid)
{
	return map64_find(&s->by_sid, sid);
}

static void on_bound(struct c2s *s, struct slice body)
{
	struct msg_bound m;
	struct c2s_conn *c;

	if (msg_bound_get(body, &m) != ERR_OK)
		return;
	c = find_sid(s, m.sid);
	if (c && c2s_stream_state(c->stream) == C2S_BINDING)
		c2s_conn_bound(c, m.epoch, m.jid);
	else if (!c && !hold_find(s->hold, m.sid)) /* gave up or went away meanwhile */
		link_put_unbind(bus_link(s->bus),
				&(struct msg_unbind){m.sid, m.epoch, slice_str("gone")});
}

static void on_bind_refused(struct c2s *s, struct slice body)
{
	struct msg_bind_refused m;
	struct c2s_conn *c;
	char *condition, *text;

	if (msg_bind_refused_get(body, &m) != ERR_OK)
		return;
	c = find_sid(s, m.sid);
	if (!c || c2s_stream_state(c->stream) != C2S_BINDING)
		return;
	condition = xstrndup(m.condition.data, m.condition.len);
	text = xstrndup(m.text.data, m.text.len);
	c2s_conn_bind_refused(c, condition, text);
	free(condition);
	free(text);
}

static void on_close(struct c2s *s, struct slice body)
{
	struct msg_close m;
	struct c2s_conn *c;
	char *condition, *text;

	if (msg_close_get(body, &m) != ERR_OK)
		return;
	c = find_sid(s, m.sid);
	if (!c || !c->session || hold_epoch(c->session) != m.epoch)
		return;
	condition = xstrndup(m.condition.data, m.condition.len);
	text = xstrndup(m.text.data, m.text.len);
	c->router_closed = true;
	c2s_conn_stop(c, condition, text);
	free(condition);
	free(text);
}

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct c2s *s = arg;

	if (hold_record(s->hold, type, body))
		return;
	switch (type) {
	case MSG_BOUND:
		on_bound(s, body);
		break;
	case MSG_BIND_REFUSED:
		on_bind_refused(s, body);
		break;
	case MSG_RESUMED:
		c2s_resumed(s, body);
		break;
	case MSG_RESUME_REFUSED:
		c2s_resume_refused(s, body);
		break;
	case MSG_CLOSE:
		on_close(s, body);
		break;
	case MSG_TRACE:
		c2s_trace_record(s, body);
		break;
	case MSG_STORED:
		c2s_keys_stored(s->keys, body);
		c2s_accounts_stored(s->accounts, body);
		cm_quarantine_stored(s->quarantine, body);
		break;
	default:
		log_warn("bus", "event=unexpected_record type=%s", codec_name(type));
	}
}

static void add_stats(void *arg, struct str *out)
{
	const struct c2s *s = arg;

	hold_sweep(s->hold); /* with the PONG, once a second */
	str_addf(out,
		 "connections=%zu authenticated=%zu accepted=%llu refused=%llu logins=%llu "
		 "logins_failed=%llu registered=%llu throttled=%llu csi_bytes=%zu resumed=%llu "
		 "detached=%llu stanzas_in=%llu stanzas_out=%llu "
		 "bytes_in=%llu bytes_out=%llu unsettled_bytes=%zu keys_waiting=%zu",
		 s->limits.connections, s->limits.connections - s->limits.strangers,
		 (unsigned long long)s->stats.accepted, (unsigned long long)s->stats.refused,
		 (unsigned long long)s->stats.logins, (unsigned long long)s->stats.logins_failed,
		 (unsigned long long)s->stats.registered, (unsigned long long)s->stats.throttled,
		 s->csi_pool.bytes, (unsigned long long)s->stats.resumed,
		 (unsigned long long)s->stats.detached, (unsigned long long)s->stats.stanzas_in,
		 (unsigned long long)s->stats.stanzas_out, (unsigned long long)s->stats.bytes_in,
		 (unsigned long long)s->stats.bytes_out, hold_total(s->hold),
		 c2s_keys_waiting(s->keys));
	cm_stats_books(s->hold, out);
}

static const struct bus_events bus_events = {
	.on_up = on_up,
	.on_record = on_record,
	.add_stats = add_stats,
};

/* Custody */

static void on_deliver(void *stream, const struct msg_deliver *m)
{
	c2s_conn_deliver(stream, m);
}

/* Later, by the hook: this is called from inside custody. */
static void read_again(struct c2s_conn *c)
{
	if (list_empty(&c->wait) && c->in.len > c->scanned)
		list_append(&c->c2s->resume, &c->wait);
	else if (list_empty(&c->wait))
		c2s_update_reading(c);
}

static void on_settled(void *stream, uint64_t first, uint64_t last, uint8_t how)
{
	(void)first;
	(void)last;
	(void)how;
	read_again(stream);
}

static void on_held(void *stream, uint64_t n)
{
	struct c2s_conn *c = stream;

	(void)n;
	c2s_conn_held(c);
	if (c->dead || !c->paused || !c->session || !hold_is_enabled(c->session))
		return;
	list_remove(&c->wait);
	list_append(&c->c2s->resume, &c->wait);
}

static void on_enabled(void *stream, struct slice id, uint32_t max_s)
{
	c2s_conn_enabled(stream, id, max_s);
}

static void on_detach(void *stream)
{
	c2s_conn_moved(stream);
}

static void on_quarantine(void *arg, const struct hold_quarantined *q)
{
	struct c2s *s = arg;

	cm_quarantine_add(s->quarantine, q);
}

static const struct hold_events hold_events = {
	.on_deliver = on_deliver,
	.on_held = on_held,
	.on_settled = on_settled,
	.on_enabled = on_enabled,
	.on_detach = on_detach,
	.on_quarantine = on_quarantine,
};

/* Once per turn */

static void on_turn(void *arg)
{
	struct c2s *s = arg;
	struct list *l;

	while (!c2s_is_stalled(s) && (l = list_first(&s->stalled))) {
		list_remove(l);
		list_append(&s->resume, l);
	}
	while ((l = list_first(&s->resume))) {
		list_remove(l);
		c2s_feed_more(list_entry(l, struct c2s_conn, wait));
	}
	while ((l = list_first(&s->dead)))
		c2s_conn_free(conn_of(l));
}

/* Before the connections of this turn are flushed. */
static void on_ask(void *arg)
{
	c2s_ask_all(arg);
}

static void on_timer(void *arg)
{
	struct c2s *s = arg;
	struct monotime now = monotime_now();
	struct cm_deadline *e;

	s->timer_at.us = 0;
	while ((e = cm_deadlines_due(&s->deadlines, now))) {
		if (e->of == C2S_DEADLINE_ACK || e->of == C2S_DEADLINE_ASK ||
		    e->of == C2S_DEADLINE_SOON)
			c2s_conn_ack_deadline(list_entry(e, struct c2s_conn, ack));
		else if (e->of == C2S_DEADLINE_CSI)
			c2s_csi_late(list_entry(e, struct c2s_csi, deadline), "time");
		else
			c2s_conn_deadline(list_entry(e, struct c2s_conn, deadline));
	}
	c2s_arm(s);
}

void c2s_arm(struct c2s *s)
{
	struct monotime at;

	if (!cm_deadlines_next(&s->deadlines, &at))
		return;
	if (s->timer_at.us && !monotime_before(at, s->timer_at))
		return;
	s->timer_at = at;
	loop_timer_set(s->timer, monotime_ms_between(monotime_now(), at) + 1, 0);
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer)
{
	c2s_conn_new(arg, fd, peer);
}

/* TLS */

/* Connections keep the certificate that they began with. */
static void use_tls(void *arg)
{
	struct c2s *s = arg;
	unsigned char secret[32];

	s->tls = cm_certs_tls(s->certs);
	tls_ctx_secret(s->tls, "c2s decoy keys", secret);
	c2s_sasl_set_secret(s->sasl, secret);
	xwipe(secret, sizeof(secret));
}

/* On failure what stood before goes on, and status says so. */
static enum err load_tls(struct c2s *s)
{
	enum err e = cm_certs_load(s->certs);

	if (e == ERR_OK)
		use_tls(s);
	return e;
}

/* Program */

static enum err load_settings(struct c2s *s, const struct config *cfg)
{
	struct str why = STR_INIT;
	enum err e = c2s_settings_load(&s->settings, cfg, &why);

	if (e != ERR_OK)
		log_err("-", "event=config_refused reason=%s", log_quote(str_slice(&why)));
	str_clear(&why);
	s->limits.connections_max = (size_t)cfg->limit_connections;
	s->limits.strangers_max = (size_t)cfg->limit_unauthenticated;
	s->limits.strangers_per_address_max = (size_t)cfg->limit_unauthenticated_per_address;
	return e;
}

static void listen_all(struct c2s *s)
{
	if (proc_listen_update(s->listeners) > 0)
		return;
	if (!proc_config(s->proc)->xmpp_enabled)
		log_info("-", "event=no_listener reason=\"xmpp.enabled is false\"");
	else
		log_warn("-", "event=no_listener hint=\"the supervisor passed no socket: see "
			      "cm-client.listen\"");
}

static void init_lists(struct c2s *s)
{
	list_init(&s->conns);
	list_init(&s->stalled);
	list_init(&s->resume);
	list_init(&s->dead);
	list_init(&s->asking);
	list_init(&s->throttled);
	map64_init(&s->by_sid);
	cm_deadlines_init(&s->deadlines);
	cm_limits_init(&s->limits);
	c2s_csi_pool_init(&s->csi_pool);
	cm_effects_init(&s->fx);
}

enum err c2s_init(struct proc *p, void **state)
{
	struct c2s *s = xcalloc(1, sizeof(*s));
	struct c2s_key_source source;

	*state = s;
	s->proc = p;
	s->loop = proc_loop(p);
	init_lists(s);
	s->bus = bus_open(s->loop, BUS_PATH, proc_service(p), proc_instance(p), proc_token(p),
			  &bus_events, s);
	proc_metrics(p, add_stats, s);
	s->hold = hold_new(bus_link(s->bus), &hold_events);
	hold_isolate(s->hold, s);
	s->keys = c2s_keys_new(s->bus);
	s->accounts = c2s_accounts_new(s->bus, c2s_conn_registered);
	s->quarantine = cm_quarantine_new(s->bus);
	source = c2s_keys_source(s->keys);
	s->sasl = c2s_sasl_new(s->loop, &source, &c2s_conn_sasl_events);
	s->xml = xml_in_new();
	s->ask_hook = loop_hook_new(s->loop, on_ask, s); /* before that of the connections */
	s->conn_set = conn_set_new(s->loop);
	s->certs = cm_certs_new(s->loop, p, "xmpp-client");
	cm_certs_on_renewed(s->certs, use_tls, s);
	s->timer = loop_timer_new(s->loop, on_timer, s);
	s->throttle_timer = loop_timer_new(s->loop, c2s_throttle_tick, s);
	s->hook = loop_hook_new_at(s->loop, LOOP_FIRST, on_turn, s);
	if (load_settings(s, proc_config(p)) != ERR_OK || load_tls(s) != ERR_OK)
		return ERR_FORMAT;
	s->listeners = proc_listen_new(p, on_accept, s);
	listen_all(s);
	return ERR_OK;
}

static void free_conns(struct list *conns)
{
	struct list *l;

	while ((l = list_first(conns))) {
		struct c2s_conn *c = conn_of(l);

		c2s_conn_lose_session(c, "stopped");
		c2s_conn_free(c);
	}
}

void c2s_deinit(void *state)
{
	struct c2s *s = state;

	if (!s)
		return;
	proc_listen_free(&s->listeners);
	free_conns(&s->conns);
	free_conns(&s->dead);
	loop_hook_free(&s->hook);
	loop_hook_free(&s->ask_hook);
	loop_timer_free(&s->timer);
	loop_timer_free(&s->throttle_timer);
	loop_timer_free(&s->drain_timer);
	conn_set_free(&s->conn_set);
	c2s_sasl_free(&s->sasl);
	c2s_keys_free(&s->keys);
	c2s_accounts_free(&s->accounts);
	cm_quarantine_free(&s->quarantine);
	hold_free(&s->hold);
	bus_close(&s->bus);
	xml_in_free(&s->xml);
	cm_certs_free(&s->certs);
	map64_clear(&s->by_sid);
	cm_limits_clear(&s->limits);
	c2s_csi_pool_clear(&s->csi_pool);
	cm_effects_clear(&s->fx);
	cm_traces_free(&s->traces);
	c2s_settings_clear(&s->settings);
	free(s);
}

bool c2s_check(const struct config *cfg, char *why, size_t whylen)
{
	struct c2s_settings settings = {0};
	struct str reason = STR_INIT;
	enum err e = c2s_settings_load(&settings, cfg, &reason);

	if (e != ERR_OK)
		snprintf(why, whylen, "%s", reason.data);
	c2s_settings_clear(&settings);
	str_clear(&reason);
	return e == ERR_OK;
}

void c2s_on_files(void *state)
{
	load_tls(state);
}

void c2s_on_reload(void *state, const struct config *old)
{
	struct c2s *s = state;

	(void)old;
	load_settings(s, proc_config(s->proc));
	load_tls(s);
	if (!s->draining)
		listen_all(s);
	list_each_safe (it, &s->conns) {
		struct c2s_conn *c = conn_of(it);
		struct slice domain = c2s_stream_domain(c->stream);

		/* CUSTODY 4: that ends sessions, it does not detach them. */
		if (!proc_config(s->proc)->xmpp_enabled)
			c2s_conn_stop(c, "system-shutdown", "this service has been disabled");
		else if (domain.len && !c2s_settings_serves(&s->settings, domain))
			c2s_conn_stop(c, "host-gone", "this domain is not served here any more");
	}
}

/* Done when every stream is closed and the router has all that the clients had sent: a stop loses
 * nothing that was accepted. Settled is better than held, but what waits for somebody's <a/> or
 * <resume/> may take minutes. Without a router there is nobody to wait for. */
static void on_drain_tick(void *arg)
{
	struct c2s *s = arg;
	struct monotime now = loop_now(s->loop);

	if (!list_empty(&s->conns) || !list_empty(&s->dead))
		return;
	if (!s->drained.us)
		s->drained = now;
	if (bus_is_up(s->bus) && link_unreceipted(bus_link(s->bus)) > 0)
		return;
	if (bus_is_up(s->bus) && hold_total(s->hold) > 0 &&
	    monotime_ms_between(s->drained, now) < DRAIN_SETTLE_MS)
		return;
	loop_timer_stop(s->drain_timer);
	proc_drained(s->proc);
}

void c2s_drain(void *state)
{
	struct c2s *s = state;

	if (s->draining)
		return;
	s->draining = true;
	s->settings.wait_ms[C2S_DEADLINE_LINGER] = DRAIN_LINGER_MS;
	proc_listen_stop(s->listeners);
	log_info("-", "event=drain connections=%zu", s->limits.connections);
	list_each_safe (it, &s->conns)
		c2s_conn_lost(conn_of(it), "system-shutdown", "this server is stopping");
	s->drain_timer = loop_timer_new(s->loop, on_drain_tick, s);
	loop_timer_set(s->drain_timer, 0, DRAIN_TICK_MS);
}
