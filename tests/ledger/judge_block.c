#include "tests/ledger/judge_types.h"

/* Who blocks whom (XEP-0191). A change is uncertain between its command and the answer: a message
 * that was under way then may come or not. */

static uint64_t pair(uint32_t by, uint32_t against)
{
	return (uint64_t)by << 32 | against;
}

void judge_block(struct judge *j, uint32_t by, uint32_t against, enum judge_block state,
		 uint32_t now)
{
	uintptr_t last = (uintptr_t)map64_find(&j->blocking, pair(by, against));
	uint32_t n = ARRAY_ADD(j->blocks);

	j->blocks.at[n] = (struct block_step){
		.since = now, .previous = last ? (uint32_t)last - 1 : JUDGE_NONE, .state = state};
	map64_put(&j->blocking, pair(by, against), (void *)((uintptr_t)n + 1));
}

/* Was it in this state all the time, both ends included? */
static bool always(const struct judge *j, uint32_t by, uint32_t against, enum judge_block state,
		   uint32_t from, uint32_t until)
{
	uintptr_t last = (uintptr_t)map64_find(&j->blocking, pair(by, against));
	uint32_t end = JUDGE_NONE; /* of the step in hand */

	for (uint32_t n = last ? (uint32_t)last - 1 : JUDGE_NONE; n != JUDGE_NONE;
	     n = j->blocks.at[n].previous) {
		const struct block_step *s = &j->blocks.at[n];

		if (end < from)
			return true;
		if (s->since <= until && s->state != state)
			return false;
		end = s->since;
	}
	return end < from || state == JUDGE_UNBLOCKED;
}

bool judge_blocked(const struct judge *j, const struct entry *e, enum block_side side,
		   uint32_t until)
{
	uint32_t from = j->sessions.at[e->session].party;

	return side == BLOCK_IN ? always(j, e->to, from, JUDGE_BLOCKED, e->sent, until)
				: always(j, from, e->to, JUDGE_BLOCKED, e->sent, until);
}

bool judge_unblocked(const struct judge *j, const struct entry *e, uint32_t ms)
{
	uint32_t from = j->sessions.at[e->session].party;
	uint32_t since = e->sent > ms ? e->sent - ms : 0;

	return always(j, e->to, from, JUDGE_UNBLOCKED, since, JUDGE_NONE) &&
	       always(j, from, e->to, JUDGE_UNBLOCKED, since, JUDGE_NONE);
}

/* Section 3.3: to the blocked one the user seems to be away, the user is told what he has done.
 * What the server cannot find out (CUSTODY: a failed read is never empty) it says, too. */
static bool is_right(const struct judge *j, const struct entry *e, enum judge_error error,
		     uint32_t now)
{
	uint32_t sender = j->sessions.at[e->session].party;

	if (error == JUDGE_CONSTRAINT)
		return true;
	if (error == JUDGE_NOT_ACCEPTABLE)
		return !always(j, sender, e->to, JUDGE_UNBLOCKED, e->sent, now);
	if (judge_blocked(j, e, BLOCK_OUT, now))
		return false;
	return error == JUDGE_UNAVAILABLE || !judge_blocked(j, e, BLOCK_IN, now);
}

void judge_bounce(struct judge *j, uint32_t entry, uint32_t session, enum judge_error error,
		  uint32_t now)
{
	struct entry *e = &j->entries.at[entry];

	e->error = (uint8_t)error;
	judge_component_had(j, entry);
	if (judge_component_bounce(j, entry, session))
		return;
	if (++e->bounces > e->sendings)
		judge_breach(j, COUNT_BOUNCED_TWICE, entry, JUDGE_NONE, now);
	if (!is_right(j, e, error, now))
		judge_breach(j, COUNT_WRONG_ERROR, entry, JUDGE_NONE, now);
	if (judge_blocked(j, e, BLOCK_IN, now) || judge_blocked(j, e, BLOCK_OUT, now))
		judge_count(j, COUNT_BLOCKED, NULL);
}
