/*
 * srv - in which order the targets of SRV records are tried (RFC 2782). Pure: no DNS, no clock; the
 * random numbers come from the caller.
 */
#ifndef NET_SRV_H
#define NET_SRV_H

#include <stddef.h>
#include <stdint.h>

#define SRV_TARGET_MAX	255 /* bytes of a host name with its NUL */
#define SRV_TARGETS_MAX 32  /* that are used of any number */

struct srv_record {
	uint16_t priority;
	uint16_t weight;
	uint16_t port;
	uint16_t tag; /* the caller's: which service it came from (XEP-0368 mixes two) */
	char target[SRV_TARGET_MAX]; /* no dot at its end */
};

/* A number in 0 .. bound-1 (bound >= 1), evenly. */
typedef uint32_t srv_random(void *arg, uint32_t bound);

/* Writes to out at most SRV_TARGETS_MAX of in, lowest priority first, within one priority by chance
 * in proportion to the weight (RFC 2782 p. 3). Of records with the same target (in any case), port
 * and tag the one with the lowest priority counts, then the one with the greatest weight. Returns
 * how many. */
size_t srv_order(const struct srv_record *in, size_t n, srv_random *random, void *arg,
		 struct srv_record out[SRV_TARGETS_MAX]);

/* For programs: the kernel's random numbers; arg is not used. */
uint32_t srv_random_system(void *arg, uint32_t bound);

#endif
