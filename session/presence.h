/*
 * presence - available, unavailable and directed presence (RFC 6121 section 4).
 *
 * Broadcast goes to the user's own available resources and to the contacts who may see him;
 * directed presence to whom it is addressed, who then also gets the unavailable (4.6.3).
 */
#ifndef SESSION_PRESENCE_H
#define SESSION_PRESENCE_H

#include "session/manager.h"

/* Directed presence is remembered for this many addresses of one session. */
#define PRESENCE_TARGETS_MAX 1000

struct contacts;
struct session;

void presence_handle(struct inbound *in);

/* Sends s to s->to, wherever that is; made: it is the server's own answer to e, not e's stanza (as
 * it must be when e is NULL). How many got it; s->to is another afterwards. */
unsigned int presence_to_address(struct session_manager *m, struct custody_entry *e, bool made,
				 struct session_stanza *s);

/* The same to one who may see the sender, unless he, who has the contacts c, has blocked it. */
unsigned int presence_to_contact(struct session_manager *m, struct custody_entry *e, bool made,
				 const struct contacts *c, struct session_stanza *s);

/* Shows every available resource of the online user `who`, or (a full JID) that one, to `to`: as it
 * is (TYPE_NONE), or as gone (TYPE_UNAVAILABLE) because `to` may not see it any more. How many
 * there are. Whom the user has blocked sees nothing of it but that. */
unsigned int presence_show(struct session_manager *m, struct custody_entry *e, struct slice who,
			   struct slice to, uint8_t type);

/* Who saw s available is told that it is not any more; not s itself. What s remembers of whom it
 * sent directed presence is forgotten. The caller sees to it that s is not shown afterwards. */
void presence_gone(struct session_manager *m, struct session *s);

/* s, which is removed, and its presence are replaced by `now` under the same full JID: only those
 * are told that see nothing of that one. */
void presence_replaced(struct session_manager *m, struct session *s, const struct session *now);

/* s is shown again with its last presence, to all but itself. */
void presence_back(struct session_manager *m, struct session *s, struct monotime now);

#endif
