/*
 * sup_client - a command's way to the supervisor: run/supervisor.sock (0600), blocking, with a
 * deadline. For `supervisor ...` and for `xmpp ...`, which gets its token for the bus here.
 */
#ifndef PROC_SUP_CLIENT_H
#define PROC_SUP_CLIENT_H

#include "base/err.h"
#include "base/str.h"

struct sup_client;

/* dir: the instance directory. ERR_CLOSED: no supervisor is running there; ERR_DENIED: not ours. */
enum err sup_client_open(struct sup_client **out, const char *dir);
void sup_client_close(struct sup_client **cp);

/* Asks for an identity on the bus ("cli-3") and its token: both are valid until sup_client_close().
 * Both strings are owned by c. ERR_AGAIN: the router is not up. */
enum err sup_client_token(struct sup_client *c, const char **instance, const char **token);

/* One request line ("restart cm-client", "status", "commit MARK" ...); reply lines are appended to
 * out. ERR_OK, or the failure with the reason in out. on_line, if given, gets every line as it
 * comes (progress, logs -f). */
enum err sup_client_request(struct sup_client *c, const char *request, struct str *out,
			    void (*on_line)(void *arg, const char *line), void *arg);

#endif
