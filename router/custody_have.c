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

void have_add(struct custody *c, struct delivery *d)
{
	char key[16];

	have_key(d->origin_sid, d->origin_n, key);
	d->have_next = map_find(&c->haves, slice_of(key, sizeof(key)));
	map_put(&c->haves, slice_of(key, sizeof(key)), d);
}

void endpoint_have(struct custody *c, struct endpoint *ep, const struct msg_announce_have *m)
{
	struct delivery *d;

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
	if (m->origin_sid)
		have_add(c, d);
	else
		d->state = DELIVERY_NOTED;
}

struct delivery *have_find(const struct custody *c, const struct endpoint *ep, uint64_t sid,
			   uint64_t n)
{
	struct delivery *d, *found = NULL;
	char key[16];

	if (c->haves.count == 0)
		return NULL;
	have_key(sid, n, key);
	d = map_find(&c->haves, slice_of(key, sizeof(key)));
	if (!ep)
		return d;
	/* The owner's own before what a former one had: that is the one which is kept. */
	for (; d; d = d->have_next)
		if (d->sid == ep->sid && (!found || d->endpoint))
			found = d;
	return found;
}

void have_orphan_claim(struct custody *c, struct custody_entry *e, bool claims)
{
	if (e->of_orphan == claims)
		return;
	e->of_orphan = claims;
	if (claims)
		c->orphan_claims++;
	else
		c->orphan_claims--;
}

bool custody_was_delivered(struct custody *c, struct custody_entry *e)
{
	bool found = false;

	for (struct delivery *d = have_find(c, NULL, e->origin_sid, e->origin_n); d;
	     d = d->have_next) {
		const struct endpoint *ep = endpoint_find(c, d->sid);

		/* One that lives, here or at another cm by now, has it itself: others may not. */
		if (d->state != DELIVERY_DONE || (ep && !ep->ended))
			continue;
		found = true;
		if (!d->endpoint) {
			have_orphan_claim(c, e, true);
		} else if (!d->entry) {
			d->entry = e; /* its cm may forget it with the others */
			list_append(&e->deliveries, &d->link);
		}
	}
	if (found)
		custody_conclude(e, SETTLED_DELIVERED);
	return found;
}

/* The final answer to e, where its sender has it, or a session that followed it. */
static struct delivery *find_answer(const struct custody *c, const struct custody_entry *e,
				    const struct endpoint *sender, struct slice domain)
{
	uint64_t n = e->origin_n | CUSTODY_FINAL_ANSWER;
	struct delivery *d = sender ? have_find(c, sender, e->origin_sid, n) : NULL;

	if (d || !domain.len)
		return d;
	for (d = have_find(c, NULL, e->origin_sid, n); d; d = d->have_next) {
		const struct endpoint *ep = endpoint_find(c, d->sid);

		if (ep && ep->kind == SESSION_DOMAIN && slice_is(domain, ep->jid))
			return d;
	}
	return NULL;
}

enum custody_answered custody_was_answered(struct custody *c, struct custody_entry *e,
					   const struct endpoint *sender, struct slice domain)
{
	struct delivery *d = find_answer(c, e, sender, domain);

	if (!d || (d->entry && !d->entry->from_shelf))
		return ANSWERED_NOT;
	if (d->endpoint && !d->entry && d->state != DELIVERY_DONE && d->len == 0)
		return ANSWERED_AGAIN;
	c->books.repeats++;
	e->how = SETTLED_BOUNCED;
	if (!d->endpoint)
		have_orphan_claim(c, e, true);
	if (d->entry)
		answer_tie(d->entry, e);
	if (!d->endpoint || d->entry)
		return ANSWERED;
	d->entry = e;
	list_append(&e->deliveries, &d->link);
	return ANSWERED;
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
	map_clear(&c->resent);
	have_orphans_free(c);
	c->restoring = false;
	c->note_again = true;
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
	bool stored;
	uint64_t q;

	/* In the queue already because it was stored: that is how it is settled for its sender. */
	stored = d && d->entry && d->entry->on_settled && !e->on_settled;
	if (!d || (d->entry && !d->entry->from_shelf && !stored))
		return false;
	c->books.repeats++;
	if (stored)
		e->how = SETTLED_STORED;
	if (!d->endpoint)
		have_orphan_claim(c, e, true);
	if (d->entry)
		answer_tie(d->entry, e->parent);
	if (!d->endpoint || d->entry)
		return true; /* delivered while another cm had the session, or held already */
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
	if (e->on_settled)
		have_add(c, whole);
	delivery_free(c, d);
	queued_add(c, ep, whole->len);
	if (whole->state == DELIVERY_SENT)
		ep->flight += whole->len;
	e->pending++;
	return true;
}

void have_orphan(struct custody *c, uint64_t sid, uint64_t origin_sid, uint64_t origin_n,
		 struct str *had)
{
	struct delivery *d;

	if (!origin_sid)
		return;
	d = xcalloc(1, sizeof(*d));
	list_init(&d->link);
	list_init(&d->refused);
	d->sid = sid;
	d->origin_sid = origin_sid;
	d->origin_n = origin_n;
	d->state = DELIVERY_DONE;
	have_add(c, d);
	list_append(&c->orphans, &d->refused);
	if (!had)
		return;
	codec_put_u64(had, origin_sid);
	codec_put_u64(had, origin_n);
	c->has_had = true;
}

void haves_end(struct custody *c)
{
	size_t it = 0;
	void *value;

	if (!c->has_had)
		return;
	c->has_had = false;
	while (map64_next(&c->endpoints, &it, NULL, &value))
		str_clear(&((struct endpoint *)value)->had);
}

/* Numbers below the new owner's queue are what the client acknowledged when it resumed there. */
void custody_have_former(struct custody *c, const struct msg_announce_have *m)
{
	struct endpoint *ep = endpoint_find(c, m->sid);

	if (m->delivered || (ep && m->q < ep->base_q))
		have_orphan(c, m->sid, m->origin_sid, m->origin_n, ep ? &ep->had : NULL);
}

void have_keep(struct custody *c, struct endpoint *ep, uint64_t base_q, struct str *had)
{
	str_add_slice(had, str_slice(&ep->had));
	for (uint64_t q = ep->base_q; q < ep->next_q; q++) {
		const struct delivery *d = *queue_at(ep, q);

		if (d->state == DELIVERY_DONE || q < base_q)
			have_orphan(c, ep->sid, d->origin_sid, d->origin_n, had);
	}
}

void have_leave(struct custody *c, struct endpoint *ep)
{
	for (uint64_t q = ep->base_q; c->haves.count && q < ep->next_q; q++) {
		const struct delivery *d = *queue_at(ep, q);

		if (d->state == DELIVERY_DONE && !d->entry)
			have_orphan(c, ep->sid, d->origin_sid, d->origin_n, NULL);
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
