/*
 * subscription - presence of the types subscribe, subscribed, unsubscribe, unsubscribed and probe.
 */
#ifndef SESSION_SUBSCRIPTION_H
#define SESSION_SUBSCRIPTION_H

#include "session/manager.h"

struct db_roster_item;

void subscription_handle(struct inbound *in);

/* The owner of a roster has removed an item: subscriptions in both directions end (2.5.2). */
void subscription_removed(struct inbound *in, struct slice owner,
			  const struct db_roster_item *item);

#endif
