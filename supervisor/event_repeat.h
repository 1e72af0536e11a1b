/*
 * event_repeat - keeps a flood of one kind of event from washing everything else out of the log.
 *
 * Pure. A kind is service, level and the event's name; of the supervisor's own lines, of
 * information and of lines without a name the whole text, but for numbers, sid=, pid= and addr=. In
 * a minute the first EVENT_REPEAT_FREE of a kind pass as they are; what comes then is counted, and
 * one line with the last of them says
 * "(repeated N times)": after EVENT_REPEAT_QUIET_MS without another, or at the end of the minute. A
 * kind that goes on from minute to minute gets that one line a minute.
 */
#ifndef SUPERVISOR_EVENT_REPEAT_H
#define SUPERVISOR_EVENT_REPEAT_H

#include "base/monotime.h"
#include "base/str.h"
#include "proc/event_line.h"

#define EVENT_REPEAT_FREE      10
#define EVENT_REPEAT_WINDOW_MS 60000
#define EVENT_REPEAT_QUIET_MS  5000
#define EVENT_REPEAT_KINDS     64 /* known at once; the one longest unseen makes place */

struct event_repeat;

struct event_repeat *event_repeat_new(void);
void event_repeat_free(struct event_repeat **rp); /* NULL-safe; what was counted is not told */

/* Appends what is to be written now that e has come: e, or nothing; before it what was counted of a
 * kind that had to make place. */
void event_repeat_add(struct event_repeat *r, const struct event_line *e, struct monotime now,
		      struct str *out);

/* Appends what has been counted and is due; all: whether due or not. */
void event_repeat_tick(struct event_repeat *r, struct monotime now, bool all, struct str *out);

void event_repeat_forget(struct event_repeat *r); /* everything, untold */

#endif
