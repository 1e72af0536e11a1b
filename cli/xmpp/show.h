/*
 * show - `xmpp roster|offline|archive|blocklist show JID`: what the server keeps for an account.
 * What people wrote is shown by its length only, unless --bodies is given.
 */
#ifndef CLI_XMPP_SHOW_H
#define CLI_XMPP_SHOW_H

#include <stdbool.h>
#include <stdint.h>

/* Commands: values is a struct xmpp_values; the result an enum command_exit. */
int show_roster(const void *values, int argc, char **argv);
int show_offline(const void *values, int argc, char **argv);
int show_archive(const void *values, int argc, char **argv);
int show_blocklist(const void *values, int argc, char **argv);

#endif
