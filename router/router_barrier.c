/*
 * router_barrier - a starting router takes announcements only: it routes nothing until every
 * connection manager that the supervisor calls alive has announced its sessions and sent its
 * unsettled stanzas again, or announce_wait is over (CUSTODY 5). One that is linked and has not
 * said everything is waited for ten times as long: without it resends would be judged as if its
 * sessions were not there. What comes in meanwhile is kept in order; but of a session that was
 * resumed on a second cm both may hold stanzas: those are handled first, in the order of their
 * numbers.
 */
#include <stdlib.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/map.h"
#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "router/router_types.h"

#define LATEST	  10  /* announce_waits for one that is linked, but has not said everything */
#define SETTLE_MS 100 /* without a supervisor, who is alive must say so himself */

struct kept {
	struct list link;
	struct router_peer *peer;
	uint16_t type;
	struct blob *body;
};

void barrier_start(struct router *r)
{
	list_init(&r->waiting);
	map64_init(&r->ended);
	r->barrier = r->restoring = true;
	r->started = loop_now(r->loop);
}

bool barrier_is_announcement(uint16_t type)
{
	return type == MSG_ANNOUNCE || type == MSG_ANNOUNCE_HAVE;
}

bool barrier_takes(const struct router *r, uint16_t type, struct slice body)
{
	struct msg_bind bind;

	if (type == MSG_STORE || type == MSG_STORED || type == MSG_ADMIN)
		return true;
	if (r->shelf_loading)
		return false;

	/* Who sends to a domain again must find it. */
	if (type == MSG_BIND_DOMAIN)
		return true;
	if (type == MSG_BIND)
		return msg_bind_get(body, &bind) == ERR_OK && bind.kind == SESSION_DOMAIN;
	return barrier_is_announcement(type) || type == MSG_ANNOUNCE_END;
}

void barrier_keep(struct router *r, struct router_peer *p, uint16_t type, struct slice body)
{
	struct kept *k = xcalloc(1, sizeof(*k));

	k->peer = p;
	k->type = type;
	k->body = blob_new(body.data, body.len);
	if (type == MSG_RESEND_END || type == MSG_SUSPECT)
		p->all_in = true;
	list_append(&r->waiting, &k->link);
}

static void kept_free(struct kept *k)
{
	list_remove(&k->link);
	blob_unref(&k->body);
	free(k);
}

void barrier_loaded(struct router *r)
{
	r->shelf_loading = false;
	list_each_safe (it, &r->waiting) {
		struct kept *k = list_entry(it, struct kept, link);

		if (!barrier_takes(r, k->type, blob_slice(k->body)))
			continue;
		router_record(r, k->peer, k->type, blob_slice(k->body));
		kept_free(k);
	}
}

void barrier_late(struct router *r, const struct router_peer *p)
{
	if (r->barrier)
		return;
	list_each_safe (it, &r->waiting) {
		struct kept *k = list_entry(it, struct kept, link);

		if (k->peer != p)
			continue;
		router_record(r, k->peer, k->type, blob_slice(k->body));
		kept_free(k);
	}
}

void barrier_forget(struct router *r, const struct router_peer *p)
{
	list_each_safe (it, &r->waiting) {
		struct kept *k = list_entry(it, struct kept, link);

		if (k->peer == p)
			kept_free(k);
	}
}

/* How many connection managers are alive, and their resends have not yet (come | been handled)?
 * here: only those who have a link, so that they are seen to be on their way. */
static unsigned int missing(const struct router *r, bool handled, bool here)
{
	const char *instance, *service;
	struct hub_peer *hp;
	unsigned int count = 0;
	size_t it = 0;

	while (hub_next(r->hub, &it, &instance, &service, &hp)) {
		const struct router_peer *p = hp ? hub_peer_data(hp) : NULL;

		if (codec_role(slice_str(service)) == IPC_CM && (p || !here) &&
		    (!p || !(handled ? p->resent : p->all_in)))
			count++;
	}
	return count;
}

/* (sid, n) of a kept stanza; false for all other records. */
static bool stanza_number(const struct kept *k, uint64_t *sid, uint64_t *n)
{
	struct msg_stanza stanza;
	struct msg_refused refused;

	if (k->type == MSG_STANZA && msg_stanza_get(blob_slice(k->body), &stanza) == ERR_OK) {
		*sid = stanza.sid;
		*n = stanza.n;
		return true;
	}
	if (k->type == MSG_REFUSED && msg_refused_get(blob_slice(k->body), &refused) == ERR_OK) {
		*sid = refused.sid;
		*n = refused.n;
		return true;
	}
	return false;
}

/* Sessions of which more than one cm holds stanzas. */
static void find_shared(struct router *r, struct map64 *shared)
{
	uint64_t sid, n;

	list_each (it, &r->shelf_rows)
		map64_put(shared, list_entry(it, struct shelf_row, link)->sid, r);
	list_each (it, &r->waiting) {
		struct kept *k = list_entry(it, struct kept, link);

		if (stanza_number(k, &sid, &n) && k->peer->custody &&
		    custody_peer_is_former(k->peer->custody, sid))
			map64_put(shared, sid, k);
	}
}

struct numbered {
	uint64_t n;
	struct kept *kept;     /* or */
	struct shelf_row *row; /* of the shelf */
};

struct numbered_list {
	struct numbered *items;
	size_t count, cap;
};

static void add_numbered(struct numbered_list *l, struct numbered item)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->items = xrealloc(l->items, l->cap * sizeof(*l->items));
	}
	l->items[l->count++] = item;
}

static int by_number(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	return x->n < y->n ? -1 : x->n > y->n;
}

static void handle_numbered(struct router *r, const struct numbered *item)
{
	if (item->row) {
		router_shelved_stanza(r, item->row);
		shelf_row_free(item->row);
	} else {
		router_record(r, item->kept->peer, item->kept->type, blob_slice(item->kept->body));
		kept_free(item->kept);
	}
}

/* What the shelf holds of a session is there for the same reason, and handled with it. */
static size_t shared_first(struct router *r)
{
	struct numbered_list l = {0};
	struct map64 shared;
	uint64_t sid, n;

	map64_init(&shared);
	find_shared(r, &shared);
	list_each (it, &r->shelf_rows) {
		struct shelf_row *row = list_entry(it, struct shelf_row, link);

		add_numbered(&l, (struct numbered){.n = row->n, .row = row});
	}
	list_each (it, &r->waiting) {
		struct kept *k = list_entry(it, struct kept, link);

		if (shared.count && stanza_number(k, &sid, &n) && map64_find(&shared, sid))
			add_numbered(&l, (struct numbered){.n = n, .kept = k});
	}
	if (l.count)
		qsort(l.items, l.count, sizeof(*l.items), by_number);
	for (size_t i = 0; i < l.count; i++)
		handle_numbered(r, &l.items[i]);
	free(l.items);
	map64_clear(&shared);
	return l.count;
}

static void session_over(struct router *r, uint64_t sid)
{
	session_unbind(r->sessions, sid, slice_str("ended while the router was away"),
		       loop_now(r->loop));
}

/* Until then it gives way to whoever has its address by now. */
void barrier_end_session(struct router *r, uint64_t sid)
{
	if (!r->barrier) {
		session_over(r, sid);
		return;
	}
	session_detached(r->sessions, sid, loop_now(r->loop));
	map64_put(&r->ended, sid, r);
}

static void end_sessions(struct router *r)
{
	uint64_t sid;
	void *value;
	size_t it = 0;

	while (map64_next(&r->ended, &it, &sid, &value))
		session_over(r, sid);
	map64_clear(&r->ended);
}

static void lift(struct router *r, unsigned int late)
{
	size_t kept;

	end_sessions(r);
	domain_announced(r);
	shelf_answers(r);
	kept = shared_first(r);
	r->barrier = false;
	while (!list_empty(&r->waiting)) {
		struct kept *k = list_entry(list_first(&r->waiting), struct kept, link);

		router_record(r, k->peer, k->type, blob_slice(k->body));
		kept_free(k);
		kept++;
	}
	/* Disabled while no router was there to end them. */
	if (!proc_config(r->proc)->xmpp_enabled) {
		session_end_all(r->sessions);
		domain_check_local(r);
	}
	log_info("-", "event=routing sessions=%zu kept_records=%zu late_services=%u",
		 session_count(r->sessions), kept, late);
}

/* Nobody late means nothing before the supervisor has said who is alive: it may be slow. */
static bool everybody_is_known(const struct router *r, uint64_t waited)
{
	return proc_is_standalone(r->proc) ? waited >= SETTLE_MS : r->told_all;
}

void barrier_check(struct router *r, struct monotime now)
{
	uint64_t waited = monotime_ms_between(r->started, now);
	uint64_t wait = (uint64_t)proc_config(r->proc)->router_announce_wait;
	unsigned int late;

	if (r->barrier && !r->shelf_loading) {
		late = missing(r, false, false);
		if ((late == 0 && everybody_is_known(r, waited)) || waited >= LATEST * wait ||
		    (waited >= wait && missing(r, false, true) == 0))
			lift(r, late);
	}
	/* A resend that waits for the datastore may still go to who has it. */
	if (r->restoring && !r->barrier &&
	    ((missing(r, true, false) == 0 && r->undecided == 0 &&
	      !session_catching_up(r->sessions)) ||
	     waited > 60000)) {
		r->restoring = false;
		custody_restored(r->custody);
	}
}

void barrier_end(struct router *r)
{
	while (!list_empty(&r->waiting))
		kept_free(list_entry(list_first(&r->waiting), struct kept, link));
	map64_clear(&r->ended);
}
