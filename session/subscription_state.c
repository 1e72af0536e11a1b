#include "session/subscription_state.h"

#include "base/check.h"
#include "ipc/stanza_kinds.h"
#include "session/roster_item.h"

struct subscription_state subscription_state_of(const struct db_roster_item *item, bool found)
{
	bool visible = found && roster_item_visible(item);

	return (struct subscription_state){.subscription = item->subscription & 3,
					   .ask = item->ask,
					   .pending = item->pending_in,
					   .approved = visible && item->approved,
					   .listed = visible};
}

void subscription_state_apply(struct db_roster_item *item, struct subscription_state s)
{
	item->subscription = s.subscription;
	item->ask = s.ask;
	item->pending_in = s.pending;
	item->approved = s.approved;
	if (!s.listed)
		roster_item_hide(item);
}

bool subscription_state_equal(struct subscription_state a, struct subscription_state b)
{
	return a.pending == b.pending && !subscription_state_seen(a, b);
}

bool subscription_state_blank(struct subscription_state s)
{
	return !s.listed && !s.pending;
}

bool subscription_state_seen(struct subscription_state before, struct subscription_state after)
{
	return before.subscription != after.subscription || before.ask != after.ask ||
	       before.approved != after.approved || before.listed != after.listed;
}

/* What has a state that the user must know of is in the roster. */
static struct subscription_step finish(struct subscription_step step)
{
	if (step.next.subscription || step.next.ask || step.next.approved)
		step.next.listed = true;
	return step;
}

/* Appendix A.2. The contact's server may have forgotten: requests and their ends always go out. */
struct subscription_step subscription_state_out(struct subscription_state s, uint8_t type)
{
	struct subscription_step step = {.next = s};

	switch (type) {
	case TYPE_SUBSCRIBE:
		step.pass = true;
		step.next.ask = !(s.subscription & ROSTER_TO);
		break;
	case TYPE_UNSUBSCRIBE:
		step.pass = true;
		step.next.ask = false;
		step.next.subscription &= (uint8_t)~ROSTER_TO;
		break;
	case TYPE_SUBSCRIBED:
		step.pass = s.pending;
		step.next.pending = false;
		if (s.pending)
			step.next.subscription |= ROSTER_FROM;
		else if (!(s.subscription & ROSTER_FROM))
			step.next.approved = true; /* 3.4.2: kept, not sent */
		break;
	default:
		check(type == TYPE_UNSUBSCRIBED);
		step.pass = s.pending || (s.subscription & ROSTER_FROM);
		step.next.pending = step.next.approved = false;
		step.next.subscription &= (uint8_t)~ROSTER_FROM;
	}
	return finish(step);
}

/* Appendix A.3. What changes nothing is not shown to the user. */
struct subscription_step subscription_state_in(struct subscription_state s, uint8_t type)
{
	struct subscription_step step = {.next = s};

	switch (type) {
	case TYPE_SUBSCRIBE:
		if ((s.subscription & ROSTER_FROM) || s.approved) {
			step.reply = true;
			step.next.subscription |= ROSTER_FROM;
			step.next.approved = false;
		} else {
			step.pass = !s.pending;
			step.next.pending = true;
		}
		break;
	case TYPE_SUBSCRIBED:
		step.pass = s.ask;
		step.next.ask = false;
		if (s.ask)
			step.next.subscription |= ROSTER_TO;
		break;
	case TYPE_UNSUBSCRIBE:
		step.pass = s.pending || (s.subscription & ROSTER_FROM);
		step.next.pending = false;
		step.next.subscription &= (uint8_t)~ROSTER_FROM;
		break;
	default:
		check(type == TYPE_UNSUBSCRIBED);
		step.pass = s.ask || (s.subscription & ROSTER_TO);
		step.next.ask = false;
		step.next.subscription &= (uint8_t)~ROSTER_TO;
	}
	return finish(step);
}

struct subscription_state subscription_state_before(struct subscription_state s, uint8_t type,
						    bool out)
{
	bool grants = type == TYPE_SUBSCRIBED || type == TYPE_UNSUBSCRIBED;
	uint8_t bit = out == grants ? ROSTER_FROM : ROSTER_TO;
	struct subscription_state b = s;

	switch (type) {
	case TYPE_SUBSCRIBE:
		*(out ? &b.ask : &b.pending) = false;
		break;
	case TYPE_SUBSCRIBED:
		if (!(s.subscription & bit))
			break;
		b.subscription &= (uint8_t)~bit;
		*(out ? &b.pending : &b.ask) = true;
		break;
	default:
		if ((s.subscription & bit) || (bit == ROSTER_FROM ? s.pending : s.ask))
			break;
		if (s.listed)
			b.subscription |= bit;
		else
			b.pending = bit == ROSTER_FROM; /* a stranger has asked, no more */
	}
	return b;
}
