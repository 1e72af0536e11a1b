/*
 * server_switch - `xmpp enable|disable|restart|reset`.
 */
#ifndef CLI_XMPP_SERVER_SWITCH_H
#define CLI_XMPP_SERVER_SWITCH_H

int server_enable(const void *values, int argc, char **argv);
int server_disable(const void *values, int argc, char **argv);
int server_restart(const void *values, int argc, char **argv);
int server_reset(const void *values, int argc, char **argv);

#endif
