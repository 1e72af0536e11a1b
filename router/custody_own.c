/*
 * custody_own - stanzas that the server itself makes: answers to a stanza in custody, and what it
 * had stored and delivers later. Entries like any other, with origins that are the same after a
 * crash.
 */
#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/custody_types.h"

#define ANSWER_SHIFT 32
#define ANSWER_BITS  30

/* Which answers a stanza has had beside presences, and how often. */
struct answered {
	size_t count;
	struct {
		uint64_t sid;
		uint32_t what, times;
	} to[];
};

static uint32_t times_before(struct custody_entry *e, uint64_t sid, uint32_t what)
{
	size_t count = e->answered ? e->answered->count : 0;

	for (size_t i = 0; i < count; i++)
		if (e->answered->to[i].sid == sid && e->answered->to[i].what == what)
			return e->answered->to[i].times++;
	e->answered = xrealloc(e->answered,
			       sizeof(*e->answered) + (count + 1) * sizeof(*e->answered->to));
	e->answered->to[count].sid = sid;
	e->answered->to[count].what = what;
	e->answered->to[count].times = 1;
	e->answered->count = count + 1;
	return 0;
}

/* FNV-1a; the session id at its start is known to nobody who chooses addresses. */
static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

static uint32_t folded(uint64_t h)
{
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdULL;
	return (uint32_t)(h >> (65 - ANSWER_BITS)) | 1U << (ANSWER_BITS - 1); /* never 0 */
}

/* What an answer says of whom to whom, and nothing that is different after a crash: not how many
 * others there were before it, nor an id that a router draws. */
static uint32_t answer_mark(const struct custody_entry *e, const struct session_stanza *s,
			    uint32_t times)
{
	uint64_t h = e->origin_sid ^ e->origin_n >> ANSWER_SHIFT;

	h = mix(h, (uint8_t[]){s->kind, s->type}, 2);
	h = mix(h, s->from.data, s->from.len);
	h = mix(h, "\n", 1);
	h = mix(h, s->to.data, s->to.len);
	return folded(times ? mix(h, &times, sizeof(times)) : h);
}

/* An answer to a stanza is the same one after a crash (CUSTODY 6), also when the next router gives
 * fewer of them or more, since others have come or gone meanwhile. The final one, to the sender (a
 * component's session may be over, and another one of its domain has it), says that the stanza was
 * dealt with. A presence tells a session what somebody is: once. */
static uint64_t answer_number(struct custody_entry *e, const struct endpoint *to,
			      const struct session_stanza *s)
{
	uint32_t what, times;

	if ((to->sid == e->origin_sid || to->kind == SESSION_DOMAIN) &&
	    (s->type == TYPE_ERROR || s->type == TYPE_RESULT))
		return e->origin_n | CUSTODY_FINAL_ANSWER;
	what = answer_mark(e, s, 0);
	times = s->kind == STANZA_PRESENCE ? 0 : times_before(e, to->sid, what);
	if (times)
		what = answer_mark(e, s, times);
	return (e->origin_n & UINT32_MAX) | (uint64_t)what << ANSWER_SHIFT;
}

/* parent NULL: for no stanza. What was made; NULL: it is over already. */
static struct custody_entry *make(struct custody *c, struct custody_entry *parent, uint64_t n,
				  struct endpoint *ep, const struct session_stanza *s)
{
	struct custody_entry *e =
		entry_new(c, parent ? parent->origin_sid : c->boot, n, s->inner.len);

	e->made = true;
	e->how = SETTLED_DELIVERED;
	if (parent) {
		e->parent = parent;
		parent->pending++;
	}
	c->books.generated++;
	custody_enqueue(c, e, ep, s);
	bool lives = e->pending > 1;
	custody_release(c, e);
	return lives ? e : NULL;
}

void custody_answer(struct custody *c, struct custody_entry *parent, struct endpoint *ep,
		    const struct session_stanza *s)
{
	make(c, parent, parent ? answer_number(parent, ep, s) : ++c->own_n, ep, s);
}

void custody_leave(struct custody *c, uint64_t of, struct endpoint *ep,
		   const struct session_stanza *s)
{
	struct custody_entry *e = entry_new(c, of, 0, s->inner.len);

	e->origin_n = (uint64_t)answer_mark(e, s, 0) << ANSWER_SHIFT;
	e->made = true;
	e->how = SETTLED_DELIVERED;
	c->books.generated++;
	custody_enqueue(c, e, ep, s);
	custody_release(c, e);
}

/* Which sessions were given a copy of a stanza, or of its error. */
struct copied {
	size_t count;
	struct copy {
		uint64_t sid, n;
		struct custody_entry *e; /* NULL: it is over */
	} to[];
};

static struct copy *find_copy(const struct custody_entry *e, uint64_t sid, uint64_t n)
{
	for (size_t i = 0; e->copied && i < e->copied->count; i++)
		if (e->copied->to[i].sid == sid && e->copied->to[i].n == n)
			return &e->copied->to[i];
	return NULL;
}

static void note_copy(struct custody_entry *e, struct copy copy)
{
	size_t count = e->copied ? e->copied->count : 0;

	e->copied = xrealloc(e->copied, sizeof(*e->copied) + (count + 1) * sizeof(*e->copied->to));
	e->copied->to[count] = copy;
	e->copied->count = count + 1;
}

void copy_over(struct custody_entry *copy, struct custody_entry *of)
{
	for (size_t i = 0; of && of->copied && i < of->copied->count; i++)
		if (of->copied->to[i].e == copy)
			of->copied->to[i].e = NULL;
}

/* of waits for its copy again, which was on its own: spooled (shelf_progress). */
static void copy_stands_for(struct custody_entry *copy, struct custody_entry *of)
{
	copy->instead = true;
	if (copy->parent)
		return;
	list_remove(&copy->after_link);
	copy->after = NULL;
	copy->parent = of;
	of->pending++;
}

/* One that an earlier router put on the shelf, for a session that is away. */
static struct custody_entry *shelved_copy(struct custody *c, const struct custody_entry *e,
					  const struct endpoint *ep, uint64_t n)
{
	const struct delivery *d = have_find(c, ep, e->origin_sid, n);

	return d && d->entry && d->entry->after == e && d->entry->pending ? d->entry : NULL;
}

/* Its number says of what it is a copy and not the how manieth: after a crash others may get one.
 * One session gets at most one, so its cm recognises it all the same (CUSTODY 6). */
void custody_copy(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		  const struct session_stanza *s, bool instead)
{
	bool of_error = s->type == TYPE_ERROR;
	uint64_t n = e->origin_n | CUSTODY_COPY | (of_error ? CUSTODY_FINAL_ANSWER : 0);
	struct copy copy = {ep->sid, n, NULL}, *old = find_copy(e, ep->sid, n);

	if (custody_had(e, ep->sid) || have_find(c, ep, e->origin_sid, e->origin_n))
		return;
	if (!old) {
		copy.e = make(c, e, n, ep, s);
		note_copy(e, copy);
		old = &copy;
	}
	if (instead && !old->e)
		old->e = shelved_copy(c, e, ep, n);
	if (instead && old->e)
		copy_stands_for(old->e, e);
}

bool custody_had_copy(const struct custody *c, const struct custody_entry *e,
		      const struct endpoint *ep)
{
	const struct copy *copy = find_copy(e, ep->sid, e->origin_n | CUSTODY_COPY);

	if ((copy && copy->e) || have_find(c, ep, e->origin_sid, e->origin_n | CUSTODY_COPY))
		return true;
	list_each (it, &e->deliveries) {
		const struct delivery *d = list_entry(it, struct delivery, link);

		if (d->sid == ep->sid && d->origin_n == (e->origin_n | CUSTODY_COPY) &&
		    d->state == DELIVERY_DONE)
			return true;
	}
	return false;
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
