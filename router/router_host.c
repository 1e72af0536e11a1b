/*
 * router_host - what the session manager can do to the world (session/session.h, session_host).
 */
#include <time.h>

#include "base/log.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "router/router_types.h"
#include "router/shelf.h"

static struct endpoint *open_endpoint(struct router *r, uint64_t sid)
{
	struct endpoint *ep = endpoint_find(r->custody, sid);

	return ep && !endpoint_ended(ep) ? ep : NULL;
}

static struct link *owner_link(struct router *r, struct endpoint *ep)
{
	(void)r;
	return custody_peer_link(endpoint_owner(ep));
}

static void host_deliver(void *ctx, struct custody_entry *e, uint64_t sid,
			 const struct session_stanza *s)
{
	struct router *r = ctx;
	struct endpoint *ep = open_endpoint(r, sid);

	if (ep && endpoint_kind(ep) == SESSION_DOMAIN)
		ep = asked_by(r, ep, s);
	if (ep && r->traces)
		router_trace_stanza(r, "out", ep, s);
	if (ep)
		custody_deliver(r->custody, e, ep, s);
	else
		custody_conclude(e, SETTLED_DISCARDED);
}

static void host_answer(void *ctx, struct custody_entry *e, uint64_t sid,
			const struct session_stanza *s)
{
	struct router *r = ctx;
	struct endpoint *ep = open_endpoint(r, sid);

	if (ep && endpoint_kind(ep) == SESSION_DOMAIN)
		ep = domain_answer_to(r, ep, e);
	if (ep && r->traces)
		router_trace_stanza(r, "out", ep, s);
	if (ep)
		custody_answer(r->custody, e, ep, s);
}

static void host_left(void *ctx, uint64_t of, uint64_t sid, const struct session_stanza *s)
{
	struct router *r = ctx;
	struct endpoint *ep = open_endpoint(r, sid);

	if (ep && r->traces)
		router_trace_stanza(r, "out", ep, s);
	if (ep)
		custody_leave(r->custody, of, ep, s);
}

static size_t host_room(void *ctx, uint64_t sid)
{
	struct router *r = ctx;
	const struct endpoint *ep = open_endpoint(r, sid);
	size_t half = (size_t)proc_config(r->proc)->router_queue_bytes / 2;
	size_t queued = ep ? endpoint_queued(ep) : 0;

	return queued < half ? half - queued : 0;
}

static void host_copy(void *ctx, struct custody_entry *e, uint64_t sid,
		      const struct session_stanza *s, bool instead)
{
	struct router *r = ctx;
	struct endpoint *ep = open_endpoint(r, sid);

	if (ep && r->traces)
		router_trace_stanza(r, "out", ep, s);
	if (ep)
		custody_copy(r->custody, e, ep, s, instead);
}

static bool host_had_copy(void *ctx, const struct custody_entry *e, uint64_t sid)
{
	struct router *r = ctx;
	const struct endpoint *ep = open_endpoint(r, sid);

	return ep && custody_had_copy(r->custody, e, ep);
}

static bool host_had(void *ctx, const struct custody_entry *e, uint64_t sid)
{
	(void)ctx;
	return custody_had(e, sid);
}

static void host_conclude(void *ctx, struct custody_entry *e, uint8_t how, const char *rule)
{
	struct router *r = ctx;

	if (how == SETTLED_STORED)
		custody_stored(r->custody, e);
	else
		custody_conclude(e, how);
	log_debug("-", "event=concluded how=%d rule=\"%s\"", how, rule ? rule : "");
}

static void host_hold(void *ctx, struct custody_entry *e)
{
	struct router *r = ctx;

	r->undecided += custody_entry_is_resent(e);
	custody_hold(e);
}

static void host_release(void *ctx, struct custody_entry *e)
{
	struct router *r = ctx;

	r->undecided -= custody_entry_is_resent(e);
	custody_release(r->custody, e);
}

static void host_bound(void *ctx, uint64_t sid, struct slice jid)
{
	struct router *r = ctx;
	struct endpoint *ep = open_endpoint(r, sid);

	if (!ep)
		return;
	endpoint_set_jid(ep, jid);
	link_put_bound(owner_link(r, ep), &(struct msg_bound){sid, endpoint_epoch(ep), jid});
}

static void host_bind_refused(void *ctx, uint64_t sid, const char *condition, const char *text)
{
	struct router *r = ctx;
	struct endpoint *ep = open_endpoint(r, sid);

	if (!ep)
		return;
	link_put_bind_refused(
		owner_link(r, ep),
		&(struct msg_bind_refused){sid, slice_str(condition), slice_str(text)});
	endpoint_remove(r->custody, ep, condition);
	endpoint_unbound(r->custody, ep);
}

static void host_close(void *ctx, uint64_t sid, const char *condition, const char *text)
{
	struct router *r = ctx;
	struct endpoint *ep = open_endpoint(r, sid);

	if (!ep)
		return;
	if (endpoint_detached(ep)) {
		endpoint_release(ep);
		endpoint_remove(r->custody, ep, "recipient-unavailable");
		return;
	}
	link_put_close(owner_link(r, ep),
		       &(struct msg_close){sid, endpoint_epoch(ep), slice_str(condition),
					   slice_str(text ? text : "")});
	endpoint_remove(r->custody, ep, "recipient-unavailable");
}

static void host_blob(void *ctx, uint64_t sid, struct slice blob)
{
	struct router *r = ctx;
	struct endpoint *ep = open_endpoint(r, sid);

	if (ep)
		endpoint_set_blob(r->custody, ep, blob);
	if (ep && !endpoint_detached(ep))
		link_put_blob(owner_link(r, ep), &(struct msg_blob){sid, endpoint_epoch(ep), blob});
}

static void host_store(void *ctx, struct slice body, uint32_t deadline_ms,
		       void (*done)(void *arg, enum err status, uint16_t type, struct slice body),
		       void *arg)
{
	struct router *r = ctx;

	store_ops_ask(r->store, body, deadline_ms, done, arg, loop_now(r->loop));
}

static uint64_t host_wall_ms(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t host_route(void *ctx, struct slice domain, struct slice peer)
{
	struct router *r = ctx;

	return route_table_pick(r->routes, domain, peer);
}

static bool host_component(void *ctx, size_t *it, struct slice *jid)
{
	struct router *r = ctx;
	struct route_policy policy;

	while (route_table_next(r->routes, it, jid, &policy))
		if (!policy.hidden && route_table_live(r->routes, *jid))
			return true;
	return false;
}

static void host_origin(void *ctx, const struct custody_entry *e, uint64_t *sid, uint64_t *n)
{
	(void)ctx;
	*sid = custody_entry_sender(e);
	*n = custody_entry_number(e);
}

static bool host_repeated(void *ctx, const struct custody_entry *e)
{
	(void)ctx;
	return custody_entry_is_resent(e);
}

static void host_noted(void *ctx, uint64_t origin_sid, uint64_t origin_n)
{
	struct router *r = ctx;

	custody_noted(r->custody, origin_sid, origin_n);
}

static uint64_t host_originate(void *ctx, uint64_t sid, uint64_t origin_sid, uint64_t origin_n,
			       const struct session_stanza *s,
			       void (*settled)(void *arg, uint8_t how), void *arg)
{
	struct router *r = ctx;
	struct endpoint *ep = open_endpoint(r, sid);

	if (!ep)
		return 0;
	if (r->traces)
		router_trace_stanza(r, "out", ep, s);
	custody_originate(r->custody, ep, origin_sid, origin_n, s, settled, arg);
	return sid;
}

static void host_lost(void *ctx, uint64_t sid, struct slice full, struct slice blob,
		      uint32_t seconds)
{
	shelf_lost(ctx, sid, full, blob, seconds);
}

static void host_lost_over(void *ctx, uint64_t sid)
{
	struct router *r = ctx;

	shelf_del(r->shelf, sid, SHELF_LOST, 1);
}

const struct session_host router_host = {
	.deliver = host_deliver,
	.answer = host_answer,
	.left = host_left,
	.room = host_room,
	.copy = host_copy,
	.had_copy = host_had_copy,
	.had = host_had,
	.conclude = host_conclude,
	.hold = host_hold,
	.release = host_release,
	.bound = host_bound,
	.bind_refused = host_bind_refused,
	.close = host_close,
	.blob = host_blob,
	.store = host_store,
	.wall_ms = host_wall_ms,
	.route = host_route,
	.component = host_component,
	.origin = host_origin,
	.repeated = host_repeated,
	.originate = host_originate,
	.noted = host_noted,
	.lost = host_lost,
	.lost_over = host_lost_over,
};
