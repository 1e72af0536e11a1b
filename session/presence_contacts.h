/*
 * presence_contacts - presence between a user and his contacts (RFC 6121 4.2 to 4.5), probes.
 *
 * Works from the contacts in memory; when they are not known yet they are read first, and then
 * the contacts get what holds at that moment, not what was said before.
 */
#ifndef SESSION_PRESENCE_CONTACTS_H
#define SESSION_PRESENCE_CONTACTS_H

#include "session/manager.h"

struct contacts;
struct session;

/* Goes on with in. known: the contacts c of bare could be read. */
typedef void presence_contacts_fn(struct inbound *in, struct slice bare, const struct contacts *c,
				  bool known);

/* Calls go with the contacts of bare: now when they are known, else later with the parked stanza,
 * from its time. */
void presence_contacts_with(struct inbound *in, struct slice bare, presence_contacts_fn *go);

/* s to every contact who may see the user; made by the server itself if there is no e. */
void presence_contacts_tell(struct session_manager *m, struct custody_entry *e,
			    const struct contacts *c, struct session_stanza *s);

/* in->sender has broadcast its presence: to those who may see it; and for a session that has just
 * become available, whom it sees and who asks. Concludes the stanza. */
void presence_contacts_available(struct inbound *in);

/* s is not available any more; out is the unavailable stanza of it. e = NULL: the server's own. */
void presence_contacts_unavailable(struct session_manager *m, struct custody_entry *e,
				   struct session *s, const struct session_stanza *out);

/* The session in->sender is shown what holds for a contact of its user that he had blocked. */
void presence_contacts_see_again(struct inbound *in, struct slice contact);

/* The presence of account bare for who asks (4.3.2): in->s.from. Concludes the stanza. */
void presence_contacts_probe(struct inbound *in, struct slice bare);

#endif
