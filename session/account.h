/*
 * account - what a user does with his account from inside (XEP-0077 3.1 to 3.3): see that it is
 * there, change its password, remove it.
 */
#ifndef SESSION_ACCOUNT_H
#define SESSION_ACCOUNT_H

#include "session/manager.h"

struct xml_node;

void account_get(struct inbound *in, const struct xml_node *payload);
void account_set(struct inbound *in, const struct xml_node *payload);

#endif
