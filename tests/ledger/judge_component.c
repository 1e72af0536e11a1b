#include "tests/ledger/judge_types.h"

/* Components (XEP-0114). One that uses XEP-0198 is judged like a client that does; a plain one has
 * nothing but TCP, and still loses and repeats nothing, but for what the kernel had of it when
 * cm-component was killed (a *cut*). */

/* A cut is noticed a little before or after it is told; a paused component notices it late. */
#define EARLY_MS 200
#define LATE_MS	 6000
/* So long before a cut something may have come of which a busy router had not heard yet. */
#define UNTOLD_MS 3000
/* So long something may lie in the kernel because a paused component does not read. */
#define UNREAD_MS 10000

void judge_component(struct judge *j, uint32_t session, bool shared)
{
	j->sessions.at[session].component = true;
	j->sessions.at[session].shared = shared;
}

void judge_buffer(struct judge *j, uint64_t bytes)
{
	j->buffer = bytes;
}

void judge_weigh(struct judge *j, uint32_t entry, size_t bytes)
{
	j->entries.at[entry].bytes = (uint32_t)bytes;
}

void judge_cut(struct judge *j, uint32_t now)
{
	uint32_t n = ARRAY_ADD(j->cuts);

	j->cuts.at[n] = now;
}

bool judge_is_component(const struct judge *j, uint32_t party)
{
	uint32_t newest = party < j->newest.len ? j->newest.at[party] : JUDGE_NONE;

	return newest != JUDGE_NONE && j->sessions.at[newest].component;
}

/* When the cut was that ended a plain component's session; JUDGE_NONE: none did. The first of those
 * that may have: there are several cm-components, and who does not read notices late. */
static uint32_t cut_of(const struct judge *j, const struct session *s)
{
	if (!s->component || s->resumable || s->ended == JUDGE_NONE)
		return JUDGE_NONE;
	for (uint32_t i = 0; i < j->cuts.len; i++) {
		uint32_t cut = j->cuts.at[i];

		if (cut > s->began && cut <= s->ended + EARLY_MS && s->ended <= cut + LATE_MS)
			return cut;
	}
	return JUDGE_NONE;
}

/* Adds what was in the kernel at the end of this session, and judges that it can have been. */
static void unconfirmed(struct judge *j, uint32_t number, uint32_t session, uint64_t *sum,
			enum count count)
{
	*sum += j->entries.at[number].bytes;
	if (*sum > j->buffer)
		judge_breach(j, COUNT_UNCONFIRMED_BEYOND, number, session, 0);
	else
		judge_count(j, count, NULL);
}

/* ---- what a plain component sends ---- */

static bool says_nothing(const struct session *s)
{
	return s->component && !s->resumable;
}

/* What it sent before that the server had, too. */
void judge_component_had(struct judge *j, uint32_t number)
{
	struct session *s = &j->sessions.at[j->entries.at[number].session];

	if (says_nothing(s) && s->had <= number)
		s->had = number + 1;
}

void judge_component_told(struct judge *j, uint32_t number)
{
	struct entry *e = &j->entries.at[number];

	if (says_nothing(&j->sessions.at[e->session]) && number < j->sessions.at[e->session].had)
		judge_acknowledge(j, number, e->sent);
}

void judge_component_untold(struct judge *j, uint32_t number)
{
	uint32_t session = j->entries.at[number].session;
	struct session *s = &j->sessions.at[session];

	if (cut_of(j, s) != JUDGE_NONE)
		unconfirmed(j, number, session, &s->unsent, COUNT_UNCONFIRMED_SENT);
}

/* It is for the component, as everything that it gets. */
bool judge_component_bounce(struct judge *j, uint32_t number, uint32_t session)
{
	struct entry *e = &j->entries.at[number];
	uint32_t before = e->bounces ? e->bounced_to : session;
	const struct session *s = &j->sessions.at[before];

	e->bounced_to = session;
	if (before == session || !s->component || e->sendings > 1)
		return false;
	if (s->resumable) { /* its client has given it up */
		judge_count(j, COUNT_AGAIN_SESSION, NULL);
		return true;
	}
	if (cut_of(j, s) == JUDGE_NONE)
		return false;
	judge_count(j, COUNT_UNCONFIRMED_TWICE, NULL);
	return true;
}

/* ---- what it gets ---- */

/* The last entry + 1 of this sender's session that has come on that one. */
static uint32_t last_seen(const struct judge *j, uint32_t from, uint32_t session)
{
	return (uint32_t)(uintptr_t)map64_find(&j->link_order, (uint64_t)from << 32 | session);
}

/* It may have been handed over to this session of several, behind what that has. */
static bool is_handed_over(const struct judge *j, const struct entry *e, uint32_t session)
{
	const struct session *s = &j->sessions.at[session];

	if (!s->shared)
		return false;
	if (j->cuts.len && j->cuts.at[j->cuts.len - 1] >= e->sent)
		return true;
	for (uint32_t n = j->newest.at[s->party]; n != JUDGE_NONE; n = j->sessions.at[n].previous) {
		uint32_t ended = j->sessions.at[n].ended;

		if (n != session && ended != JUDGE_NONE && ended >= e->sent)
			return true;
	}
	return false;
}

/* On one connection all that one session has sent comes in order, also what comes again; and all
 * that comes to the component at all for the first time. Of several connections only the former. */
void judge_component_order(struct judge *j, uint32_t number, uint32_t session, bool first,
			   uint32_t now)
{
	const struct entry *e = &j->entries.at[number];
	const struct session *s = &j->sessions.at[session];
	uint64_t from = (uint64_t)e->session << 32;

	if (e->sendings > 1 || is_handed_over(j, e, session))
		return;
	if (first && !s->shared)
		judge_in_order(j, &j->part_order, from | s->party, COUNT_OVERTAKEN, number, session,
			       now);
	if (!first || s->shared)
		judge_in_order(j, &j->link_order, from | session, COUNT_OVERTAKEN, number, session,
			       now);
	else if (last_seen(j, e->session, session) <= number)
		map64_put(&j->link_order, from | session, (void *)((uintptr_t)number + 1));
}

/* Where it may have been when it was lost: a session in which nothing has come that was sent
 * behind it. JUDGE_NONE: nowhere. */
static uint32_t grave(const struct judge *j, uint32_t number)
{
	const struct entry *e = &j->entries.at[number];

	for (uint32_t n = j->newest.at[e->to]; n != JUDGE_NONE; n = j->sessions.at[n].previous) {
		const struct session *s = &j->sessions.at[n];
		uint32_t cut = cut_of(j, s);

		if (cut != JUDGE_NONE && e->sent <= s->ended && e->sent + UNREAD_MS >= cut &&
		    last_seen(j, e->session, n) <= number)
			return n;
	}
	return JUDGE_NONE;
}

bool judge_component_lost(struct judge *j, uint32_t number)
{
	uint32_t n = grave(j, number);

	if (n == JUDGE_NONE)
		return false;
	unconfirmed(j, number, n, &j->sessions.at[n].gone, COUNT_UNCONFIRMED_LOST);
	return true;
}

/* It was seen on this connection, and came again on another one. */
static void judge_again(struct judge *j, uint32_t number, const struct sight *sight)
{
	const struct session *s = &j->sessions.at[sight->session];
	uint32_t cut = cut_of(j, s);
	uint64_t behind = s->bytes - sight->at + j->entries.at[number].bytes;

	if (s->resumable)
		return; /* its client has given it up, or it was refused */
	if (cut == JUDGE_NONE || sight->first + UNTOLD_MS < cut)
		judge_breach(j, COUNT_TWICE, number, sight->session, sight->first);
	else if (behind > j->buffer)
		judge_breach(j, COUNT_UNCONFIRMED_BEYOND, number, sight->session, sight->first);
	else
		judge_count(j, COUNT_UNCONFIRMED_TWICE, NULL);
}

/* The newest of its sights is the one that counts. */
void judge_component_end(struct judge *j, uint32_t number)
{
	const struct entry *e = &j->entries.at[number];
	bool newest = true;

	if (!judge_is_component(j, e->to) || e->sendings > 1)
		return;
	for (uint32_t n = e->sight; n != JUDGE_NONE; n = j->sights.at[n].previous) {
		const struct sight *s = &j->sights.at[n];

		if (s->times == 0) /* a copy, for the sender's other client */
			continue;
		if (!newest)
			judge_again(j, number, s);
		newest = false;
	}
}
