/*
 * client - one XMPP client: connects, secures, authenticates, binds (RFC 6120), then hands every
 * stanza that comes to its load. Knows nothing of what is measured. Or a component (XEP-0114).
 *
 * With the option sm it enables XEP-0198 before it is ready, counts and acknowledges by itself.
 * Without, such elements reach the load like stanzas.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"
#include "base/slice.h"
#include "base/str.h"
#include "bench/opts.h"

struct acks;
struct client;
struct tcp;

struct client_events {
	void (*on_ready)(void *arg, struct client *c);
	/* One first-level child after login. NULL: not looked at. */
	void (*on_stanza)(void *arg, struct client *c, struct slice stanza);
	/* XEP-0198: the answer to <resume/>. After <resumed/> on_ready follows, after <failed/> a
	 * resource is bound. NULL when nothing is ever resumed. */
	void (*on_resume)(void *arg, struct client *c, struct slice answer);
	/* Ended, by the server or by failure; call client_free(). */
	void (*on_closed)(void *arg, struct client *c, const char *why);
};

/* A component instead: in clear, at another port. It outlives its clients. */
struct client_component {
	uint16_t port;
	const char *domain; /* its own: also what client_jid() says */
	const char *secret;
	int buffer; /* bytes that the kernel keeps for it; 0 = as the kernel likes */
};

/* How to come back or what to be called; copied. */
struct client_wish {
	const char *resource; /* NULL: as the server likes */
	const char *resume;   /* the session to resume (XEP-0198 previd); NULL: bind */
	uint32_t h;	      /* ... and how many stanzas of it were taken */
	const struct client_component *component; /* NULL: a client */
};

/* Starts to log in as account user of the options. wish may be NULL. NULL with errno: out of
 * sockets. */
struct client *client_new(struct tcp *n, const struct opts *o, uint32_t user,
			  const struct client_wish *wish, const struct client_events *events,
			  void *arg);

/* NULL-safe, in callbacks too; sets *cp to NULL. */
void client_free(struct client **cp);

/* Stops reading for a while (tcp_pause). */
void client_pause(struct client *c, bool paused);

/* The full JID, as the server gave it, escaped for an attribute; NULL when none was bound. */
const char *client_jid(const struct client *c);

/* When the connection was begun. */
struct monotime client_begun(const struct client *c);

/* Stanzas to send: append to it. */
struct str *client_output(struct client *c);

/* With the option sm: one stanza was appended. Without, nothing happens. */
void client_sent(struct client *c);

/* With the option sm: the counters, and the name of the session for <resume/> (NULL when the server
 * does not offer that; a resumed session keeps the one it had). */
struct acks *client_acks(struct client *c);
const char *client_resume_id(const struct client *c);

/* A number for the load's own use. */
void client_set_tag(struct client *c, uint32_t tag);
uint32_t client_tag(const struct client *c);

#endif
