/*
 * custody_own - stanzas that the server itself makes: answers to a stanza in custody, and what it
 * had stored and delivers later. Entries like any other, with origins that are the same after a
 * crash.
 */
#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/custody_types.h"

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
	struct custody_entry *e = entry_new(c, c->boot, 0, s->inner.len);

	e->made = true;
	e->how = SETTLED_DELIVERED;
	if (parent) {
		e->parent = parent;
		parent->pending++;
		e->origin_sid = parent->origin_sid;
		e->origin_n = answer_number(parent, ep, s);
	} else {
		e->origin_n = ++c->own_n;
	}
	c->books.generated++;
	custody_enqueue(c, e, ep, s);
	custody_release(c, e);
}

void custody_originate(struct custody *c, struct endpoint *ep, uint64_t origin_sid,
		       uint64_t origin_n, const struct session_stanza *s,
		       void (*settled)(void *arg, uint8_t how), void *arg)
{
	struct custody_entry *e = entry_new(c, origin_sid, origin_n, s->inner.len);

	e->made = true;
	e->how = SETTLED_DISCARDED;
	e->on_settled = settled;
	e->arg = arg;
	c->books.generated++;
	custody_enqueue(c, e, ep, s);
	custody_release(c, e);
}
