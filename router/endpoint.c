/*
 * endpoint - one session's outbound queue in the router, and what its cm is told about it.
 */
#include <stdlib.h>

#include "base/blob.h"
#include "base/check.h"
#include "base/pool.h"
#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/custody_types.h"

struct endpoint *endpoint_add(struct custody *c, struct custody_peer *owner, uint64_t sid,
			      uint64_t epoch, uint8_t kind, uint64_t next_q, struct slice jid)
{
	struct endpoint *ep;

	if (map64_find(&c->endpoints, sid))
		return NULL;
	ep = xcalloc(1, sizeof(*ep));
	ep->owner = owner;
	ep->sid = sid;
	ep->epoch = epoch;
	ep->kind = kind;
	ep->jid = xstrndup(jid.data ? jid.data : "", jid.len);
	ep->base_q = ep->done_q = ep->sent_q = ep->next_q = next_q;
	ep->forget_told = next_q;
	str_init(&ep->had);
	list_init(&ep->unsafe);
	list_init(&ep->formers);
	list_init(&ep->dirty);
	list_append(owner ? &owner->endpoints : &c->detached, &ep->link_in_peer);
	map64_put(&c->endpoints, sid, ep);
	return ep;
}

struct endpoint *endpoint_find(const struct custody *c, uint64_t sid)
{
	return map64_find(&c->endpoints, sid);
}

struct custody_peer *endpoint_owner(const struct endpoint *ep)
{
	return ep->owner;
}

uint64_t endpoint_sid(const struct endpoint *ep)
{
	return ep->sid;
}

uint64_t endpoint_epoch(const struct endpoint *ep)
{
	return ep->epoch;
}

uint8_t endpoint_kind(const struct endpoint *ep)
{
	return ep->kind;
}

bool endpoint_ended(const struct endpoint *ep)
{
	return ep->ended;
}

struct slice endpoint_jid(const struct endpoint *ep)
{
	return slice_str(ep->jid);
}

uint8_t endpoint_state(const struct endpoint *ep)
{
	if (ep->ended)
		return SESSION_ENDED;
	return ep->owner && !ep->announced_detached ? SESSION_LIVE : SESSION_DETACHED;
}

void endpoint_set_jid(struct endpoint *ep, struct slice jid)
{
	free(ep->jid);
	ep->jid = xstrndup(jid.data, jid.len);
}

uint64_t endpoint_received(const struct endpoint *ep)
{
	return ep->seen_n > ep->announced_n ? ep->seen_n : ep->announced_n;
}

uint64_t endpoint_given(const struct endpoint *ep)
{
	return ep->next_q - 1;
}

size_t endpoint_queued(const struct endpoint *ep)
{
	return ep->queued;
}

struct slice custody_domain_of(struct slice jid)
{
	const char *slash = jid.len ? memchr(jid.data, '/', jid.len) : NULL;
	const char *at;

	if (slash)
		jid.len = (size_t)(slash - jid.data);
	at = jid.len ? memchr(jid.data, '@', jid.len) : NULL;
	if (at) {
		jid.len -= (size_t)(at + 1 - jid.data);
		jid.data = at + 1;
	}
	return jid;
}

/* The account of ep's domain, made when first needed: there are as many as domains are served. */
static struct custody_domain *domain_get(struct custody *c, struct endpoint *ep)
{
	struct slice name;

	if (ep->domain)
		return ep->domain;
	name = custody_domain_of(slice_str(ep->jid));
	ep->domain = map_find(&c->domains, name);
	if (!ep->domain) {
		ep->domain = xcalloc(1, sizeof(*ep->domain));
		map_put(&c->domains, name, ep->domain);
	}
	return ep->domain;
}

bool queued_fits(struct custody *c, struct endpoint *ep, size_t len)
{
	if (c->limits.spool && ep->paged + len > c->limits.spool)
		return false;
	if (ep->queued + len > c->limits.queue)
		return false;
	if (c->limits.total && c->books.queued + len > c->limits.total)
		return false;
	return !c->limits.domain || domain_get(c, ep)->queued + len <= c->limits.domain;
}

void queued_add(struct custody *c, struct endpoint *ep, size_t len)
{
	ep->queued += len;
	domain_get(c, ep)->queued += len;
	c->books.queued += len;
}

void queued_sub(struct custody *c, struct endpoint *ep, size_t len)
{
	if (len == 0)
		return;
	ep->queued -= len;
	domain_get(c, ep)->queued -= len;
	c->books.queued -= len;
}

void delivery_unqueue(struct custody *c, struct endpoint *ep, const struct delivery *d)
{
	queued_sub(c, ep, d->len);
	ep->paged -= d->paged;
	c->books.paged -= d->paged;
}

void domains_free(struct custody *c)
{
	size_t it = 0;
	void *value;

	while (map_next(&c->domains, &it, NULL, &value))
		free(value);
	map_clear(&c->domains);
}

bool custody_next_domain(const struct custody *c, size_t *it, struct slice *name, size_t *queued)
{
	void *value;

	if (!map_next(&c->domains, it, name, &value))
		return false;
	*queued = ((const struct custody_domain *)value)->queued;
	return true;
}

void endpoint_set_durable(struct endpoint *ep)
{
	ep->durable = true;
}

void endpoint_unbound(struct custody *c, struct endpoint *ep)
{
	ep->unbound = true;
	endpoint_dirty(c, ep);
}

struct delivery *delivery_new(struct endpoint *ep, const char *record, size_t len)
{
	struct delivery *d = pool_alloc(sizeof(*d) + len);

	memset(d, 0, sizeof(*d));
	d->room = (uint32_t)(sizeof(*d) + len);
	list_init(&d->link);
	list_init(&d->refused);
	d->endpoint = ep;
	d->sid = ep->sid;
	d->len = (uint32_t)len;
	if (len)
		memcpy(d->record, record, len);
	return d;
}

void delivery_free(struct custody *c, struct delivery *d)
{
	if (c->haves.count)
		have_remove(c, d);
	list_remove(&d->link);
	list_remove(&d->refused);
	pool_free(d, d->room);
}

void delivery_drop(struct custody *c, struct delivery *d)
{
	bool owed = d->state == DELIVERY_SENT || d->state == DELIVERY_WAITING;
	struct custody_entry *e = d->entry;

	delivery_free(c, d);
	if (e && owed)
		custody_release(c, e);
}

struct delivery **queue_at(const struct endpoint *ep, uint64_t q)
{
	return &ep->slots[q & (ep->cap - 1)];
}

void queue_push(struct endpoint *ep, struct delivery *d)
{
	if (ep->next_q - ep->base_q >= ep->cap) {
		size_t cap = ep->cap ? ep->cap * 2 : 4;
		struct delivery **slots = xcalloc(cap, sizeof(struct delivery *));

		for (uint64_t q = ep->base_q; q < ep->next_q; q++)
			slots[q & (cap - 1)] = *queue_at(ep, q);
		free(ep->slots);
		ep->slots = slots;
		ep->cap = cap;
	}
	*queue_at(ep, ep->next_q++) = d;
}

void endpoint_dirty(struct custody *c, struct endpoint *ep)
{
	if (list_empty(&ep->dirty))
		list_append(&c->dirty, &ep->dirty);
}

void endpoint_pump(struct custody *c, struct endpoint *ep)
{
	while (ep->owner && ep->sent_q < ep->next_q) {
		struct delivery *d = *queue_at(ep, ep->sent_q);

		if (d->paged) {
			page_in(c, ep);
			return;
		}
		if (link_room(ep->owner->link) == 0 ||
		    (ep->flight && ep->flight + d->len > c->limits.flight)) {
			endpoint_dirty(c, ep);
			return;
		}
		link_put_encoded(ep->owner->link, MSG_DELIVER, slice_of(d->record, d->len));
		d->state = DELIVERY_SENT;
		ep->flight += d->len;
		ep->sent_q++;
	}
}

void endpoint_advance(struct custody *c, struct endpoint *ep)
{
	uint64_t before = ep->base_q;

	while (ep->base_q < ep->done_q && (*queue_at(ep, ep->base_q))->state == DELIVERY_NOTED)
		delivery_free(c, *queue_at(ep, ep->base_q++));
	if (ep->base_q == ep->next_q && ep->cap > 16) {
		free(ep->slots);
		ep->slots = NULL;
		ep->cap = 0;
	}
	if (ep->base_q != before || ep->ended)
		endpoint_dirty(c, ep);
}

void endpoint_free(struct custody *c, struct endpoint *ep)
{
	for (uint64_t q = ep->base_q; q < ep->next_q; q++)
		delivery_free(c, *queue_at(ep, q));
	list_each_safe (it, &ep->unsafe)
		list_remove(it);
	queued_sub(c, ep, ep->queued);
	c->books.paged -= ep->paged;
	map64_remove(&c->endpoints, ep->sid);
	if (ep->resume_id)
		map_remove(&c->resume_ids, slice_str(ep->resume_id));
	list_remove(&ep->link_in_peer);
	list_remove(&ep->dirty);
	blob_unref(&ep->blob);
	str_clear(&ep->had);
	formers_free(ep);
	free(ep->resume_id);
	free(ep->slots);
	free(ep->jid);
	free(ep);
}

void endpoints_advance_all(struct custody *c)
{
	size_t it = 0;
	void *value;

	while (map64_next(&c->endpoints, &it, NULL, &value)) {
		struct endpoint *ep = value;

		if (ep->seen_n < ep->announced_n)
			ep->seen_n = ep->announced_n;
		endpoint_dirty(c, ep);
		endpoint_advance(c, ep);
	}
}

bool endpoint_detached(const struct endpoint *ep)
{
	return !ep->owner;
}

/* A domain: whoever had received something is gone, only what was not delivered stays. */
static void detach_domain(struct custody *c, struct endpoint *ep)
{
	uint64_t kept = ep->base_q;

	for (uint64_t q = ep->base_q; q < ep->next_q; q++) {
		struct delivery *d = *queue_at(ep, q);

		if (d->state == DELIVERY_WAITING || (d->state == DELIVERY_SENT && d->len)) {
			d->state = DELIVERY_WAITING;
			*queue_at(ep, kept++) = d;
		} else {
			delivery_drop(c, d);
		}
	}
	ep->next_q = kept;
	ep->sent_q = ep->done_q = ep->base_q;
}

/* Who can resume: numbers stand, what it did not acknowledge is to be sent again. */
static void detach_resumable(struct endpoint *ep)
{
	ep->written_q = ep->sent_q;
	for (uint64_t q = ep->done_q; q < ep->sent_q; q++) {
		struct delivery *d = *queue_at(ep, q);

		if (d->state == DELIVERY_SENT)
			d->state = DELIVERY_WAITING;
	}
	ep->sent_q = ep->done_q;
	former_leave(ep);
}

void endpoint_detach(struct custody *c, struct endpoint *ep, struct monotime now)
{
	if (ep->kind == SESSION_DOMAIN && !endpoint_can_resume(ep))
		detach_domain(c, ep);
	else
		detach_resumable(ep);
	ep->flight = 0;
	ep->spool_q = ep->page_q = 0;
	ep->page_kept = 0;
	ep->owner = NULL;
	ep->detached_at = now;
	ep->announced_detached = false;
	endpoint_dirty(c, ep);
	list_remove(&ep->link_in_peer);
	list_append(&c->detached, &ep->link_in_peer);
}

/* Everything up to here may be counted as handled (CUSTODY 1, 3). */
static uint64_t endpoint_safe_n(const struct endpoint *ep)
{
	if (list_empty(&ep->unsafe))
		return ep->seen_n;
	return list_entry(list_first(&ep->unsafe), struct custody_entry, unsafe)->origin_n - 1;
}

static void report(struct custody *c, struct endpoint *ep)
{
	uint64_t held_n;
	struct link *l;

	if (!list_empty(&ep->formers) || ep->shelved || ep->resumed_seq)
		formers_tell(c, ep);
	if (!ep->owner)
		return;
	l = ep->owner->link;
	held_n = endpoint_safe_n(ep);
	if (held_n != ep->held_told && !c->restoring) {
		ep->held_told = held_n;
		link_put_held(l, &(struct msg_held){ep->sid, held_n});
	}
	if (ep->base_q != ep->forget_told) {
		ep->forget_told = ep->base_q;
		link_put_forget(l, &(struct msg_forget){ep->sid, ep->base_q - 1});
	}
	if (ep->ended && ep->unbound && ep->entries == 0 && ep->base_q == ep->next_q)
		endpoint_free(c, ep);
	else
		endpoint_pump(c, ep);
}

/* An endpoint whose link has no room puts itself on the list again: for the next turn. */
void endpoints_report(struct custody *c)
{
	struct list now;

	list_init(&now);
	if (!list_empty(&c->dirty)) {
		now = c->dirty;
		now.next->prev = now.prev->next = &now;
		list_init(&c->dirty);
	}
	while (!list_empty(&now)) {
		struct endpoint *ep = list_entry(list_first(&now), struct endpoint, dirty);

		list_remove(&ep->dirty);
		report(c, ep);
	}
}
