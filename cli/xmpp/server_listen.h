/*
 * server_listen - `xmpp listen`: on which interfaces clients and components are served.
 */
#ifndef CLI_XMPP_SERVER_LISTEN_H
#define CLI_XMPP_SERVER_LISTEN_H

int server_listen(const void *values, int argc, char **argv);

#endif
