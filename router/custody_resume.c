/*
 * custody_resume - XEP-0198 in the router: the counters of a session, its detached time, and its
 * hand-over to the connection manager on which the client came back.
 */
#include <stdlib.h>

#include "base/blob.h"
#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/custody_types.h"

static void set_resume_id(struct custody *c, struct endpoint *ep, struct slice id)
{
	if (!id.len || ep->resume_id)
		return;
	ep->resume_id = xstrndup(id.data, id.len);
	map_put(&c->resume_ids, id, ep);
}

void endpoint_enable(struct custody *c, struct endpoint *ep, uint64_t in_base, uint32_t max_s,
		     struct slice resume_id)
{
	ep->enabled = true;
	ep->in_base = in_base;
	ep->max_s = max_s;
	ep->out_base = ep->sent_q; /* the link is ordered: the cm sees ENABLED before that number */
	set_resume_id(c, ep, resume_id);
	link_put_enabled(ep->owner->link, &(struct msg_enabled){ep->sid, slice_str(ep->resume_id),
								max_s, in_base, ep->out_base});
}

void endpoint_restore(struct custody *c, struct endpoint *ep, const struct msg_announce *m)
{
	ep->announced_n = m->sent_n;
	if (m->out_base == 0) {
		if (ep->kind == SESSION_DOMAIN)
			endpoint_set_blob(c, ep, m->blob);
		return;
	}
	ep->enabled = true;
	ep->in_base = m->in_base;
	ep->out_base = m->out_base;
	ep->max_s = m->max_s;
	set_resume_id(c, ep, m->resume_id);
	endpoint_set_blob(c, ep, m->blob);
}

void endpoint_announced_detached(struct endpoint *ep)
{
	ep->announced_detached = true;
}

bool endpoint_is_announced_detached(const struct endpoint *ep)
{
	return ep->announced_detached;
}

bool endpoint_handed_over(const struct endpoint *ep)
{
	return ep->owner && ep->resumed_seq == 0;
}

bool endpoint_can_resume(const struct endpoint *ep)
{
	return ep->enabled && ep->resume_id;
}

struct endpoint *endpoint_by_resume_id(const struct custody *c, struct slice id)
{
	return map_find(&c->resume_ids, id);
}

struct monotime endpoint_detached_at(const struct endpoint *ep)
{
	return ep->detached_at;
}

uint32_t endpoint_max_s(const struct endpoint *ep)
{
	return ep->max_s;
}

void endpoint_set_blob(struct custody *c, struct endpoint *ep, struct slice blob)
{
	blob_unref(&ep->blob);
	ep->blob = blob_new(blob.data, blob.len);
	if (ep->shelved && !ep->owner)
		shelve_endpoint(c, ep);
}

void custody_peer_former(struct custody_peer *p, uint64_t sid)
{
	map64_put(&p->formers, sid, p);
}

bool custody_peer_is_former(const struct custody_peer *p, uint64_t sid)
{
	return map64_find(&p->formers, sid) != NULL;
}

struct delivery *placeholder(struct endpoint *ep)
{
	struct delivery *d = delivery_new(ep, NULL, 0);

	d->state = DELIVERY_NOTED;
	return d;
}

/* It came too late to know of these: they are judged at the end of the turn. */
static void leave_waiting(struct custody *c, struct endpoint *ep)
{
	for (uint64_t q = ep->base_q; q < ep->next_q; q++) {
		struct delivery *d = *queue_at(ep, q);

		if (!d->entry || (d->state != DELIVERY_WAITING && d->state != DELIVERY_SENT))
			continue;
		*queue_at(ep, q) = placeholder(ep);
		delivery_unqueue(c, ep, d);
		d->state = DELIVERY_REFUSED;
		d->endpoint = NULL;
		list_append(&c->refused, &d->refused);
	}
}

struct endpoint *endpoint_supersede(struct custody *c, struct endpoint *ep,
				    struct custody_peer *owner, const struct msg_announce *m)
{
	bool shelved = ep->shelved;
	struct str had = STR_INIT;

	have_keep(c, ep, m->base_q, &had);
	leave_waiting(c, ep);
	endpoint_free(c, ep);
	ep = endpoint_add(c, owner, m->sid, m->epoch, m->kind, m->base_q, m->jid);
	ep->had = had;
	ep->shelved = shelved; /* that row is deleted when all is noted */
	endpoint_dirty(c, ep);
	return ep;
}

/* The client says what it has had: those are delivered. */
static void take_h(struct custody *c, struct endpoint *ep, uint64_t first, uint64_t upto)
{
	for (uint64_t q = first; q <= upto; q++) {
		struct delivery *d = *queue_at(ep, q);

		if (d->state != DELIVERY_WAITING)
			continue;
		delivery_unqueue(c, ep, d);
		delivery_done(c, d);
	}
}

/* Up to former_q numbers stand as the former owner knows them; what the client has not had follows
 * without a gap, to be sent again. Mostly nothing changes its place; but what was written before
 * <enabled/> and lost with the connection was not counted by the client, and numbers whose stanza
 * nobody holds any more leave holes. */
static void arrange(struct custody *c, struct endpoint *ep)
{
	struct delivery **rest = xcalloc(ep->next_q - ep->done_q, sizeof(struct delivery *));
	size_t count = 0;

	for (uint64_t q = ep->done_q; q < ep->next_q; q++) {
		struct delivery *d = *queue_at(ep, q);
		bool done = d->state == DELIVERY_DONE || d->state == DELIVERY_NOTED;

		if (q <= ep->former_q && done)
			continue;
		if (d->state == DELIVERY_WAITING && (d->len || d->paged))
			rest[count++] = d;
		else
			delivery_drop(c, d);
		if (q <= ep->former_q)
			*queue_at(ep, q) = placeholder(ep);
	}
	ep->done_q = ep->sent_q = ep->next_q = ep->former_q + 1;
	for (size_t i = 0; i < count; i++)
		queue_push(ep,
			   rest[i]->entry ? custody_renumber(c, rest[i], ep, ep->next_q) : rest[i]);
	free(rest);
}

/* What the client has had and nobody has noted: another copy is still under way, so its sender's cm
 * would send it again to a new router. The new owner announces it then; the cm that delivered it
 * may be dead, or long out of the matter. */
static void put_haves(const struct endpoint *ep, struct link *l)
{
	for (uint64_t q = ep->base_q; q < ep->done_q; q++) {
		const struct delivery *d = *queue_at(ep, q);

		if (d->state == DELIVERY_DONE)
			link_put_resume_have(l, &(struct msg_resume_have){ep->sid, q, d->origin_sid,
									  d->origin_n});
	}
}

enum err endpoint_resume(struct custody *c, struct endpoint *ep, struct custody_peer *owner,
			 uint64_t request, uint32_t h)
{
	uint64_t first = ep->done_q > ep->out_base ? ep->done_q : ep->out_base;
	uint64_t limit = ep->written_q > first ? ep->written_q - first : 0;
	uint32_t more = h - (uint32_t)(first - ep->out_base);
	struct former *former = former_unreleased(ep);
	uint64_t own_n = former && former->peer == owner ? former->n : ep->seen_n;

	if (ep->owner || more > limit)
		return ERR_RANGE;
	ep->former_q = first + more - 1;
	take_h(c, ep, first, ep->former_q);
	arrange(c, ep);
	if (former)
		former->q = ep->former_q;
	formers_remove(ep, owner);
	if (former_unreleased(ep))
		custody_peer_former(former_unreleased(ep)->peer, ep->sid);
	map64_remove(&owner->formers, ep->sid);
	ep->epoch++;
	ep->spool_q = ep->page_q = 0;
	ep->page_kept = 0;
	ep->owner = owner;
	ep->held_told = ep->seen_n;
	list_remove(&ep->link_in_peer);
	list_append(&owner->endpoints, &ep->link_in_peer);
	put_haves(ep, owner->link);
	ep->resumed_seq =
		link_put_resumed(owner->link, &(struct msg_resumed){
						      .request = request,
						      .sid = ep->sid,
						      .epoch = ep->epoch,
						      .jid = slice_str(ep->jid),
						      .resume_id = slice_str(ep->resume_id),
						      .max_s = ep->max_s,
						      .seen_n = ep->seen_n,
						      .own_n = own_n,
						      .in_base = ep->in_base,
						      .out_base = ep->out_base,
						      .next_q = ep->done_q,
						      .blob = blob_slice(ep->blob),
					      });
	endpoint_advance(c, ep);
	endpoint_pump(c, ep);
	endpoint_dirty(c, ep);
	return ERR_OK;
}

void endpoint_beat(struct custody *c, struct endpoint *ep, struct custody_peer *loser,
		   uint64_t epoch, uint8_t state)
{
	struct loser *l;

	bool over = state == SESSION_ENDED || state == SESSION_MOVED;

	custody_peer_former(loser, ep->sid);
	if (state == SESSION_LIVE)
		link_put_detach(loser->link, &(struct msg_detach){ep->sid, epoch});
	if (over) {
		former_over(c, ep, loser, epoch);
		return;
	}
	l = xcalloc(1, sizeof(*l));
	*l = (struct loser){.peer = loser, .sid = ep->sid, .epoch = epoch, .q = ep->base_q - 1};
	list_append(&c->losers, &l->link);
}

void custody_losers_end(struct custody *c, const struct custody_peer *dead)
{
	list_each_safe (it, &c->losers) {
		struct loser *l = list_entry(it, struct loser, link);

		if (dead && l->peer != dead)
			continue;
		if (!dead) {
			link_put_released(
				l->peer->link,
				&(struct msg_released){l->sid, l->epoch, UINT64_MAX - 1, l->q});
			link_put_forget(l->peer->link, &(struct msg_forget){l->sid, l->q});
		}
		list_remove(&l->link);
		free(l);
	}
}
