/*
 * admin - `xmpp sessions`, `kick`, `stats`: questions that the router answers.
 */
#ifndef CLI_XMPP_ADMIN_H
#define CLI_XMPP_ADMIN_H

/* Commands: values is a struct xmpp_values; the result an enum command_exit. */
int admin_sessions(const void *values, int argc, char **argv);
int admin_kick(const void *values, int argc, char **argv);
int admin_stats(const void *values, int argc, char **argv);

#endif
