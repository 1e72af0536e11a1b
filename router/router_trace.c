/*
 * router_trace - `xmpp trace` and the rest of the router: the command, the connection managers,
 * what passes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "ipc/link.h"
#include "net/loop.h"
#include "router/router_types.h"
#include "router/trace.h"

static struct trace_when when(const struct router *r)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (struct trace_when){loop_now(r->loop),
				   (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000};
}

/* Only these have streams to tell of. */
static bool is_manager(const struct router_peer *p)
{
	return p && p->custody && strncmp(hub_peer_service(p->hub), "cm-", 3) == 0;
}

static void tell(struct router_peer *p, uint32_t id, const struct trace_filter *f)
{
	if (is_manager(p))
		link_put_trace(hub_peer_link(p->hub),
			       &(struct msg_trace){id, f != NULL,
						   f ? slice_of(f->text, f->len) : SLICE_NONE});
}

static void tell_all(struct router *r, uint32_t id, const struct trace_filter *f)
{
	const char *instance, *service;
	struct hub_peer *hp;
	size_t it = 0;

	while (hub_next(r->hub, &it, &instance, &service, &hp))
		if (hp)
			tell(hub_peer_data(hp), id, f);
}

static void on_removed(void *arg, uint32_t id)
{
	log_info("-", "event=trace_ended trace=%u", id);
	tell_all(arg, id, NULL);
}

/* Nobody left: what passes costs a test of a pointer again. */
void router_trace_tick(struct router *r)
{
	const struct trace_filter *f;
	uint32_t id;
	size_t it = 0;

	if (!r->traces)
		return;
	traces_tick(r->traces, loop_now(r->loop), on_removed, r);
	if (!traces_next(r->traces, &it, &id, &f))
		traces_free(&r->traces);
}

/* args: what, NUL, seconds. */
enum err router_trace_start(struct router *r, struct router_peer *p, uint64_t req,
			    struct slice args, struct str *why)
{
	const struct config *cfg = proc_config(r->proc);
	const char *nul = args.len ? memchr(args.data, '\0', args.len) : NULL;
	struct slice what = nul ? slice_of(args.data, (size_t)(nul - args.data)) : args;
	struct trace_limits limits = {(unsigned int)cfg->router_traces,
				      (unsigned int)cfg->router_trace_lines};
	const struct trace_filter *f = NULL;
	char seconds[16] = "60";
	uint32_t id, each;
	size_t it = 0;
	enum err e;

	if (nul)
		snprintf(seconds, sizeof(seconds), "%.*s", (int)(args.data + args.len - nul - 1),
			 nul + 1);
	if (!r->traces)
		r->traces = traces_new(limits);
	e = traces_start(r->traces, hub_peer_link(p->hub), req, what,
			 (unsigned int)strtoul(seconds, NULL, 10), loop_now(r->loop), &id);
	if (e == ERR_FULL)
		str_addf(why,
			 "%u traces are running already; wait for one to end, or raise "
			 "router.traces",
			 limits.traces);
	else if (e != ERR_OK)
		str_addf(why, "a trace needs a JID, an address or a domain, and 1 to %d seconds",
			 TRACE_SECONDS_MAX);
	if (e != ERR_OK) {
		router_trace_tick(r);
		return e;
	}
	while (traces_next(r->traces, &it, &each, &f))
		if (each == id)
			tell_all(r, id, f);
	/* Somebody looks at somebody: that belongs into the log. */
	log_info(hub_peer_instance(p->hub), "event=trace_started trace=%u what=%s seconds=%s", id,
		 log_quote(what), seconds);
	return ERR_OK;
}

void router_trace_peer_up(struct router *r, struct router_peer *p)
{
	const struct trace_filter *f;
	uint32_t id;
	size_t it = 0;

	while (r->traces && traces_next(r->traces, &it, &id, &f))
		tell(p, id, f);
}

void router_trace_peer_dead(struct router *r, const struct router_peer *p)
{
	uint32_t id;
	const struct trace_filter *f;
	size_t it = 0;

	if (!r->traces)
		return;
	traces_leave(r->traces, hub_peer_link(p->hub));
	while (is_manager(p) && traces_next(r->traces, &it, &id, &f))
		traces_event(r->traces, hub_peer_instance(p->hub),
			     &(struct msg_traced){.id = id,
						  .event = slice_str("manager-died"),
						  .detail = slice_str("its connections are gone")},
			     when(r));
	router_trace_tick(r); /* there is room for another at once */
}

void router_trace_traced(struct router *r, const struct router_peer *p, const struct msg_traced *m)
{
	if (r->traces)
		traces_event(r->traces, hub_peer_instance(p->hub), m, when(r));
}

void router_trace_stanza(struct router *r, const char *dir, const struct endpoint *ep,
			 const struct session_stanza *s)
{
	traces_stanza(r->traces,
		      &(struct trace_stanza){.dir = dir,
					     .sid = ep ? endpoint_sid(ep) : 0,
					     .session = ep ? endpoint_jid(ep) : SLICE_NONE,
					     .s = s},
		      when(r));
}
