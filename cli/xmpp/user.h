/*
 * user - `xmpp user ...`: accounts in the datastore.
 */
#ifndef CLI_XMPP_USER_H
#define CLI_XMPP_USER_H

/* Commands: values is a struct xmpp_values; the result an enum command_exit. */
int user_add(const void *values, int argc, char **argv);
int user_del(const void *values, int argc, char **argv);
int user_passwd(const void *values, int argc, char **argv);
int user_list(const void *values, int argc, char **argv);
int user_show(const void *values, int argc, char **argv);

#endif
