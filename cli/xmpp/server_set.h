/*
 * server_set - `xmpp domain|certs|motd|max_sessions`: one setting each, judged before anything is
 * changed.
 */
#ifndef CLI_XMPP_SERVER_SET_H
#define CLI_XMPP_SERVER_SET_H

#include "base/str.h"

struct xmpp_values;

int server_domain(const void *values, int argc, char **argv);
int server_certs(const void *values, int argc, char **argv);
int server_motd_add(const void *values, int argc, char **argv);
int server_motd_del(const void *values, int argc, char **argv);
int server_motd_show(const void *values, int argc, char **argv);
int server_max_sessions(const void *values, int argc, char **argv);

/* Components keep the domain that they were made for: warns of those of a former one (NULL: none),
 * and of who was to serve the one that users have now. Quiet where the server does not run. */
void server_warn_of_components(const struct xmpp_values *v, const char *former, const char *domain);

/* A name as people give it: without a folder it is in pki/. */
char *server_pki_path(const char *name);

/* And back: what they would call it. */
const char *server_pki_name(const char *path);

/* Key, certificate and bundle (NULL: none) fit together: an enum command_exit, said. */
int server_judge(const struct xmpp_values *v, const char *key, const char *cert,
		 const char *bundle);

#endif
