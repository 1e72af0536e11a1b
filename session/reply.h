/*
 * reply - how the handling of a stanza ends: an error, a result, consumed or dropped by a rule.
 *
 * Every stanza in hand that is not delivered ends in exactly one of these; rule is the name under
 * which it stands in the books and the log.
 */
#ifndef SESSION_REPLY_H
#define SESSION_REPLY_H

#include "base/slice.h"
#include "session/manager.h"
#include "xmpp/stanza_error.h"

/* Bounces the stanza with an error made from it (RFC 6120 8.3.1): addresses swapped, same id, the
 * refused payload is not sent back. What must not be answered (an error, an iq result) is dropped
 * by the same rule instead. text may be NULL. */
void reply_error(const struct inbound *in, enum stanza_error error, const char *text,
		 const char *rule);

/* The same with an application-specific condition (RFC 6120 8.3.4): one element, not NULL. */
void reply_error_with(const struct inbound *in, enum stanza_error error, const char *text,
		      const char *condition, const char *rule);

/* The result of an iq request; inner is one element or empty. */
void reply_result(const struct inbound *in, struct slice inner, const char *rule);

void reply_delivered(const struct inbound *in, const char *rule); /* it was, in another way */
void reply_consume(const struct inbound *in, const char *rule);
void reply_stored(const struct inbound *in, const char *rule);
void reply_drop(const struct inbound *in, const char *rule);

/* A stanza put aside while the datastore is asked: in custody (held), copied. in->e = NULL: one
 * that the server itself makes; then there is nothing to conclude. */
struct parked;

struct parked *reply_park(const struct inbound *in);

/* The stanza again, to go on with it; slices are valid as long as p. in->sender is NULL when the
 * sender is gone: then there is nobody to answer. */
void reply_resume(const struct parked *p, struct session_manager *m, struct inbound *in);

/* Its sender was a session here and is gone. */
bool reply_orphaned(const struct parked *p, const struct inbound *in);

/* Gives custody back. m = NULL when the host is gone. NULL-safe; sets *pp to NULL. */
void reply_unpark(struct parked **pp, struct session_manager *m);

#endif
