/*
 * router_resume - XEP-0198: sessions that are detached, resumed on any connection manager, or given
 * up after their time (CUSTODY 4, 7, 12).
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "router/router_types.h"

#define DETACH_WAIT_MS 500  /* without an answer the old owner is treated as dead */
#define RESUME_WAIT_MS 5000 /* a router that is still restoring answers within this */

/* A stream that asks for a session which is not ready to be given. */
struct pending {
	struct list link;
	struct router_peer *peer;
	uint64_t request;
	uint32_t h;
	char *resume_id;
	char *jid;
	char *conn, *addr;
	struct monotime since;
	bool detaching;
};

static void refuse(struct router_peer *p, uint64_t request, const char *condition, const char *text)
{
	link_put_resume_refused(
		hub_peer_link(p->hub),
		&(struct msg_resume_refused){request, slice_str(condition), slice_str(text)});
}

static bool same_user(const struct endpoint *ep, const char *bare)
{
	struct slice full = endpoint_jid(ep);
	const char *slash = memchr(full.data, '/', full.len);

	return slice_is(slice_of(full.data, slash ? (size_t)(slash - full.data) : full.len), bare);
}

static void pending_free(struct pending *w)
{
	list_remove(&w->link);
	free(w->resume_id);
	free(w->jid);
	free(w->conn);
	free(w->addr);
	free(w);
}

/* Answers w if it can be answered now; true when it is done with. */
static bool try_resume(struct router *r, struct pending *w)
{
	struct monotime now = loop_now(r->loop);
	struct endpoint *ep = endpoint_by_resume_id(r->custody, slice_str(w->resume_id));
	uint64_t waited = monotime_ms_between(w->since, now);

	if (r->restoring && waited < RESUME_WAIT_MS)
		return false;
	if (!ep || !same_user(ep, w->jid) || endpoint_ended(ep)) {
		refuse(w->peer, w->request, "item-not-found", "no such session, or it is over");
		return true;
	}
	if (!endpoint_detached(ep)) {
		if (!w->detaching) {
			w->detaching = true;
			link_put_detach(custody_peer_link(endpoint_owner(ep)),
					&(struct msg_detach){endpoint_sid(ep), endpoint_epoch(ep)});
		}
		if (waited < DETACH_WAIT_MS)
			return false;
		custody_peer_former(endpoint_owner(ep), endpoint_sid(ep));
		endpoint_detach(r->custody, ep, now);
		/* Should this one not get it, others may; or somebody waits for the domain. */
		if (endpoint_kind(ep) == SESSION_DOMAIN) {
			domain_detached(r, ep);
			return false;
		}
	}
	/* What <resumed h/> covers is synced first (CUSTODY 7): a disk that hangs or is full shall
	 * not keep everybody out. */
	if (!endpoint_is_secured(r->custody, ep) && !r->shelf_failed && waited < RESUME_WAIT_MS)
		return false;
	if (endpoint_resume(r->custody, ep, w->peer->custody, w->request, w->h) != ERR_OK) {
		refuse(w->peer, w->request, "undefined-condition",
		       "h acknowledges more than was sent");
	} else {
		if (endpoint_kind(ep) == SESSION_DOMAIN)
			domain_resumed(r, ep, slice_str(w->conn), slice_str(w->addr));
		else
			session_resumed(r->sessions, endpoint_sid(ep), slice_str(w->conn),
					slice_str(w->addr), now);
		log_info(w->conn, "event=session_resumed jid=%s sid=%016llx epoch=%llu queued=%zu",
			 log_quote(endpoint_jid(ep)), (unsigned long long)endpoint_sid(ep),
			 (unsigned long long)endpoint_epoch(ep), endpoint_queued(ep));
	}
	return true;
}

void resume_ask(struct router *r, struct router_peer *p, const struct msg_resume *m)
{
	struct pending *w = xcalloc(1, sizeof(*w));

	w->peer = p;
	w->request = m->request;
	w->h = m->h;
	w->resume_id = xstrndup(m->resume_id.data, m->resume_id.len);
	w->jid = xstrndup(m->jid.data, m->jid.len);
	w->conn = xstrndup(m->conn.data, m->conn.len);
	w->addr = xstrndup(m->addr.data, m->addr.len);
	w->since = loop_now(r->loop);
	list_append(&r->resumes, &w->link);
	if (try_resume(r, w))
		pending_free(w);
}

void resume_check(struct router *r)
{
	list_each_safe (it, &r->resumes) {
		struct pending *w = list_entry(it, struct pending, link);

		if (try_resume(r, w))
			pending_free(w);
	}
}

void resume_forget(struct router *r, const struct router_peer *p)
{
	list_each_safe (it, &r->resumes) {
		struct pending *w = list_entry(it, struct pending, link);

		if (!p || w->peer == p)
			pending_free(w);
	}
}

void resume_enable(struct router *r, struct endpoint *ep, const struct msg_enable *m)
{
	uint32_t most = (uint32_t)proc_config(r->proc)->router_resume_timeout;
	uint32_t max_s = m->max_s && m->max_s < most ? m->max_s : most;
	char id[33] = "";

	if (m->resume)
		random_hex(id, 16);
	endpoint_enable(r->custody, ep, m->in_base, max_s, slice_str(id));
}

/* The connection is gone: the session waits. */
void resume_detached(struct router *r, struct endpoint *ep, struct slice reason)
{
	log_info("-", "event=session_detached jid=%s sid=%016llx wait_s=%u reason=%s",
		 log_quote(endpoint_jid(ep)), (unsigned long long)endpoint_sid(ep),
		 endpoint_max_s(ep), log_quote(reason));
	endpoint_detach(r->custody, ep, loop_now(r->loop));
	if (endpoint_kind(ep) == SESSION_DOMAIN)
		domain_detached(r, ep);
	else
		session_detached(r->sessions, endpoint_sid(ep), loop_now(r->loop));
	resume_check(r);
}

static void expire(void *ctx, struct endpoint *ep)
{
	struct router *r = ctx;
	bool domain = endpoint_kind(ep) == SESSION_DOMAIN;
	uint64_t wait = endpoint_can_resume(ep)
				? endpoint_max_s(ep)
				: (uint64_t)proc_config(r->proc)->router_reconnect_grace;
	struct monotime now = loop_now(r->loop);

	if (monotime_ms_between(endpoint_detached_at(ep), now) < wait * 1000)
		return;
	log_info("-", "event=%s jid=%s reason=\"nobody came back within %llu s\"",
		 domain ? "route_removed" : "session_expired", log_quote(endpoint_jid(ep)),
		 (unsigned long long)wait);
	if (domain) {
		domain_expired(r, ep);
		return;
	}
	session_unbind(r->sessions, endpoint_sid(ep), slice_str("not resumed in time"), now);
	endpoint_release(ep);
	endpoint_remove(r->custody, ep, "recipient-unavailable");
}

void resume_expire(struct router *r)
{
	custody_each_detached(r->custody, expire, r);
}
