/*
 * private_data - private XML storage (XEP-0049): elements of a user by namespace and name, for
 * himself only.
 */
#ifndef SESSION_PRIVATE_DATA_H
#define SESSION_PRIVATE_DATA_H

#include "session/manager.h"

struct xml_node;

void private_data_get(struct inbound *in, const struct xml_node *payload);
void private_data_set(struct inbound *in, const struct xml_node *payload);
void private_data_other(struct inbound *in, const struct xml_node *payload);

#endif
