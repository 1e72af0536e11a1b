/*
 * event_log - log/events.log: what operators look at. Takes every line of every service's log,
 * keeps what event_rule says, collapses what repeats (event_repeat), rotates by size like any log.
 *
 * While the file cannot be written (disk full) lines wait here, up to a bound; then they are
 * counted.
 */
#ifndef SUPERVISOR_EVENT_LOG_H
#define SUPERVISOR_EVENT_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/monotime.h"
#include "base/str.h"

struct event_log;

struct event_log *event_log_new(size_t rotate_bytes, unsigned int keep);
void event_log_free(struct event_log **lp); /* NULL-safe; tells what is still counted */
void event_log_limits(struct event_log *l, size_t rotate_bytes, unsigned int keep);

/* Whole lines as they stand in a log. */
void event_log_take(struct event_log *l, struct slice lines, struct monotime now);

void event_log_tick(struct event_log *l, struct monotime now); /* once a second */

/* Takes all messages away, those of rotated files too; what is left is one, which tells how many
 * they were and who it was. On failure all is as it was, and why says what to do. */
enum err event_log_clear(struct event_log *l, const char *who, uint64_t now_ms, uint64_t *count,
			 struct str *why);

#endif
