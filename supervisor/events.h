/*
 * events - the supervisor's event log and list of faults, and the commands about them: what
 * `xmpp log`, `xmpp faults` and `xmpp general` ask for.
 */
#ifndef SUPERVISOR_EVENTS_H
#define SUPERVISOR_EVENTS_H

#include <stdbool.h>

#include "base/slice.h"

struct control;
struct events;
struct sup;

/* adopting: services run already, so the faults of before may still stand. */
struct events *events_new(struct sup *s, bool adopting);
void events_free(struct events **ep); /* NULL-safe */
void events_limits(struct events *e); /* from the configuration in force */

/* Whole lines of a service's log (logpipe_tap). */
void events_lines(void *arg, struct slice lines);

/* Something about alarms has changed, or may have: at least once a second. */
void events_tick(struct events *e);

/* Requests of run/supervisor.sock. */
void events_do_faults(struct control *c, const char *arg);
void events_do_general(struct control *c, const char *arg);
void events_do_clear(struct control *c, const char *arg);

#endif
