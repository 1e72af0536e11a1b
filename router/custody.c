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
	map_init(&c->stored);
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
	list_init(&c->unended);
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

/* session/ is still busy with it, and its delivery is gone. */
static void keep_judged(struct custody_entry *e, const struct session_stanza *s)
{
	struct msg_stanza m = custody_record(e->origin_sid, e->origin_n, s);

	custody_keep(e, &m, s->from);
}

void judge_stanza(struct custody *c, struct custody_entry *e, uint64_t sid,
		  const struct session_stanza *s, const char *reason)
{
	custody_conclude(e, SETTLED_DISCARDED);
	c->undelivered(c->ctx, e, sid, s, reason);
	keep_judged(e, s);
	custody_release(c, e);
}

/* A copy that stood for the stanza itself is not delivered: that one is judged. */
static void judge_original(struct custody *c, struct custody_entry *copy, uint64_t sid,
			   const char *reason)
{
	struct custody_entry *e = copy->parent;
	struct blob *record = e && e->record ? blob_ref(e->record) : NULL;
	struct session_stanza s;

	custody_conclude(copy, SETTLED_DISCARDED);
	if (record)
		custody_hold(e);
	custody_release(c, copy);
	if (record && !entry_has_copy(e) && row_stanza(blob_slice(record), &s))
		judge_stanza(c, e, sid, &s, reason);
	else if (record)
		custody_release(c, e);
	blob_unref(&record);
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
	if (entry_has_copy(e)) {
		/* one is enough; should that one fail as well, it is judged then */
		custody_release(c, e);
	} else if (e->instead) {
		judge_original(c, e, sid, reason);
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
	if (!ep->owner) {
		have_leave(c, ep);
		endpoint_free(c, ep);
	}
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

		repeats_known(c, p, receipted);
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
	list_each (it, &c->peers)
		settled_tell(list_entry(it, struct custody_peer, link_in_custody));
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

	repeats_known(c, p, UINT64_MAX);
	while ((it = list_first(&p->entries))) {
		struct custody_entry *e = list_entry(it, struct custody_entry, from_link);

		list_remove(&e->from_link);
		e->from = NULL;
		if (c->ending)
			list_append(&c->unended, &e->from_link);
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
	list_each_safe (it, &c->unended)
		entry_noted(c, list_entry(it, struct custody_entry, from_link));
	have_orphans_free(c);
	map64_clear(&c->endpoints);
	map_clear(&c->resume_ids);
	domains_free(c);
	map_clear(&c->resent);
	map_clear(&c->haves);
	map_clear(&c->stored);
	str_clear(&c->scratch);
	free(c);
}
