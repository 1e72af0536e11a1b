/*
 * custody_former - the connection managers that had a session before: what they keep of it, and
 * what they are told when (CUSTODY 8, 12).
 */
#include <stdlib.h>

#include "base/xmem.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/custody_types.h"

struct former *former_unreleased(const struct endpoint *ep)
{
	struct former *f;

	if (list_empty(&ep->formers))
		return NULL;
	f = list_entry(ep->formers.prev, struct former, link);
	return f->released ? NULL : f;
}

struct custody_peer *endpoint_former(const struct endpoint *ep)
{
	const struct former *f = former_unreleased(ep);

	return f ? f->peer : NULL;
}

static void former_free(struct former *f)
{
	list_remove(&f->link);
	free(f);
}

void formers_free(struct endpoint *ep)
{
	list_each_safe (it, &ep->formers)
		former_free(list_entry(it, struct former, link));
}

void formers_remove(struct endpoint *ep, const struct custody_peer *p)
{
	list_each_safe (it, &ep->formers) {
		struct former *f = list_entry(it, struct former, link);

		if (f->peer == p)
			former_free(f);
	}
}

static void release(struct endpoint *ep, struct former *f)
{
	link_put_released(f->peer->link, &(struct msg_released){ep->sid, f->epoch, f->n, f->q});
	f->released = true;
}

void former_leave(struct endpoint *ep)
{
	struct former *f = former_unreleased(ep);

	if (f && ep->owner->dead && ep->resumed_seq &&
	    link_receipted(ep->owner->link) < ep->resumed_seq) {
		ep->resumed_seq = 0;
		return;
	}
	if (f)
		release(ep, f);
	ep->resumed_seq = 0;
	if (ep->owner->dead)
		return;
	f = xcalloc(1, sizeof(*f));
	f->peer = ep->owner;
	f->epoch = ep->epoch;
	f->n = ep->seen_n > ep->announced_n ? ep->seen_n : ep->announced_n;
	list_append(&ep->formers, &f->link);
}

void former_over(struct custody *c, struct endpoint *ep, struct custody_peer *p, uint64_t epoch)
{
	struct former *f = xcalloc(1, sizeof(*f));

	f->peer = p;
	f->epoch = epoch;
	f->q = UINT64_MAX - 1;
	f->released = true;
	list_prepend(&ep->formers, &f->link);
	endpoint_dirty(c, ep);
}

/* The former owner is let go only when the new one has the session: until then it would announce it
 * to a new router. */
static bool handed_over(struct custody *c, struct endpoint *ep)
{
	if (ep->resumed_seq && link_receipted(ep->owner->link) < ep->resumed_seq) {
		endpoint_dirty(c, ep);
		return false;
	}
	ep->resumed_seq = 0;
	return true;
}

void formers_tell(struct custody *c, struct endpoint *ep)
{
	bool empty = ep->base_q == ep->next_q;
	struct former *f = former_unreleased(ep);

	if (c->restoring || c->orphan_claims) {
		endpoint_dirty(c, ep);
		return;
	}
	if (ep->owner && !handed_over(c, ep))
		return;
	if (f && ep->owner)
		release(ep, f);
	list_each_safe (it, &ep->formers) {
		f = list_entry(it, struct former, link);
		if (!f->released || (ep->base_q <= f->q && !empty))
			continue;
		link_put_forget(f->peer->link, &(struct msg_forget){ep->sid, f->q});
		former_free(f);
	}
	if (ep->owner && (ep->base_q > ep->former_q || empty))
		unshelve_endpoint(c, ep);
}

void endpoint_release(struct endpoint *ep)
{
	struct former *f = former_unreleased(ep);

	if (f) {
		f->n = ep->seen_n;
		f->q = ep->base_q - 1;
		release(ep, f);
	}
	list_each (it, &ep->formers) {
		f = list_entry(it, struct former, link);
		link_put_forget(f->peer->link, &(struct msg_forget){ep->sid, f->q});
	}
	formers_free(ep);
}

void formers_forget(struct custody *c, const struct custody_peer *p)
{
	size_t it = 0;
	void *value;

	while (map64_next(&c->endpoints, &it, NULL, &value)) {
		struct endpoint *ep = value;

		list_each_safe (pos, &ep->formers) {
			struct former *f = list_entry(pos, struct former, link);

			if (f->peer != p)
				continue;
			if (!ep->ended && endpoint_can_resume(ep))
				shelve_former(c, ep, f);
			former_free(f);
		}
	}
}
