/*
 * page - rows of a statement packed one after the other, until they are as many bytes as asked for.
 *
 * Whatever is asked for, a page fits into one record.
 */
#ifndef DATASTORE_PAGE_H
#define DATASTORE_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "datastore/db.h"

#define PAGE_MAX (1024u * 1024) /* bytes, unless a single row is larger */

/* Appends the packed form of the row that st stands on. */
typedef void page_put_fn(struct str *out, sqlite3_stmt *st);

/* Runs st with its bindings; at least one row if there is any, then as long as they are not more
 * than about bytes. *more: others follow. NULL: all rows (who wrote them has bounded them). */
enum err page_fill(struct db *d, sqlite3_stmt *st, page_put_fn *put, uint32_t bytes,
		   struct str *out, uint32_t *count, bool *more);

#endif
