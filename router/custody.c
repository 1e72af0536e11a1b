#include "router/custody.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody_types.h"

static void settle(struct custody *c, struct custody_entry *e);

static void undelivered_nowhere(void *ctx, struct custody_entry *e, uint64_t sid,
				const struct session_stanza *s, const char *reason)
{
	(void)ctx;
	(void)e;
	(void)sid;
	(void)s;
	(void)reason;
}

struct custody *custody_new(uint64_t boot, struct custody_limits limits,
			    custody_undelivered_fn *undelivered, void *ctx)
{
	struct custody *c = xcalloc(1, sizeof(*c));

	c->boot = boot;
	c->limits = limits;
	c->undelivered = undelivered;
	c->ctx = ctx;
	map64_init(&c->endpoints);
	map_init(&c->haves);
	list_init(&c->peers);
	list_init(&c->detached);
	list_init(&c->dirty);
	list_init(&c->refused);
	return c;
}

const struct custody_books *custody_books(const struct custody *c)
{
	return &c->books;
}

struct custody_entry *custody_accept(struct custody *c, struct endpoint *ep, uint64_t n,
				     size_t bytes, bool resent)
{
	struct custody_entry *e;

	if (n <= ep->seen_n) {
		c->books.repeats++;
		return NULL;
	}
	ep->seen_n = n;
	endpoint_dirty(c, ep);
	e = xcalloc(1, sizeof(*e));
	e->origin_sid = ep->sid;
	e->origin_n = n;
	e->accepted = true;
	e->pending = 1;
	e->bytes = (uint32_t)bytes;
	e->how = SETTLED_CONSUMED;
	list_init(&e->deliveries);
	list_init(&e->link);
	ep->entries++;
	if (resent)
		c->books.announced++;
	else
		c->books.accepted++;
	c->books.held++;
	c->books.held_bytes += bytes;
	return e;
}

void custody_handled(struct custody *c, struct custody_entry *e)
{
	custody_release(c, e);
}

uint64_t custody_entry_sender(const struct custody_entry *e)
{
	return e->origin_sid;
}

uint64_t custody_entry_number(const struct custody_entry *e)
{
	return e->origin_n;
}

void custody_conclude(struct custody_entry *e, uint8_t how)
{
	e->how = how;
}

/* A copy of the stanza itself, not an answer to it. */
static bool is_copy(const struct custody_entry *e, const struct delivery *d)
{
	return d->origin_n == e->origin_n;
}

bool custody_had(const struct custody_entry *e, uint64_t sid)
{
	list_each (it, &e->deliveries) {
		const struct delivery *d = list_entry(it, struct delivery, link);

		if (is_copy(e, d) && d->sid == sid)
			return true;
	}
	return false;
}

/* Is another copy delivered, or still on its way? (A copy that failed is out of the list.) */
static bool has_copy(const struct custody_entry *e)
{
	list_each (it, &e->deliveries)
		if (is_copy(e, list_entry(it, struct delivery, link)))
			return true;
	return false;
}

void custody_hold(struct custody_entry *e)
{
	e->pending++;
}

void custody_release(struct custody *c, struct custody_entry *e)
{
	check(e->pending > 0);
	if (--e->pending == 0)
		settle(c, e);
}

/* The sender's cm has noted it: whoever received it may forget the origin (CUSTODY 8). */
static void entry_noted(struct custody *c, struct custody_entry *e)
{
	list_each_safe (it, &e->deliveries) {
		struct delivery *d = list_entry(it, struct delivery, link);

		list_remove(&d->link);
		d->entry = NULL;
		d->state = DELIVERY_NOTED;
		endpoint_advance(c, d->endpoint);
	}
	list_remove(&e->link);
	free(e);
}

/* The deliveries of an answer are noted together with those of the stanza that it answers. */
static void hand_to_parent(struct custody_entry *e, struct custody_entry *parent)
{
	list_each_safe (it, &e->deliveries) {
		struct delivery *d = list_entry(it, struct delivery, link);

		list_remove(&d->link);
		list_append(&parent->deliveries, &d->link);
		d->entry = parent;
	}
}

static void settle(struct custody *c, struct custody_entry *e)
{
	struct endpoint *ep = e->accepted ? endpoint_find(c, e->origin_sid) : NULL;
	struct custody_entry *parent = e->parent;

	c->books.settled[e->how]++;
	c->books.held--;
	c->books.held_bytes -= e->bytes;
	if (ep && ep->owner && !ep->owner->dead) {
		e->noted_seq = link_put_settled(
			ep->owner->link, &(struct msg_settled){ep->sid, e->origin_n, e->how});
		list_append(&ep->owner->noting, &e->link);
		if (ep->entries)
			ep->entries--;
		if (ep->ended)
			endpoint_dirty(c, ep);
		return;
	}
	if (parent)
		hand_to_parent(e, parent);
	entry_noted(c, e);
	if (parent)
		custody_release(c, parent);
}

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

static void stanza_of(const struct delivery *d, struct session_stanza *s)
{
	struct slice in = slice_of(d->record, d->len), body;
	struct msg_deliver m;
	uint16_t type;

	check(codec_next(&in, &type, &body) == ERR_OK && msg_deliver_get(body, &m) == ERR_OK);
	*s = (struct session_stanza){
		.kind = m.kind,
		.type = m.type,
		.flags = m.flags,
		.from = m.from,
		.to = m.to,
		.id = m.id,
		.lang = m.lang,
		.children = m.children,
		.inner = m.inner,
	};
}

struct delivery *custody_renumber(struct custody *c, struct delivery *d, struct endpoint *ep,
				  uint64_t q)
{
	struct custody_entry *e = d->entry;
	struct session_stanza s;
	struct delivery *fresh;

	stanza_of(d, &s);
	delivery_encode(c, ep, q, &s, e);
	fresh = delivery_make(c, e, ep);
	d->entry = NULL;
	delivery_free(c, d);
	return fresh;
}

static void enqueue(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		    const struct session_stanza *s)
{
	struct delivery *d;

	e->how = SETTLED_DELIVERED;
	if (have_claim(c, e, ep, s))
		return;
	delivery_encode(c, ep, ep->next_q, s, e);
	d = delivery_make(c, e, ep);
	e->pending++;
	if (ep->queued + d->len > c->limits.queue) {
		d->state = DELIVERY_REFUSED;
		list_append(&c->refused, &d->refused);
		return;
	}
	queue_push(ep, d);
	ep->queued += d->len;
	endpoint_pump(c, ep);
}

void custody_deliver(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		     const struct session_stanza *s)
{
	enqueue(c, e, ep, s);
}

/* The k-th answer to a stanza is the same one after a crash (CUSTODY 6); the final one, to the
 * sender, says that the stanza was dealt with. */
static uint64_t answer_number(struct custody_entry *e, const struct endpoint *to,
			      const struct session_stanza *s)
{
	if (to->sid == e->origin_sid && (s->type == TYPE_ERROR || s->type == TYPE_RESULT))
		return e->origin_n | CUSTODY_FINAL_ANSWER;
	return e->origin_n | (uint64_t)(++e->answers & 0x7fff) << 48;
}

void custody_answer(struct custody *c, struct custody_entry *parent, struct endpoint *ep,
		    const struct session_stanza *s)
{
	struct custody_entry *e = xcalloc(1, sizeof(*e));

	list_init(&e->deliveries);
	list_init(&e->link);
	e->pending = 1;
	e->how = SETTLED_DELIVERED;
	e->bytes = (uint32_t)s->inner.len;
	if (parent) {
		e->parent = parent;
		parent->pending++;
		e->origin_sid = parent->origin_sid;
		e->origin_n = answer_number(parent, ep, s);
	} else {
		e->origin_sid = c->boot;
		e->origin_n = ++c->own_n;
	}
	c->books.generated++;
	c->books.held++;
	c->books.held_bytes += e->bytes;
	enqueue(c, e, ep, s);
	custody_release(c, e);
}

/* One delivery has ended well, or is taken out of the entry by its judge. */
static void delivery_done(struct custody *c, struct delivery *d)
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

		if (d->state != DELIVERY_SENT)
			continue;
		ep->flight -= d->len;
		ep->queued -= d->len;
		delivery_done(c, d);
	}
	endpoint_advance(c, ep);
	endpoint_pump(c, ep);
}

/* Takes d out of its entry and lets session/ judge the stanza again. d is still the caller's. */
static void judge(struct custody *c, struct delivery *d, uint64_t sid, const char *reason)
{
	struct custody_entry *e = d->entry;
	struct session_stanza s;

	d->entry = NULL;
	if (!e)
		return;
	list_remove(&d->link);
	if (has_copy(e)) {
		/* one is enough; should that one fail as well, it is judged then */
	} else if (d->len == 0) {
		/* Known only by its origin (announced): it was at a cm that is gone now. */
		custody_conclude(e, SETTLED_DISCARDED);
	} else if (e->parent || e->origin_sid == c->boot) {
		custody_conclude(e,
				 SETTLED_DISCARDED); /* nobody waits for an answer to an answer */
	} else {
		stanza_of(d, &s);
		custody_conclude(e, SETTLED_DISCARDED);
		c->undelivered(c->ctx, e, sid, &s, reason);
	}
	custody_release(c, e);
}

void custody_undeliverable(struct custody *c, struct endpoint *ep, uint64_t q, const char *reason)
{
	struct delivery *d;

	if (q < ep->base_q || q >= ep->sent_q)
		return;
	d = *queue_at(ep, q);
	if (d->state != DELIVERY_SENT)
		return;
	ep->flight -= d->len;
	ep->queued -= d->len;
	d->state = DELIVERY_NOTED;
	judge(c, d, ep->sid, reason);
}

void endpoint_remove(struct custody *c, struct endpoint *ep, const char *reason)
{
	uint64_t sid = ep->sid;

	ep->ended = true;
	/* From here on nothing new can be put into its queue: the JID leads elsewhere. */
	for (uint64_t q = ep->base_q; q < ep->next_q; q++) {
		struct delivery *d = *queue_at(ep, q);

		if (d->state == DELIVERY_DONE || d->state == DELIVERY_NOTED)
			continue;
		d->state = DELIVERY_NOTED;
		judge(c, d, sid, reason);
	}
	ep->queued = ep->flight = 0;
	ep->sent_q = ep->done_q = ep->next_q;
	endpoint_advance(c, ep);
	if (!ep->owner)
		endpoint_free(c, ep);
}

static void judge_refused(struct custody *c)
{
	struct list *it;

	while ((it = list_first(&c->refused))) {
		struct delivery *d = list_entry(it, struct delivery, refused);

		list_remove(&d->refused);
		judge(c, d, d->sid, "resource-constraint");
		delivery_free(c, d);
	}
}

static void note_receipts(struct custody *c)
{
	list_each (it, &c->peers) {
		struct custody_peer *p = list_entry(it, struct custody_peer, link_in_custody);
		uint64_t receipted = link_receipted(p->link);
		struct list *first;

		while ((first = list_first(&p->noting))) {
			struct custody_entry *e = list_entry(first, struct custody_entry, link);

			if (e->noted_seq > receipted)
				break;
			entry_noted(c, e);
		}
	}
}

void custody_turn(struct custody *c)
{
	judge_refused(c);
	note_receipts(c);
	if (c->advance_all) {
		c->advance_all = false;
		endpoints_advance_all(c);
	}
	endpoints_report(c);
}

struct custody_peer *custody_peer_add(struct custody *c, struct link *link)
{
	struct custody_peer *p = xcalloc(1, sizeof(*p));

	p->link = link;
	list_init(&p->noting);
	list_init(&p->endpoints);
	list_append(&c->peers, &p->link_in_custody);
	return p;
}

struct link *custody_peer_link(const struct custody_peer *p)
{
	return p->link;
}

void custody_peer_each(struct custody_peer *p, void (*fn)(void *ctx, struct endpoint *ep),
		       void *ctx)
{
	list_each_safe (it, &p->endpoints)
		fn(ctx, list_entry(it, struct endpoint, link_in_peer));
}

static void drop_noting(struct custody *c, struct custody_peer *p)
{
	struct list *it;

	while ((it = list_first(&p->noting)))
		entry_noted(c, list_entry(it, struct custody_entry, link));
}

/* What it has been delivered is noted by nobody any more. */
static void endpoint_forget(struct custody *c, struct endpoint *ep)
{
	for (uint64_t q = ep->base_q; q < ep->next_q; q++) {
		struct delivery *d = *queue_at(ep, q);

		list_remove(&d->link);
		d->entry = NULL;
	}
	endpoint_free(c, ep);
}

/* First all of them are over, so that nothing judged for one is put into the queue of another. */
void custody_peer_dead(struct custody *c, struct custody_peer **pp, const char *reason,
		       struct monotime now)
{
	struct custody_peer *p = *pp;

	*pp = NULL;
	p->dead = true;
	drop_noting(c, p);
	list_each_safe (it, &p->endpoints) {
		struct endpoint *ep = list_entry(it, struct endpoint, link_in_peer);

		if (ep->kind == SESSION_DOMAIN && !ep->ended)
			endpoint_detach(c, ep, now);
		else
			ep->ended = true;
	}
	list_each (it, &p->endpoints)
		endpoint_remove(c, list_entry(it, struct endpoint, link_in_peer), reason);
	drop_noting(c, p);
	list_each_safe (it, &p->endpoints)
		endpoint_forget(c, list_entry(it, struct endpoint, link_in_peer));
	list_remove(&p->link_in_custody);
	free(p);
}

void custody_each_detached(struct custody *c, struct monotime before,
			   void (*fn)(void *ctx, struct endpoint *ep), void *ctx)
{
	list_each_safe (it, &c->detached) {
		struct endpoint *ep = list_entry(it, struct endpoint, link_in_peer);

		if (monotime_before(ep->detached_at, before))
			fn(ctx, ep);
	}
}

void custody_free(struct custody **cp)
{
	struct custody *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	c->undelivered = undelivered_nowhere;
	while (!list_empty(&c->peers)) {
		struct custody_peer *p =
			list_entry(list_first(&c->peers), struct custody_peer, link_in_custody);

		custody_peer_dead(c, &p, "shutdown", (struct monotime){0});
	}
	list_each_safe (it, &c->detached)
		endpoint_remove(c, list_entry(it, struct endpoint, link_in_peer), "shutdown");
	judge_refused(c);
	map64_clear(&c->endpoints);
	map_clear(&c->haves);
	str_clear(&c->scratch);
	free(c);
}
