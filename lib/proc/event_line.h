/*
 * event_line - one line of log/events.log, the log for operators: Date, Time, Logging level, the
 * service it is about, Message. Written by the supervisor, read by `xmpp log` and `xmpp faults`.
 *
 *   2026-11-21 05:16:17.804 Info    callbridge No DNS A or AAAA records for _xmpp-component._tcp...
 *
 * Times are UTC. Rotated files are log/events.log.1 (the younger), .2 and so on.
 */
#ifndef PROC_EVENT_LINE_H
#define PROC_EVENT_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define EVENT_LOG_NAME "events"
#define EVENT_LOG_PATH "log/" EVENT_LOG_NAME ".log"

enum event_level { EVENT_INFO, EVENT_WARNING, EVENT_ERROR };

struct event_line {
	uint64_t ms; /* since 1970 */
	enum event_level level;
	struct slice service; /* an instance ("cm-client-1"), or "supervisor"; no blanks */
	struct slice text;
};

#define EVENT_DATE_SIZE 11 /* "2026-11-21" */
#define EVENT_TIME_SIZE 13 /* "05:16:17.804" */
void event_line_time(uint64_t ms, char date[EVENT_DATE_SIZE], char time[EVENT_TIME_SIZE]);

/* Appends it with its line feed. */
void event_line_format(struct str *out, const struct event_line *e);

/* line without its line feed; out borrows from it. False: it is no such line. */
bool event_line_parse(struct slice line, struct event_line *out);

/* "2026-11-21", with "T" or a blank and "05:16", ":17", ".804" or more digits behind it, "Z" at the
 * end or not. False: it is no such time, or something stands behind it. */
bool event_line_parse_time(struct slice text, uint64_t *ms);

const char *event_level_name(enum event_level level); /* "Info", "Warning", "Error" */

/* In any case, also "warn". */
bool event_level_parse(struct slice text, enum event_level *out);

#endif
