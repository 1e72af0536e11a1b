/*
 * custody_shelf - what custody keeps on the shelf (router/shelf.h), and what it makes of it after a
 * start (CUSTODY 3, 4, 7, 13). To a starting router the shelf is one more holder: its sessions are
 * announced, its stanzas come again, what their receivers have had is recognised by its origin.
 */
#include "router/shelf.h"

#include <stdlib.h>

#include "base/blob.h"
#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/custody_types.h"

#define ORIGIN_BYTES 16
#define HAVE_BYTES   (ORIGIN_BYTES + 1)

void custody_set_shelf(struct custody *c, struct shelf *shelf, int64_t wall_delta_ms)
{
	c->shelf = shelf;
	c->wall_delta_ms = wall_delta_ms;
}

/* ---- stanzas ---- */

void custody_keep(struct custody_entry *e, const struct msg_stanza *m, struct slice from)
{
	struct msg_stanza whole = *m;
	struct str record = STR_INIT;

	if (e->pending < 2 || e->record || m->flags & STANZA_SECRET)
		return;
	/* A message is in its copies, unless it may have to wait for somebody who only looks on;
	 * what is made of an iq or a presence is not what it was. */
	if (m->kind == STANZA_MESSAGE && !list_empty(&e->deliveries) && !e->copied)
		return;
	whole.from = from;
	msg_stanza_put(&record, &whole);
	e->record = blob_new(record.data, record.len);
	str_clear(&record);
}

static bool copy_of(const struct custody_entry *e, struct session_stanza *s)
{
	list_each (it, &e->deliveries) {
		const struct delivery *d = list_entry(it, struct delivery, link);

		if (!delivery_is_copy(e, d) || d->len == 0)
			continue;
		delivery_stanza(d, s);
		return true;
	}
	return false;
}

/* Puts e on the shelf as what it came as. false: nobody has it any more, or it must not be there:
 * who has lost his connection manager and then the router has to send such an iq again. */
static bool put_stanza(struct custody *c, struct custody_entry *e)
{
	struct session_stanza s;
	struct msg_stanza m;
	struct slice row;

	if (e->shelved)
		return true;
	if (e->record) {
		row = blob_slice(e->record);
	} else if (copy_of(e, &s) && !(s.flags & STANZA_SECRET)) {
		str_reset(&c->scratch);
		m = custody_record(e->origin_sid, e->origin_n, &s);
		msg_stanza_put(&c->scratch, &m);
		row = str_slice(&c->scratch);
	} else {
		return false;
	}
	e->put_seq = shelf_put(c->shelf, e->origin_sid, SHELF_STANZA, e->origin_n, row);
	e->shelved = true;
	return true;
}

void shelve_entries(struct custody *c, struct custody_peer *dead)
{
	if (!c->shelf)
		return;
	list_each (it, &dead->entries)
		put_stanza(c, list_entry(it, struct custody_entry, from_link));
}

void shelve_durable(struct custody *c, struct custody_entry *e)
{
	struct endpoint *ep = e->counted ? endpoint_find(c, e->origin_sid) : NULL;

	if (!ep || !ep->durable || !c->shelf || (e->shelved && e->put_seq == 0))
		return;
	list_append(&ep->unsafe, &e->unsafe);
	if (!e->shelved && !shelf_is_full(c->shelf) && put_stanza(c, e))
		list_append(&c->spooling, &e->spooling);
}

void unshelve_entry(struct custody *c, struct custody_entry *e)
{
	if (!e->shelved || !c->shelf)
		return;
	e->shelved = false;
	list_remove(&e->spooling);
	if (e->made)
		e->del_seq = shelf_del(c->shelf, e->shelf_sid, SHELF_ANSWER, e->shelf_n);
	else
		e->del_seq = shelf_del(c->shelf, e->origin_sid, SHELF_STANZA, e->origin_n);
}

/* Nobody holds it any more who could send it again. */
static bool is_noted(const struct custody *c, const struct custody_entry *e)
{
	if (c->shelf && e->del_seq > shelf_synced(c->shelf))
		return false;
	return e->repeats == 0 && !(e->resent && c->restoring);
}

void note_when_unshelved(struct custody *c, struct custody_entry *e)
{
	if (is_noted(c, e)) {
		entry_noted(c, e);
		return;
	}
	list_remove(&e->link);
	list_append(&c->unshelving, &e->link);
}

/* The row of e is on the disk: it burdens nobody else any longer. An answer goes its own way: the
 * stanza that it answers need not wait for it. */
static void spooled(struct custody *c, struct custody_entry *e)
{
	struct endpoint *ep = e->counted ? endpoint_find(c, e->origin_sid) : NULL;
	struct custody_entry *parent = e->parent;

	list_remove(&e->spooling);
	list_remove(&e->unsafe);
	if (ep && ep->durable)
		endpoint_dirty(c, ep);
	if (parent && !e->instead) {
		e->parent = NULL;
		answer_tie(e, parent);
		custody_release(c, parent);
	} else if (e->from) {
		link_put_settled(e->from->link,
				 &(struct msg_settled){e->origin_sid, e->origin_n, SETTLED_STORED});
	}
}

void shelf_progress(struct custody *c)
{
	struct list *it;

	while ((it = list_first(&c->spooling))) {
		struct custody_entry *e = list_entry(it, struct custody_entry, spooling);

		if (e->put_seq > shelf_synced(c->shelf))
			break;
		spooled(c, e);
	}
	if (c->shelf && c->noted_synced != shelf_synced(c->shelf)) {
		c->noted_synced = shelf_synced(c->shelf);
		c->note_again = true;
	}
	if (!c->note_again)
		return; /* what they wait for has not changed: a hung disk makes the list long */
	c->note_again = false;
	list_each_safe (pos, &c->unshelving) {
		struct custody_entry *e = list_entry(pos, struct custody_entry, link);

		if (is_noted(c, e))
			entry_noted(c, e);
	}
}

/* ---- sessions ---- */

static uint64_t since_ms(const struct custody *c, const struct endpoint *ep)
{
	return (uint64_t)((int64_t)(ep->detached_at.us / 1000) + c->wall_delta_ms);
}

/* As its cm would announce it: what the client may have had has its number, whatever waits behind
 * that gets one when it comes again. */
static void put_session(struct custody *c, struct endpoint *ep, uint64_t epoch, uint64_t upto)
{
	struct str row_text = STR_INIT, *row = &row_text;
	struct str haves = STR_INIT;
	struct msg_announce m = {
		.sid = ep->sid,
		.epoch = epoch,
		.kind = ep->kind,
		.state = SESSION_DETACHED,
		.sent_n = ep->seen_n > ep->announced_n ? ep->seen_n : ep->announced_n,
		.base_q = ep->base_q,
		.jid = slice_str(ep->jid),
		.resume_id = slice_str(ep->resume_id),
		.max_s = ep->max_s,
		.in_base = ep->in_base,
		.out_base = ep->out_base,
		.blob = blob_slice(ep->blob),
	};

	if (upto < ep->base_q)
		upto = ep->base_q;
	if (upto > ep->next_q)
		upto = ep->next_q;
	for (uint64_t q = ep->base_q; q < upto; q++) {
		const struct delivery *d = *queue_at(ep, q);

		codec_put_u64(&haves, d->origin_sid);
		codec_put_u64(&haves, d->origin_n);
		codec_put_u8(&haves, d->state == DELIVERY_DONE || d->state == DELIVERY_NOTED);
	}
	m.next_q = upto;
	msg_announce_put(row, &m);
	codec_put_u64(row, since_ms(c, ep));
	codec_put_bytes(row, str_slice(&haves));
	codec_put_bytes(row, str_slice(&ep->had));
	str_clear(&haves);
	ep->secure_seq = shelf_put(c->shelf, ep->sid, SHELF_SESSION, 1, str_slice(row));
	ep->shelved = true;
	ep->shelved_epoch = epoch;
	str_clear(row);
}

void shelve_endpoint(struct custody *c, struct endpoint *ep)
{
	if (c->shelf)
		put_session(c, ep, ep->epoch, ep->written_q);
}

void shelve_former(struct custody *c, struct endpoint *ep, const struct former *f)
{
	uint64_t epoch = f->epoch;

	if (!c->shelf)
		return;
	if (ep->shelved && ep->shelved_epoch > epoch)
		epoch = ep->shelved_epoch;
	if (!ep->owner)
		shelve_endpoint(c, ep);
	else
		put_session(c, ep, epoch, ep->former_q + 1);
	endpoint_dirty(c, ep);
}

void unshelve_endpoint(struct custody *c, struct endpoint *ep)
{
	if (!ep->shelved || !c->shelf)
		return;
	ep->shelved = false;
	shelf_del(c->shelf, ep->sid, SHELF_SESSION, 1);
}

bool endpoint_is_secured(const struct custody *c, const struct endpoint *ep)
{
	return list_empty(&ep->unsafe) && (!c->shelf || ep->secure_seq <= shelf_synced(c->shelf));
}

size_t custody_shelved_sessions(const struct custody *c)
{
	size_t it = 0, count = 0;
	void *value;

	while (map64_next(&c->endpoints, &it, NULL, &value))
		count += ((struct endpoint *)value)->shelved;
	return count;
}

/* ---- spool ---- */

/* true: nothing more can be taken now. */
static bool spool_one(struct custody *c, struct endpoint *ep, struct delivery *d)
{
	struct custody_entry *e = d->entry;

	if ((d->state != DELIVERY_WAITING && d->state != DELIVERY_SENT) || !e || d->len == 0 ||
	    e->shelved || e->on_settled)
		return false;
	if (shelf_is_full(c->shelf))
		return true;
	if (!e->made) {
		if (put_stanza(c, e))
			list_append(&c->spooling, &e->spooling);
		return false;
	}
	e->shelf_sid = ep->sid;
	e->shelf_n = ++c->answer_n;
	e->put_seq =
		shelf_put(c->shelf, ep->sid, SHELF_ANSWER, e->shelf_n, slice_of(d->record, d->len));
	e->shelved = true;
	list_append(&c->spooling, &e->spooling);
	return false;
}

static void spool(struct custody *c, struct endpoint *ep)
{
	uint64_t q = ep->spool_q > ep->done_q ? ep->spool_q : ep->done_q;

	while (q < ep->next_q && !spool_one(c, ep, *queue_at(ep, q)))
		q++;
	ep->spool_q = q;
	page_out(c, ep);
}

/* Its client reads nothing, or acknowledges nothing: since the last time nothing was delivered. */
static bool is_stuck(struct endpoint *ep)
{
	bool stuck = ep->queued && ep->stuck_q == ep->done_q;

	ep->stuck_q = ep->queued ? ep->done_q : 0;
	return stuck;
}

void custody_spool(struct custody *c, struct monotime now, uint64_t after_ms)
{
	size_t it = 0;
	void *value;

	if (!c->shelf || c->restoring || shelf_is_full(c->shelf))
		return;
	list_each (pos, &c->detached) {
		struct endpoint *ep = list_entry(pos, struct endpoint, link_in_peer);

		if (ep->ended || monotime_ms_between(ep->detached_at, now) < after_ms)
			continue;
		if (!ep->shelved || ep->shelved_epoch != ep->epoch)
			shelve_endpoint(c, ep);
		spool(c, ep);
	}
	if (monotime_ms_between(c->spooled_at, now) < after_ms)
		return;
	c->spooled_at = now;
	while (map64_next(&c->endpoints, &it, NULL, &value)) {
		struct endpoint *ep = value;

		if (ep->owner && !ep->ended && is_stuck(ep))
			spool(c, ep);
	}
}

/* ---- a router's start ---- */

bool custody_announce_is_sane(const struct msg_announce *m)
{
	return m->base_q >= 1 && m->base_q <= m->next_q && m->out_base <= m->next_q &&
	       m->in_base <= m->sent_n && m->sent_n < CUSTODY_FINAL_ANSWER &&
	       m->next_q < CUSTODY_FINAL_ANSWER &&
	       (m->kind == SESSION_CLIENT || m->kind == SESSION_DOMAIN);
}

bool session_row_get(struct slice row, struct session_row *out)
{
	struct slice body;
	uint16_t type;

	return codec_next(&row, &type, &body) == ERR_OK && type == MSG_ANNOUNCE &&
	       msg_announce_get(body, &out->m) == ERR_OK && codec_get_u64(&row, &out->since_ms) &&
	       codec_get_bytes(&row, &out->haves) && codec_get_bytes(&row, &out->had) &&
	       row.len == 0 && custody_announce_is_sane(&out->m) &&
	       out->haves.len % HAVE_BYTES == 0 && out->had.len % ORIGIN_BYTES == 0 &&
	       out->haves.len / HAVE_BYTES == out->m.next_q - out->m.base_q;
}

struct endpoint *endpoint_load(struct custody *c, const struct session_row *r, struct monotime now)
{
	int64_t since = (int64_t)r->since_ms - c->wall_delta_ms;
	struct msg_announce_have have = {.sid = r->m.sid, .q = r->m.base_q};
	struct slice haves = r->haves, had = r->had;
	uint64_t origin_sid, origin_n;
	struct endpoint *ep =
		endpoint_add(c, NULL, r->m.sid, r->m.epoch, r->m.kind, r->m.base_q, r->m.jid);

	if (!ep)
		return NULL;
	endpoint_restore(c, ep, &r->m);
	for (; codec_get_u64(&haves, &have.origin_sid) && codec_get_u64(&haves, &have.origin_n) &&
	       codec_get_u8(&haves, &have.delivered);
	     have.q++)
		endpoint_have(c, ep, &have);
	while (codec_get_u64(&had, &origin_sid) && codec_get_u64(&had, &origin_n))
		have_orphan(c, ep->sid, origin_sid, origin_n, &ep->had);
	ep->written_q = ep->next_q;
	for (uint64_t q = ep->done_q; q < ep->next_q; q++)
		if ((*queue_at(ep, q))->state == DELIVERY_SENT)
			(*queue_at(ep, q))->state = DELIVERY_WAITING;
	ep->sent_q = ep->done_q;
	ep->detached_at = now;
	if (since < (int64_t)(now.us / 1000))
		ep->detached_at.us = since > 0 ? (uint64_t)since * 1000 : 0;
	ep->shelved = true;
	ep->shelved_epoch = ep->epoch;
	return ep;
}

bool custody_answer_get(struct slice row, struct session_stanza *s)
{
	return row_stanza(row, s);
}

void custody_load_answer(struct custody *c, uint64_t sid, uint64_t n, struct slice row)
{
	custody_load_answer_for(c, endpoint_find(c, sid), sid, n, row);
}

void custody_load_answer_for(struct custody *c, struct endpoint *ep, uint64_t sid, uint64_t n,
			     struct slice row)
{
	struct custody_entry *e;
	struct session_stanza s;
	struct msg_deliver m;
	struct slice body;
	uint16_t type;

	if (c->answer_n < n)
		c->answer_n = n;
	if (!ep || ep->ended || codec_next(&row, &type, &body) != ERR_OK || type != MSG_DELIVER ||
	    msg_deliver_get(body, &m) != ERR_OK) {
		shelf_del(c->shelf, sid, SHELF_ANSWER, n);
		return;
	}
	s = session_stanza_of(&m);
	e = entry_new(c, m.origin_sid, m.origin_n, m.inner.len);
	e->made = e->shelved = e->from_shelf = true;
	e->shelf_sid = sid;
	e->shelf_n = n;
	c->books.announced++;
	custody_enqueue(c, e, ep, &s);
	/* Should what it answers be handled again, it is not made a second time. */
	list_each (it, &e->deliveries) {
		struct delivery *d = list_entry(it, struct delivery, link);

		if ((d->len || d->paged) &&
		    (d->state == DELIVERY_WAITING || d->state == DELIVERY_SENT))
			have_add(c, d);
	}
	custody_release(c, e);
}
