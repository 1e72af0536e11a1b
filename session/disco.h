/*
 * disco - what the server and the accounts on it can do (XEP-0030), and who is there.
 */
#ifndef SESSION_DISCO_H
#define SESSION_DISCO_H

#include "session/manager.h"

struct xml_node;

void disco_server_info(struct inbound *in, const struct xml_node *payload);
void disco_server_items(struct inbound *in, const struct xml_node *payload);

/* Of an account: for its owner and for those who may see his presence (section 8). */
void disco_account_info(struct inbound *in, const struct xml_node *payload);
void disco_account_items(struct inbound *in, const struct xml_node *payload);

#endif
