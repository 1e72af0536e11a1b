/*
 * callbridge - `xmpp callbridge ...`: components by the names and in the layout of the guides
 * (FEATURES 1.2, 1.3). `xmpp component` is the same with all options.
 */
#ifndef CLI_XMPP_CALLBRIDGE_H
#define CLI_XMPP_CALLBRIDGE_H

/* What `xmpp callbridge list` prints when there are none. */
#define CALLBRIDGE_NONE "no call bridges; 'xmpp callbridge add NAME' adds one"

/* Commands: values is a struct xmpp_values; the result an enum command_exit. */
int callbridge_add(const void *values, int argc, char **argv);
int callbridge_add_secret(const void *values, int argc, char **argv);
int callbridge_list(const void *values, int argc, char **argv);
int callbridge_del(const void *values, int argc, char **argv);
int callbridge_compare(const void *values, int argc, char **argv);

#endif
