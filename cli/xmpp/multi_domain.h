/*
 * multi_domain - `xmpp multi_domain`: further domains, each with its own key and certificate.
 */
#ifndef CLI_XMPP_MULTI_DOMAIN_H
#define CLI_XMPP_MULTI_DOMAIN_H

int multi_domain_add(const void *values, int argc, char **argv);
int multi_domain_list(const void *values, int argc, char **argv);
int multi_domain_del(const void *values, int argc, char **argv);

#endif
