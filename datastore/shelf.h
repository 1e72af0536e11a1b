/*
 * shelf - the table shelf: what the router keeps here because its other holder is gone (CUSTODY 3,
 * 4, 13).
 *
 * Rows are keyed (sid, kind, n), all unsigned, in that order; their bodies are opaque. A change can
 * be repeated: it leaves the same rows. Every function is one part of the transaction that is open
 * on d (or a read of its own); after a failure that transaction must be undone.
 */
#ifndef DATASTORE_SHELF_H
#define DATASTORE_SHELF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/db.h"

/* Applies packed changes (struct db_shelf_change) in their order. ERR_FORMAT: they are malformed,
 * one would write the key (0, 0, 0), or deletions_only and one writes. ERR_FULL: they make the
 * bodies larger and then together more than max_bytes. */
enum err shelf_apply(struct db *d, struct slice changes, bool deletions_only, uint64_t max_bytes,
		     struct str *why);

/* Appends packed rows (struct db_shelf_row) with keys behind (sid, kind, n), at least one if there
 * is any, then until they are about so many bytes. *more: others follow. */
enum err shelf_get(struct db *d, uint64_t sid, uint8_t kind, uint64_t n, uint32_t bytes,
		   struct str *out, uint32_t *count, bool *more);

#endif
