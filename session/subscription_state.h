/*
 * subscription_state - what one presence subscription stanza does to one roster item.
 *
 * Pure: RFC 6121 section 3 and appendix A as two functions, for the sender's side (out) and for
 * the receiver's side (in).
 */
#ifndef SESSION_SUBSCRIPTION_STATE_H
#define SESSION_SUBSCRIPTION_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct db_roster_item;

struct subscription_state {
	uint8_t subscription; /* ROSTER_TO | ROSTER_FROM */
	bool ask;	      /* pending out */
	bool pending;	      /* pending in */
	bool approved;	      /* in advance (3.4) */
	bool listed;	      /* the user sees the contact in the roster */
};

struct subscription_step {
	struct subscription_state next;
	bool pass;  /* out: send it to the contact; in: deliver it to the user's resources */
	bool reply; /* in: answer "subscribed" on the user's behalf */
};

/* found: item is a stored one. */
struct subscription_state subscription_state_of(const struct db_roster_item *item, bool found);
void subscription_state_apply(struct db_roster_item *item, struct subscription_state s);

bool subscription_state_equal(struct subscription_state a, struct subscription_state b);
/* Nothing of it needs a row in the datastore. */
bool subscription_state_blank(struct subscription_state s);
/* Does the user's roster look different (so that it is pushed)? */
bool subscription_state_seen(struct subscription_state before, struct subscription_state after);

/* type: TYPE_SUBSCRIBE, TYPE_SUBSCRIBED, TYPE_UNSUBSCRIBE, TYPE_UNSUBSCRIBED. */
struct subscription_step subscription_state_out(struct subscription_state s, uint8_t type);
struct subscription_step subscription_state_in(struct subscription_state s, uint8_t type);

/* A stanza judged again after a router has died may have led to s already, and nobody may know: a
 * state from which it leads there, or s itself. */
struct subscription_state subscription_state_before(struct subscription_state s, uint8_t type,
						    bool out);

#endif
