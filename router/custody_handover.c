/*
 * custody_handover - a domain's session is over: what it was not delivered goes to others of the
 * same domain, or waits for one (CUSTODY 14).
 */
#include "base/blob.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/custody_types.h"
#include "router/route_table.h"

#define OWES_LOOK 256

/* It was not delivered, and somebody here has it. */
static bool is_movable(const struct delivery *d)
{
	return d->entry && (d->len || d->paged) &&
	       (d->state == DELIVERY_WAITING || d->state == DELIVERY_SENT);
}

uint64_t delivery_peer(const struct delivery *d)
{
	struct session_stanza s;
	uint64_t digest;

	if (d->paged) { /* see page() */
		memcpy(&digest, d->record, sizeof(digest));
		return digest;
	}
	delivery_stanza(d, &s);
	return route_peer_digest(s.from);
}

/* To the end of what `to` has. Its bytes are not counted against any limit: they were here before.
 */
static void move(struct custody *c, struct endpoint *ep, uint64_t q, struct endpoint *to)
{
	struct delivery *d = *queue_at(ep, q);
	const struct custody_entry *e = d->entry;

	*queue_at(ep, q) = placeholder(ep);
	if (d->state == DELIVERY_SENT)
		ep->flight -= d->len;
	delivery_unqueue(c, ep, d);
	d = custody_renumber(c, d, to, to->next_q);
	d->endpoint = to;
	d->state = DELIVERY_WAITING;
	queue_push(to, d);
	queued_add(c, to, d->len);
	to->paged += d->paged;
	c->books.paged += d->paged;
	/* As custody_load_answer(): what it answers may come again. */
	if (c->restoring && e->from_shelf && e->made && !d->paged)
		have_add(c, d);
	endpoint_dirty(c, to);
}

void endpoint_hand_over(struct custody *c, struct endpoint *ep, custody_heir_fn *heir, void *ctx)
{
	for (uint64_t q = ep->base_q; q < ep->next_q; q++) {
		const struct delivery *d = *queue_at(ep, q);
		struct endpoint *to = is_movable(d) ? heir(ctx, ep, delivery_peer(d)) : NULL;

		if (to && to != ep && !to->ended)
			move(c, ep, q, to);
	}
}

bool endpoint_owes_to(const struct endpoint *ep, uint64_t digest, bool unknown)
{
	uint64_t q = ep->next_q;

	for (int looked = 0; q > ep->done_q; looked++) {
		const struct delivery *d = *queue_at(ep, --q);

		if (looked == OWES_LOOK)
			return unknown;
		if (is_movable(d) && delivery_peer(d) == digest)
			return true;
	}
	return false;
}

bool endpoint_owes(const struct endpoint *ep)
{
	for (uint64_t q = ep->done_q; q < ep->next_q; q++)
		if (is_movable(*queue_at(ep, q)))
			return true;
	return false;
}

struct endpoint *endpoint_wait(struct custody *c, const struct endpoint *ep, uint64_t sid,
			       struct monotime now)
{
	struct endpoint *w =
		endpoint_wait_for(c, sid, slice_str(ep->jid), blob_slice(ep->blob), now);

	if (w)
		w->durable = ep->durable;
	return w;
}

struct endpoint *endpoint_wait_for(struct custody *c, uint64_t sid, struct slice jid,
				   struct slice blob, struct monotime now)
{
	struct endpoint *w = endpoint_add(c, NULL, sid, 1, SESSION_DOMAIN, 1, jid);

	if (!w)
		return NULL;
	w->detached_at = now;
	endpoint_set_blob(c, w, blob);
	shelve_endpoint(c, w);
	return w;
}

/* What one of several sessions of a domain has goes to no other, after a router's start. */
struct endpoint *have_sibling(const struct custody *c, const struct custody_entry *e,
			      struct endpoint *ep)
{
	struct endpoint *other = NULL;

	for (struct delivery *d = have_find(c, NULL, e->origin_sid, e->origin_n); d;
	     d = d->have_next) {
		struct endpoint *it = endpoint_find(c, d->sid);

		if (!it || it->kind != SESSION_DOMAIN || strcmp(it->jid, ep->jid) != 0)
			continue;
		if (d->state == DELIVERY_DONE)
			return it;
		if (!it->ended)
			other = other == ep ? ep : it;
	}
	return other ? other : ep;
}
