/*
 * server_status - `xmpp` and `xmpp status`: how this server is configured and whether it runs.
 */
#ifndef CLI_XMPP_SERVER_STATUS_H
#define CLI_XMPP_SERVER_STATUS_H

#include <stdbool.h>

#include "base/str.h"

struct config;

int server_status(const void *values, int argc, char **argv);

/* state: the row STATUS. */
void server_status_write(const struct config *cfg, const char *state, bool json, struct str *out);

#endif
