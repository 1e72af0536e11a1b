/*
 * bus - a service's end of the bus: one ZeroMQ DEALER, one link to the router.
 *
 * Introduces itself (HELLO), answers PING, resumes after ZeroMQ reconnects, batches what one loop
 * turn put (flushed at the end of the turn), sends receipts with the next batch or within 20 ms.
 */
#ifndef IPC_BUS_H
#define IPC_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "ipc/link.h"

struct bus;
struct loop;

struct bus_events {
	/* HELLO was accepted. fresh: this router has never heard of this process (it restarted, or
	 * we did): announce sessions and send again what is unsettled. Not fresh: the link resumed
	 * by itself, nothing to do. */
	void (*on_up)(void *arg, bool fresh);
	void (*on_down)(void *arg, const char *why); /* may be NULL */
	void (*on_record)(void *arg, uint16_t type, struct slice body);
	/* The window was full and has room again. May be NULL. */
	void (*on_room)(void *arg);
	/* Adds "key=value key=value" to be told with PONG. May be NULL. */
	void (*add_stats)(void *arg, struct str *out);
};

/* path: relative socket path ("run/bus/router"); token: hex text from the supervisor. */
struct bus *bus_open(struct loop *loop, const char *path, const char *service, const char *instance,
		     const char *token, const struct bus_events *events, void *arg);
void bus_close(struct bus **bp);

/* To put records on: link_put_stanza(bus_link(b), &m). Put only while up (else they are dropped at
 * the next fresh on_up together with everything the dead router had not receipted). */
struct link *bus_link(struct bus *b);
bool bus_is_up(const struct bus *b);
uint64_t bus_boot(const struct bus *b); /* this process's boot id: also for STORE op_boot */

/* Something put in this turn must not wait for the receipt tick (an <r/> waits for it). */
void bus_urgent(struct bus *b);

#endif
