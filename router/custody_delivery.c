/*
 * custody_delivery - an entry's places in the queues of endpoints, until each is delivered (CUSTODY
 * 2).
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/custody_types.h"

#define AHEAD 4

/* Encodes the DELIVER record for number q of ep into the scratch buffer. */
void delivery_encode(struct custody *c, const struct endpoint *ep, uint64_t q,
		     const struct session_stanza *s, const struct custody_entry *e)
{
	struct msg_deliver m = {
		.sid = ep->sid,
		.q = q,
		.origin_sid = e->origin_sid,
		.origin_n = e->origin_n,
		.kind = s->kind,
		.type = s->type,
		.flags = s->flags,
		.from = s->from,
		.to = s->to,
		.id = s->id,
		.lang = s->lang,
		.children = s->children,
		.inner = s->inner,
	};

	str_reset(&c->scratch);
	msg_deliver_put(&c->scratch, &m);
}

struct delivery *delivery_make(struct custody *c, struct custody_entry *e, struct endpoint *ep)
{
	struct delivery *d = delivery_new(ep, c->scratch.data, c->scratch.len);

	d->origin_sid = e->origin_sid;
	d->origin_n = e->origin_n;
	d->entry = e;
	list_append(&e->deliveries, &d->link);
	return d;
}

struct session_stanza session_stanza_of(const struct msg_deliver *m)
{
	return (struct session_stanza){
		.kind = m->kind,
		.type = m->type,
		.flags = m->flags,
		.from = m->from,
		.to = m->to,
		.id = m->id,
		.lang = m->lang,
		.children = m->children,
		.inner = m->inner,
	};
}

void delivery_stanza(const struct delivery *d, struct session_stanza *s)
{
	struct slice in = slice_of(d->record, d->len), body;
	struct msg_deliver m;
	uint16_t type;

	check(codec_next(&in, &type, &body) == ERR_OK && msg_deliver_get(body, &m) == ERR_OK);
	*s = session_stanza_of(&m);
}

struct delivery *custody_renumber(struct custody *c, struct delivery *d, struct endpoint *ep,
				  uint64_t q)
{
	struct custody_entry *e = d->entry;
	struct session_stanza s;
	struct delivery *fresh;

	if (d->paged) {
		d->sid = ep->sid;
		return d;
	}
	delivery_stanza(d, &s);
	delivery_encode(c, ep, q, &s, e);
	fresh = delivery_make(c, e, ep);
	d->entry = NULL;
	delivery_free(c, d);
	return fresh;
}

void custody_enqueue(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		     const struct session_stanza *s)
{
	struct delivery *d;

	e->how = SETTLED_DELIVERED;
	if (c->haves.count && ep->kind == SESSION_DOMAIN) {
		if (e->made && custody_was_delivered(c, e))
			return; /* to a session of that domain which is over */
		ep = have_sibling(c, e, ep);
	}
	if (have_claim(c, e, ep, s))
		return;
	delivery_encode(c, ep, ep->next_q, s, e);
	d = delivery_make(c, e, ep);
	e->pending++;
	if (!e->from_shelf && !queued_fits(c, ep, d->len)) {
		d->state = DELIVERY_REFUSED;
		list_append(&c->refused, &d->refused);
		return;
	}
	queue_push(ep, d);
	queued_add(c, ep, d->len);
	/* Its sender's cm may not know yet that it was stored, and send it again (have_claim). */
	if (c->restoring && e->on_settled)
		have_add(c, d);
	if (e->from_shelf)
		page_loaded(c, ep, ep->next_q - 1);
	endpoint_pump(c, ep);
}

void custody_deliver(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		     const struct session_stanza *s)
{
	custody_enqueue(c, e, ep, s);
}

/* One delivery has ended well, or is taken out of the entry by its judge. */
void delivery_done(struct custody *c, struct delivery *d)
{
	struct custody_entry *e = d->entry;

	d->state = DELIVERY_DONE;
	if (!e) {
		d->state = c->haves.count ? DELIVERY_DONE : DELIVERY_NOTED;
		return;
	}
	custody_release(c, e);
}

void custody_delivered(struct custody *c, struct endpoint *ep, uint64_t q)
{
	for (; ep->done_q <= q && ep->done_q < ep->sent_q; ep->done_q++) {
		struct delivery *d = *queue_at(ep, ep->done_q);

		/* Many are told of at once, long after they were put here. */
		if (ep->done_q + AHEAD < ep->sent_q)
			__builtin_prefetch(*queue_at(ep, ep->done_q + AHEAD), 1);
		if (d->state != DELIVERY_SENT)
			continue;
		ep->flight -= d->len;
		delivery_unqueue(c, ep, d);
		delivery_done(c, d);
	}
	endpoint_advance(c, ep);
	endpoint_pump(c, ep);
}
