/*
 * c2s_trace - tells the router what happens to the streams that somebody watches (`xmpp trace`).
 *
 * While nobody does it costs a test of a pointer. Events are those of the log, told in order; never
 * what a client wrote, never secrets. So many a second for all traces, the rest is counted.
 */
#ifndef CM_CLIENT_C2S_TRACE_H
#define CM_CLIENT_C2S_TRACE_H

#include <sys/socket.h>

#include "base/slice.h"

struct c2s;
struct c2s_conn;
struct c2s_traces;

void c2s_traces_free(struct c2s_traces **tp); /* NULL-safe; also when the router is a new one */

/* A TRACE record. */
void c2s_trace_record(struct c2s *s, struct slice body);

/* Only with c2s.traces; use c2s_trace() below. user: who somebody that is not logged in says he is,
 * or SLICE_NONE. */
void c2s_trace_event(struct c2s_conn *c, struct slice user, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A connection that was refused before it was one. */
void c2s_trace_refused(struct c2s *s, const struct sockaddr_storage *peer, const char *why);

#define c2s_trace(c, ...)                                              \
	do {                                                           \
		if ((c)->c2s->traces)                                  \
			c2s_trace_event((c), SLICE_NONE, __VA_ARGS__); \
	} while (0)

#endif
