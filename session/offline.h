/*
 * offline - messages for users who are not there: kept, and delivered in order when they come
 * (XEP-0160, RFC 6121 8.5.2.2).
 *
 * The messages are in the datastore; here is only what is under way for one user: additions not yet
 * answered, a delivery to a session, and what waits behind it. See offline_box.h.
 */
#ifndef SESSION_OFFLINE_H
#define SESSION_OFFLINE_H

#include <stdbool.h>

#include "session/manager.h"

struct session;

/* A message that nobody takes: keeps it, or answers with the error that this needs. false: it is
 * not one to be kept; nothing was done. */
bool offline_store(const struct inbound *in, const char *rule);

/* Older messages for the same user are on their way from the datastore: puts this one behind them
 * (or refuses it when too much waits there). false: go on with it. */
bool offline_defer(const struct inbound *in);

/* The same for an IQ, where a message from the same to the same waits: it does not overtake that
 * (RFC 6120 10.1). */
bool offline_defer_iq(const struct inbound *in);

/* s takes messages for its user from now on: it gets what was kept. */
void offline_available(struct session_manager *m, struct session *s);

/* Is s to be offered what was kept, when its presence changes from `took` to what it is now? */
bool offline_wanted(const struct session_manager *m, const struct session *s, bool took);

/* The manager goes away; requests under way are freed when the datastore answers. */
void offline_orphan_all(struct session_manager *m);

#endif
