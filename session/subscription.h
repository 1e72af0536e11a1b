/*
 * subscription - presence of the types subscribe, subscribed, unsubscribe, unsubscribed and probe.
 */
#ifndef SESSION_SUBSCRIPTION_H
#define SESSION_SUBSCRIPTION_H

#include "base/err.h"
#include "session/manager.h"

struct db_roster_item;

void subscription_handle(struct inbound *in);

/* The owner of a roster has removed an item: subscriptions in both directions end (2.5.2). */
void subscription_removed(struct inbound *in, struct slice owner,
			  const struct db_roster_item *item);

/* The owner's account is removed: the same for one of his contacts. How many changes of rosters
 * this takes; done is called at the end of each, later. */
unsigned int subscription_ended(struct inbound *in, struct slice owner,
				const struct db_roster_item *item,
				void (*done)(void *arg, enum err status), void *arg);

#endif
