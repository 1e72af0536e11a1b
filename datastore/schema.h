/*
 * schema - the database file: made, judged, brought to this program's version.
 *
 * A new file is made beside its place and renamed into it when complete, so that an empty or
 * incomplete file under the name is always damage and never mistaken for a fresh start. A damaged
 * or foreign file is refused and not changed by a byte.
 */
#ifndef DATASTORE_SCHEMA_H
#define DATASTORE_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "datastore/db.h"

/* How much is read at open to find damage: nothing, every page, every page and index. */
enum schema_check { SCHEMA_CHECK_NONE, SCHEMA_CHECK_QUICK, SCHEMA_CHECK_FULL };

/* One step from version n to n + 1; run in a transaction together with the new number. */
struct schema_step {
	const char *sql;
};

extern const struct schema_step schema_steps[];
extern const size_t schema_steps_count; /* = the version that this program speaks */

/* Opens path for writing, made (0600) if it does not exist, checked, migrated and in service.
 * On failure *out is NULL and why is the line for the operator: ERR_CORRUPT, ERR_VERSION (made by
 * a newer program, or by another), ERR_IO, ERR_NOSPACE ... */
enum err schema_open(struct db **out, const char *path, enum schema_check check, struct str *why);

/* Runs the steps that the database lacks, each in its own transaction. ERR_VERSION if it is newer
 * than count. The database stands at the last step that succeeded. */
enum err schema_migrate(struct db *d, const struct schema_step *steps, size_t count,
			struct str *why);

enum err schema_version(struct db *d, uint64_t *out);

#endif
