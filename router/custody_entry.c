/*
 * custody_entry - a stanza in custody: from acceptance until it is settled, and until nobody who
 * could send it again holds it any more (CUSTODY 1, 6, 8).
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
#include "router/shelf.h"

static void settle(struct custody *c, struct custody_entry *e);

struct custody_entry *entry_new(struct custody *c, uint64_t sid, uint64_t n, size_t bytes)
{
	struct custody_entry *e = pool_alloc(sizeof(*e));

	memset(e, 0, sizeof(*e));
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
void repeats_known(struct custody *c, struct custody_peer *p, uint64_t receipted)
{
	struct list *it;

	while ((it = list_first(&p->repeats))) {
		struct repeat *r = list_entry(it, struct repeat, link);

		if (r->seq > receipted)
			break;
		r->entry->repeats--;
		c->note_again = true;
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

bool custody_entry_is_resent(const struct custody_entry *e)
{
	return e->resent;
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
bool entry_has_copy(const struct custody_entry *e)
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
	list_remove(&e->from_link);
	list_remove(&e->spooling);
	blob_unref(&e->record);
	free(e->copied);
	free(e->answered);
	pool_free(e, sizeof(*e));
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

void custody_stored(struct custody *c, struct custody_entry *e)
{
	uint64_t id[2] = {e->origin_sid, e->origin_n};
	struct custody_entry *old;

	custody_conclude(e, SETTLED_STORED);
	e->stored = true;
	old = map_put(&c->stored, slice_of((const char *)id, sizeof(id)), e);
	if (old && old != e)
		old->stored = false;
}

static void not_stored(struct custody *c, struct custody_entry *e)
{
	uint64_t id[2] = {e->origin_sid, e->origin_n};

	if (e->stored)
		map_remove(&c->stored, slice_of((const char *)id, sizeof(id)));
	e->stored = false;
}

/* A stanza of which its sender's cm has not noted yet that it is stored: copies are still made of
 * it, or it is on its way into an archive; or that is settled, and the cm is being told. */
static struct custody_entry *find_noting(struct custody *c, uint64_t origin_sid, uint64_t origin_n)
{
	uint64_t id[2] = {origin_sid, origin_n};
	struct custody_entry *stored = map_find(&c->stored, slice_of((const char *)id, sizeof(id)));

	if (stored)
		return stored;
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

/* Its peer is told of the run it closes, or at the end of the turn (settled_tell). */
static void run_add(struct custody_peer *p, struct custody_entry *e)
{
	bool next = p->run.open && p->run.sid == e->origin_sid && p->run.last + 1 == e->origin_n &&
		    p->run.how == e->how;

	if (!next) {
		settled_tell(p);
		p->run.open = true;
		p->run.sid = e->origin_sid;
		p->run.first = e->origin_n;
		p->run.how = e->how;
	}
	p->run.last = e->origin_n;
	e->noted_seq = UINT64_MAX;
	list_append(&p->noting, &e->link);
}

void settled_tell(struct custody_peer *p)
{
	const struct msg_settled_run run = {p->run.sid, p->run.first, p->run.last, p->run.how};
	uint64_t seq;

	if (!p->run.open)
		return;
	p->run.open = false;
	if (run.first == run.last)
		seq = link_put_settled(p->link, &(struct msg_settled){run.sid, run.last, run.how});
	else
		seq = link_put_settled_run(p->link, &run);
	for (struct list *it = p->noting.prev; it != &p->noting; it = it->prev) {
		struct custody_entry *e = list_entry(it, struct custody_entry, link);

		if (e->noted_seq != UINT64_MAX)
			break;
		e->noted_seq = seq;
	}
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
	not_stored(c, e);
	copy_over(e, parent ? parent : e->after);
	if (e->counted && (ep = endpoint_find(c, e->origin_sid))) {
		if (ep->entries)
			ep->entries--;
		list_remove(&e->unsafe);
		if (ep->ended || ep->durable)
			endpoint_dirty(c, ep);
	}
	if (e->from) {
		list_remove(&e->from_link);
		run_add(e->from, e);
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
