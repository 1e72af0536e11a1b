/*
 * router_binders - who has asked for a domain and waits: for the end of the barrier, or for what
 * the one who has it says when it is asked whether it is alive (PROBE).
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "router/router_types.h"

struct binder {
	struct list link;
	struct router_peer *peer;
	uint64_t sid;
	struct route_policy policy;
	char *jid, *conn, *addr;
	struct monotime since;
	uint64_t probed; /* whom it waits for; 0 = nobody yet */
	struct monotime asked;
};

static void binder_free(struct binder *b)
{
	list_remove(&b->link);
	free(b->jid);
	free(b->conn);
	free(b->addr);
	free(b);
}

static void refuse(struct router_peer *p, uint64_t sid, const char *condition, const char *text)
{
	link_put_bind_refused(
		hub_peer_link(p->hub),
		&(struct msg_bind_refused){sid, slice_str(condition), slice_str(text)});
}

static unsigned int others_of(const struct router *r, const struct binder *b)
{
	unsigned int count = 0;

	list_each (it, &r->binders) {
		const struct binder *other = list_entry(it, struct binder, link);

		count += other != b && strcmp(other->jid, b->jid) == 0;
	}
	return count;
}

static bool somebody_asks(const struct router *r, const struct binder *b, uint64_t sid,
			  struct monotime *asked)
{
	list_each (it, &r->binders) {
		const struct binder *other = list_entry(it, struct binder, link);

		if (other == b || other->probed != sid)
			continue;
		*asked = other->asked;
		return true;
	}
	return false;
}

/* Who has the domain is asked whether he is there; true: b is refused. */
static bool contend(struct router *r, struct binder *b, uint64_t holder)
{
	struct endpoint *ep = endpoint_find(r->custody, holder);
	struct monotime bound;

	if (b->probed == holder)
		return false;
	/* Nobody can be asked, or the other was just let in: he is there. */
	if (!ep || !endpoint_owner(ep) || !domain_bound_since(r, holder, &bound) ||
	    monotime_before(b->since, bound)) {
		refuse(b->peer, b->sid, "conflict", "this component is connected already");
		return true;
	}
	if (others_of(r, b) >= (unsigned int)proc_config(r->proc)->router_component_waiting) {
		refuse(b->peer, b->sid, "conflict", "too many ask for this domain at once");
		return true;
	}
	b->asked = loop_now(r->loop);
	if (!somebody_asks(r, b, holder, &b->asked))
		link_put_probe(custody_peer_link(endpoint_owner(ep)),
			       &(struct msg_probe){holder, endpoint_epoch(ep)});
	b->probed = holder;
	return false;
}

/* true: it is bound or refused. */
static bool try_bind(struct router *r, struct binder *b)
{
	struct slice jid = slice_str(b->jid);
	uint64_t holder = route_table_live(r->routes, jid);
	const struct msg_bind_domain m = {.sid = b->sid,
					  .jid = jid,
					  .mode = b->policy.mode,
					  .hidden = b->policy.hidden,
					  .max = b->policy.max,
					  .conn = slice_str(b->conn),
					  .addr = slice_str(b->addr)};

	if (session_is_local(r->sessions, jid)) {
		refuse(b->peer, b->sid, "conflict", "this domain is served by this server itself");
		return true;
	}
	if (b->policy.mode == DOMAIN_ONE && holder)
		return contend(r, b, holder);
	if (domain_join(r, b->peer, &m) != ERR_OK)
		refuse(b->peer, b->sid, "resource-constraint",
		       "this component has as many connections as it may have");
	return true;
}

/* In the order in which they came; who has jid may be another one after each. */
void binders_check(struct router *r, struct slice jid)
{
	char *copy = xstrndup(jid.len ? jid.data : "", jid.len);

	/* A copy: jid may be that of a session which is gone when another one has its place. */
	list_each_safe (it, &r->binders) {
		struct binder *b = list_entry(it, struct binder, link);

		if ((!*copy || strcmp(copy, b->jid) == 0) && try_bind(r, b))
			binder_free(b);
	}
	free(copy);
}

static bool is_waiting(const struct router *r, uint64_t sid)
{
	list_each (it, &r->binders)
		if (list_entry(it, struct binder, link)->sid == sid)
			return true;
	return false;
}

void binders_ask(struct router *r, struct router_peer *p, const struct msg_bind_domain *m)
{
	struct binder *b;

	if (m->mode > DOMAIN_STANDBY || !m->jid.len || is_waiting(r, m->sid)) {
		refuse(p, m->sid, "bad-request", "no such mode, or no domain");
		return;
	}
	b = xcalloc(1, sizeof(*b));
	b->peer = p;
	b->sid = m->sid;
	b->policy = (struct route_policy){m->mode, m->hidden != 0, m->max};
	b->jid = xstrndup(m->jid.data, m->jid.len);
	b->conn = xstrndup(m->conn.len ? m->conn.data : "", m->conn.len);
	b->addr = xstrndup(m->addr.len ? m->addr.data : "", m->addr.len);
	b->since = loop_now(r->loop);
	list_append(&r->binders, &b->link);
	if (!r->barrier && try_bind(r, b))
		binder_free(b);
}

bool binders_forget(struct router *r, const struct router_peer *p, uint64_t sid)
{
	list_each (it, &r->binders) {
		struct binder *b = list_entry(it, struct binder, link);

		if (b->peer != p || b->sid != sid)
			continue;
		binder_free(b);
		return true;
	}
	return false;
}

/* Whoever waits for the domain of sid has it now, and its queue. */
static void give_up(struct router *r, uint64_t sid, const char *domain)
{
	char *jid = xstrdup(domain); /* of a binder, which goes */

	log_info("-", "event=component_dead domain=%s sid=%016llx reason=\"no sign of life\"", jid,
		 (unsigned long long)sid);
	route_table_set_away(r->routes, sid, true);
	binders_check(r, slice_str(jid));
	free(jid);
}

void binders_probed(struct router *r, struct endpoint *ep, bool alive)
{
	uint64_t sid = endpoint_sid(ep);
	bool waits = false;
	char *jid;

	list_each_safe (it, &r->binders) {
		struct binder *b = list_entry(it, struct binder, link);

		if (b->probed != sid)
			continue;
		waits = true;
		if (!alive)
			continue;
		refuse(b->peer, b->sid, "conflict", "this component is connected already");
		binder_free(b);
	}
	if (waits && !alive) {
		jid = xstrndup(endpoint_jid(ep).data, endpoint_jid(ep).len);
		give_up(r, sid, jid);
		free(jid);
	}
}

static struct binder *overdue(struct router *r)
{
	uint64_t wait = (uint64_t)proc_config(r->proc)->router_component_probe;
	struct monotime now = loop_now(r->loop);

	list_each (it, &r->binders) {
		struct binder *b = list_entry(it, struct binder, link);

		if (b->probed && monotime_ms_between(b->asked, now) >= wait)
			return b;
	}
	return NULL;
}

/* The probes that nobody answers. */
void binders_tick(struct router *r)
{
	struct binder *b;

	while ((b = overdue(r))) {
		uint64_t sid = b->probed;

		b->probed = 0;
		give_up(r, sid, b->jid);
	}
}

void binders_refuse(struct router *r, struct slice jid, const char *condition, const char *text)
{
	list_each_safe (it, &r->binders) {
		struct binder *b = list_entry(it, struct binder, link);

		if (!slice_is(jid, b->jid))
			continue;
		refuse(b->peer, b->sid, condition, text);
		binder_free(b);
	}
}

void binders_peer_dead(struct router *r, const struct router_peer *p)
{
	list_each_safe (it, &r->binders) {
		struct binder *b = list_entry(it, struct binder, link);

		if (!p || b->peer == p)
			binder_free(b);
	}
}
