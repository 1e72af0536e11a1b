/*
 * cm_rate - how fast somebody may go: a token bucket kept as one number (GCRA).
 *
 * Pure. The number is the time at which everything taken so far would be paid for at the rate; who
 * is ahead of that by more than the burst has to wait. 0 = nothing taken.
 */
#ifndef CM_CM_RATE_H
#define CM_CM_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"

struct cm_rate {
	uint64_t units;	 /* bytes, attempts ...; 0 = no limit */
	uint64_t per_us; /* in so many microseconds */
	uint64_t burst;	 /* units that may be taken at once */
};

/* Takes n units (a debt is possible: what has been read cannot be unread). True: it is too fast
 * now. */
bool cm_rate_take(uint64_t *paid, const struct cm_rate *r, uint64_t n, struct monotime now);

bool cm_rate_is_over(uint64_t paid, const struct cm_rate *r, struct monotime now);

/* Nothing is owed any more: the number is as good as 0. */
bool cm_rate_is_idle(uint64_t paid, struct monotime now);

#endif
