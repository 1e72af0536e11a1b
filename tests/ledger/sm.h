/*
 * sm - a client's side of XEP-0198: what it has sent and the server has not acknowledged, and how
 * many stanzas it has got. Pure.
 *
 * Also used by clients without XEP-0198: there the answer to a ping acknowledges.
 */
#ifndef LEDGER_SM_H
#define LEDGER_SM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

struct sm_sent {
	uint32_t entry; /* in the ledger; JUDGE_NONE: not in it (presence) */
	char *text;	/* the stanza; NULL: not kept */
};

struct sm {
	struct sm_sent *sent; /* a ring */
	size_t room;
	size_t first;
	size_t len;
	uint32_t acked; /* the last h that the server told */
	uint32_t got;	/* our h */
};

void sm_init(struct sm *s);
void sm_clear(struct sm *s);

/* text may be NULL, else it is copied. */
void sm_push(struct sm *s, uint32_t entry, struct slice text);

/* The oldest that is not acknowledged; NULL when there is none. Valid until the next call. */
const struct sm_sent *sm_oldest(const struct sm *s);
const struct sm_sent *sm_at(const struct sm *s, size_t i);
void sm_pop(struct sm *s);

/* How many of the oldest h acknowledges (counters wrap at 2^32). False: it cannot be, the server
 * counts wrong. */
bool sm_covers(const struct sm *s, uint32_t h, size_t *count);

#endif
