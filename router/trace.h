/*
 * trace - `xmpp trace` in the router: who watches whom, and the lines they get.
 *
 * Pure: no clock, no hub. Lines go straight onto the link of the command that asked, as ADMIN_REPLY
 * records with more = 1; the last has more = 0. Bounded: so many traces at once, so many lines a
 * second for each, so many bytes on the way to it; what exceeds that is counted and the count is
 * told. Texts that people wrote never leave this (xmpp/xml_mask.h).
 */
#ifndef ROUTER_TRACE_H
#define ROUTER_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"
#include "ipc/codec.h"
#include "ipc/trace_filter.h"
#include "session/session.h"

#define TRACE_SECONDS_MAX 3600

struct link;
struct traces;

struct trace_limits {
	unsigned int traces; /* at once */
	unsigned int lines;  /* of one, a second */
};

struct traces *traces_new(struct trace_limits limits);
void traces_free(struct traces **tp); /* NULL-safe; says nothing to anybody */

/* link: where the lines go, borrowed until traces_leave() of it. ERR_FULL: too many at once. */
enum err traces_start(struct traces *t, struct link *link, uint64_t req, struct slice what,
		      unsigned int seconds, struct monotime now, uint32_t *id);

/* Who asked has gone. */
void traces_leave(struct traces *t, const struct link *link);

/* Ends those whose time is over, tells counts. removed is called for each trace that has ended
 * since the last call, those that were left included. */
void traces_tick(struct traces *t, struct monotime now, void (*removed)(void *arg, uint32_t id),
		 void *arg);

/* Iterates: start with *it = 0; false at the end. */
bool traces_next(const struct traces *t, size_t *it, uint32_t *id,
		 const struct trace_filter **filter);

/* When something happens: wall_ms is milliseconds since 1970. */
struct trace_when {
	struct monotime now;
	uint64_t wall_ms;
};

struct trace_stanza {
	const char *dir;      /* "in": from the session, "out": for it */
	uint64_t sid;	      /* 0 = none */
	struct slice session; /* its full JID or domain */
	const struct session_stanza *s;
};

void traces_stanza(struct traces *t, const struct trace_stanza *st, struct trace_when when);

/* What a connection manager (or the router itself) has to say of a stream. */
void traces_event(struct traces *t, const char *instance, const struct msg_traced *m,
		  struct trace_when when);

#endif
