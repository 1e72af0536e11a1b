/*
 * lost - sessions that are over, but whose presence still stands: the client is expected to come
 * back within reconnect_grace (CUSTODY 4), or has come back and not sent its presence yet.
 *
 * A lost session is found by no lookup and gets nothing. It waits in one of two ways:
 *	with a deadline       until it, or until its heir (another resource of the user, bound after
 *			      it was lost) has sent its initial presence
 *	without a deadline    its heir has the same full JID: until that one's first presence or end
 * What it leaves to an heir of the same JID is in the heir's blob; until then the host keeps it. Of
 * one full JID there is never more than one: who is lost next has inherited from it, and adopts it.
 */
#ifndef SESSION_LOST_H
#define SESSION_LOST_H

#include "session/manager.h"

struct session;
struct jid;

/* s was removed from the registry: its presence stands for so many seconds. Takes s. */
void lost_keep_take(struct session_manager *m, struct session *s, uint32_t seconds,
		    struct monotime now);

/* s was removed from the registry: its presence stands until heir, the session now bound to the
 * same full JID, replaces it. Takes s. */
void lost_leave_take(struct session_manager *m, struct session *s, struct session *heir);

/* Whose presence s has inherited and not replaced yet; NULL: nobody's. */
struct session *lost_of(const struct session *s);

/* s was bound: it takes over from the lost one of its resource, else (fresh: it took nobody's place
 * already) from the first without an heir. */
void lost_claim(struct session_manager *m, struct session *s, bool fresh);

/* s was announced with this blob, where its inheritance is. What the host had kept of the session
 * before it is older than that. */
void lost_announced(struct session_manager *m, struct session *s, struct slice blob,
		    struct monotime now);

/* heir has its own presence now: it replaces what is left of its full JID. */
void lost_replaced(struct session_manager *m, struct session *heir);

/* heir has sent its initial presence: now for the lost one of another resource. */
void lost_succeeded(struct session_manager *m, struct session *heir);

/* What s has inherited becomes its own, as if it had sent it. */
void lost_adopt(struct session_manager *m, struct session *s);

/* s, which has adopted what it had inherited, is over: it is nobody's heir any more. */
void lost_forsaken(const struct session *s);

/* s is to be announced anew: its blob says again what it has inherited. */
void lost_dropped(struct session_manager *m, const struct session *s);

/* Its time is over: tells who has to be told, forgets it. */
void lost_end(struct session_manager *m, struct session *s);

/* All of user bare (resource empty) or that resource; who = NULL: of domains not served. */
void lost_end_matching(struct session_manager *m, const struct jid *who);

#endif
