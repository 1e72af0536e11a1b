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
	if (m->out_base == 0)
		return;
	ep->enabled = true;
	ep->in_base = m->in_base;
	ep->out_base = m->out_base;
	ep->max_s = m->max_s;
	set_resume_id(c, ep, m->resume_id);
	endpoint_set_blob(ep, m->blob);
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

struct custody_peer *endpoint_former(const struct endpoint *ep)
{
	return ep->former;
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

void endpoint_set_blob(struct endpoint *ep, struct slice blob)
{
	blob_unref(&ep->blob);
	ep->blob = blob_new(blob.data, blob.len);
}

void custody_peer_former(struct custody_peer *p, uint64_t sid)
{
	map64_put(&p->formers, sid, p);
}

bool custody_peer_is_former(const struct custody_peer *p, uint64_t sid)
{
	return map64_find(&p->formers, sid) != NULL;
}

void endpoint_supersede(struct custody *c, struct endpoint *ep, uint64_t base_q)
{
	have_keep(c, ep, base_q);
	endpoint_free(c, ep);
}

/* The client says what it has had: those are delivered. */
static void take_h(struct custody *c, struct endpoint *ep, uint64_t first, uint64_t upto)
{
	for (uint64_t q = first; q <= upto; q++) {
		struct delivery *d = *queue_at(ep, q);

		if (d->state != DELIVERY_WAITING)
			continue;
		ep->queued -= d->len;
		delivery_done(c, d);
	}
}

/* What is delivered moves to the front, the rest follows without a gap, to be sent again. Mostly
 * nothing changes its place; but what was written before <enabled/> and lost with the connection
 * was not counted by the client, and numbers whose stanza nobody holds any more leave holes. */
static void arrange(struct custody *c, struct endpoint *ep)
{
	uint64_t end = ep->next_q, to = ep->done_q;
	struct delivery **rest = xcalloc(end - to, sizeof(struct delivery *));
	size_t count = 0;

	for (uint64_t q = ep->done_q; q < end; q++) {
		struct delivery *d = *queue_at(ep, q);

		if (d->state == DELIVERY_DONE || d->state == DELIVERY_NOTED) {
			*queue_at(ep, to++) = d;
		} else if (d->state == DELIVERY_WAITING && d->len) {
			rest[count++] = d;
		} else {
			delivery_drop(c, d);
		}
	}
	ep->done_q = ep->sent_q = to;
	for (size_t i = 0; i < count; i++, to++)
		*queue_at(ep, to) = rest[i]->entry ? custody_renumber(c, rest[i], ep, to) : rest[i];
	ep->next_q = to;
	free(rest);
}

enum err endpoint_resume(struct custody *c, struct endpoint *ep, struct custody_peer *owner,
			 uint64_t request, uint32_t h)
{
	uint64_t first = ep->done_q > ep->out_base ? ep->done_q : ep->out_base;
	uint64_t limit = ep->written_q > first ? ep->written_q - first : 0;
	uint32_t more = h - (uint32_t)(first - ep->out_base);
	struct custody_peer *former = ep->former;
	uint64_t own_n = former == owner ? ep->former_n : ep->seen_n;
	uint64_t counted;

	if (ep->owner || more > limit)
		return ERR_RANGE;
	counted = first - ep->out_base + more;
	ep->former_q = first + more - 1;
	take_h(c, ep, first, ep->former_q);
	arrange(c, ep);
	ep->out_base = ep->done_q - counted;
	if (former && former != owner) {
		ep->former_epoch = ep->epoch;
		custody_peer_former(former, ep->sid);
	} else {
		ep->former = NULL;
	}
	map64_remove(&owner->formers, ep->sid);
	ep->epoch++;
	ep->owner = owner;
	ep->held_told = ep->seen_n;
	list_remove(&ep->link_in_peer);
	list_append(&owner->endpoints, &ep->link_in_peer);
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
	endpoint_pump(c, ep);
	endpoint_dirty(c, ep);
	return ERR_OK;
}

void endpoint_beat(struct custody *c, struct endpoint *ep, struct custody_peer *loser,
		   uint64_t epoch, uint8_t state)
{
	struct loser *l;

	custody_peer_former(loser, ep->sid);
	if (state == SESSION_ENDED)
		return;
	if (state == SESSION_LIVE)
		link_put_detach(loser->link, &(struct msg_detach){ep->sid, epoch});
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

/* The former owner is let go only when the new one has the session: until then it would announce it
 * to a new router. It keeps the origins of what it had delivered until they are noted. */
void endpoint_tell_former(struct custody *c, struct endpoint *ep)
{
	if (c->restoring ||
	    (ep->resumed_seq && link_receipted(ep->owner->link) < ep->resumed_seq)) {
		endpoint_dirty(c, ep);
		return;
	}
	if (ep->resumed_seq)
		link_put_released(ep->former->link,
				  &(struct msg_released){ep->sid, ep->former_epoch, ep->former_n,
							 ep->former_q});
	ep->resumed_seq = 0;
	if (ep->base_q <= ep->former_q && ep->base_q < ep->next_q)
		return;
	link_put_forget(ep->former->link, &(struct msg_forget){ep->sid, ep->former_q});
	ep->former = NULL;
}

void endpoint_release(struct endpoint *ep)
{
	if (ep->former)
		link_put_released(
			ep->former->link,
			&(struct msg_released){ep->sid, ep->epoch, ep->seen_n, ep->base_q - 1});
	ep->former = NULL;
}
