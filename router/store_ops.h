/*
 * store_ops - requests to the datastore that are under way (DESIGN 3).
 *
 * Keeps each until it is answered or its deadline is over; sends all again to a datastore that has
 * restarted (the operation id makes that harmless). Requests come from services (answered over
 * their link) and from session/ (answered by callback).
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

/* The datastore's link, or NULL while it is away. A new one gets everything pending. */
void store_ops_attach(struct store_ops *s, struct link *datastore);

/* A service's request; from is its link and must be taken out by store_ops_forget() before it goes.
 * At once refused with ERR_FULL in a STORED when too many are pending. */
void store_ops_forward(struct store_ops *s, struct link *from, const struct msg_store *m,
		       struct monotime now);

/* The router's own. */
void store_ops_ask(struct store_ops *s, struct slice body, uint32_t deadline_ms,
		   store_done_fn *done, void *arg, struct monotime now);

void store_ops_answer(struct store_ops *s, const struct msg_stored *m);
void store_ops_forget(struct store_ops *s, const struct link *from);

/* Answers ERR_TIMEOUT to what is overdue. */
void store_ops_tick(struct store_ops *s, struct monotime now);
size_t store_ops_pending(const struct store_ops *s);

#endif
