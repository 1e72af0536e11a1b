#include "tests/ledger/judge_types.h"

/* Copies for the other resources of both accounts (XEP-0280). */

void judge_carbons(struct judge *j, uint32_t session, uint32_t now)
{
	if (j->sessions.at[session].carbons == JUDGE_NONE)
		j->sessions.at[session].carbons = now;
}

/* The XEP says nothing about it; a server that judges a session's messages one after the other
 * makes their copies in this order, too. Not judged is the order between messages and copies. */
static void order(struct judge *j, uint32_t number, enum judge_copy direction, uint32_t session,
		  uint32_t now)
{
	const struct entry *e = &j->entries.at[number];
	uint64_t key = (uint64_t)e->session << 32 | session;

	if (e->sendings > 1 || j->sessions.at[session].carbons > e->sent)
		return;
	/* One to a session that has gone is judged again, behind what came meanwhile. */
	if (direction == JUDGE_RECEIVED && e->to_session != JUDGE_NONE &&
	    j->sessions.at[e->to_session].ended != JUDGE_NONE)
		return;
	judge_in_order(j, &j->copy_order[direction], key, COUNT_CARBON_OVERTAKEN, number, session,
		       now);
}

void judge_copy_see(struct judge *j, uint32_t entry, enum judge_copy direction, uint32_t session,
		    uint32_t now)
{
	const struct entry *e = &j->entries.at[entry];
	const struct session *seer = &j->sessions.at[session];
	uint32_t party = direction == JUDGE_SENT ? j->sessions.at[e->session].party : e->to;

	judge_count(j, COUNT_CARBONS, NULL);
	if (seer->party != party || !judge_is_message(e)) {
		judge_breach(j, COUNT_MISROUTED, entry, session, now);
		return;
	}
	if (seer->carbons == JUDGE_NONE || (e->session == session && e->sendings == 1)) {
		judge_breach(j, COUNT_CARBON_ASTRAY, entry, session, now);
		return;
	}
	if (direction == JUDGE_RECEIVED &&
	    (judge_blocked(j, e, BLOCK_IN, now) || judge_blocked(j, e, BLOCK_OUT, now)))
		judge_breach(j, COUNT_BLOCKED_SEEN, entry, session, now);
	struct sight *s = judge_sight(j, entry, session, now);
	bool first = s->times + s->copies == 0;
	if (++s->copies + s->times > j->entries.at[entry].sendings)
		judge_breach(j, COUNT_CARBON_TWICE, entry, session, now);
	else if (first)
		order(j, entry, direction, session, now);
}

/* Had it to have this one? One that was not logged in, or does not live any more, had not. */
static bool entitled(const struct judge *j, const struct entry *e, uint32_t session)
{
	const struct session *s = &j->sessions.at[session];

	return s->resumable && s->ended == JUDGE_NONE && s->carbons <= e->sent &&
	       session != e->session;
}

static bool has(const struct judge *j, const struct entry *e, uint32_t session)
{
	for (uint32_t n = e->sight; n != JUDGE_NONE; n = j->sights.at[n].previous) {
		if (j->sights.at[n].session == session)
			return true;
	}
	return false;
}

static void judge_party(struct judge *j, uint32_t number, uint32_t party)
{
	const struct entry *e = &j->entries.at[number];

	for (uint32_t s = j->newest.at[party]; s != JUDGE_NONE; s = j->sessions.at[s].previous) {
		if (entitled(j, e, s) && !has(j, e, s))
			judge_breach(j, COUNT_CARBON_LOST, number, s, 0);
	}
}

void judge_copy_end(struct judge *j, uint32_t number)
{
	const struct entry *e = &j->entries.at[number];
	uint32_t party = j->sessions.at[e->session].party;

	judge_party(j, number, e->to);
	if (party != e->to)
		judge_party(j, number, party);
}
