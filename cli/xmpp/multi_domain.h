/*
 * multi_domain - `xmpp multi_domain`: further domains, each with its own key and certificate.
 */
#ifndef CLI_XMPP_MULTI_DOMAIN_H
#define CLI_XMPP_MULTI_DOMAIN_H

struct managed;

int multi_domain_add(const void *values, int argc, char **argv);
int multi_domain_list(const void *values, int argc, char **argv);
int multi_domain_del(const void *values, int argc, char **argv);

/* Takes the certificate out that came with a domain: when it had become the server's own by `xmpp
 * domain`, and another takes its place. Nothing if it came with none. */
void multi_domain_forget(struct managed *m, const char *domain);

#endif
