/*
 * carbons - copies of a user's chats for his other resources (XEP-0280, all rules of section 6.1).
 *
 * A copy is nobody's delivery: the stanza it was made of is settled as if there were none, but not
 * forgotten before it is done, and no session gets two (session_host.copy). So it does not matter
 * how often a stanza is judged. A copy that cannot be delivered is dropped; nobody is told. Unless
 * it stands for a stanza that found nobody else (carbons_instead): then that is judged again.
 */
#ifndef SESSION_CARBONS_H
#define SESSION_CARBONS_H

#include <stdbool.h>

#include "session/manager.h"
#include "session/registry.h"

struct xml_node;

/* <enable/> and <disable/> (sections 4, 5). */
void carbons_enable(struct inbound *in, const struct xml_node *payload);
void carbons_disable(struct inbound *in, const struct xml_node *payload);

/* For somebody else's account (sections 4.1, 5.1). */
void carbons_foreign(struct inbound *in, const struct xml_node *payload);

/* Does anybody want copies? u may be NULL. */
static inline bool carbons_wanted(const struct user *u)
{
	return u && u->carbons;
}

/* in->s was sent by one of our users: copies for his other resources (section 8). Before its first
 * judgement, or after; one to himself is only received. */
void carbons_sent(const struct inbound *in);

/* in->s was received by user u (who may be NULL): copies for those of his resources that were not
 * given it. After it was delivered. shown_only: it was stored, so whoever is not available gets it
 * when he becomes so. */
void carbons_received(const struct inbound *in, const struct user *u, bool shown_only);

/* in->s is judged again, or by another router: was r given a copy of it? Then that one stands for
 * the stanza itself, which r is not to be given as well (section 7). */
bool carbons_instead(const struct inbound *in, const struct session *r);

/* error goes back to the sender of in->s: also to those who know of his message (section 6.1). */
void carbons_error(const struct inbound *in, const struct session_stanza *error);

#endif
