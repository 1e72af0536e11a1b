#include "router/router.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/version.h"
#include "router/router_types.h"
#include "router/shelf.h"
#include "router/trace.h"

#define TICK_MS	      50
#define DRAIN_DISK_MS 2000 /* a stop does not wait longer for the disk */

static void on_peer_up(void *arg, struct hub_peer *hp, bool fresh)
{
	struct router *r = arg;
	struct router_peer *p;

	(void)fresh; /* the hub keeps links over reconnects: up is told once a boot */
	p = xcalloc(1, sizeof(*p));
	p->hub = hp;
	hub_peer_set_data(hp, p);
	if (hub_peer_roles(hp) == IPC_CM)
		p->custody = custody_peer_add(r->custody, hub_peer_link(hp));
	else if (hub_peer_roles(hp) == IPC_STORE)
		store_ops_attach(r->store, hub_peer_link(hp));
	router_trace_peer_up(r, p);
}

static void on_peer_dead(void *arg, struct hub_peer *hp)
{
	struct router *r = arg;
	struct router_peer *p = hub_peer_data(hp);

	if (!p)
		return;
	router_trace_peer_dead(r, p);
	router_remove_peer_dead(r, p);
	components_peer_dead(r, p);
	barrier_forget(r, p);
	resume_forget(r, p);
	suspects_leave(r->suspects, hub_peer_link(hp), loop_now(r->loop));
	store_ops_forget(r->store, hub_peer_link(hp));
	if (hub_peer_roles(hp) == IPC_STORE)
		store_ops_attach(r->store, NULL);
	if (p->custody)
		router_peer_sessions_end(r, p, "service-unavailable");
	hub_peer_set_data(hp, NULL);
	free(p);
}

static void on_record(void *arg, struct hub_peer *hp, uint16_t type, struct slice body)
{
	struct router *r = arg;
	struct router_peer *p = hub_peer_data(hp);

	if (r->barrier ? !barrier_takes(r, type, body) : barrier_is_announcement(type))
		barrier_keep(r, p, type, body);
	else
		router_record(r, p, type, body);
}

static const struct hub_events hub_events = {
	.on_peer_up = on_peer_up,
	.on_peer_dead = on_peer_dead,
	.on_record = on_record,
};

static void on_undelivered(void *ctx, struct custody_entry *e, uint64_t sid,
			   const struct session_stanza *s, const char *reason)
{
	struct router *r = ctx;

	session_undelivered(r->sessions, e, sid, s, reason, loop_now(r->loop));
}

/* The hook that follows does it. */
static void on_flush(void *arg)
{
	struct router *r = arg;

	r->flush_due = false;
}

static void flush_sessions(struct router *r)
{
	unsigned int ms = session_flush(r->sessions, loop_now(r->loop));

	if (!ms || r->flush_due)
		return;
	r->flush_due = true;
	loop_timer_set(r->flush, ms, 0);
}

static void on_turn(void *arg)
{
	struct router *r = arg;

	custody_turn(r->custody);
	flush_sessions(r);
	shelf_flush(r);
}

/* Who hangs cannot tell; the one that waits for it does. */
static void tell_trouble(struct router *r)
{
	const char *who = hub_silent(r->hub);
	char *silent = who ? xasprintf("%s does not answer: see its log and process", who) : NULL;
	const char *text = silent ? silent : session_alarm(r->sessions);

	if (text ? !r->alarm || strcmp(text, r->alarm) != 0 : r->alarm != NULL) {
		proc_alarm(r->proc, text);
		free(r->alarm);
		r->alarm = text ? xstrdup(text) : NULL;
	}
	free(silent);
}

static void on_tick(void *arg)
{
	struct router *r = arg;

	barrier_check(r, loop_now(r->loop));
	store_ops_tick(r->store, loop_now(r->loop));
	suspects_check(r->suspects, loop_now(r->loop));
	resume_check(r);
	binders_tick(r);
	if (r->drain_until.us &&
	    ((shelf_synced(r->shelf) == shelf_last(r->shelf) && !session_archiving(r->sessions)) ||
	     monotime_before(r->drain_until, loop_now(r->loop))))
		proc_drained(r->proc);
	if (++r->ticks % (1000 / TICK_MS) != 0)
		return;
	tell_trouble(r);
	router_trace_tick(r);
	if (r->barrier)
		return;
	resume_expire(r);
	session_tick(r->sessions, loop_now(r->loop));
	shelf_tick(r);
	components_tick(r);
}

static void configure(struct router *r)
{
	const struct config *cfg = proc_config(r->proc);

	custody_set_limits(r->custody, (struct custody_limits){
					       .flight = (size_t)cfg->router_flight_bytes,
					       .queue = (size_t)cfg->router_queue_bytes,
					       .domain = (size_t)cfg->router_domain_queue_bytes,
					       .total = (size_t)cfg->router_total_queue_bytes,
					       .memory = (size_t)cfg->router_spool_memory_bytes,
					       .spool = (size_t)cfg->router_session_spool_bytes,
				       });
	session_configure(
		r->sessions,
		&(struct session_config){
			.domains = (const char *const *)cfg->domains,
			.sessions_per_user = (unsigned int)cfg->router_sessions_per_user,
			.motd = cfg->xmpp_motd,
			.resource_conflict = cfg->router_resource_conflict,
			.presence_grace_s = (unsigned int)cfg->router_presence_grace,
			.reconnect_grace_s = (unsigned int)cfg->router_reconnect_grace,
			.waiting_requests = (unsigned int)cfg->router_waiting_requests,
			.last_activity = cfg->router_last_activity,
			.change_password = cfg->registration_change_password,
			.remove_account = cfg->registration_remove,
			.disabled = !cfg->xmpp_enabled,
			.addresses =
				{[ADDRESS_ABUSE] = (const char *const *)cfg->contact_abuse,
				 [ADDRESS_ADMIN] = (const char *const *)cfg->contact_admin,
				 [ADDRESS_FEEDBACK] = (const char *const *)cfg->contact_feedback,
				 [ADDRESS_SALES] = (const char *const *)cfg->contact_sales,
				 [ADDRESS_SECURITY] = (const char *const *)cfg->contact_security,
				 [ADDRESS_STATUS] = (const char *const *)cfg->contact_status,
				 [ADDRESS_SUPPORT] = (const char *const *)cfg->contact_support},
			.archive_default = cfg->archive_enabled ? cfg->archive_default : NULL,
			.archive_queue_bytes = (size_t)cfg->archive_queue_bytes,
			.archive_page_max = (unsigned int)cfg->archive_page_max,
			.software_name = "Roundhouse",
			.software_version = ROUNDHOUSE_VERSION,
		});
}

enum err router_init(struct proc *proc, void **state)
{
	struct router *r = xcalloc(1, sizeof(*r));

	r->proc = proc;
	r->abort_id = getenv("ROUNDHOUSE_DEBUG_ABORT_ID");
	r->loop = proc_loop(proc);
	r->hub = hub_open(r->loop, "run/bus/router", &hub_events, r);
	r->custody = custody_new(hub_boot(r->hub), (struct custody_limits){0}, on_undelivered, r);
	r->routes = route_table_new();
	r->sessions = session_new(&router_host, r);
	r->store = store_ops_new(hub_boot(r->hub));
	configure(r);
	list_init(&r->resumes);
	list_init(&r->removals);
	list_init(&r->binders);
	domains_start(r);
	components_start(r);
	r->suspects = suspects_new();
	barrier_start(r);
	shelf_start(r);
	r->turn = loop_hook_new(r->loop, on_turn, r);
	r->flush = loop_timer_new(r->loop, on_flush, r);
	r->tick = loop_timer_new(r->loop, on_tick, r);
	loop_timer_set(r->tick, TICK_MS, TICK_MS);
	*state = r;
	proc_metrics(proc, router_add_stats, r);
	proc_ready(proc, true);
	return ERR_OK;
}

static void peers_free(struct router *r)
{
	const char *instance, *service;
	struct hub_peer *hp;
	size_t it = 0;

	while (hub_next(r->hub, &it, &instance, &service, &hp))
		if (hp)
			free(hub_peer_data(hp));
}

void router_deinit(void *state)
{
	struct router *r = state;

	traces_free(&r->traces);
	custody_turn(r->custody);
	shelf_flush(r);
	loop_hook_free(&r->turn);
	loop_timer_free(&r->flush);
	loop_timer_free(&r->tick);
	barrier_end(r);
	resume_forget(r, NULL);
	/* First of all: what waits for the datastore is not to be answered, nor to ask on, when it
	 * hears that there is none any more. Its stanzas are unsettled and come again. */
	session_free(&r->sessions);
	store_ops_free(&r->store);
	suspects_free(&r->suspects);
	components_end(r);
	binders_peer_dead(r, NULL);
	domains_end(r);
	asked_end(r);
	custody_free(&r->custody);
	shelf_end(r);
	route_table_free(&r->routes);
	peers_free(r);
	free(r->alarm);
	hub_close(&r->hub);
	free(r);
}

/* What only the router holds is on disk, then it stops: links keep the rest for the next one. */
void router_drain(void *state)
{
	struct router *r = state;

	if (!r->drain_until.us)
		r->drain_until = monotime_add_ms(loop_now(r->loop), DRAIN_DISK_MS);
}

void router_reload(void *state, const struct config *old)
{
	(void)old;
	configure(state);
	domain_check_local(state);
}

void router_on_instance(void *state, const char *instance, const char *service, const char *token)
{
	struct router *r = state;

	hub_expect(r->hub, instance, service, token);
}

void router_on_instances(void *state)
{
	((struct router *)state)->told_all = true;
}
