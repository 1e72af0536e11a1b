/*
 * component - one XEP-0114 component that sends every message back to where it came from.
 */
#ifndef BENCH_COMPONENT_H
#define BENCH_COMPONENT_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/opts.h"

struct component;
struct tcp;

/* Connects to opts.component_port and turns the loop until the server has taken the secret. NULL:
 * it did not within opts.deadline (said on stderr). */
struct component *component_open(struct tcp *n, const struct opts *o);
/* Ends its stream and waits for the server to do the same, two seconds at most. */
void component_close(struct component **cp);

/* Why its connection ended; NULL: it stands. */
const char *component_lost(const struct component *c);

#endif
