/*
 * hold_ring - the two queues of a session in a connection manager, as pure data.
 *
 * hold_out: stanzas accepted from the stream by n = 1.. until each is settled, in any order.
 * hold_in: what came from the router by q = 1.., its origins and whether it was delivered, until
 * the router says that it may be forgotten, in order.
 */
#ifndef IPC_HOLD_RING_H
#define IPC_HOLD_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"

struct hold_out {
	struct blob **slots; /* slot n % cap; NULL = settled */
	uint8_t *boots;	     /* by slot: router boots that died with it; NULL = none yet */
	size_t cap;	     /* power of two or 0 */
	uint64_t base;	     /* the oldest unsettled n */
	uint64_t next;
};

void hold_out_init(struct hold_out *o);
void hold_out_clear(struct hold_out *o);
void hold_out_start(struct hold_out *o, uint64_t next); /* of an empty one */
/* Drops what is newer than n. Returns how many were unsettled; *bytes grows by their length. */
size_t hold_out_drop_after(struct hold_out *o, uint64_t n, size_t *bytes);
/* Numbers up to next - 1 were given elsewhere: nothing to settle of them here. */
void hold_out_skip_to(struct hold_out *o, uint64_t next);
uint64_t hold_out_next(const struct hold_out *o); /* the n that the next one will get */
void hold_out_add_take(struct hold_out *o, struct blob *b);
/* Settles the first unbroken row of unsettled ones among *first .. last (any numbers). Returns how
 * many they were, 0 = none: they begin at *first. *bytes grows by their length. */
size_t hold_out_settle(struct hold_out *o, uint64_t *first, uint64_t last, size_t *bytes);
bool hold_out_empty(const struct hold_out *o);
/* The next unsettled one after *n (start with 0): *n and *b are set; false at the end. */
bool hold_out_each(const struct hold_out *o, uint64_t *n, struct blob **b);

struct blob *hold_out_find(const struct hold_out *o, uint64_t n); /* borrowed; NULL = settled */

/* CUSTODY 11. One more boot died with those of (after, upto] that are unsettled; those up to
 * `cleared` some boot had survived. */
void hold_out_count_boot(struct hold_out *o, uint64_t after, uint64_t upto, uint64_t cleared);
void hold_out_acquit(struct hold_out *o, uint64_t n); /* a boot survived it */
/* Deaths; of one that a boot had survived: those since, and HOLD_OUT_CLEARED. */
#define HOLD_OUT_CLEARED 128
uint8_t hold_out_boots(const struct hold_out *o, uint64_t n);
/* n is unsettled: b is kept instead of it, counted from 0. Returns what it was. */
struct blob *hold_out_swap_take(struct hold_out *o, uint64_t n, struct blob *b);

struct hold_have {
	uint64_t origin_sid;
	uint64_t origin_n;
	bool delivered;
};

struct hold_in {
	struct hold_have *slots;
	size_t cap;
	uint64_t base; /* everything below is forgotten */
	uint64_t done; /* everything below is delivered */
	uint64_t next;
};

void hold_in_init(struct hold_in *i);
void hold_in_clear(struct hold_in *i);
void hold_in_start(struct hold_in *i, uint64_t next); /* of an empty one */
/* Numbers up to next - 1 are nobody's concern any more: origin 0. */
void hold_in_skip_to(struct hold_in *i, uint64_t next);
/* Everything up to q is delivered, nothing after it ever came: numbers go on with q + 1. */
void hold_in_rewind(struct hold_in *i, uint64_t q);
uint64_t hold_in_done(const struct hold_in *i); /* everything below is delivered */
uint64_t hold_in_base(const struct hold_in *i);
uint64_t hold_in_next(const struct hold_in *i);
void hold_in_add(struct hold_in *i, uint64_t origin_sid, uint64_t origin_n);
const struct hold_have *hold_in_get(const struct hold_in *i, uint64_t q); /* base <= q < next */

/* Is this origin among the numbers below `before`? */
bool hold_in_has(const struct hold_in *i, uint64_t before, uint64_t origin_sid, uint64_t origin_n);

/* Everything up to q (or q alone) is delivered. true when the gap-free prefix grew; *upto = it. */
bool hold_in_deliver(struct hold_in *i, uint64_t q, uint64_t *upto);
bool hold_in_deliver_one(struct hold_in *i, uint64_t q, uint64_t *upto);

void hold_in_disown(struct hold_in *i, uint64_t q); /* its origin is nobody's concern: 0 */
void hold_in_forget(struct hold_in *i, uint64_t q); /* everything up to q */
size_t hold_in_reported(const struct hold_in *i);   /* delivered and not forgotten */
void hold_in_drop_undelivered(struct hold_in *i);   /* the stream is gone */

#endif
