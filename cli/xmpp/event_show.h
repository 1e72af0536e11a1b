/*
 * event_show - `xmpp log show|search|export|clear`, `xmpp faults` and `xmpp general`: what the
 * guides have on the pages Logs and Status.
 */
#ifndef CLI_XMPP_EVENT_SHOW_H
#define CLI_XMPP_EVENT_SHOW_H

struct str;
struct xmpp_values;

int log_show(const void *values, int argc, char **argv);
int log_search(const void *values, int argc, char **argv);
int log_export(const void *values, int argc, char **argv);
int log_clear(const void *values, int argc, char **argv);

int show_faults(const void *values, int argc, char **argv);
int show_general(const void *values, int argc, char **argv);

/* A request to the supervisor; an exit code, what went wrong was said. */
int event_ask(const struct xmpp_values *v, const char *request, struct str *out);

#endif
