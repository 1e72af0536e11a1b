/*
 * last_activity - how long somebody has been away (XEP-0012), for those who may know; and how long
 * the server runs.
 *
 * The status with which a user left is kept in the datastore with the time of its writing; who is
 * there needs nothing from it.
 */
#ifndef SESSION_LAST_ACTIVITY_H
#define SESSION_LAST_ACTIVITY_H

#include "session/manager.h"

struct session;
struct xml_node;

void last_activity_account(struct inbound *in, const struct xml_node *payload);
void last_activity_server(struct inbound *in, const struct xml_node *payload);

/* An iq for a full JID: is it a query that only some may put to that client? Then it is judged
 * here, and passed on to match or refused (section 4). */
bool last_activity_to_resource(struct inbound *in, const struct session *match);

/* s is not shown any more (it still may be, to those who ask): if nobody else of its user is, this
 * is when he left, with the status in `with` (NULL: without). */
void last_activity_left(struct session_manager *m, const struct session *s,
			const struct session_stanza *with);

/* The manager goes away; what is being written is forgotten. */
void last_activity_orphan_all(struct session_manager *m);

#endif
