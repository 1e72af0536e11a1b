/*
 * c2s_trace - what happens to clients' streams that somebody watches (cm/cm_trace.h).
 */
#ifndef CM_CLIENT_C2S_TRACE_H
#define CM_CLIENT_C2S_TRACE_H

#include "base/slice.h"
#include "cm/cm_trace.h"

struct c2s;
struct c2s_conn;

/* A TRACE record. */
void c2s_trace_record(struct c2s *s, struct slice body);

/* Only with c2s.traces; use c2s_trace() below. user: who somebody that is not logged in says he is,
 * or SLICE_NONE. */
void c2s_trace_event(struct c2s_conn *c, struct slice user, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define c2s_trace(c, ...)                                              \
	do {                                                           \
		if ((c)->c2s->traces)                                  \
			c2s_trace_event((c), SLICE_NONE, __VA_ARGS__); \
	} while (0)

#endif
