/*
 * custody_have - what connection managers announced to a router that has just started: the origins
 * that their sessions have already (CUSTODY 5, 8). Empty once all resends are in.
 */
#include <stdlib.h>

#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/custody_types.h"

static void have_key(uint64_t sid, uint64_t n, char key[16])
{
	memcpy(key, &sid, 8);
	memcpy(key + 8, &n, 8);
}

void endpoint_have(struct custody *c, struct endpoint *ep, const struct msg_announce_have *m)
{
	struct delivery *d;
	char key[16];

	if (m->q != ep->next_q)
		return;
	d = delivery_new(ep, NULL, 0);
	d->origin_sid = m->origin_sid;
	d->origin_n = m->origin_n;
	d->state = m->delivered ? DELIVERY_DONE : DELIVERY_SENT;
	queue_push(ep, d);
	ep->sent_q = ep->next_q;
	if (m->delivered && ep->done_q == m->q)
		ep->done_q++;
	have_key(m->origin_sid, m->origin_n, key);
	d->have_next = map_find(&c->haves, slice_of(key, sizeof(key)));
	map_put(&c->haves, slice_of(key, sizeof(key)), d);
}

static struct delivery *have_find(const struct custody *c, const struct endpoint *ep, uint64_t sid,
				  uint64_t n)
{
	struct delivery *d;
	char key[16];

	if (c->haves.count == 0)
		return NULL;
	have_key(sid, n, key);
	d = map_find(&c->haves, slice_of(key, sizeof(key)));
	while (d && ep && d->sid != ep->sid)
		d = d->have_next;
	return d;
}

bool custody_was_delivered(const struct custody *c, uint64_t sid, uint64_t n)
{
	for (struct delivery *d = have_find(c, NULL, sid, n); d; d = d->have_next)
		if (d->state == DELIVERY_DONE && (!d->endpoint || d->endpoint->ended))
			return true;
	return false;
}

bool custody_was_answered(struct custody *c, struct custody_entry *e, struct endpoint *sender)
{
	struct delivery *d =
		have_find(c, sender, e->origin_sid, e->origin_n | CUSTODY_FINAL_ANSWER);

	if (!d || d->entry)
		return false;
	c->books.repeats++;
	e->how = SETTLED_BOUNCED;
	if (!d->endpoint)
		return true;
	d->entry = e;
	list_append(&e->deliveries, &d->link);
	if (d->state == DELIVERY_SENT || d->state == DELIVERY_WAITING)
		e->pending++;
	return true;
}

void custody_restored(struct custody *c)
{
	struct delivery *d;
	void *value;
	size_t it = 0;

	while (map_next(&c->haves, &it, NULL, &value)) {
		struct delivery *next;

		for (d = value; d; d = next) {
			next = d->have_next;
			d->have_next = NULL;
			if (!d->endpoint || d->entry || d->state != DELIVERY_DONE)
				continue;
			d->state = DELIVERY_NOTED;
			endpoint_dirty(c, d->endpoint);
		}
	}
	map_clear(&c->haves);
	have_orphans_free(c);
	c->restoring = false;
	custody_losers_end(c, NULL);
	endpoints_advance_all(c);
}

static uint64_t queue_number(const struct endpoint *ep, const struct delivery *d)
{
	uint64_t q = ep->base_q;

	while (*queue_at(ep, q) != d)
		q++;
	return q;
}

/* A stanza that the cm has announced as its own already: tied to the entry, not sent again. What
 * is not delivered yet is kept here too from now on: the cm may die as well. */
bool have_claim(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		const struct session_stanza *s)
{
	struct delivery *d = have_find(c, ep, e->origin_sid, e->origin_n), *whole;
	uint64_t q;

	if (!d || d->entry)
		return false;
	c->books.repeats++;
	if (!d->endpoint)
		return true; /* delivered while another cm had the session */
	if (d->state == DELIVERY_DONE || d->state == DELIVERY_NOTED || d->len) {
		d->entry = e;
		list_append(&e->deliveries, &d->link);
		return true;
	}
	q = queue_number(ep, d);
	delivery_encode(c, ep, q, s, e);
	whole = delivery_make(c, e, ep);
	whole->state = d->state;
	*queue_at(ep, q) = whole;
	delivery_free(c, d);
	ep->queued += whole->len;
	if (whole->state == DELIVERY_SENT)
		ep->flight += whole->len;
	e->pending++;
	return true;
}

static struct delivery *orphan_new(struct custody *c, uint64_t sid, uint64_t origin_sid,
				   uint64_t origin_n)
{
	struct delivery *d = xcalloc(1, sizeof(*d));
	char key[16];

	list_init(&d->link);
	list_init(&d->refused);
	d->sid = sid;
	d->origin_sid = origin_sid;
	d->origin_n = origin_n;
	d->state = DELIVERY_DONE;
	have_key(origin_sid, origin_n, key);
	d->have_next = map_find(&c->haves, slice_of(key, sizeof(key)));
	map_put(&c->haves, slice_of(key, sizeof(key)), d);
	list_append(&c->orphans, &d->refused);
	return d;
}

/* Numbers below the new owner's queue are what the client acknowledged when it resumed there. */
void custody_have_former(struct custody *c, const struct msg_announce_have *m)
{
	const struct endpoint *ep = endpoint_find(c, m->sid);

	if (m->delivered || (ep && m->q < ep->base_q))
		orphan_new(c, m->sid, m->origin_sid, m->origin_n);
}

void have_keep(struct custody *c, struct endpoint *ep, uint64_t base_q)
{
	for (uint64_t q = ep->base_q; q < ep->next_q; q++) {
		const struct delivery *d = *queue_at(ep, q);

		if (d->state == DELIVERY_DONE || q < base_q)
			orphan_new(c, ep->sid, d->origin_sid, d->origin_n);
	}
}

void have_orphans_free(struct custody *c)
{
	list_each_safe (it, &c->orphans) {
		struct delivery *d = list_entry(it, struct delivery, refused);

		if (c->haves.count)
			have_remove(c, d);
		list_remove(&d->refused);
		free(d);
	}
}

void have_remove(struct custody *c, struct delivery *d)
{
	uint64_t id[2] = {d->origin_sid, d->origin_n};
	struct slice key = slice_of((const char *)id, sizeof(id));
	struct delivery *first = map_find(&c->haves, key);

	if (first == d) {
		if (d->have_next)
			map_put(&c->haves, key, d->have_next);
		else
			map_remove(&c->haves, key);
		return;
	}
	for (; first; first = first->have_next)
		if (first->have_next == d)
			first->have_next = d->have_next;
}
