/*
 * load - what is done to a server and what came out of it.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/acks.h"
#include "bench/hist.h"
#include "bench/opts.h"
#include "bench/usage.h"

struct tcp;

struct result {
	const char *unit;    /* what was counted: "message", "login"; NULL: the load told it all */
	uint64_t count;	     /* within the measured time */
	double seconds;	     /* measured */
	uint64_t own_cpu_us; /* of the generator itself */
	uint64_t errors; /* answers that are not what was asked for; lost, twice, out of order */
	char why[256];	 /* the first of them */
	struct hist times;
	const char *times_name;	   /* "rtt", "delivery", "login" */
	struct usage used;	   /* by the server, between the two ends of the measured time */
	struct acks_count acks;	   /* chat, pingpong with --sm: within the measured time */
	uint32_t retried;	   /* logins that were refused and tried again (--retry) */
	uint32_t idle_connections; /* idle: over how many the memory was spread */
};

/* False: could not be measured (said on stderr). */
bool load_chat(struct tcp *n, const struct opts *o, struct result *r);
bool load_pingpong(struct tcp *n, const struct opts *o, struct result *r);
bool load_login(struct tcp *n, const struct opts *o, struct result *r);
bool load_idle(struct tcp *n, const struct opts *o, struct result *r);
bool load_detach(struct tcp *n, const struct opts *o, struct result *r);
bool load_component(struct tcp *n, const struct opts *o, struct result *r);
bool load_relay(struct tcp *n, const struct opts *o, struct result *r);
bool load_presence(struct tcp *n, const struct opts *o, struct result *r);

/* Counts an error and keeps the first one's text. */
void result_error(struct result *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The measured time, from begin to end: CPU of the server and our own. */
struct span {
	const struct opts *opts;
	uint64_t began_us;
	uint64_t own_us;
	struct usage before;
};
void span_begin(struct span *s, const struct opts *o);
void span_end(struct span *s, struct result *r);

#endif
