/*
 * event_rule - which lines of the services' logs an operator wants to see, and in which form.
 *
 * Pure. Every warning and error enters; of the information what is in a table (services start and
 * end, the configuration changes, components come and go, secrets are shown, alarms are over ...);
 * and the call bridge's lines in the guides' words, which are the only ones without `event=`.
 */
#ifndef SUPERVISOR_EVENT_RULE_H
#define SUPERVISOR_EVENT_RULE_H

#include <stdbool.h>

#include "base/str.h"
#include "proc/event_line.h"

/* line: as base/log.h writes it, text or JSON, without its line feed. out borrows from line or from
 * scratch, which is emptied first. False: it does not enter, or is no such line. */
bool event_rule(struct slice line, struct event_line *out, struct str *scratch);

/* The value of `event=` in a message; empty when it has none. */
struct slice event_rule_name(struct slice text);

#endif
