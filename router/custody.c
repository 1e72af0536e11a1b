#include "router/custody.h"

#include <stdlib.h>

#include "base/blob.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody_types.h"
#include "router/shelf.h"

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
	c->restoring = true;
	c->limits = limits;
	c->undelivered = undelivered;
	c->ctx = ctx;
	map64_init(&c->endpoints);
	map_init(&c->haves);
	map_init(&c->unnoted);
	list_init(&c->peers);
	list_init(&c->detached);
	list_init(&c->dirty);
	list_init(&c->refused);
	list_init(&c->orphans);
	list_init(&c->losers);
	list_init(&c->spooling);
	list_init(&c->fetches);
	map64_init(&c->fetch_by_id);
	list_init(&c->unshelving);
	map_init(&c->resume_ids);
	map_init(&c->domains);
	map_init(&c->resent);
	return c;
}

void custody_set_limits(struct custody *c, struct custody_limits limits)
{
	c->limits = limits;
}

const struct custody_books *custody_books(const struct custody *c)
{
	return &c->books;
}

struct custody_entry *entry_new(struct custody *c, uint64_t sid, uint64_t n, size_t bytes)
{
	struct custody_entry *e = xcalloc(1, sizeof(*e));

	e->origin_sid = sid;
	e->origin_n = n;
	e->pending = 1;
	e->bytes = (uint32_t)bytes;
	list_init(&e->deliveries);
	list_init(&e->link);
	list_init(&e->from_link);
	list_init(&e->spooling);
	list_init(&e->unsafe);
	list_init(&e->afters);
	list_init(&e->after_link);
	c->books.held++;
	c->books.held_bytes += bytes;
	return e;
}

static struct custody_entry *entry_accept(struct custody *c, struct custody_peer *from,
					  struct endpoint *ep, uint64_t sid, uint64_t n,
					  size_t bytes, bool resent)
{
	struct custody_entry *e = entry_new(c, sid, n, bytes);

	e->how = SETTLED_CONSUMED;
	e->from = from;
	if (from)
		list_append(&from->entries, &e->from_link);
	if (ep) {
		e->counted = true;
		ep->entries++;
	}
	e->resent = resent;
	if (resent)
		c->books.announced++;
	else
		c->books.accepted++;
	return e;
}

/* While a router restores, what came again is found by its origin: it may come from several. None
 * of these entries is freed before that is over (is_noted()). */
static struct custody_entry *resent_find(const struct custody *c, uint64_t sid, uint64_t n)
{
	uint64_t id[2] = {sid, n};

	return c->resent.count ? map_find(&c->resent, slice_of((const char *)id, sizeof(id)))
			       : NULL;
}

static void resent_put(struct custody *c, struct custody_entry *e)
{
	uint64_t id[2] = {e->origin_sid, e->origin_n};

	if (c->restoring)
		map_put(&c->resent, slice_of((const char *)id, sizeof(id)), e);
}

/* The peer need not hold it: somebody else does. */
static void repeat_settled(struct custody_peer *from, struct custody_entry *e)
{
	struct repeat *r = xcalloc(1, sizeof(*r));

	r->entry = e;
	r->seq = link_put_settled(
		from->link, &(struct msg_settled){e->origin_sid, e->origin_n, SETTLED_STORED});
	e->repeats++;
	list_append(&from->repeats, &r->link);
}

/* Of those the peer knows (receipted) it. */
static void repeats_known(struct custody_peer *p, uint64_t receipted)
{
	struct list *it;

	while ((it = list_first(&p->repeats))) {
		struct repeat *r = list_entry(it, struct repeat, link);

		if (r->seq > receipted)
			break;
		r->entry->repeats--;
		list_remove(&r->link);
		free(r);
	}
}

/* After a router start a session's stanzas may come from two cms (it was resumed on the second), in
 * any order, and one that the first had accepted too late was sent again by its client to the
 * second: then both hold it. */
struct custody_entry *custody_accept(struct custody *c, struct custody_peer *from,
				     struct endpoint *ep, uint64_t n, size_t bytes, bool resent)
{
	struct custody_entry *e = resent ? resent_find(c, ep->sid, n) : NULL;

	if (e || (!resent && n <= ep->seen_n)) {
		c->books.repeats++;
		if (e)
			repeat_settled(from, e);
		return NULL;
	}
	if (n > ep->seen_n)
		ep->seen_n = n;
	endpoint_dirty(c, ep);
	e = entry_accept(c, from, ep, ep->sid, n, bytes, resent);
	if (resent)
		resent_put(c, e);
	return e;
}

struct custody_entry *custody_accept_shelved(struct custody *c, uint64_t sid, uint64_t n,
					     size_t bytes)
{
	struct endpoint *ep = endpoint_find(c, sid);
	struct custody_entry *e = resent_find(c, sid, n);

	if (e) {
		c->books.repeats++; /* its cm holds it as well, and has been first */
		e->del_seq = shelf_del(c->shelf, sid, SHELF_STANZA, n);
		return NULL;
	}
	if (ep && n > ep->seen_n)
		ep->seen_n = n;
	e = entry_accept(c, NULL, ep, sid, n, bytes, true);
	e->shelved = e->from_shelf = true;
	resent_put(c, e);
	return e;
}

void custody_handled(struct custody *c, struct custody_entry *e)
{
	if (e->pending > 1)
		shelve_durable(c, e);
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
bool delivery_is_copy(const struct custody_entry *e, const struct delivery *d)
{
	return d->origin_n == e->origin_n;
}

bool custody_had(const struct custody_entry *e, uint64_t sid)
{
	list_each (it, &e->deliveries) {
		const struct delivery *d = list_entry(it, struct delivery, link);

		if (delivery_is_copy(e, d) && d->sid == sid)
			return true;
	}
	return false;
}

/* Is another copy delivered, or still on its way? (A copy that failed is out of the list.) */
static bool has_copy(const struct custody_entry *e)
{
	list_each (it, &e->deliveries)
		if (delivery_is_copy(e, list_entry(it, struct delivery, link)))
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
void entry_noted(struct custody *c, struct custody_entry *e)
{
	list_each_safe (it, &e->deliveries) {
		struct delivery *d = list_entry(it, struct delivery, link);

		list_remove(&d->link);
		d->entry = NULL;
		d->state = DELIVERY_NOTED;
		endpoint_advance(c, d->endpoint);
	}
	list_each_safe (it, &e->afters) {
		list_entry(it, struct custody_entry, after_link)->after = NULL;
		list_remove(it);
	}
	list_remove(&e->after_link);
	have_orphan_claim(c, e, false);
	list_remove(&e->unsafe);
	list_remove(&e->link);
	list_remove(&e->spooling);
	blob_unref(&e->record);
	free(e);
}

/* The deliveries of an answer are noted together with those of the stanza that it answers. */
static void hand_deliveries(struct custody_entry *e, struct custody_entry *parent)
{
	list_each_safe (it, &e->deliveries) {
		struct delivery *d = list_entry(it, struct delivery, link);

		list_remove(&d->link);
		list_append(&parent->deliveries, &d->link);
		d->entry = parent;
	}
	if (parent->del_seq < e->del_seq)
		parent->del_seq = e->del_seq;
}

void answer_tie(struct custody_entry *answer, struct custody_entry *question)
{
	if (!answer->made || answer->after || !question)
		return;
	if (answer->pending == 0) { /* settled already */
		hand_deliveries(answer, question);
		return;
	}
	answer->after = question;
	list_append(&question->afters, &answer->after_link);
}

/* Its receiver keeps the origin until the datastore has deleted it: it would come again. */
static void keep_unnoted(struct custody *c, struct custody_entry *e)
{
	uint64_t id[2] = {e->origin_sid, e->origin_n};
	struct custody_entry *old = map_put(&c->unnoted, slice_of((const char *)id, sizeof(id)), e);

	if (old)
		entry_noted(c, old);
}

/* A settled stanza of which its sender's cm has not noted that yet. */
static struct custody_entry *find_noting(struct custody *c, uint64_t origin_sid, uint64_t origin_n)
{
	list_each (peer, &c->peers) {
		struct custody_peer *p = list_entry(peer, struct custody_peer, link_in_custody);

		list_each (it, &p->noting) {
			struct custody_entry *e = list_entry(it, struct custody_entry, link);

			if (e->origin_sid == origin_sid && e->origin_n == origin_n)
				return e;
		}
	}
	return NULL;
}

/* Stored, delivered and deleted so quickly that its sender's cm has not noted "stored" yet: that
 * one would still send it again to a new router, which must find the origin. */
void custody_noted(struct custody *c, uint64_t origin_sid, uint64_t origin_n)
{
	uint64_t id[2] = {origin_sid, origin_n};
	struct custody_entry *e = map_remove(&c->unnoted, slice_of((const char *)id, sizeof(id)));
	struct custody_entry *sent = e ? find_noting(c, origin_sid, origin_n) : NULL;

	if (sent)
		hand_deliveries(e, sent);
	if (e)
		entry_noted(c, e);
}

static void settle(struct custody *c, struct custody_entry *e)
{
	void (*on_settled)(void *arg, uint8_t how) = e->on_settled;
	struct custody_entry *parent = e->parent;
	uint8_t how = e->how;
	void *arg = e->arg;
	struct endpoint *ep;

	c->books.settled[e->how]++;
	c->books.held--;
	c->books.held_bytes -= e->bytes;
	unshelve_entry(c, e);
	if (e->counted && (ep = endpoint_find(c, e->origin_sid))) {
		if (ep->entries)
			ep->entries--;
		list_remove(&e->unsafe);
		if (ep->ended || ep->durable)
			endpoint_dirty(c, ep);
	}
	if (e->from) {
		list_remove(&e->from_link);
		e->noted_seq = link_put_settled(
			e->from->link, &(struct msg_settled){e->origin_sid, e->origin_n, e->how});
		list_append(&e->from->noting, &e->link);
		return;
	}
	if (parent || e->after)
		hand_deliveries(e, parent ? parent : e->after);
	if (e->on_settled && e->how == SETTLED_DELIVERED && !c->ending)
		keep_unnoted(c, e);
	else if (parent || e->after)
		entry_noted(c, e);
	else
		note_when_unshelved(c, e);
	if (parent)
		custody_release(c, parent);
	if (on_settled && !c->ending)
		on_settled(arg, how);
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

		if (d->state != DELIVERY_SENT)
			continue;
		ep->flight -= d->len;
		delivery_unqueue(c, ep, d);
		delivery_done(c, d);
	}
	endpoint_advance(c, ep);
	endpoint_pump(c, ep);
}

/* session/ is still busy with it, and its delivery is gone. */
static void keep_judged(struct custody_entry *e, const struct session_stanza *s)
{
	custody_keep(e,
		     &(struct msg_stanza){
			     .sid = e->origin_sid,
			     .n = e->origin_n,
			     .kind = s->kind,
			     .type = s->type,
			     .flags = s->flags,
			     .to = s->to,
			     .id = s->id,
			     .lang = s->lang,
			     .children = s->children,
			     .inner = s->inner,
		     },
		     s->from);
}

void judge_stanza(struct custody *c, struct custody_entry *e, uint64_t sid,
		  const struct session_stanza *s, const char *reason)
{
	custody_conclude(e, SETTLED_DISCARDED);
	c->undelivered(c->ctx, e, sid, s, reason);
	keep_judged(e, s);
	custody_release(c, e);
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
		custody_release(c, e);
	} else if (e->made || (d->len == 0 && !d->paged)) {
		/* Nobody waits for an answer to an answer. Or it is known only by its origin
		 * (announced): it was at a cm that is gone now. */
		custody_conclude(e, SETTLED_DISCARDED);
		custody_release(c, e);
	} else if (d->paged) {
		page_judge(c, e, d, sid, reason);
	} else {
		delivery_stanza(d, &s);
		judge_stanza(c, e, sid, &s, reason);
	}
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
	delivery_unqueue(c, ep, d);
	d->state = DELIVERY_NOTED;
	judge(c, d, ep->sid, reason);
}

void endpoint_remove(struct custody *c, struct endpoint *ep, const char *reason)
{
	uint64_t sid = ep->sid;

	ep->ended = true;
	unshelve_endpoint(c, ep);
	/* From here on nothing new can be put into its queue: the JID leads elsewhere. */
	for (uint64_t q = ep->base_q; q < ep->next_q; q++) {
		struct delivery *d = *queue_at(ep, q);

		if (d->state == DELIVERY_DONE || d->state == DELIVERY_NOTED)
			continue;
		d->state = DELIVERY_NOTED;
		judge(c, d, sid, reason);
	}
	queued_sub(c, ep, ep->queued);
	c->books.paged -= ep->paged;
	ep->paged = ep->flight = 0;
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
		judge(c, d, d->sid, d->endpoint ? "resource-constraint" : "recipient-unavailable");
		delivery_free(c, d);
	}
}

static void note_receipts(struct custody *c)
{
	list_each (it, &c->peers) {
		struct custody_peer *p = list_entry(it, struct custody_peer, link_in_custody);
		uint64_t receipted = link_receipted(p->link);
		struct list *first;

		repeats_known(p, receipted);
		while ((first = list_first(&p->noting))) {
			struct custody_entry *e = list_entry(first, struct custody_entry, link);

			if (e->noted_seq > receipted)
				break;
			note_when_unshelved(c, e);
		}
	}
}

void custody_turn(struct custody *c)
{
	judge_refused(c);
	note_receipts(c);
	shelf_progress(c);
	if (!c->restoring && c->orphan_claims == 0) {
		custody_losers_end(c, NULL);
		haves_end(c);
	}
	endpoints_report(c);
}

struct custody_peer *custody_peer_add(struct custody *c, struct link *link)
{
	struct custody_peer *p = xcalloc(1, sizeof(*p));

	p->link = link;
	list_init(&p->noting);
	list_init(&p->repeats);
	list_init(&p->entries);
	map64_init(&p->formers);
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

	repeats_known(p, UINT64_MAX);
	while ((it = list_first(&p->entries))) {
		struct custody_entry *e = list_entry(it, struct custody_entry, from_link);

		list_remove(&e->from_link);
		e->from = NULL;
	}
	while ((it = list_first(&p->noting)))
		note_when_unshelved(c, list_entry(it, struct custody_entry, link));
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
	shelve_entries(c, p);
	drop_noting(c, p);
	list_each_safe (it, &p->endpoints) {
		struct endpoint *ep = list_entry(it, struct endpoint, link_in_peer);

		if (ep->ended || (ep->kind == SESSION_CLIENT && !endpoint_can_resume(ep))) {
			ep->ended = true;
			continue;
		}
		endpoint_detach(c, ep, now);
		shelve_endpoint(c, ep);
	}
	list_each (it, &p->endpoints)
		endpoint_remove(c, list_entry(it, struct endpoint, link_in_peer), reason);
	drop_noting(c, p);
	list_each_safe (it, &p->endpoints)
		endpoint_forget(c, list_entry(it, struct endpoint, link_in_peer));
	formers_forget(c, p);
	custody_losers_end(c, p);
	list_remove(&p->link_in_custody);
	map64_clear(&p->formers);
	free(p);
}

void custody_each_detached(struct custody *c, void (*fn)(void *ctx, struct endpoint *ep), void *ctx)
{
	list_each_safe (it, &c->detached)
		fn(ctx, list_entry(it, struct endpoint, link_in_peer));
}

void custody_free(struct custody **cp)
{
	struct custody *c = *cp;
	void *unnoted;
	size_t at = 0;

	*cp = NULL;
	if (!c)
		return;
	c->shelf = NULL; /* what is there stays there */
	c->undelivered = undelivered_nowhere;
	while (map_next(&c->unnoted, &at, NULL, &unnoted))
		entry_noted(c, unnoted);
	map_clear(&c->unnoted);
	c->ending = true;
	while (!list_empty(&c->peers)) {
		struct custody_peer *p =
			list_entry(list_first(&c->peers), struct custody_peer, link_in_custody);

		custody_peer_dead(c, &p, "shutdown", (struct monotime){0});
	}
	list_each_safe (it, &c->detached)
		endpoint_remove(c, list_entry(it, struct endpoint, link_in_peer), "shutdown");
	judge_refused(c);
	pages_free(c);
	list_each_safe (it, &c->unshelving)
		entry_noted(c, list_entry(it, struct custody_entry, link));
	have_orphans_free(c);
	map64_clear(&c->endpoints);
	map_clear(&c->resume_ids);
	domains_free(c);
	map_clear(&c->resent);
	map_clear(&c->haves);
	str_clear(&c->scratch);
	free(c);
}
