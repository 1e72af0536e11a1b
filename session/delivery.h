/*
 * delivery - where a stanza goes: RFC 6121 section 8, for messages and iq, and for other domains.
 *
 * Presence has its own room; what is addressed to the server or to an account goes to iq.
 */
#ifndef SESSION_DELIVERY_H
#define SESSION_DELIVERY_H

#include "session/manager.h"

void delivery_message(struct inbound *in);
void delivery_iq(struct inbound *in);

/* To the service that serves the domain of in->s.to: false when nobody does (nothing was done). */
bool delivery_remote(struct inbound *in);

/* A delivery to session sid failed: judged again as if that session did not exist. */
void delivery_failed(struct inbound *in, uint64_t sid, const char *reason);

#endif
