/*
 * blocking - whom a user has blocked (XEP-0191), and what that does to stanzas.
 *
 * Of a user with sessions the list is in memory: in struct contacts, read with the roster, and in
 * the session blobs, so a router start needs no datastore for it. One flag says that there is
 * nothing to look at (blocking_free); while the list is not known, what depends on it waits here,
 * in order, and when it cannot be read is refused: a failed read is never an empty list. A user
 * without sessions is judged by the datastore (DB_OFFLINE_ADD). See blocking_change.h for the
 * commands.
 */
#ifndef SESSION_BLOCKING_H
#define SESSION_BLOCKING_H

#include <stdbool.h>

#include "session/contacts.h"
#include "session/manager.h"
#include "session/registry.h"

/* What may wait for one user's list; more is refused like on a full queue. */
#define BLOCKING_HELD_MAX (1024u * 1024)

/* Nothing is blocked: for almost every user of almost every stanza. */
static inline bool blocking_free(const struct contacts *c)
{
	return c->blocking == BLOCKING_NONE;
}

/* Is jid in this packed list of owner (a bare JID)? It is with its full JID, its bare JID or its
 * domain (section 6); never owner's own account or his server (section 5). */
bool blocking_listed(struct slice packed, struct slice owner, struct slice jid);

/* Has the owner of c blocked jid? What is not known is not blocked. */
bool blocking_hits(const struct contacts *c, struct slice owner, struct slice jid);

/* The stanza in hand, whose 'to' is set, is its sender's to somebody he may have blocked: true, and
 * it is refused (section 3.3), or held: then go is called with it, or it is refused, later. Only
 * when !blocking_free(sender). */
bool blocking_out(struct inbound *in, void (*go)(struct inbound *in));

/* The same for one to the local account in->s.to, which may have blocked its sender: then message
 * and iq get the error of a user who is not there, presence is dropped. Only when
 * !blocking_free(account), or for an account without sessions, whose list is then read. */
bool blocking_in(struct inbound *in, void (*go)(struct inbound *in));

/* The same for a presence that does not settle e: one of many, or the server's own (made). true: it
 * is not to be passed to the user now. */
bool blocking_presence(struct session_manager *m, struct custody_entry *e, bool made,
		       const struct session_stanza *s);

/* The stanza in hand was refused by an earlier router, nobody knows why: when it would be by
 * blocking_out() it was, and is again in the same words. */
bool blocking_refuse_again(struct inbound *in);

/* What a roster read or a change brought for the user, if he has sessions. */
void blocking_learn(struct session_manager *m, struct slice bare, struct slice packed);

/* Then what waits for it goes on, though its turn in the roster queue has not come: what comes from
 * now on does not wait, and would overtake it. */
void blocking_go_on(struct session_manager *m, struct slice bare);

/* Brings the list to the cms of those of his sessions that do not have it in their blob. */
void blocking_spread(struct session_manager *m, struct slice bare);

#endif
