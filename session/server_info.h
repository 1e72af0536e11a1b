/*
 * server_info - what the server says of itself: that it is there (XEP-0199), its software
 * (XEP-0092), its time (XEP-0202), whom to write to (XEP-0157).
 */
#ifndef SESSION_SERVER_INFO_H
#define SESSION_SERVER_INFO_H

#include "base/str.h"
#include "session/manager.h"

struct xml_node;

void server_info_ping(struct inbound *in, const struct xml_node *payload);
void server_info_version(struct inbound *in, const struct xml_node *payload);
void server_info_time(struct inbound *in, const struct xml_node *payload);

/* The XEP-0157 form for disco#info; nothing when there are no addresses. */
void server_info_form(struct str *out, const struct session_config *cfg);

#endif
