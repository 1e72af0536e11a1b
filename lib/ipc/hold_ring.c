#include "ipc/hold_ring.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"

void hold_out_init(struct hold_out *o)
{
	*o = (struct hold_out){.base = 1, .next = 1};
}

void hold_out_clear(struct hold_out *o)
{
	for (size_t i = 0; i < o->cap; i++)
		blob_unref(&o->slots[i]);
	free(o->slots);
	free(o->boots);
	hold_out_init(o);
}

void hold_out_start(struct hold_out *o, uint64_t next)
{
	check(o->base == o->next);
	o->base = o->next = next;
}

size_t hold_out_drop_after(struct hold_out *o, uint64_t n, size_t *bytes)
{
	size_t count = 0;

	for (; o->next > n + 1 && o->next > o->base; o->next--) {
		struct blob **slot = &o->slots[(o->next - 1) & (o->cap - 1)];

		*bytes += *slot ? (*slot)->len : 0;
		count += *slot != NULL;
		blob_unref(slot);
	}
	/* All of those were settled (in vain) already: their numbers are free again. */
	if (o->base == o->next && o->next > n + 1)
		o->base = o->next = n + 1;
	return count;
}

void hold_out_skip_to(struct hold_out *o, uint64_t next)
{
	if (o->base == o->next && next > o->next)
		o->base = o->next = next;
	while (o->next < next)
		hold_out_add_take(o, NULL);
}

uint64_t hold_out_next(const struct hold_out *o)
{
	return o->next;
}

static void hold_out_grow(struct hold_out *o)
{
	size_t cap = o->cap ? o->cap * 2 : 4;
	struct blob **slots = xcalloc(cap, sizeof(struct blob *));
	uint8_t *boots = o->boots ? xcalloc(cap, 1) : NULL;

	for (uint64_t n = o->base; n < o->next; n++) {
		slots[n & (cap - 1)] = o->slots[n & (o->cap - 1)];
		if (boots)
			boots[n & (cap - 1)] = o->boots[n & (o->cap - 1)];
	}
	free(o->slots);
	free(o->boots);
	o->slots = slots;
	o->boots = boots;
	o->cap = cap;
}

void hold_out_add_take(struct hold_out *o, struct blob *b)
{
	if (o->next - o->base >= o->cap)
		hold_out_grow(o);
	if (o->boots)
		o->boots[o->next & (o->cap - 1)] = 0;
	o->slots[o->next++ & (o->cap - 1)] = b;
}

/* An idle session keeps no ring. */
static void hold_out_rest(struct hold_out *o)
{
	free(o->slots);
	free(o->boots);
	o->slots = NULL;
	o->boots = NULL;
	o->cap = 0;
}

size_t hold_out_settle(struct hold_out *o, uint64_t *first, uint64_t last, size_t *bytes)
{
	uint64_t n;

	if (*first < o->base)
		*first = o->base;
	if (last >= o->next)
		last = o->next - 1;
	while (*first <= last && !o->slots[*first & (o->cap - 1)])
		++*first;
	for (n = *first; n <= last; n++) {
		struct blob **slot = &o->slots[n & (o->cap - 1)];

		if (!*slot)
			break;
		*bytes += (*slot)->len;
		blob_unref(slot);
	}
	while (o->base < o->next && !o->slots[o->base & (o->cap - 1)])
		o->base++;
	if (o->base == o->next && o->cap > 16)
		hold_out_rest(o);
	return (size_t)(n - *first);
}

bool hold_out_empty(const struct hold_out *o)
{
	return o->base == o->next;
}

bool hold_out_each(const struct hold_out *o, uint64_t *n, struct blob **b)
{
	uint64_t i = *n < o->base ? o->base : *n + 1;

	for (; i < o->next; i++) {
		*b = o->slots[i & (o->cap - 1)];
		if (*b) {
			*n = i;
			return true;
		}
	}
	return false;
}

struct blob *hold_out_find(const struct hold_out *o, uint64_t n)
{
	return n >= o->base && n < o->next ? o->slots[n & (o->cap - 1)] : NULL;
}

void hold_out_count_boot(struct hold_out *o, uint64_t after, uint64_t upto, uint64_t cleared)
{
	struct blob *b;

	for (uint64_t n = after; hold_out_each(o, &n, &b) && n <= upto;) {
		uint8_t *boots;

		if (!o->boots)
			o->boots = xcalloc(o->cap, 1);
		boots = &o->boots[n & (o->cap - 1)];
		if (n <= cleared && *boots < HOLD_OUT_CLEARED)
			*boots = HOLD_OUT_CLEARED;
		if (*boots != HOLD_OUT_CLEARED - 1 && *boots != UINT8_MAX)
			++*boots;
	}
}

void hold_out_acquit(struct hold_out *o, uint64_t n)
{
	if (o->boots && n >= o->base && n < o->next)
		o->boots[n & (o->cap - 1)] = HOLD_OUT_CLEARED;
}

uint8_t hold_out_boots(const struct hold_out *o, uint64_t n)
{
	return o->boots && n >= o->base && n < o->next ? o->boots[n & (o->cap - 1)] : 0;
}

struct blob *hold_out_swap_take(struct hold_out *o, uint64_t n, struct blob *b)
{
	struct blob *old = hold_out_find(o, n);

	check(old != NULL);
	o->slots[n & (o->cap - 1)] = b;
	if (o->boots)
		o->boots[n & (o->cap - 1)] = 0;
	return old;
}

void hold_in_init(struct hold_in *i)
{
	*i = (struct hold_in){.base = 1, .done = 1, .next = 1};
}

void hold_in_clear(struct hold_in *i)
{
	free(i->slots);
	hold_in_init(i);
}

static struct hold_have *slot(const struct hold_in *i, uint64_t q)
{
	return &i->slots[q & (i->cap - 1)];
}

void hold_in_start(struct hold_in *i, uint64_t next)
{
	check(i->base == i->next);
	i->base = i->done = i->next = next;
}

void hold_in_rewind(struct hold_in *i, uint64_t q)
{
	uint64_t upto;

	hold_in_deliver(i, q, &upto);
	if (i->next <= q) {
		/* numbers that never came here (they went to another cm): nothing to keep of them
		 */
		i->base = i->done = i->next = q + 1;
		return;
	}
	i->done = i->next = q + 1 > i->base ? q + 1 : i->base;
}

uint64_t hold_in_done(const struct hold_in *i)
{
	return i->done;
}

uint64_t hold_in_base(const struct hold_in *i)
{
	return i->base;
}

uint64_t hold_in_next(const struct hold_in *i)
{
	return i->next;
}

static void hold_in_grow(struct hold_in *i)
{
	size_t cap = i->cap ? i->cap * 2 : 4;
	struct hold_have *slots = xcalloc(cap, sizeof(*slots));

	for (uint64_t q = i->base; q < i->next; q++)
		slots[q & (cap - 1)] = *slot(i, q);
	free(i->slots);
	i->slots = slots;
	i->cap = cap;
}

void hold_in_add(struct hold_in *i, uint64_t origin_sid, uint64_t origin_n)
{
	if (i->next - i->base >= i->cap)
		hold_in_grow(i);
	*slot(i, i->next++) = (struct hold_have){origin_sid, origin_n, false};
}

void hold_in_skip_to(struct hold_in *i, uint64_t next)
{
	while (i->next < next)
		hold_in_add(i, 0, 0);
}

const struct hold_have *hold_in_get(const struct hold_in *i, uint64_t q)
{
	check(q >= i->base && q < i->next);
	return slot(i, q);
}

bool hold_in_has(const struct hold_in *i, uint64_t before, uint64_t origin_sid, uint64_t origin_n)
{
	for (uint64_t q = i->base; q < before && q < i->next; q++)
		if (slot(i, q)->origin_sid == origin_sid && slot(i, q)->origin_n == origin_n)
			return true;
	return false;
}

static bool advance(struct hold_in *i, uint64_t *upto)
{
	uint64_t before = i->done;

	while (i->done < i->next && slot(i, i->done)->delivered)
		i->done++;
	*upto = i->done - 1;
	return i->done != before;
}

bool hold_in_deliver(struct hold_in *i, uint64_t q, uint64_t *upto)
{
	for (uint64_t k = i->done; k <= q && k < i->next; k++)
		slot(i, k)->delivered = true;
	return advance(i, upto);
}

bool hold_in_deliver_one(struct hold_in *i, uint64_t q, uint64_t *upto)
{
	check(q >= i->base && q < i->next);
	slot(i, q)->delivered = true;
	return advance(i, upto);
}

void hold_in_disown(struct hold_in *i, uint64_t q)
{
	check(q >= i->base && q < i->next);
	slot(i, q)->origin_sid = slot(i, q)->origin_n = 0;
}

void hold_in_forget(struct hold_in *i, uint64_t q)
{
	if (q >= i->done)
		q = i->done - 1;
	if (q >= i->base)
		i->base = q + 1;
	if (i->base == i->next && i->cap > 16) {
		free(i->slots);
		i->slots = NULL;
		i->cap = 0;
	}
}

size_t hold_in_reported(const struct hold_in *i)
{
	return (size_t)(i->done - i->base);
}

void hold_in_drop_undelivered(struct hold_in *i)
{
	i->next = i->done;
}
