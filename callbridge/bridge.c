/*
 * bridge - which server next: carries out what the plan says, keeps the status, starts and stops.
 */
#include "callbridge/bridge.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "callbridge/bridge_core.h"

#define CTX	 "bridge"
#define STOP_MS	 5000
#define TICK_MAX 1000
#define TICK_MIN 20

static void do_step(struct bridge *b, struct bridge_step step);

/* ---- what is told */

static void set_text(char **field, const char *text)
{
	char *copy = xstrdup(text);

	free(*field);
	*field = copy;
}

static void set_condition(struct bridge *b, enum bridge_condition c, enum bridge_cause cause,
			  const char *host, const char *detail)
{
	b->condition = c;
	b->cause = cause;
	b->since = loop_now(b->loop);
	set_text(&b->host_name, host);
	set_text(&b->detail, detail);
}

/* The server's name as people know it: what they configured, or what DNS said. */
static const char *present_host(const struct bridge *b)
{
	const struct srv_record *t = bridge_plan_target(&b->plan);

	return *b->settings.host ? b->settings.host : t ? t->target : "";
}

/* The guides' lines (FEATURES 2.4), in their order; what is ours stands before them. */
static void log_failure(struct bridge *b, enum bridge_cause cause, const char *host, uint16_t port,
			const char *detail)
{
	struct str text = STR_INIT;

	log_info(CTX, "event=connection_failed server=%s port=%u cause=\"%s\" reason=%s",
		 log_quote(slice_str(host)), port, bridge_cause_log(cause),
		 log_quote(slice_str(detail)));
	if (cause == BRIDGE_CAUSE_DNS)
		log_info(CTX, "No DNS A or AAAA records for %s",
			 *b->settings.host ? b->settings.host : b->settings.srv_name);
	for (int n = 0; bridge_status_log(&text, cause, n); n++) {
		log_info(CTX, "%s", text.data);
		str_reset(&text);
	}
	str_clear(&text);
}

/* While DNS has not led anywhere the server has no name, unless it is configured: "". */
static void tell_failure(struct bridge *b, enum bridge_cause cause, const char *detail)
{
	const struct srv_record *t = bridge_plan_target(&b->plan);
	const char *host = cause == BRIDGE_CAUSE_DNS ? b->settings.host : present_host(b);
	struct str fault = STR_INIT;

	log_failure(b, cause, present_host(b), t ? t->port : 0, detail);
	set_condition(b, BRIDGE_FAILED, cause, host, detail);
	bridge_status_fault(&fault, slice_str(host));
	b->host.on_fault(b->host.arg, fault.data);
	str_clear(&fault);
}

void bridge_failed(struct bridge *b, enum bridge_cause cause, const char *detail)
{
	if (b->stopping)
		return;
	tell_failure(b, cause, detail);
	do_step(b, bridge_plan_failed(&b->plan, cause, (uint32_t)random_u64()));
}

void bridge_lost(struct bridge *b, enum bridge_cause cause, const char *detail)
{
	b->stats.losses++;
	if (b->stopping)
		return;
	tell_failure(b, cause, detail);
	do_step(b, bridge_plan_lost(&b->plan, loop_now(b->loop), (uint32_t)random_u64()));
}

void bridge_is_live(struct bridge *b)
{
	const struct bridge_link *l = &b->link;

	b->stats.connects++;
	bridge_plan_live(&b->plan, loop_now(b->loop));
	set_condition(b, BRIDGE_CONNECTED, BRIDGE_CAUSE_NONE, present_host(b), "");
	set_text(&b->addr, conn_addr(l->conn));
	b->host.on_fault(b->host.arg, NULL);
	log_info(CTX,
		 "event=connected server=%s addr=%s jid=%s tls=%s resumable=%d resumed=%d ms=%llu",
		 log_quote(slice_str(present_host(b))), b->addr, b->settings.jid,
		 conn_is_secure(l->conn) ? conn_tls_version(l->conn) : "none", l->stream.sm_offered,
		 b->sm.counts_in,
		 (unsigned long long)monotime_ms_between(l->began, loop_now(b->loop)));
}

/* ---- DNS */

static uint32_t pick(void *arg, uint32_t bound)
{
	return srv_random_system(arg, bound);
}

static void on_srv(void *arg, const struct dns_answer *a)
{
	struct bridge *b = arg;
	struct srv_record order[SRV_TARGETS_MAX];
	size_t n = 0;

	if (a->outcome == DNS_ANSWER)
		n = srv_order(a->of.srv, a->count, pick, NULL, order);
	if (n == 0) {
		bridge_failed(b, BRIDGE_CAUSE_DNS, a->text);
		return;
	}
	for (size_t i = 0; i < n; i++)
		log_info(CTX, "event=srv name=%s target=%s port=%u priority=%u weight=%u",
			 b->settings.srv_name, log_quote(slice_str(order[i].target)), order[i].port,
			 order[i].priority, order[i].weight);
	do_step(b, bridge_plan_found(&b->plan, order, n));
}

/* ---- TCP */

static enum bridge_cause cause_of(enum dial_failure f)
{
	switch (f) {
	case DIAL_DNS:
	case DIAL_NO_ADDRESS:
		return BRIDGE_CAUSE_DNS;
	case DIAL_REFUSED:
		return BRIDGE_CAUSE_REFUSED;
	case DIAL_UNREACHABLE:
		return BRIDGE_CAUSE_UNREACHABLE;
	case DIAL_SYSTEM:
		return BRIDGE_CAUSE_SYSTEM;
	default:
		return BRIDGE_CAUSE_TIMEOUT;
	}
}

static void on_dialled(void *arg, const struct dial_result *r)
{
	struct bridge *b = arg;

	if (r->fd >= 0)
		bridge_link_open(b, r->fd, &r->peer);
	else
		bridge_failed(b, cause_of(r->failure), r->text);
}

static void connect_to(struct bridge *b, const struct srv_record *t)
{
	struct dial_config cfg = {
		.resolver = b->resolver,
		.log_ctx = CTX,
		.attempt_ms = b->settings.connect_ms,
		.total_ms = 2 * b->settings.connect_ms,
	};
	struct dial_target target = {
		.host = t->target, .port = t->port, .from_srv = !b->plan.cfg.is_static};

	log_debug(CTX, "event=connecting server=%s port=%u", log_quote(slice_str(t->target)),
		  t->port);
	dial_start(&b->dial, b->loop, &cfg, &target, 1, on_dialled, b);
}

static void do_step(struct bridge *b, struct bridge_step step)
{
	if (b->stopping)
		return;
	switch (step.what) {
	case BRIDGE_DO_LOOKUP:
		resolver_ask(b->resolver, b->settings.srv_name, DNS_SRV, on_srv, b, &b->query);
		break;
	case BRIDGE_DO_CONNECT:
		connect_to(b, bridge_plan_target(&b->plan));
		break;
	case BRIDGE_DO_WAIT:
		log_debug(CTX, "event=wait ms=%u", step.wait_ms);
		loop_timer_set(b->wait, step.wait_ms, 0);
		break;
	}
}

void bridge_begin(struct bridge *b)
{
	do_step(b, bridge_plan_begin(&b->plan));
}

static void on_wait(void *arg)
{
	bridge_begin(arg);
}

/* ---- start and stop */

static enum err make_tls(const struct bridge_settings *s, struct tls_client **out, struct str *why)
{
	struct tls_client_config cfg = {.ca_file = s->ca, .no_verify = !s->verify};

	*out = NULL;
	if (s->tls != BRIDGE_TLS_NONE && !s->verify)
		log_warn(CTX,
			 "event=certificate_not_verified next=\"callbridge.verify = true, with "
			 "callbridge.ca for a CA of your own\"");
	return s->tls == BRIDGE_TLS_NONE ? ERR_OK : tls_client_new(out, &cfg, why);
}

static void start_program(struct bridge *b)
{
	const struct bridge_settings *s = &b->settings;
	char *name, *domain, *jid;
	struct bridge_exec_config cfg;

	if (!*s->exec)
		return;
	name = xasprintf("CALLBRIDGE_NAME=%s", s->name);
	domain = xasprintf("CALLBRIDGE_DOMAIN=%s", s->domain);
	jid = xasprintf("CALLBRIDGE_JID=%s", s->jid);
	cfg = (struct bridge_exec_config){
		.command = s->exec,
		.env = (const char *const[]){name, domain, jid, NULL},
		.cwd = b->host.cwd,
		.line_max = s->stanza_bytes,
	};
	b->exec = bridge_exec_new(b->loop, &cfg, &bridge_flow_exec, b);
	free(name);
	free(domain);
	free(jid);
}

static void set_plan(struct bridge *b)
{
	bridge_plan_init(&b->plan, &b->settings.plan);
	if (b->settings.plan.is_static)
		bridge_plan_static(&b->plan, b->settings.host, b->settings.port);
}

static void set_tick(struct bridge *b)
{
	uint32_t ms = b->settings.check_ms < b->settings.check_wait_ms ? b->settings.check_ms
								       : b->settings.check_wait_ms;

	ms = ms / 4 < TICK_MIN ? TICK_MIN : ms / 4;
	ms = ms > TICK_MAX || !b->settings.check_ms ? TICK_MAX : ms;
	loop_timer_set(b->tick, ms, ms);
}

static void on_grace(void *arg)
{
	struct bridge *b = arg;

	log_warn(CTX, "event=stop_hurried next=\"what was under way may be missing\"");
	b->exec_stopped = true;
	if (b->link.ending)
		b->link.gone = true;
	else
		bridge_link_close(b);
}

static struct bridge *make(struct loop *loop, struct bridge_settings *settings,
			   const struct bridge_host *host)
{
	struct bridge *b = xcalloc(1, sizeof(*b));

	b->loop = loop;
	b->settings = *settings;
	*settings = (struct bridge_settings){.secret = STR_INIT};
	b->host = *host;
	b->scratch = STR_INIT;
	b->link.in = STR_INIT;
	b->host_name = xstrdup(b->settings.host);
	b->addr = xstrdup("");
	b->detail = xstrdup("");
	b->since = loop_now(loop);
	bridge_effects_init(&b->fx);
	bridge_sm_init(&b->sm);
	bridge_queue_init(&b->out);
	b->xml = xml_in_new();
	b->hook = loop_hook_new(loop, bridge_flow_turn, b); /* before that of the connection */
	b->conn_set = conn_set_new(loop);
	b->wait = loop_timer_new(loop, on_wait, b);
	b->tick = loop_timer_new(loop, bridge_flow_tick, b);
	b->acks = loop_timer_new(loop, bridge_flow_acks, b);
	b->grace = loop_timer_new(loop, on_grace, b);
	return b;
}

enum err bridge_new(struct bridge **out, struct loop *loop, struct bridge_settings *settings,
		    const struct resolver_config *dns, const struct bridge_host *host,
		    struct str *why)
{
	struct bridge *b = make(loop, settings, host);
	enum err e = make_tls(&b->settings, &b->tls, why);

	if (e == ERR_OK)
		e = resolver_new(&b->resolver, loop, dns, why);
	if (e != ERR_OK) {
		bridge_free(&b);
		*out = NULL;
		return e;
	}
	set_plan(b);
	set_tick(b);
	start_program(b);
	bridge_begin(b);
	*out = b;
	return ERR_OK;
}

void bridge_free(struct bridge **bp)
{
	struct bridge *b = *bp;

	*bp = NULL;
	if (!b)
		return;
	resolver_cancel(&b->query);
	dial_cancel(&b->dial);
	bridge_link_drop(b);
	bridge_exec_free(&b->exec);
	loop_hook_free(&b->hook);
	conn_set_free(&b->conn_set);
	loop_timer_free(&b->wait);
	loop_timer_free(&b->tick);
	loop_timer_free(&b->acks);
	loop_timer_free(&b->grace);
	resolver_free(&b->resolver);
	tls_client_unref(&b->tls);
	xml_in_free(&b->xml);
	bridge_effects_clear(&b->fx);
	bridge_sm_clear(&b->sm);
	bridge_queue_clear(&b->out);
	str_clear(&b->scratch);
	bridge_settings_clear(&b->settings);
	free(b->host_name);
	free(b->addr);
	free(b->detail);
	free(b);
}

static void begin_anew(struct bridge *b)
{
	resolver_cancel(&b->query);
	dial_cancel(&b->dial);
	loop_timer_stop(b->wait);
	if (b->link.live) {
		b->link.live = false;
		bridge_flow_down(b);
		b->stats.losses++;
	}
	bridge_link_drop(b);
	bridge_sm_clear(&b->sm);
	set_plan(b);
	set_condition(b, BRIDGE_STARTING, BRIDGE_CAUSE_NONE, b->settings.host, "");
	bridge_begin(b);
}

enum err bridge_change(struct bridge *b, struct bridge_settings *settings,
		       const struct resolver_config *dns, struct str *why)
{
	struct bridge_settings old = b->settings;
	struct tls_client *tls;
	bool same_program = strcmp(old.exec, settings->exec) == 0 &&
			    old.stanza_bytes == settings->stanza_bytes &&
			    strcmp(old.jid, settings->jid) == 0;
	enum err e = make_tls(settings, &tls, why);

	if (e == ERR_OK)
		e = resolver_set(b->resolver, dns, why);
	if (e != ERR_OK) {
		tls_client_unref(&tls);
		bridge_settings_clear(settings);
		return e;
	}
	tls_client_unref(&b->tls);
	b->tls = tls;
	b->settings = *settings;
	*settings = (struct bridge_settings){.secret = STR_INIT};
	bridge_plan_set(&b->plan, &b->settings.plan);
	set_tick(b);
	if (!same_program) {
		bridge_exec_free(&b->exec);
		b->uncounted = 0;
		start_program(b);
	}
	if (!bridge_settings_same_link(&old, &b->settings) || !same_program)
		begin_anew(b);
	bridge_settings_clear(&old);
	return ERR_OK;
}

void bridge_stop(struct bridge *b)
{
	if (b->stopping)
		return;
	b->stopping = true;
	resolver_cancel(&b->query);
	dial_cancel(&b->dial);
	loop_timer_stop(b->wait);
	loop_timer_set(b->grace, STOP_MS, 0);
	if (b->exec)
		bridge_exec_stop(b->exec);
	else
		b->exec_stopped = true;
}

static void tell_unsent(const struct bridge *b)
{
	size_t unread = b->exec ? bridge_exec_lines(b->exec) : 0;

	if (b->out.count || unread)
		log_warn(
			CTX,
			"event=stopped stanzas_not_sent=%zu stanzas_not_taken_by_the_program=%zu "
			"next=\"those not sent are lost; of the others the server sends again what "
			"it counts (XEP-0198)\"",
			b->out.count, unread);
}

/* In each turn: first the program, then what it said, then the stream. */
void bridge_check_stopped(struct bridge *b)
{
	if (!b->stopping || b->stopped || !b->exec_stopped)
		return;
	if (b->link.conn && !b->link.live && !b->link.ending) {
		bridge_link_drop(b);
	} else if (b->link.conn && !b->link.ending && bridge_queue_unwritten(&b->out) == 0) {
		bridge_link_close(b);
		bridge_queue_arrived(&b->out, b->out.written); /* as far as we can know */
	}
	if (b->link.conn)
		return;
	b->stopped = true;
	tell_unsent(b);
	loop_timer_stop(b->grace);
	b->host.on_stopped(b->host.arg);
}

/* ---- status */

static void add_member(struct str *out, const char *name, const char *value)
{
	str_addf(out, "%s\"%s\":", out->data[out->len - 1] == '{' ? "" : ",", name);
	json_text(out, slice_str(value));
}

void bridge_report(const struct bridge *b, struct str *out)
{
	struct bridge_status s = {
		.condition = b->condition,
		.cause = b->cause,
		.host = slice_str(b->host_name),
		.seconds = monotime_ms_between(b->since, monotime_now()) / 1000,
	};
	struct str text = STR_INIT;

	bridge_status_text(&text, &s);
	str_addc(out, '{');
	add_member(out, "name", b->settings.name);
	add_member(out, "domain", b->settings.domain);
	add_member(out, "jid", b->settings.jid);
	add_member(out, "server", b->settings.server);
	add_member(out, "connection", text.data);
	add_member(out, "state", bridge_status_word(b->condition));
	add_member(out, "host", b->host_name);
	if (b->condition == BRIDGE_CONNECTED) {
		add_member(out, "address", b->addr);
		add_member(out, "tls",
			   b->link.conn && conn_is_secure(b->link.conn)
				   ? conn_tls_version(b->link.conn)
				   : "none");
		str_addf(out, ",\"resumable\":%s", b->sm.id.len ? "true" : "false");
	}
	if (b->condition == BRIDGE_FAILED) {
		add_member(out, "cause", bridge_cause_log(b->cause));
		str_addf(out, ",\"reason_code\":%d", bridge_cause_code(b->cause));
		add_member(out, "detail", b->detail);
	}
	str_addf(out, ",\"seconds\":%llu", (unsigned long long)s.seconds);
	add_member(out, "program", *b->settings.exec ? b->settings.exec : "(echo)");
	str_addf(out, ",\"program_pid\":%d", b->exec ? bridge_exec_pid(b->exec) : 0);
	str_addf(out, ",\"stanzas_in\":%llu,\"stanzas_out\":%llu}",
		 (unsigned long long)b->stats.stanzas_in, (unsigned long long)b->stats.stanzas_out);
	str_clear(&text);
}

void bridge_counters(const struct bridge *b, struct str *out)
{
	str_addf(out,
		 "connected=%d stanzas_in=%llu stanzas_out=%llu refused=%llu repeated=%llu "
		 "connects=%llu losses=%llu resumed=%llu queue_bytes=%zu program_bytes=%zu "
		 "program_starts=%u",
		 b->condition == BRIDGE_CONNECTED, (unsigned long long)b->stats.stanzas_in,
		 (unsigned long long)b->stats.stanzas_out, (unsigned long long)b->stats.refused,
		 (unsigned long long)b->stats.repeated, (unsigned long long)b->stats.connects,
		 (unsigned long long)b->stats.losses, (unsigned long long)b->stats.resumed,
		 b->out.held_bytes, b->exec ? bridge_exec_waiting(b->exec) : 0,
		 b->exec ? bridge_exec_starts(b->exec) : 0);
}

const char *bridge_name(const struct bridge *b)
{
	return b->settings.name;
}
