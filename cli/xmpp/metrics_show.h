/*
 * metrics_show - `xmpp metrics`: the counters of a running process as OpenMetrics text.
 */
#ifndef CLI_XMPP_METRICS_SHOW_H
#define CLI_XMPP_METRICS_SHOW_H

/* A command: values is a struct xmpp_values; the result an enum command_exit. */
int metrics_show(const void *values, int argc, char **argv);

#endif
