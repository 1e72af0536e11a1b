/*
 * managed - changes what commands set (conf/managed.conf), as one step: judged, written, in force,
 * or nothing at all.
 *
 * A key set here stands over the same key in conf/roundhouse.conf. Needs the instance directory as
 * working directory, and the right to write conf/.
 */
#ifndef CLI_COMMON_MANAGED_H
#define CLI_COMMON_MANAGED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct config;
struct managed;

/* Locks and reads it; waits for another command that is changing it. ERR_DENIED: only the
 * instance's administrator may; ERR_FORMAT: file, line and reason; ERR_IO, ERR_TIMEOUT. */
enum err managed_open(struct managed **out, struct str *why);
void managed_close(struct managed **mp); /* NULL-safe; what was not committed is forgotten */

/* The configuration as it is in the files now. Borrowed. */
const struct config *managed_config(const struct managed *m);

/* Names as in `section.key`, or `key`; copies. A list is NULL-terminated. */
void managed_set_text(struct managed *m, const char *name, const char *value);
void managed_set_number(struct managed *m, const char *name, int64_t value);
void managed_set_flag(struct managed *m, const char *name, bool value);
void managed_set_list(struct managed *m, const char *name, const char *const *values);
void managed_unset(struct managed *m,
		   const char *name); /* roundhouse.conf's or the default again */

/* Has every service judge the new file, puts it in place and, when a supervisor runs, in force: one
 * step of the supervisor, which a death of this command does not stop half-way. On failure the old
 * file stands and why says who refused what; ERR_DENIED, ERR_FORMAT (refused), ERR_IO, ERR_AGAIN.
 * On success why has warnings, a line each without a line feed at the end, or nothing. Once: then
 * close. */
enum err managed_commit(struct managed *m, struct str *why);

/* Tests: where `supervisor` is, instead of beside this program. Borrowed. */
void managed_use_programs(const char *dir);

#endif
