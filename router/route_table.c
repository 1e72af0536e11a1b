#include "router/route_table.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/siphash.h"
#include "base/xmem.h"
#include "ipc/stanza_kinds.h"

struct member {
	uint64_t sid;
	uint64_t since;
	bool away;
};

struct route {
	struct route_policy policy;
	size_t live; /* members that are not away */
	size_t count;
	struct member *members; /* the oldest first */
};

struct route_table {
	struct map by_domain;
};

struct route_table *route_table_new(void)
{
	struct route_table *t = xcalloc(1, sizeof(*t));

	map_init(&t->by_domain);
	return t;
}

static void route_free(struct route *r)
{
	free(r->members);
	free(r);
}

void route_table_free(struct route_table **tp)
{
	struct route_table *t = *tp;
	void *route;
	size_t it = 0;

	*tp = NULL;
	if (!t)
		return;
	while (map_next(&t->by_domain, &it, NULL, &route))
		route_free(route);
	map_clear(&t->by_domain);
	free(t);
}

static struct member *find_member(const struct route *r, uint64_t sid)
{
	for (size_t i = 0; r && i < r->count; i++)
		if (r->members[i].sid == sid)
			return &r->members[i];
	return NULL;
}

static void set_away(struct route *r, struct member *m, bool away)
{
	if (m->away == away)
		return;
	m->away = away;
	r->live += away ? -1UL : 1UL;
}

static bool before(const struct member *a, const struct member *b)
{
	return a->since != b->since ? a->since < b->since : a->sid < b->sid;
}

static void take_out(struct route *r, const struct member *m)
{
	size_t at = (size_t)(m - r->members);

	r->live -= !m->away;
	r->count--;
	memmove(&r->members[at], &r->members[at + 1], (r->count - at) * sizeof(*r->members));
}

static void put_in(struct route *r, const struct member *m)
{
	size_t at = r->count;

	r->members = xrealloc(r->members, (r->count + 1) * sizeof(*r->members));
	while (at && before(m, &r->members[at - 1])) {
		r->members[at] = r->members[at - 1];
		at--;
	}
	r->members[at] = *m;
	r->live += !m->away;
	r->count++;
}

static void join(struct route_table *t, struct route *r, struct slice domain, struct member m)
{
	struct member *old = find_member(r, m.sid);

	if (!r) {
		r = xcalloc(1, sizeof(*r));
		map_put(&t->by_domain, domain, r);
	}
	if (old)
		take_out(r, old);
	put_in(r, &m);
}

enum err route_table_join(struct route_table *t, struct slice domain, uint64_t sid,
			  const struct route_policy *policy, uint64_t since)
{
	struct route *r = map_find(&t->by_domain, domain);
	const struct member *self = find_member(r, sid);
	size_t others = r ? r->live - (self && !self->away) : 0;

	if (others && policy->mode == DOMAIN_ONE)
		return ERR_CONFLICT;
	if (policy->max && others >= policy->max)
		return ERR_FULL;
	join(t, r, domain, (struct member){.sid = sid, .since = since});
	r = map_find(&t->by_domain, domain);
	r->policy = *policy;
	return ERR_OK;
}

void route_table_join_away(struct route_table *t, struct slice domain, uint64_t sid,
			   const struct route_policy *policy, uint64_t since)
{
	struct route *r = map_find(&t->by_domain, domain);
	bool first = !r;

	join(t, r, domain, (struct member){.sid = sid, .since = since, .away = true});
	r = map_find(&t->by_domain, domain);
	if (first)
		r->policy = *policy;
}

enum err route_table_bind(struct route_table *t, struct slice domain, uint64_t sid)
{
	static const struct route_policy alone = {.mode = DOMAIN_ONE, .hidden = true};

	if (find_member(map_find(&t->by_domain, domain), sid))
		return ERR_OK;
	return route_table_join(t, domain, sid, &alone, 0);
}

/* Its domain, one at a time, since a map must not change while it is walked; domains of one session
 * are few. */
static struct route *route_of(const struct route_table *t, uint64_t sid, struct slice *domain,
			      struct member **m)
{
	void *value;
	size_t it = 0;

	while (map_next(&t->by_domain, &it, domain, &value))
		if ((*m = find_member(value, sid)))
			return value;
	return NULL;
}

void route_table_set_away(struct route_table *t, uint64_t sid, bool away)
{
	struct slice domain;
	struct member *m;
	struct route *r = route_of(t, sid, &domain, &m);

	if (r)
		set_away(r, m, away);
}

void route_table_unbind(struct route_table *t, uint64_t sid)
{
	struct slice domain;
	struct member *m;
	struct route *r;

	while ((r = route_of(t, sid, &domain, &m))) {
		take_out(r, m);
		if (r->count)
			continue;
		map_remove(&t->by_domain, domain);
		route_free(r);
	}
}

/* SipHash-1-3 of words. */
static uint64_t sip_words(uint64_t k0, uint64_t k1, const uint64_t *words, size_t count)
{
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL,
			 k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL};

	for (size_t i = 0; i < count; i++) {
		v[3] ^= words[i];
		sip_round(v);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t route_peer_digest(struct slice jid)
{
	const char *slash = jid.len ? memchr(jid.data, '/', jid.len) : NULL;
	uint64_t words[8] = {0}, h;
	size_t len = slash ? (size_t)(slash - jid.data) : jid.len;

	h = len;
	for (size_t at = 0; at < len; at += sizeof(words)) {
		size_t left = len - at < sizeof(words) ? len - at : sizeof(words);

		memset(words, 0, sizeof(words));
		memcpy(words, jid.data + at, left);
		h = sip_words(h, 0, words, (left + 7) / 8);
	}
	return h;
}

/* Rendezvous hashing: each session has a weight for this peer, and the largest one wins; whoever
 * comes or goes changes only what he wins. The key is the sid, which nobody outside knows; so the
 * next router finds the same. */
static uint64_t winner(const struct route *r, uint64_t digest)
{
	uint64_t best = 0, sid = 0;

	for (size_t i = 0; i < r->count; i++) {
		const struct member *m = &r->members[i];
		uint64_t weight;

		if (m->away && r->live)
			continue;
		weight = sip_words(m->sid, 0, &digest, 1);
		if (sid && weight <= best)
			continue;
		best = weight;
		sid = m->sid;
	}
	return sid;
}

static uint64_t oldest(const struct route *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (!r->members[i].away || !r->live)
			return r->members[i].sid;
	return 0;
}

uint64_t route_table_find(const struct route_table *t, struct slice domain)
{
	const struct route *r = map_find(&t->by_domain, domain);

	return r ? oldest(r) : 0;
}

static bool is_shared(const struct route *r)
{
	return r->count > 1 && r->policy.mode == DOMAIN_SHARED;
}

uint64_t route_table_pick(const struct route_table *t, struct slice domain, struct slice peer)
{
	const struct route *r = map_find(&t->by_domain, domain);

	if (!r)
		return 0;
	return is_shared(r) ? winner(r, route_peer_digest(peer)) : oldest(r);
}

uint64_t route_table_pick_digest(const struct route_table *t, struct slice domain, uint64_t digest)
{
	const struct route *r = map_find(&t->by_domain, domain);

	if (!r)
		return 0;
	return is_shared(r) ? winner(r, digest) : oldest(r);
}

uint64_t route_table_member(const struct route_table *t, struct slice domain, size_t i, bool *away)
{
	const struct route *r = map_find(&t->by_domain, domain);

	if (!r || i >= r->count)
		return 0;
	*away = r->members[i].away;
	return r->members[i].sid;
}

uint64_t route_table_live(const struct route_table *t, struct slice domain)
{
	const struct route *r = map_find(&t->by_domain, domain);

	return r && r->live ? oldest(r) : 0;
}

bool route_table_next(const struct route_table *t, size_t *it, struct slice *domain,
		      struct route_policy *policy)
{
	void *value;

	if (!map_next(&t->by_domain, it, domain, &value))
		return false;
	*policy = ((const struct route *)value)->policy;
	return true;
}
