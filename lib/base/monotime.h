/*
 * monotime - a point in monotonic time as a struct, so that it cannot be mixed with seconds.
 *
 * CLOCK_BOOTTIME in microseconds. Cores get it as an argument and never ask the clock.
 */
#ifndef BASE_MONOTIME_H
#define BASE_MONOTIME_H

#include <stdbool.h>
#include <stdint.h>

struct monotime {
	uint64_t us;
};

struct monotime monotime_now(void);

static inline struct monotime monotime_add_ms(struct monotime t, uint64_t ms)
{
	return (struct monotime){t.us + ms * 1000};
}

static inline bool monotime_before(struct monotime a, struct monotime b)
{
	return a.us < b.us;
}

/* Milliseconds from a to b, 0 when b is not after a. */
static inline uint64_t monotime_ms_between(struct monotime a, struct monotime b)
{
	return b.us > a.us ? (b.us - a.us) / 1000 : 0;
}

#endif
