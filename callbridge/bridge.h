/*
 * bridge - a call bridge: one component connection, kept, and a program (or an echo) behind it.
 *
 * Runs in somebody's loop: the service's (bridge_service.c) or that of `callbridge run`. Owns the
 * connection, the resolver, the program's pipes and what waits for either side; all of it bounded:
 * when the program does not read, the server is not read, and the other way round.
 */
#ifndef CALLBRIDGE_BRIDGE_H
#define CALLBRIDGE_BRIDGE_H

#include "base/err.h"
#include "base/str.h"
#include "callbridge/bridge_settings.h"
#include "net/resolver.h"

struct bridge;
struct loop;

struct bridge_host {
	/* A standing fault, NULL = none. */
	void (*on_fault)(void *arg, const char *text);
	/* After bridge_stop(): only bridge_free() is of use now. */
	void (*on_stopped)(void *arg);
	void *arg;
	int cwd; /* where the program runs; -1 = where we are. Borrowed. */
};

/* Takes the settings (which are empty then), also on failure. The connection begins in the loop. */
enum err bridge_new(struct bridge **out, struct loop *loop, struct bridge_settings *settings,
		    const struct resolver_config *dns, const struct bridge_host *host,
		    struct str *why);
void bridge_free(struct bridge **bp); /* NULL-safe; kills a program that still runs */

/* Other settings (taken): what they change is made anew, the rest goes on. On failure, which is
 * said in why, the old ones stand. */
enum err bridge_change(struct bridge *b, struct bridge_settings *settings,
		       const struct resolver_config *dns, struct str *why);

/* No more for the program; what it still says goes out; then the stream is closed. */
void bridge_stop(struct bridge *b);

/* Appends one JSON object: how it is. */
void bridge_report(const struct bridge *b, struct str *out);

/* Appends "key=value key=value": counters. */
void bridge_counters(const struct bridge *b, struct str *out);

const char *bridge_name(const struct bridge *b);

#endif
