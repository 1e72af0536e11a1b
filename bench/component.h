/*
 * component - one XEP-0114 component that sends every message back to where it came from.
 */
#ifndef BENCH_COMPONENT_H
#define BENCH_COMPONENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "bench/opts.h"

struct component;
struct tcp;

/* Appends <handshake/> for the stream that the server has opened with this header (XEP-0114 3). */
void component_handshake(struct str *out, struct slice header, const char *secret);

/* Connects to opts.component_port and turns the loop until the server has taken the secret. NULL:
 * it did not within opts.deadline (said on stderr). */
struct component *component_open(struct tcp *n, const struct opts *o);
/* Ends its stream and waits for the server to do the same, two seconds at most. */
void component_close(struct component **cp);

/* Why its connection ended; NULL: it stands. */
const char *component_lost(const struct component *c);

#endif
