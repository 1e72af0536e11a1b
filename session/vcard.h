/*
 * vcard - vcard-temp (XEP-0054): one XML document of each user, which everybody may read.
 */
#ifndef SESSION_VCARD_H
#define SESSION_VCARD_H

#include "session/manager.h"

struct xml_node;

void vcard_get(struct inbound *in, const struct xml_node *payload);	  /* of the sender */
void vcard_set(struct inbound *in, const struct xml_node *payload);	  /* the same */
void vcard_get_other(struct inbound *in, const struct xml_node *payload); /* of in->s.to */
void vcard_set_other(struct inbound *in, const struct xml_node *payload);
void vcard_get_server(struct inbound *in, const struct xml_node *payload);

#endif
