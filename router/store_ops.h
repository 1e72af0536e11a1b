/*
 * store_ops - requests to the datastore that are under way (DESIGN 3).
 *
 * Keeps each until it is answered or its deadline is over; sends all again to a datastore that has
 * restarted (the operation id makes that harmless). Requests come from services (answered over
 * their link) and from session/ (answered by callback).
 *
 * Poison (CUSTODY 11). A request counts the datastore boots that died while they had it and had not
 * answered. From the second on it is a suspect: it waits until everything else that was sent again
 * is answered, then the suspects go one at a time. One that was there alone when a boot died is
 * answered with ERR_QUARANTINED and its bytes are kept by a DB_QUARANTINE (never a suspect itself).
 * Only the first 8 of a boot: a kill -9 is likely to hit something in a long row. One that is hit
 * later is the first of the next boot, since those before it are answered.
 */
#ifndef ROUTER_STORE_OPS_H
#define ROUTER_STORE_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/monotime.h"
#include "base/slice.h"
#include "ipc/codec.h"

struct store_ops;
struct link;

typedef void store_done_fn(void *arg, enum err status, uint16_t type, struct slice body);

struct store_ops *store_ops_new(uint64_t boot);
void store_ops_free(struct store_ops **sp);

/* The datastore's link, or NULL while it is away. Each call with one is a new boot: it gets
 * everything pending, suspects last. */
void store_ops_attach(struct store_ops *s, struct link *datastore);

/* A service's request; from is its link and must be taken out by store_ops_forget() before it goes.
 * At once refused with ERR_FULL in a STORED when too many are pending. */
void store_ops_forward(struct store_ops *s, struct link *from, const struct msg_store *m,
		       struct monotime now);

/* The router's own. deadline_ms: at most a minute, or STORE_OPS_FOREVER: it waits until answered.
 */
#define STORE_OPS_FOREVER UINT32_MAX
void store_ops_ask(struct store_ops *s, struct slice body, uint32_t deadline_ms,
		   store_done_fn *done, void *arg, struct monotime now);

void store_ops_answer(struct store_ops *s, const struct msg_stored *m);
void store_ops_forget(struct store_ops *s, const struct link *from);

/* Answers ERR_TIMEOUT to what is overdue. */
void store_ops_tick(struct store_ops *s, struct monotime now);
size_t store_ops_pending(const struct store_ops *s);

struct store_ops_books {
	uint64_t suspects; /* sent alone */
	uint64_t quarantined;
};

const struct store_ops_books *store_ops_books(const struct store_ops *s);

#endif
