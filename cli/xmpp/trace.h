/*
 * trace - `xmpp trace`: what happens to one account, client address or domain, as it happens.
 */
#ifndef CLI_XMPP_TRACE_H
#define CLI_XMPP_TRACE_H

#include "base/slice.h"
#include "base/str.h"

/* A command: values is a struct xmpp_values; the result an enum command_exit. */
int trace_run(const void *values, int argc, char **argv);

/* "60", "60s", "5m", "1h" to seconds; 0 when it is none of that, or more than an hour. */
unsigned int trace_seconds(const char *text);

/* One line of the router for people; appended. */
void trace_show(struct slice line, struct str *out);

#endif
