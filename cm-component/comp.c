#include "cm-component/comp.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "cm-component/comp_service.h"
#include "cm/cm_stats.h"
#include "proc/proc_listen.h"

#define BUS_PATH	"run/bus/router"
#define DRAIN_TICK_MS	20
#define DRAIN_SETTLE_MS 1000
#define DRAIN_LINGER_MS 500 /* for the peer's FIN: the supervisor waits for us */

static struct comp_conn *conn_of(struct list *l)
{
	return list_entry(l, struct comp_conn, all);
}

/* Bus */

static void on_up(void *arg, bool fresh)
{
	struct comp *s = arg;

	proc_ready(s->proc, true);
	if (!fresh)
		return;
	cm_traces_free(&s->traces);
	cm_quarantine_ask_again(s->quarantine);
	hold_announce(s->hold);
	comp_accounts_ask_again(s->accounts);
	list_each (it, &s->conns) {
		struct comp_conn *c = conn_of(it);

		if (comp_stream_state(c->stream) == COMP_BINDING)
			comp_conn_ask_bind(c);
		else if (comp_stream_state(c->stream) == COMP_RESUMING)
			comp_conn_ask_resume(c);
	}
}

static struct comp_conn *find_sid(struct comp *s, uint64_t sid)
{
	return map64_find(&s->by_sid, sid);
}

static void on_bound(struct comp *s, struct slice body)
{
	struct msg_bound m;
	struct comp_conn *c;

	if (msg_bound_get(body, &m) != ERR_OK)
		return;
	c = find_sid(s, m.sid);
	if (c && comp_stream_state(c->stream) == COMP_BINDING)
		comp_conn_bound(c, m.epoch, m.jid);
	else if (!c && !hold_find(s->hold, m.sid)) /* gave up or went away meanwhile */
		link_put_unbind(bus_link(s->bus),
				&(struct msg_unbind){m.sid, m.epoch, slice_str("gone")});
}

static void on_bind_refused(struct comp *s, struct slice body)
{
	struct msg_bind_refused m;
	struct comp_conn *c;
	char *condition, *text;

	if (msg_bind_refused_get(body, &m) != ERR_OK)
		return;
	c = find_sid(s, m.sid);
	if (!c || comp_stream_state(c->stream) != COMP_BINDING)
		return;
	condition = xstrndup(m.condition.data, m.condition.len);
	text = xstrndup(m.text.data, m.text.len);
	comp_conn_bind_refused(c, condition, text);
	free(condition);
	free(text);
}

static void on_close(struct comp *s, struct slice body)
{
	struct msg_close m;
	struct comp_conn *c;
	char *condition, *text;

	if (msg_close_get(body, &m) != ERR_OK)
		return;
	c = find_sid(s, m.sid);
	if (!c || !c->session || hold_epoch(c->session) != m.epoch)
		return;
	condition = xstrndup(m.condition.data, m.condition.len);
	text = xstrndup(m.text.data, m.text.len);
	c->router_closed = true;
	if (comp_stream_state(c->stream) == COMP_CLOSED) /* see comp_conn_close_session() */
		comp_conn_end_session(c, condition);
	comp_conn_stop(c, condition, text);
	free(condition);
	free(text);
}

static void on_probe(struct comp *s, struct slice body)
{
	struct msg_probe m;
	struct comp_conn *c;

	if (msg_probe_get(body, &m) != ERR_OK)
		return;
	c = find_sid(s, m.sid);
	if (c && c->session && hold_epoch(c->session) == m.epoch)
		comp_conn_probe(c);
}

static void tell_present(void *arg)
{
	struct comp *s = arg;

	list_each (it, &s->conns) {
		struct comp_conn *c = conn_of(it);
		struct cm_traced who = comp_traced(c);

		cm_trace_present(
			s->traces, &who, "state=%s tls=%s stanzas_in=%llu stanzas_out=%llu",
			comp_state_name(comp_stream_state(c->stream)),
			conn_is_secure(c->conn) ? conn_tls_version(c->conn) : "no",
			(unsigned long long)c->stanzas_in, (unsigned long long)c->stanzas_out);
	}
}

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct comp *s = arg;

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
		comp_resumed(s, body);
		break;
	case MSG_RESUME_REFUSED:
		comp_resume_refused(s, body);
		break;
	case MSG_CLOSE:
		on_close(s, body);
		break;
	case MSG_PROBE:
		on_probe(s, body);
		break;
	case MSG_TRACE:
		cm_traces_record(&s->traces, s->loop, s->bus, body, tell_present, s);
		break;
	case MSG_STORED:
		comp_accounts_stored(s->accounts, body);
		cm_quarantine_stored(s->quarantine, body);
		break;
	default:
		log_warn("bus", "event=unexpected_record type=%s", codec_name(type));
	}
}

static void add_stats(void *arg, struct str *out)
{
	const struct comp *s = arg;

	hold_sweep(s->hold); /* with the PONG, once a second */
	str_addf(out,
		 "connections=%zu authenticated=%zu accepted=%llu refused=%llu logins=%llu "
		 "logins_failed=%llu conflicts=%llu probes=%llu probes_dead=%llu throttled=%llu "
		 "resumed=%llu detached=%llu stanzas_in=%llu stanzas_out=%llu bytes_in=%llu "
		 "bytes_out=%llu unsettled_bytes=%zu lookups_waiting=%zu",
		 s->limits.connections, s->limits.connections - s->limits.strangers,
		 (unsigned long long)s->stats.accepted, (unsigned long long)s->stats.refused,
		 (unsigned long long)s->stats.logins, (unsigned long long)s->stats.logins_failed,
		 (unsigned long long)s->stats.conflicts, (unsigned long long)s->stats.probes,
		 (unsigned long long)s->stats.probes_dead, (unsigned long long)s->stats.throttled,
		 (unsigned long long)s->stats.resumed, (unsigned long long)s->stats.detached,
		 (unsigned long long)s->stats.stanzas_in, (unsigned long long)s->stats.stanzas_out,
		 (unsigned long long)s->stats.bytes_in, (unsigned long long)s->stats.bytes_out,
		 hold_total(s->hold), comp_accounts_waiting(s->accounts));
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
	comp_conn_deliver(stream, m);
}

/* Later, by the hook: this is called from inside custody. */
static void read_again(struct comp_conn *c)
{
	if (list_empty(&c->wait) && c->in.len > c->scanned)
		list_append(&c->comp->resume, &c->wait);
	else if (list_empty(&c->wait))
		comp_update_reading(c);
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
	struct comp_conn *c = stream;

	(void)n;
	comp_conn_held(c);
	if (c->dead || !c->paused || !c->session || !hold_is_enabled(c->session))
		return;
	list_remove(&c->wait);
	list_append(&c->comp->resume, &c->wait);
}

static void on_enabled(void *stream, struct slice id, uint32_t max_s)
{
	comp_conn_enabled(stream, id, max_s);
}

static void on_detach(void *stream)
{
	comp_conn_moved(stream);
}

static void on_quarantine(void *arg, const struct hold_quarantined *q)
{
	struct comp *s = arg;

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
	struct comp *s = arg;
	struct list *l;

	while (!comp_is_stalled(s) && (l = list_first(&s->stalled))) {
		list_remove(l);
		list_append(&s->resume, l);
	}
	while ((l = list_first(&s->resume))) {
		list_remove(l);
		comp_feed_more(list_entry(l, struct comp_conn, wait));
	}
	while ((l = list_first(&s->dead)))
		comp_conn_free(conn_of(l));
}

/* Before the connections of this turn are flushed. */
static void on_ask(void *arg)
{
	comp_ask_all(arg);
}

static void on_deadline(struct cm_deadline *e)
{
	if (e->of == COMP_DEADLINE_ACK || e->of == COMP_DEADLINE_ASK || e->of == COMP_DEADLINE_SOON)
		comp_conn_ack_deadline(list_entry(e, struct comp_conn, ack));
	else if (e->of == COMP_DEADLINE_PROBE)
		comp_conn_probed(list_entry(e, struct comp_conn, probe), false);
	else
		comp_conn_deadline(list_entry(e, struct comp_conn, deadline));
}

static void on_timer(void *arg)
{
	struct comp *s = arg;
	struct monotime now = monotime_now();
	struct cm_deadline *e;

	s->timer_at.us = 0;
	while ((e = cm_deadlines_due(&s->deadlines, now)))
		on_deadline(e);
	comp_arm(s);
}

void comp_arm(struct comp *s)
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
	comp_conn_new(arg, fd, peer);
}

/* Program */

static enum err load_settings(struct comp *s, const struct config *cfg)
{
	struct str why = STR_INIT;
	enum err e = comp_settings_load(&s->settings, cfg, &why);

	if (e != ERR_OK)
		log_err("-", "event=config_refused reason=%s", log_quote(str_slice(&why)));
	str_clear(&why);
	s->limits.connections_max = (size_t)cfg->component_connections;
	s->limits.strangers_max = (size_t)cfg->component_unauthenticated;
	s->limits.strangers_per_address_max = (size_t)cfg->component_unauthenticated_per_address;
	return e;
}

static void listen_all(struct comp *s)
{
	if (proc_listen_update(s->listeners) > 0)
		return;
	if (!proc_config(s->proc)->xmpp_enabled)
		log_info("-", "event=no_listener reason=\"xmpp.enabled is false\"");
	else
		log_info("-", "event=no_listener reason=\"cm-component.listen names no address\"");
}

static void init_lists(struct comp *s)
{
	list_init(&s->conns);
	list_init(&s->stalled);
	list_init(&s->resume);
	list_init(&s->dead);
	list_init(&s->asking);
	list_init(&s->flying);
	list_init(&s->throttled);
	map64_init(&s->by_sid);
	cm_deadlines_init(&s->deadlines);
	cm_limits_init(&s->limits);
	cm_effects_init(&s->fx);
}

enum err comp_init(struct proc *p, void **state)
{
	struct comp *s = xcalloc(1, sizeof(*s));

	*state = s;
	s->proc = p;
	s->loop = proc_loop(p);
	init_lists(s);
	s->bus = bus_open(s->loop, BUS_PATH, proc_service(p), proc_instance(p), proc_token(p),
			  &bus_events, s);
	proc_metrics(p, add_stats, s);
	s->hold = hold_new(bus_link(s->bus), &hold_events);
	hold_isolate(s->hold, s);
	s->accounts = comp_accounts_new(s->bus, comp_conn_found);
	s->quarantine = cm_quarantine_new(s->bus);
	s->xml = xml_in_new();
	s->ask_hook = loop_hook_new(s->loop, on_ask, s); /* before that of the connections */
	s->conn_set = conn_set_new(s->loop);
	s->certs = cm_certs_new(s->loop, p, NULL);
	s->timer = loop_timer_new(s->loop, on_timer, s);
	s->watch_timer = loop_timer_new(s->loop, comp_watch_tick, s);
	s->throttle_timer = loop_timer_new(s->loop, comp_throttle_tick, s);
	s->hook = loop_hook_new_at(s->loop, LOOP_FIRST, on_turn, s);
	s->listeners = proc_listen_new(p, on_accept, s);
	if (load_settings(s, proc_config(p)) != ERR_OK || cm_certs_load(s->certs) != ERR_OK)
		return ERR_FORMAT;
	listen_all(s);
	return ERR_OK;
}

static void free_conns(struct list *conns)
{
	struct list *l;

	while ((l = list_first(conns))) {
		struct comp_conn *c = conn_of(l);

		comp_conn_lose_session(c, "stopped");
		comp_conn_free(c);
	}
}

void comp_deinit(void *state)
{
	struct comp *s = state;

	if (!s)
		return;
	proc_listen_free(&s->listeners);
	free_conns(&s->conns);
	free_conns(&s->dead);
	loop_hook_free(&s->hook);
	loop_hook_free(&s->ask_hook);
	loop_timer_free(&s->timer);
	loop_timer_free(&s->watch_timer);
	loop_timer_free(&s->throttle_timer);
	loop_timer_free(&s->drain_timer);
	conn_set_free(&s->conn_set);
	comp_accounts_free(&s->accounts);
	cm_quarantine_free(&s->quarantine);
	hold_free(&s->hold);
	bus_close(&s->bus);
	xml_in_free(&s->xml);
	cm_certs_free(&s->certs);
	map64_clear(&s->by_sid);
	cm_limits_clear(&s->limits);
	cm_effects_clear(&s->fx);
	cm_traces_free(&s->traces);
	comp_settings_clear(&s->settings);
	free(s);
}

bool comp_check(const struct config *cfg, char *why, size_t whylen)
{
	struct comp_settings settings = {0};
	struct str reason = STR_INIT;
	enum err e = comp_settings_load(&settings, cfg, &reason);

	if (e != ERR_OK)
		snprintf(why, whylen, "%s", reason.data);
	comp_settings_clear(&settings);
	str_clear(&reason);
	return e == ERR_OK;
}

void comp_on_files(void *state)
{
	struct comp *s = state;

	cm_certs_load(s->certs);
}

void comp_on_reload(void *state, const struct config *old)
{
	struct comp *s = state;

	(void)old;
	load_settings(s, proc_config(s->proc));
	cm_certs_load(s->certs);
	if (s->draining)
		return;
	listen_all(s);
	list_each_safe (it, &s->conns) {
		struct comp_conn *c = conn_of(it);
		struct slice host = comp_stream_host(c->stream);

		if (!proc_config(s->proc)->xmpp_enabled)
			comp_conn_stop(c, "system-shutdown", "this service has been disabled");
		else if (host.len && !comp_settings_serves(&s->settings, host))
			comp_conn_stop(c, "host-gone", "your domain is not served here any more");
	}
}

/* Done when every stream is closed and the router has all that the components had sent: a stop
 * loses nothing that was accepted. Settled is better than held, but what waits for somebody's <a/>
 * or <resume/> may take minutes. Without a router there is nobody to wait for. */
static void on_drain_tick(void *arg)
{
	struct comp *s = arg;
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

void comp_drain(void *state)
{
	struct comp *s = state;

	if (s->draining)
		return;
	s->draining = true;
	s->settings.wait_ms[COMP_DEADLINE_LINGER] = DRAIN_LINGER_MS;
	proc_listen_stop(s->listeners);
	log_info("-", "event=drain connections=%zu", s->limits.connections);
	list_each_safe (it, &s->conns)
		comp_conn_lost(conn_of(it), "system-shutdown", "this server is stopping");
	s->drain_timer = loop_timer_new(s->loop, on_drain_tick, s);
	loop_timer_set(s->drain_timer, 0, DRAIN_TICK_MS);
}
