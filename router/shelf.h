/*
 * shelf - what the router keeps in the datastore because its other holder is gone or must not be
 * burdened (CUSTODY 3, 4, 13): sessions that are away, stanzas, deliveries of the server's own.
 *
 * Pure: a queue of changes, cut into batches, one of which is on its way at a time. Each change has
 * a number; shelf_synced() says up to which the disk has them. A batch that was not done is given
 * out again: changes may be applied twice, but never out of order.
 */
#ifndef ROUTER_SHELF_H
#define ROUTER_SHELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct shelf;

/* Keys are (sid, kind, n). */
enum shelf_kind {
	SHELF_SESSION =
		1,	  /* n = 1: a session that may be resumed, or a domain that may come back */
	SHELF_STANZA = 2, /* stanza n of session sid: a STANZA record, from filled in */
	SHELF_ANSWER = 3, /* the server's own, for session sid: a DELIVER record; n is any number */
	SHELF_LOST = 4,	  /* n = 1: a session that cannot be resumed; only its presence lasts */
};

struct shelf *shelf_new(void);
void shelf_free(struct shelf **sp);

/* Puts or replaces a row; deletes one, which need not be there. They return the number of the
 * change. */
uint64_t shelf_put(struct shelf *s, uint64_t sid, uint8_t kind, uint64_t n, struct slice body);
uint64_t shelf_del(struct shelf *s, uint64_t sid, uint8_t kind, uint64_t n);

uint64_t shelf_last(const struct shelf *s);   /* the newest change */
uint64_t shelf_synced(const struct shelf *s); /* everything up to here is on disk */

/* So much waits for a datastore that does not take it (64 MiB) that nothing more should be put. */
bool shelf_is_full(const struct shelf *s);
size_t shelf_waiting(const struct shelf *s); /* bytes */

/* The next batch (packed struct db_shelf_change), borrowed until shelf_done(); false when there is
 * nothing to do or one is out. only_deletes: it makes nothing larger. */
bool shelf_next(struct shelf *s, struct slice *changes, bool *only_deletes);

/* The batch that is out was applied; else it is given out again: as it was, unless shelf_shrink()
 * is called first. */
void shelf_done(struct shelf *s, bool applied);

/* The disk has no room (no batch may be out): what was put and deleted meanwhile is left out, and
 * deletions go before everything else. */
void shelf_shrink(struct shelf *s);

#endif
