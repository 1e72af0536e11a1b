#include "tests/ledger/judge_types.h"

/* The archives as their owners read them at the end (XEP-0313). */

/* What was sent so long before a block may still be on its way into the archive of who blocks:
 * while a service is being restarted. */
#define UNDER_WAY_MS 15000

static struct archived *find(const struct judge *j, const struct entry *e, uint32_t party)
{
	for (uint32_t n = e->archived; n != JUDGE_NONE; n = j->archived.at[n].previous) {
		if (j->archived.at[n].party == party)
			return &j->archived.at[n];
	}
	return NULL;
}

/* As they were delivered, so they are kept: in the order of sending for one session and address. */
static void order(struct judge *j, uint32_t number, uint32_t party, uint32_t now)
{
	const struct entry *e = &j->entries.at[number];
	uint32_t address = e->to_session == JUDGE_NONE ? e->to | 1u << 31 : e->to_session;

	if (e->sendings == 1)
		judge_in_order(j, &j->kept_order[party == e->to],
			       (uint64_t)e->session << 32 | address, COUNT_ARCHIVE_OVERTAKEN,
			       number, JUDGE_NONE, now);
}

void judge_archive_see(struct judge *j, uint32_t entry, uint32_t party, uint64_t name, uint32_t now)
{
	struct entry *e = &j->entries.at[entry];

	judge_count(j, COUNT_ARCHIVED, NULL);
	judge_component_had(j, entry);
	if (!judge_is_message(e) || (party != e->to && party != j->sessions.at[e->session].party)) {
		judge_breach(j, COUNT_ARCHIVE_ASTRAY, entry, JUDGE_NONE, now);
		return;
	}
	if (party == e->to && judge_blocked(j, e, BLOCK_IN, now))
		judge_breach(j, COUNT_BLOCKED_SEEN, entry, JUDGE_NONE, now);
	struct archived *a = find(j, e, party);
	if (a) {
		if (++a->times > e->sendings)
			judge_breach(j, COUNT_ARCHIVE_TWICE, entry, JUDGE_NONE, now);
		return;
	}
	uint32_t n = ARRAY_ADD(j->archived);
	j->archived.at[n] = (struct archived){party, 1, e->archived, name};
	e->archived = n;
	order(j, entry, party, now);
}

void judge_archive_read(struct judge *j, uint32_t party)
{
	while (j->read.len <= party) {
		uint32_t i = ARRAY_ADD(j->read);
		j->read.at[i] = false;
	}
	j->read.at[party] = true;
}

static bool is_read(const struct judge *j, uint32_t party)
{
	return party < j->read.len && j->read.at[party];
}

/* The name under which it was delivered is the one that it has in the archive. */
static void judge_names(struct judge *j, uint32_t number)
{
	const struct entry *e = &j->entries.at[number];

	if (e->sendings > 1)
		return;
	for (uint32_t n = e->sight; n != JUDGE_NONE; n = j->sights.at[n].previous) {
		const struct sight *s = &j->sights.at[n];
		const struct archived *a = find(j, e, j->sessions.at[s->session].party);

		if (s->name && a && a->name != s->name)
			judge_breach(j, COUNT_ARCHIVE_NAME, number, s->session, s->first);
	}
}

void judge_archive_end(struct judge *j, uint32_t number, bool accepted, bool received)
{
	const struct entry *e = &j->entries.at[number];
	uint32_t sender = j->sessions.at[e->session].party;

	if (!judge_is_message(e))
		return;
	if (received || (accepted && e->bounces == 0)) {
		if (is_read(j, sender) && !find(j, e, sender))
			judge_breach(j, COUNT_ARCHIVE_HOLE, number, JUDGE_NONE, 0);
		if (sender != e->to && is_read(j, e->to) && !find(j, e, e->to) &&
		    judge_unblocked(j, e, UNDER_WAY_MS))
			judge_breach(j, COUNT_ARCHIVE_HOLE, number, JUDGE_NONE, 0);
	}
	judge_names(j, number);
}
