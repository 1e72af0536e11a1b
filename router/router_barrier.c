/*
 * router_barrier - a starting router takes announcements only: it routes nothing until every
 * connection manager that the supervisor calls alive has announced its sessions, or announce_wait
 * is over (CUSTODY 5). What comes in meanwhile is kept in order.
 */
#include <stdlib.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "router/router_types.h"

#define SETTLE_MS 100 /* the supervisor needs a moment to say who is alive */

struct kept {
	struct list link;
	struct router_peer *peer;
	uint16_t type;
	struct blob *body;
};

void barrier_start(struct router *r)
{
	list_init(&r->waiting);
	r->barrier = r->restoring = true;
	r->started = loop_now(r->loop);
}

bool barrier_takes(uint16_t type, struct slice body)
{
	struct msg_bind bind;

	/* A domain is not contended for, and who sends to it again must find it. */
	if (type == MSG_BIND)
		return msg_bind_get(body, &bind) == ERR_OK && bind.kind == SESSION_DOMAIN;
	return type == MSG_ANNOUNCE || type == MSG_ANNOUNCE_HAVE || type == MSG_ANNOUNCE_END ||
	       type == MSG_STORE || type == MSG_STORED || type == MSG_ADMIN;
}

void barrier_keep(struct router *r, struct router_peer *p, uint16_t type, struct slice body)
{
	struct kept *k = xcalloc(1, sizeof(*k));

	k->peer = p;
	k->type = type;
	k->body = blob_new(body.data, body.len);
	list_append(&r->waiting, &k->link);
}

static void kept_free(struct kept *k)
{
	list_remove(&k->link);
	blob_unref(&k->body);
	free(k);
}

void barrier_forget(struct router *r, const struct router_peer *p)
{
	list_each_safe (it, &r->waiting) {
		struct kept *k = list_entry(it, struct kept, link);

		if (k->peer == p)
			kept_free(k);
	}
}

/* How many connection managers are alive and have not yet (announced | sent everything again)? */
static unsigned int missing(const struct router *r, bool resends)
{
	const char *instance, *service;
	struct hub_peer *hp;
	unsigned int count = 0;
	size_t it = 0;

	while (hub_next(r->hub, &it, &instance, &service, &hp)) {
		const struct router_peer *p = hp ? hub_peer_data(hp) : NULL;

		if (codec_role(slice_str(service)) == IPC_CM &&
		    (!p || !(resends ? p->resent : p->announced)))
			count++;
	}
	return count;
}

static void lift(struct router *r, unsigned int late)
{
	size_t kept = 0;

	r->barrier = false;
	while (!list_empty(&r->waiting)) {
		struct kept *k = list_entry(list_first(&r->waiting), struct kept, link);

		router_record(r, k->peer, k->type, blob_slice(k->body));
		kept_free(k);
		kept++;
	}
	log_info("-", "event=routing sessions=%zu kept_records=%zu late_services=%u",
		 session_count(r->sessions), kept, late);
}

void barrier_check(struct router *r, struct monotime now)
{
	uint64_t waited = monotime_ms_between(r->started, now);
	bool overdue = waited >= (uint64_t)proc_config(r->proc)->router_announce_wait;
	unsigned int late;

	if (r->barrier) {
		late = missing(r, false);
		if (overdue || (late == 0 && waited >= SETTLE_MS))
			lift(r, late);
	}
	if (r->restoring && !r->barrier && (missing(r, true) == 0 || waited > 60000)) {
		r->restoring = false;
		custody_restored(r->custody);
	}
}

void barrier_end(struct router *r)
{
	while (!list_empty(&r->waiting))
		kept_free(list_entry(list_first(&r->waiting), struct kept, link));
}
