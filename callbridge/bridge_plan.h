/*
 * bridge_plan - which server is tried next, and after how long (FEATURES 2.3, 2.4).
 *
 * Pure: no clock, no DNS, no socket; times and random numbers come in. A round begins with a
 * question to DNS (or with the one static server) and goes through its targets in their order until
 * one takes us. When none did, the next round begins after a delay: after a failure of DNS always
 * the same (64 s), otherwise one that doubles up to a bound, with jitter. A connection that was
 * lost is made anew at once (but once only, unless it had stood for a while), with the server that
 * was lost as the last choice.
 */
#ifndef CALLBRIDGE_BRIDGE_PLAN_H
#define CALLBRIDGE_BRIDGE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/monotime.h"
#include "callbridge/bridge_cause.h"
#include "net/srv.h"

struct bridge_plan_config {
	bool is_static;	       /* one server, no failover; targets come from bridge_plan_static() */
	uint32_t dns_retry_ms; /* after a failure of DNS */
	uint32_t retry_min_ms; /* after any other: the first delay ... */
	uint32_t retry_max_ms; /* ... and the longest */
	uint32_t stable_ms;    /* a connection that stood so long forgets earlier failures */
};

struct bridge_plan {
	struct bridge_plan_config cfg;
	struct srv_record targets[SRV_TARGETS_MAX]; /* of this round, in their order */
	size_t ntargets;
	size_t at;	       /* the one being tried, or that we are connected to */
	uint32_t failures;     /* rounds in a row that led to nothing */
	bool only_dns;	       /* in this round nothing but DNS has failed */
	struct srv_record bad; /* what was lost: tried last; port 0 = none */
	struct monotime since; /* connected */
	bool live;
	bool hurried; /* a loss was answered at once, and nothing has been stable since */
};

enum bridge_do {
	BRIDGE_DO_LOOKUP,  /* ask DNS: bridge_plan_found() or bridge_plan_failed() */
	BRIDGE_DO_CONNECT, /* to bridge_plan_target() */
	BRIDGE_DO_WAIT,	   /* wait_ms, then bridge_plan_begin() */
};

struct bridge_step {
	enum bridge_do what;
	uint32_t wait_ms;
};

void bridge_plan_init(struct bridge_plan *p, const struct bridge_plan_config *cfg);
void bridge_plan_static(struct bridge_plan *p, const char *host, uint16_t port);

/* Another configuration; what is under way goes on. */
void bridge_plan_set(struct bridge_plan *p, const struct bridge_plan_config *cfg);

/* A round begins. */
struct bridge_step bridge_plan_begin(struct bridge_plan *p);

/* DNS answered: targets in the order of RFC 2782, at least one. */
struct bridge_step bridge_plan_found(struct bridge_plan *p, const struct srv_record *targets,
				     size_t n);

/* What was under way has failed: the question, the connection or the handshake. random: any. */
struct bridge_step bridge_plan_failed(struct bridge_plan *p, enum bridge_cause cause,
				      uint32_t random);

/* The server took us. */
void bridge_plan_live(struct bridge_plan *p, struct monotime now);

/* And that is over. */
struct bridge_step bridge_plan_lost(struct bridge_plan *p, struct monotime now, uint32_t random);

/* NULL before a round has targets. */
const struct srv_record *bridge_plan_target(const struct bridge_plan *p);

#endif
