/*
 * ops - the table ops: what an operation answered the first time, written with what it did.
 *
 * So a repeat, after a lost answer or a restart, is harmless and hears the same (DESIGN 3).
 */
#ifndef DATASTORE_OPS_H
#define DATASTORE_OPS_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/db.h"

/* ERR_OK: seen before; *result is its status, text and body are appended. ERR_NOTFOUND: new. */
enum err ops_find(struct db *d, uint64_t boot, uint64_t n, enum err *result, struct str *text,
		  struct str *body);

enum err ops_add(struct db *d, uint64_t boot, uint64_t n, enum err result, struct slice text,
		 struct slice body, uint64_t now_ms);

/* Forgets up to limit of the oldest that are from before, or that exceed max_rows. */
enum err ops_prune(struct db *d, uint64_t before_ms, uint64_t max_rows, uint32_t limit);

/* Writes a row of its own (0, 0): proof that the disk takes writes. */
enum err ops_probe(struct db *d, uint64_t now_ms);

#endif
