/*
 * client - one XMPP client: connects, secures, authenticates, binds (RFC 6120), then hands every
 * stanza that comes to its load. Knows nothing of what is measured.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"
#include "base/slice.h"
#include "base/str.h"
#include "bench/opts.h"

struct client;
struct tcp;

struct client_events {
	void (*on_ready)(void *arg, struct client *c);
	/* One first-level child after login. NULL: not looked at. */
	void (*on_stanza)(void *arg, struct client *c, struct slice stanza);
	/* Ended, by the server or by failure; call client_free(). */
	void (*on_closed)(void *arg, struct client *c, const char *why);
};

/* Starts to log in as account user of the options. NULL with errno: out of sockets. */
struct client *client_new(struct tcp *n, const struct opts *o, uint32_t user,
			  const struct client_events *events, void *arg);

/* NULL-safe, in callbacks too; sets *cp to NULL. */
void client_free(struct client **cp);

/* The full JID, as the server gave it, escaped for an attribute. */
const char *client_jid(const struct client *c);

/* When the connection was begun. */
struct monotime client_begun(const struct client *c);

/* Stanzas to send: append to it. */
struct str *client_output(struct client *c);

/* A number for the load's own use. */
void client_set_tag(struct client *c, uint32_t tag);
uint32_t client_tag(const struct client *c);

#endif
