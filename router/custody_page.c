/*
 * custody_page - what waits for somebody who takes nothing leaves memory once it is on the shelf,
 * and is paged back in order when it can be delivered, or when it must be judged (CUSTODY 13).
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/custody_types.h"
#include "router/shelf.h"

#define FETCH_MAX 32 /* rows asked for at once for one endpoint */

/* A row that is wanted back: for the queue of an endpoint, or to be judged. */
struct fetch {
	struct list link;
	struct custody_fetch row;
	bool out;
	uint64_t sid; /* the endpoint */
	uint64_t origin_sid, origin_n;
	struct custody_entry *judged; /* NULL: for the queue */
	char *reason;
};

/* Its row has all that its DELIVER record had: what is not a message may have been changed on its
 * way (a presence has another addressee). */
static bool is_whole_on_disk(const struct delivery *d)
{
	struct session_stanza s;

	if (d->entry->made)
		return true;
	delivery_stanza(d, &s);
	return s.kind == STANZA_MESSAGE;
}

/* d with another body (or none) in the place of d. */
static struct delivery *replace(struct custody *c, struct endpoint *ep, uint64_t q,
				struct slice record)
{
	struct delivery *d = *queue_at(ep, q);
	struct delivery *fresh = delivery_new(ep, record.data, record.len);

	fresh->origin_sid = d->origin_sid;
	fresh->origin_n = d->origin_n;
	fresh->state = d->state;
	fresh->entry = d->entry;
	list_append(&d->link, &fresh->link); /* next to it in the entry */
	d->entry = NULL;
	*queue_at(ep, q) = fresh;
	delivery_free(c, d);
	return fresh;
}

static void page(struct custody *c, struct endpoint *ep, uint64_t q)
{
	uint32_t len = (*queue_at(ep, q))->len;
	struct slice peer = SLICE_NONE;
	struct delivery *d;
	uint64_t digest;

	/* It may have to be handed over without its bytes. */
	if (ep->kind == SESSION_DOMAIN) {
		digest = delivery_peer(*queue_at(ep, q));
		peer = slice_of((const char *)&digest, sizeof(digest));
	}
	d = replace(c, ep, q, peer);
	d->len = 0;
	d->paged = len;
	queued_sub(c, ep, len);
	ep->paged += len;
	c->books.paged += len;
}

void page_out(struct custody *c, struct endpoint *ep)
{
	uint64_t q = ep->page_q > ep->sent_q ? ep->page_q : ep->sent_q;

	for (; q < ep->next_q && q < ep->spool_q; q++) {
		struct delivery *d = *queue_at(ep, q);
		uint32_t len = d->len;

		if (len == 0 || d->state != DELIVERY_WAITING)
			continue;
		if (ep->page_kept + len <= c->limits.memory) {
			ep->page_kept += len;
			continue;
		}
		if (!d->entry || !d->entry->shelved || !is_whole_on_disk(d))
			continue; /* it never will be there */
		if (d->entry->put_seq > shelf_synced(c->shelf))
			break;
		page(c, ep, q);
	}
	ep->page_q = q;
}

void page_loaded(struct custody *c, struct endpoint *ep, uint64_t q)
{
	if (!ep->owner && ep->queued > c->limits.memory && is_whole_on_disk(*queue_at(ep, q)))
		page(c, ep, q);
}

static struct fetch *fetch_new(struct custody *c, const struct custody_entry *e,
			       const struct delivery *d, uint64_t sid)
{
	struct fetch *f = xcalloc(1, sizeof(*f));

	f->row.id = ++c->fetch_id;
	f->row.kind = e->made ? SHELF_ANSWER : SHELF_STANZA;
	f->row.sid = e->made ? e->shelf_sid : e->origin_sid;
	f->row.n = e->made ? e->shelf_n : e->origin_n;
	f->sid = sid;
	f->origin_sid = d->origin_sid;
	f->origin_n = d->origin_n;
	list_prepend(&c->fetches, &f->link);
	map64_put(&c->fetch_by_id, f->row.id, f);
	return f;
}

static void fetch_free(struct custody *c, struct fetch *f)
{
	map64_remove(&c->fetch_by_id, f->row.id);
	list_remove(&f->link);
	free(f->reason);
	free(f);
}

void page_in(struct custody *c, struct endpoint *ep)
{
	uint64_t q = ep->sent_q;

	if (ep->fetching)
		return;
	while (q < ep->next_q && q < ep->sent_q + FETCH_MAX && (*queue_at(ep, q))->paged)
		q++;
	/* the last one first: they are given out from the front */
	while (q-- > ep->sent_q) {
		const struct delivery *d = *queue_at(ep, q);

		fetch_new(c, d->entry, d, ep->sid);
		ep->fetching++;
	}
}

void page_judge(struct custody *c, struct custody_entry *e, const struct delivery *d, uint64_t sid,
		const char *reason)
{
	struct fetch *f = fetch_new(c, e, d, sid);

	f->judged = e;
	f->reason = xstrdup(reason);
	list_remove(&f->link);
	list_append(&c->fetches, &f->link);
}

bool custody_next_fetch(struct custody *c, struct custody_fetch *out)
{
	list_each (it, &c->fetches) {
		struct fetch *f = list_entry(it, struct fetch, link);

		if (f->out)
			continue;
		f->out = true;
		*out = f->row;
		list_remove(&f->link);
		list_append(&c->fetches, &f->link);
		return true;
	}
	return false;
}

bool row_stanza(struct slice row, struct session_stanza *s)
{
	struct msg_stanza m;
	struct msg_deliver d;
	struct slice body;
	uint16_t type;

	if (codec_next(&row, &type, &body) != ERR_OK)
		return false;
	if (type == MSG_DELIVER && msg_deliver_get(body, &d) == ERR_OK) {
		*s = session_stanza_of(&d);
		return true;
	}
	if (type != MSG_STANZA || msg_stanza_get(body, &m) != ERR_OK)
		return false;
	*s = custody_stanza(&m);
	return true;
}

/* What waits behind q moves up: nobody has seen those numbers yet. */
static void cut(struct custody *c, struct endpoint *ep, uint64_t q)
{
	struct delivery *lost = *queue_at(ep, q);

	delivery_unqueue(c, ep, lost);
	for (uint64_t at = q + 1; at < ep->next_q; at++) {
		struct delivery *d = *queue_at(ep, at);

		*queue_at(ep, at - 1) = d->entry ? custody_renumber(c, d, ep, at - 1) : d;
	}
	ep->next_q--;
	delivery_drop(c, lost);
}

/* Its place in the queue; 0: it is not there any more. */
static uint64_t place_of(const struct endpoint *ep, const struct fetch *f)
{
	for (uint64_t q = ep->sent_q; q < ep->next_q; q++) {
		const struct delivery *d = *queue_at(ep, q);

		if (d->paged && d->origin_sid == f->origin_sid && d->origin_n == f->origin_n)
			return q;
	}
	return 0;
}

static void fill(struct custody *c, const struct fetch *f, const struct session_stanza *s)
{
	struct endpoint *ep = endpoint_find(c, f->sid);
	uint64_t q = ep ? place_of(ep, f) : 0;
	struct delivery *d;

	if (!ep)
		return;
	if (ep->fetching)
		ep->fetching--;
	if (q && s) {
		d = *queue_at(ep, q);
		delivery_unqueue(c, ep, d);
		delivery_encode(c, ep, q, s, d->entry);
		d = replace(c, ep, q, str_slice(&c->scratch));
		queued_add(c, ep, d->len);
	} else if (q) {
		custody_conclude((*queue_at(ep, q))->entry, SETTLED_DISCARDED);
		cut(c, ep, q);
	}
	if (ep->fetching == 0)
		endpoint_pump(c, ep);
}

bool custody_fetch_is_wanted(const struct custody *c, uint64_t id)
{
	const struct fetch *f = map64_find(&c->fetch_by_id, id);
	const struct endpoint *ep = f ? endpoint_find(c, f->sid) : NULL;

	return f && (f->judged || (ep && place_of(ep, f)));
}

void custody_fetched(struct custody *c, uint64_t id, bool found, struct slice row)
{
	struct fetch *f = map64_find(&c->fetch_by_id, id);
	struct session_stanza s;

	if (!f)
		return;
	found = found && row_stanza(row, &s);
	if (!found && custody_fetch_is_wanted(c, id))
		log_err("shelf",
			"event=row_missing sid=%016llx n=%llu kind=%u reason=\"what waited there "
			"is "
			"lost\" hint=\"was data/ restored from a backup? see the log of "
			"datastore\"",
			(unsigned long long)f->row.sid, (unsigned long long)f->row.n, f->row.kind);
	if (!f->judged) {
		fill(c, f, found ? &s : NULL);
	} else if (found) {
		judge_stanza(c, f->judged, f->sid, &s, f->reason);
	} else {
		custody_conclude(f->judged, SETTLED_DISCARDED);
		custody_release(c, f->judged);
	}
	fetch_free(c, f);
}

void custody_fetch_again(struct custody *c, uint64_t id)
{
	struct fetch *f = map64_find(&c->fetch_by_id, id);

	if (!f)
		return;
	f->out = false;
	list_remove(&f->link);
	list_prepend(&c->fetches, &f->link);
}

void pages_free(struct custody *c)
{
	list_each_safe (it, &c->fetches) {
		struct fetch *f = list_entry(it, struct fetch, link);

		if (f->judged)
			custody_release(c, f->judged);
		fetch_free(c, f);
	}
	map64_clear(&c->fetch_by_id);
}
