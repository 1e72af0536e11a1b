/*
 * cm_trace - tells the router what happens to the streams that somebody watches (`xmpp trace`).
 *
 * While nobody does it costs a test of a pointer. Events are those of the log, told in order; never
 * what a peer wrote, never secrets. So many a second for all traces, the rest is counted.
 */
#ifndef CM_CM_TRACE_H
#define CM_CM_TRACE_H

#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/slice.h"

struct bus;
struct cm_traces;
struct loop;

/* Whom it happens to; all borrowed for the call. */
struct cm_traced {
	uint64_t sid;	      /* 0 = no session */
	const char *conn;     /* "c2s#41" */
	const char *addr;     /* "192.0.2.1:40000" */
	struct slice jid;     /* who has proven to be it; empty = nobody */
	struct slice claimed; /* who somebody that has not proven it says he is */
	struct slice domain;  /* without jid: the domain that the stream was opened to */
};

void cm_traces_free(struct cm_traces **tp); /* NULL-safe; also when the router is a new one */

/* A TRACE record; *tp becomes NULL when nobody traces any more. If one begins tell_present is
 * called once: to call cm_trace_present() for each connection. */
void cm_traces_record(struct cm_traces **tp, struct loop *loop, struct bus *bus, struct slice body,
		      void (*tell_present)(void *arg), void *arg);
void cm_trace_present(struct cm_traces *t, const struct cm_traced *who, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void cm_trace(struct cm_traces *t, const struct cm_traced *who, const char *event, const char *fmt,
	      va_list ap) __attribute__((format(printf, 4, 0)));

/* A connection that was refused before it was one. t may be NULL. */
void cm_trace_refused(struct cm_traces *t, const struct sockaddr_storage *peer, const char *why);

#endif
