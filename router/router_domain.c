/*
 * router_domain - who serves which domain: components and other services get a domain, alone or
 * with others; what becomes of it, and of what they were not delivered, when they end (CUSTODY 14).
 *
 * A place: a detached endpoint of a domain that can not be resumed; what nobody takes now waits
 * there for router.reconnect_grace.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "router/router_types.h"

#define BLOB_VERSION 1
#define MOVE_MS	     10000

/* What is known of a session that was bound with BIND_DOMAIN, or of a place. */
struct component {
	struct router_component is;
	char *conn, *addr;
	struct monotime bound; /* 0: before this router */
};

/* A session that was announced as ended: somebody may come back there. */
struct ended {
	struct list link;
	char *jid;
	struct router_component is;
};

struct domains {
	struct map64 components; /* by sid */
	struct list ended;
	uint64_t youngest; /* since_ms; no two have the same, so that one of them is the oldest */
	struct monotime moving; /* until then peers may still be on their way to a new session */
};

void domains_start(struct router *r)
{
	r->domains = xcalloc(1, sizeof(*r->domains));
	map64_init(&r->domains->components);
	list_init(&r->domains->ended);
}

static void component_free(struct component *c)
{
	if (!c)
		return;
	free(c->conn);
	free(c->addr);
	free(c);
}

static void ended_free(struct ended *e)
{
	list_remove(&e->link);
	free(e->jid);
	free(e);
}

void domains_end(struct router *r)
{
	struct domains *d = r->domains;
	size_t it = 0;
	void *c;

	r->domains = NULL;
	while (map64_next(&d->components, &it, NULL, &c))
		component_free(c);
	map64_clear(&d->components);
	list_each_safe (pos, &d->ended)
		ended_free(list_entry(pos, struct ended, link));
	free(d);
}

/* ---- what is remembered of them: here, and in the session blob (CUSTODY 9) ---- */

static void note_component(struct router *r, uint64_t sid, const struct router_component *is,
			   struct slice conn, struct slice addr)
{
	struct component *c = xcalloc(1, sizeof(*c));

	c->is = *is;
	c->is.sid = sid;
	c->conn = xstrndup(conn.len ? conn.data : "", conn.len);
	c->addr = xstrndup(addr.len ? addr.data : "", addr.len);
	component_free(map64_put(&r->domains->components, sid, c));
}

static void forget_component(struct router *r, uint64_t sid)
{
	component_free(map64_remove(&r->domains->components, sid));
}

static void blob_put(struct str *out, const struct router_component *is)
{
	codec_put_u8(out, BLOB_VERSION);
	codec_put_u8(out, is->policy.mode);
	codec_put_u8(out, is->policy.hidden);
	codec_put_u16(out, is->policy.max);
	codec_put_u64(out, is->since_ms);
}

static bool blob_get(struct slice in, struct router_component *is)
{
	uint8_t version, hidden;

	if (!codec_get_u8(&in, &version) || version != BLOB_VERSION ||
	    !codec_get_u8(&in, &is->policy.mode) || !codec_get_u8(&in, &hidden) ||
	    !codec_get_u16(&in, &is->policy.max) || !codec_get_u64(&in, &is->since_ms) || in.len ||
	    is->policy.mode > DOMAIN_STANDBY || hidden > 1 || is->since_ms > UINT64_MAX / 2)
		return false;
	is->policy.hidden = hidden;
	return true;
}

static uint64_t age_now(struct router *r)
{
	uint64_t now = router_host.wall_ms(r);

	if (now <= r->domains->youngest)
		now = r->domains->youngest + 1;
	return r->domains->youngest = now;
}

static bool is_place(const struct endpoint *ep)
{
	return endpoint_detached(ep) && !endpoint_can_resume(ep);
}

/* ---- handing over ---- */

static struct endpoint *by_mode(void *ctx, struct endpoint *ep, uint64_t digest)
{
	struct router *r = ctx;

	return endpoint_find(r->custody,
			     route_table_pick_digest(r->routes, endpoint_jid(ep), digest));
}

static struct endpoint *to_place(void *ctx, struct endpoint *ep, uint64_t digest)
{
	(void)ep;
	(void)digest;
	return ctx;
}

static void make_place(struct router *r, const struct router_component *is, struct endpoint *place)
{
	if (!place)
		return;
	router_endpoint_added(r, place);
	route_table_join_away(r->routes, endpoint_jid(place), endpoint_sid(place), &is->policy,
			      is->since_ms);
	if (is->sid)
		note_component(r, endpoint_sid(place), is, SLICE_NONE, SLICE_NONE);
}

/* ep is out of the table of routes, or away there: who else gets what is in its queue? */
static void pass_on(struct router *r, struct endpoint *ep, const struct router_component *is)
{
	struct endpoint *place;

	if (route_table_live(r->routes, endpoint_jid(ep))) {
		endpoint_hand_over(r->custody, ep, by_mode, r);
		return;
	}
	place = endpoint_wait(r->custody, ep, random_u64(), loop_now(r->loop));
	make_place(r, is, place);
	if (place)
		endpoint_hand_over(r->custody, ep, to_place, place);
}

/* Out of everything; what is still in its queue is judged. condition: for a stream that does not
 * know yet. */
static void drop(struct router *r, struct endpoint *ep, const char *condition, const char *text)
{
	uint64_t sid = endpoint_sid(ep);

	route_table_unbind(r->routes, sid);
	forget_component(r, sid);
	if (endpoint_detached(ep))
		endpoint_release(ep);
	else if (condition)
		link_put_close(custody_peer_link(endpoint_owner(ep)),
			       &(struct msg_close){sid, endpoint_epoch(ep), slice_str(condition),
						   slice_str(text)});
	endpoint_remove(r->custody, ep, "recipient-unavailable");
}

/* Somebody serves jid: whoever is away there and nobody waits for gives him what he had. */
static void settle_away(struct router *r, struct slice jid, bool alone, const char *condition)
{
	uint64_t sid;
	bool away;

	if (!route_table_live(r->routes, jid))
		return;
	for (size_t i = 0; (sid = route_table_member(r->routes, jid, i, &away)) != 0;) {
		struct endpoint *ep = away ? endpoint_find(r->custody, sid) : NULL;

		if (!ep || (!alone && !is_place(ep))) {
			i++;
			continue;
		}
		endpoint_hand_over(r->custody, ep, by_mode, r);
		drop(r, ep, condition, "Another connection of this component has taken its place.");
	}
}

/* ---- order ---- */

/* Some peers of a domain have another session from now on. */
static void moving(struct router *r)
{
	r->domains->moving = monotime_add_ms(loop_now(r->loop), MOVE_MS);
}

/* A peer whose stanzas are not all delivered yet stays where they are: nothing overtakes them.
 * Whoever takes nothing keeps his peers for MOVE_MS, no longer. */
static struct endpoint *still_at(const struct router *r, struct endpoint *ep, uint64_t digest)
{
	struct slice domain = endpoint_jid(ep);
	struct endpoint *other;
	uint64_t sid;
	bool away;

	if (!route_table_member(r->routes, domain, 1, &away) || endpoint_owes_to(ep, digest, false))
		return ep;
	for (size_t i = 0; (sid = route_table_member(r->routes, domain, i, &away)) != 0; i++) {
		other = away || sid == endpoint_sid(ep) ? NULL : endpoint_find(r->custody, sid);
		if (other && !endpoint_ended(other) && endpoint_owes_to(other, digest, true))
			return other;
	}
	return ep;
}

/* ---- binding ---- */

/* sid has its place in the table of routes: from here on it is a session. */
static void bound(struct router *r, struct router_peer *p, uint64_t sid, struct slice jid,
		  const struct router_component *is)
{
	struct link *l = hub_peer_link(p->hub);
	struct endpoint *ep = endpoint_add(r->custody, p->custody, sid, 1, SESSION_DOMAIN, 1, jid);
	struct str blob = STR_INIT;

	router_endpoint_added(r, ep);
	link_put_bound(l, &(struct msg_bound){sid, endpoint_epoch(ep), jid});
	if (is) {
		blob_put(&blob, is);
		endpoint_set_blob(r->custody, ep, str_slice(&blob));
		link_put_blob(l, &(struct msg_blob){sid, endpoint_epoch(ep), str_slice(&blob)});
		str_clear(&blob);
	}
	settle_away(r, jid, !is || is->policy.mode == DOMAIN_ONE, "connection-timeout");
	log_info(hub_peer_instance(p->hub), "event=route_added domain=%s queued=%zu",
		 log_quote(jid), endpoint_queued(ep));
}

void domain_bind(struct router *r, struct router_peer *p, const struct msg_bind *m)
{
	if (session_is_local(r->sessions, m->jid) ||
	    route_table_bind(r->routes, m->jid, m->sid) != ERR_OK) {
		link_put_bind_refused(
			hub_peer_link(p->hub),
			&(struct msg_bind_refused){m->sid, slice_str("conflict"),
						   slice_str("this domain is served already")});
		return;
	}
	bound(r, p, m->sid, m->jid, NULL);
}

enum err domain_join(struct router *r, struct router_peer *p, const struct msg_bind_domain *m)
{
	struct router_component is = {.policy = {m->mode, m->hidden != 0, m->max},
				      .since_ms = age_now(r)};
	struct component *c;
	enum err e = route_table_join(r->routes, m->jid, m->sid, &is.policy, is.since_ms);

	if (e != ERR_OK)
		return e;
	note_component(r, m->sid, &is, m->conn, m->addr);
	c = map64_find(&r->domains->components, m->sid);
	c->bound = loop_now(r->loop);
	moving(r);
	bound(r, p, m->sid, m->jid, &is);
	components_bound(r);
	return ERR_OK;
}

bool domain_bound_since(const struct router *r, uint64_t sid, struct monotime *since)
{
	const struct component *c = map64_find(&r->domains->components, sid);

	if (c)
		*since = c->bound;
	return c != NULL;
}

/* ---- their ends ---- */

static struct router_component what_is(const struct router *r, uint64_t sid)
{
	const struct component *c = map64_find(&r->domains->components, sid);
	struct router_component is = {.policy = {.mode = DOMAIN_ONE, .hidden = true}};

	return c ? c->is : is;
}

void domain_ended(struct router *r, struct endpoint *ep)
{
	uint64_t sid = endpoint_sid(ep);
	struct router_component is = what_is(r, sid);

	route_table_set_away(r->routes, sid, true);
	binders_check(r, endpoint_jid(ep));
	if (endpoint_ended(ep))
		return; /* one of those has what it had */
	route_table_unbind(r->routes, sid);
	forget_component(r, sid);
	pass_on(r, ep, &is);
	log_info("-", "event=route_ended domain=%s sid=%016llx", log_quote(endpoint_jid(ep)),
		 (unsigned long long)sid);
}

void domain_detached(struct router *r, struct endpoint *ep)
{
	route_table_set_away(r->routes, endpoint_sid(ep), true);
	binders_check(r, endpoint_jid(ep));
}

void domain_resumed(struct router *r, struct endpoint *ep, struct slice conn, struct slice addr)
{
	struct router_component is = what_is(r, endpoint_sid(ep));

	note_component(r, endpoint_sid(ep), &is, conn, addr);
	route_table_set_away(r->routes, endpoint_sid(ep), false);
	settle_away(r, endpoint_jid(ep), false, NULL);
	moving(r);
}

void domain_expired(struct router *r, struct endpoint *ep)
{
	if (route_table_live(r->routes, endpoint_jid(ep)))
		endpoint_hand_over(r->custody, ep, by_mode, r);
	drop(r, ep, NULL, NULL);
}

static void set_away(void *ctx, struct endpoint *ep)
{
	struct router *r = ctx;

	if (endpoint_kind(ep) == SESSION_DOMAIN && !endpoint_ended(ep))
		route_table_set_away(r->routes, endpoint_sid(ep), true);
}

/* Not all of those whose cm has died become places: others may serve their domain. */
static void without_cm(void *ctx, struct endpoint *ep)
{
	struct router *r = ctx;

	if (endpoint_kind(ep) != SESSION_DOMAIN || endpoint_ended(ep))
		return;
	binders_check(r, endpoint_jid(ep));
	if (endpoint_ended(ep) || endpoint_can_resume(ep) ||
	    !route_table_live(r->routes, endpoint_jid(ep)))
		return;
	endpoint_hand_over(r->custody, ep, by_mode, r);
	drop(r, ep, NULL, NULL);
}

void domain_peer_dead(struct router *r, struct router_peer *p)
{
	binders_peer_dead(r, p);
	custody_peer_each(p->custody, set_away, r);
	custody_peer_each(p->custody, without_cm, r);
}

/* ---- a router's start (CUSTODY 5) ---- */

static void note_ended(struct router *r, struct slice jid, const struct router_component *is)
{
	struct ended *e = xcalloc(1, sizeof(*e));

	e->jid = xstrndup(jid.data, jid.len);
	e->is = *is;
	list_append(&r->domains->ended, &e->link);
}

/* Whoever was there may come back, unless somebody is there already. */
static void make_places(struct router *r)
{
	list_each_safe (it, &r->domains->ended) {
		struct ended *e = list_entry(it, struct ended, link);
		struct slice jid = slice_str(e->jid);
		struct str blob = STR_INIT;

		if (!route_table_find(r->routes, jid) && !session_is_local(r->sessions, jid)) {
			if (e->is.sid)
				blob_put(&blob, &e->is);
			make_place(r, &e->is,
				   endpoint_wait_for(r->custody, random_u64(), jid,
						     str_slice(&blob), loop_now(r->loop)));
			str_clear(&blob);
		}
		ended_free(e);
	}
}

/* Two were announced for one domain: the younger has followed the other, whose end its cm does not
 * know yet. */
static bool is_followed(struct router *r, struct slice jid, uint64_t since_ms)
{
	uint64_t holder = route_table_live(r->routes, jid);
	struct endpoint *ep = endpoint_find(r->custody, holder);

	if (!ep || what_is(r, holder).since_ms >= since_ms)
		return false;
	drop(r, ep, "conflict", "Another connection of this component has taken its place.");
	return true;
}

enum err domain_announce(struct router *r, const struct msg_announce *m)
{
	struct router_component is = {.policy = {.mode = DOMAIN_ONE, .hidden = true}};
	bool component = m->blob.len != 0;
	enum err e;

	if (component && !blob_get(m->blob, &is)) {
		log_warn("-",
			 "event=domain-blob-unread domain=%s hint=\"it counts as the only "
			 "connection, and hidden, until it connects again\"",
			 log_quote(m->jid));
		is = (struct router_component){.policy = {.mode = DOMAIN_ONE, .hidden = true}};
	}
	is.sid = component ? m->sid : 0;
	if (is.since_ms > r->domains->youngest)
		r->domains->youngest = is.since_ms;
	if (m->state == SESSION_ENDED) {
		note_ended(r, m->jid, &is);
		return ERR_OK;
	}
	if (session_is_local(r->sessions, m->jid))
		return ERR_CONFLICT;
	if (m->state == SESSION_DETACHED) {
		route_table_join_away(r->routes, m->jid, m->sid, &is.policy, is.since_ms);
	} else {
		e = route_table_join(r->routes, m->jid, m->sid, &is.policy, is.since_ms);
		if (e == ERR_CONFLICT && is_followed(r, m->jid, is.since_ms))
			e = route_table_join(r->routes, m->jid, m->sid, &is.policy, is.since_ms);
		if (e != ERR_OK)
			return e;
	}
	if (component)
		note_component(r, m->sid, &is, m->conn, m->addr);
	return ERR_OK;
}

/* Everybody, or a late one, is announced: places that somebody has taken go, the others are made,
 * and who asked for a domain meanwhile gets it, before anything is routed. */
void domain_announced(struct router *r)
{
	struct route_policy policy;
	char **jids = NULL;
	struct slice jid;
	size_t it = 0, count = 0;

	while (route_table_next(r->routes, &it, &jid, &policy)) {
		jids = xrealloc(jids, (count + 1) * sizeof(*jids));
		jids[count++] = xstrndup(jid.data, jid.len);
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t live = route_table_live(r->routes, slice_str(jids[i]));

		if (live)
			settle_away(r, slice_str(jids[i]),
				    what_is(r, live).policy.mode == DOMAIN_ONE,
				    "connection-timeout");
		free(jids[i]);
	}
	free(jids);
	make_places(r);
	binders_check(r, SLICE_NONE);
}

/* ---- commands ---- */

unsigned int domain_close(struct router *r, struct slice jid, const char *condition,
			  const char *text)
{
	unsigned int count = 0;
	uint64_t sid;
	bool away;

	binders_refuse(r, jid, condition, text);
	while ((sid = route_table_member(r->routes, jid, 0, &away)) != 0) {
		struct endpoint *ep = endpoint_find(r->custody, sid);

		route_table_unbind(r->routes, sid);
		if (!ep)
			continue;
		log_info("-", "event=component_closed domain=%s sid=%016llx condition=%s",
			 log_quote(jid), (unsigned long long)sid, condition);
		count += !away;
		drop(r, ep, condition, text);
	}
	return count;
}

void domain_check_local(struct router *r)
{
	bool disabled = !proc_config(r->proc)->xmpp_enabled;
	struct route_policy policy;
	struct slice jid;
	size_t it = 0;

	while (route_table_next(r->routes, &it, &jid, &policy)) {
		char *copy;

		if (!disabled && !session_is_local(r->sessions, jid))
			continue;
		copy = xstrndup(jid.data, jid.len);
		if (disabled)
			domain_close(r, slice_str(copy), "system-shutdown",
				     "This service has been disabled.");
		else
			domain_close(r, slice_str(copy), "conflict",
				     "This domain is served by this server itself now.");
		free(copy);
		it = 0;
	}
}

bool domain_next(const struct router *r, size_t *it, struct router_component *out)
{
	void *value;

	while (map64_next(&r->domains->components, it, NULL, &value)) {
		const struct component *c = value;
		struct endpoint *ep = endpoint_find(r->custody, c->is.sid);

		if (!ep || endpoint_ended(ep))
			continue;
		*out = c->is;
		out->ep = ep;
		out->jid = endpoint_jid(ep);
		out->conn = c->conn;
		out->addr = c->addr;
		out->state =
			!endpoint_detached(ep) ? "live" : (is_place(ep) ? "waiting" : "detached");
		return true;
	}
	return false;
}

size_t domain_count(const struct router *r)
{
	struct router_component c;
	size_t it = 0, count = 0;

	while (domain_next(r, &it, &c))
		count += !endpoint_detached(c.ep);
	return count;
}

struct endpoint *domain_endpoint(const struct router *r, struct slice domain, struct slice peer)
{
	uint64_t sid = route_table_pick(r->routes, domain, peer);
	struct endpoint *ep = sid ? endpoint_find(r->custody, sid) : NULL;

	if (!ep || endpoint_ended(ep))
		return NULL;
	return monotime_before(loop_now(r->loop), r->domains->moving)
		       ? still_at(r, ep, route_peer_digest(peer))
		       : ep;
}

struct endpoint *domain_answer_to(const struct router *r, struct endpoint *ep,
				  const struct custody_entry *e)
{
	struct endpoint *from;

	if (!e || custody_entry_sender(e) == endpoint_sid(ep))
		return ep;
	from = endpoint_find(r->custody, custody_entry_sender(e));
	return from && domain_is_sibling(from, ep) ? from : ep;
}

bool domain_is_sibling(const struct endpoint *who, const struct endpoint *ep)
{
	return !endpoint_ended(who) && endpoint_kind(who) == SESSION_DOMAIN &&
	       slice_eq(endpoint_jid(who), endpoint_jid(ep));
}
