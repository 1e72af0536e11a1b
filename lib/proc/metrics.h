/*
 * metrics - a process's counters as OpenMetrics text (openmetrics.io, 1.0) on a Unix socket, and on
 * a loopback port if the configuration says so. HTTP/1.0, GET /metrics, one answer a connection.
 *
 * The numbers are those of `xmpp stats`: the owner adds "key=value key:label=value" and metrics.def
 * says what each means; a key that is not there is shown all the same, as one of unknown type.
 * Whoever asks slowly, at length or in numbers is bounded: a few connections, 4 KB, 5 s.
 */
#ifndef PROC_METRICS_H
#define PROC_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct config;
struct loop;
struct metrics;

typedef void metrics_add_fn(void *arg, struct str *out);

/* service: "cm-client", part of every name; instance: "cm-client-1", a label of every value. */
struct metrics *metrics_new(struct loop *loop, const char *service, const char *instance,
			    metrics_add_fn *add, void *arg);
void metrics_free(struct metrics **mp); /* NULL-safe */

/* run/metrics/INSTANCE.sock, and what cfg (metrics.listen) names for this instance; again after a
 * reload. What cannot be opened is logged: counters are no reason not to serve. */
void metrics_listen(struct metrics *m, const struct config *cfg);

/* The text, up to "# EOF". */
void metrics_text(const struct metrics *m, struct str *out);

/* Is metrics.listen in order? Else why (of whylen bytes) says what is wrong and what to write. */
bool metrics_check(const struct config *cfg, char *why, size_t whylen);

#endif
