#include <stdio.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "tests/ledger/judge_types.h"

/* A plain client's end is noticed here and in the server at different moments; a message that was
 * on its way to it then is judged apart. */
#define VANISH_BEFORE_MS 2000
#define VANISH_AFTER_MS	 5000
/* What dies is dying a little before and after it is known. */
#define TROUBLE_MS 1000

void array_room(void **at, uint32_t *room, uint32_t len, size_t size)
{
	if (len < *room)
		return;
	*room = *room ? *room * 2 : 64;
	*at = xrealloc(*at, *room * size);
}

struct judge *judge_new(judge_on_breach *on_breach, void *arg)
{
	struct judge *j = xcalloc(1, sizeof *j);

	map64_init(&j->order);
	map64_init(&j->part_order);
	map64_init(&j->link_order);
	map64_init(&j->blocking);
	for (int i = 0; i < 2; i++) {
		map64_init(&j->copy_order[i]);
		map64_init(&j->kept_order[i]);
	}
	j->overtaker = JUDGE_NONE;
	j->on_breach = on_breach;
	j->arg = arg;
	return j;
}

void judge_free(struct judge **jp)
{
	struct judge *j = *jp;

	if (!j)
		return;
	map64_clear(&j->order);
	map64_clear(&j->part_order);
	map64_clear(&j->link_order);
	map64_clear(&j->blocking);
	for (int i = 0; i < 2; i++) {
		map64_clear(&j->copy_order[i]);
		map64_clear(&j->kept_order[i]);
	}
	free(j->sessions.at);
	free(j->entries.at);
	free(j->sights.at);
	free(j->troubles.at);
	free(j->cuts.at);
	free(j->newest.at);
	free(j->archived.at);
	free(j->blocks.at);
	free(j->read.at);
	free(j);
	*jp = NULL;
}

void judge_count(struct judge *j, enum count count, const char *text)
{
	j->counts[count]++;
	if (j->on_breach && text)
		j->on_breach(j->arg, count, text);
}

static const char *const kind_names[] = {[JUDGE_BARE] = "message to bare JID",
					 [JUDGE_FULL] = "message to full JID",
					 [JUDGE_IQ] = "request",
					 [JUDGE_ANSWER] = "answer",
					 [JUDGE_PING] = "ping"};

static const char *const error_names[] = {[JUDGE_UNAVAILABLE] = "service-unavailable",
					  [JUDGE_NOT_ACCEPTABLE] = "not-acceptable",
					  [JUDGE_CONSTRAINT] = "resource-constraint",
					  [JUDGE_OTHER] = "something else"};

void judge_breach(struct judge *j, enum count count, uint32_t number, uint32_t session,
		  uint32_t now)
{
	const struct entry *e = &j->entries.at[number];
	const struct session *from = &j->sessions.at[e->session];
	char text[400];
	int len = snprintf(text, sizeof text, "%s %u of client %u (%s) to account %u",
			   kind_names[e->kind], number, from->seat,
			   from->resumable ? "sm" : "plain", e->to);

	if (e->to_session != JUDGE_NONE)
		len += snprintf(text + len, sizeof text - (size_t)len, " session %u",
				e->to_session);
	len += snprintf(text + len, sizeof text - (size_t)len, ", sent %.3f", e->sent / 1e3);
	if (e->flags & ACKNOWLEDGED)
		len += snprintf(text + len, sizeof text - (size_t)len, ", acknowledged %.3f",
				e->told / 1e3);
	if (e->bounces)
		len += snprintf(text + len, sizeof text - (size_t)len, ", came back as %s",
				error_names[e->error]);
	if (e->sendings > 1)
		len += snprintf(text + len, sizeof text - (size_t)len, ", sendings %u",
				e->sendings);
	if (j->overtaker != JUDGE_NONE)
		len += snprintf(text + len, sizeof text - (size_t)len, ", behind %s %u",
				kind_names[j->entries.at[j->overtaker].kind], j->overtaker);
	if (session != JUDGE_NONE)
		len += snprintf(text + len, sizeof text - (size_t)len,
				", seen %.3f by session %u of client %u", now / 1e3, session,
				j->sessions.at[session].seat);
	for (uint32_t s = e->sight; s != JUDGE_NONE && session != JUDGE_NONE;
	     s = j->sights.at[s].previous) {
		if (j->sights.at[s].session == session && j->sights.at[s].first != now)
			snprintf(text + len, sizeof text - (size_t)len, ", first %.3f",
				 j->sights.at[s].first / 1e3);
	}
	judge_count(j, count, text);
}

uint64_t judge_counted(const struct judge *j, enum count count)
{
	return j->counts[count];
}

uint32_t judge_session_begin(struct judge *j, uint32_t party, uint32_t seat, bool resumable,
			     uint32_t now)
{
	while (j->newest.len <= party) {
		uint32_t i = ARRAY_ADD(j->newest);
		j->newest.at[i] = JUDGE_NONE;
	}
	uint32_t n = ARRAY_ADD(j->sessions);
	j->sessions.at[n] = (struct session){.party = party,
					     .seat = seat,
					     .began = now,
					     .ended = JUDGE_NONE,
					     .previous = j->newest.at[party],
					     .carbons = JUDGE_NONE,
					     .resumable = resumable};
	j->newest.at[party] = n;
	return n;
}

void judge_session_end(struct judge *j, uint32_t session, uint32_t now)
{
	j->sessions.at[session].ended = now;
}

uint32_t judge_send(struct judge *j, enum judge_kind kind, uint32_t session, uint32_t to,
		    uint32_t to_session, uint32_t now)
{
	uint32_t n = ARRAY_ADD(j->entries);

	j->entries.at[n] = (struct entry){.session = session,
					  .to = to,
					  .to_session = to_session,
					  .sent = now,
					  .sight = JUDGE_NONE,
					  .archived = JUDGE_NONE,
					  .sendings = 1,
					  .kind = (uint8_t)kind};
	return n;
}

void judge_send_anew(struct judge *j, uint32_t entry, uint32_t session)
{
	struct entry *e = &j->entries.at[entry];

	e->session = session;
	e->sendings++;
	if (e->kind == JUDGE_PING)
		e->to_session = session;
	judge_count(j, COUNT_ANEW, NULL);
}

void judge_acknowledge(struct judge *j, uint32_t entry, uint32_t now)
{
	struct entry *e = &j->entries.at[entry];

	if (e->flags & ACKNOWLEDGED)
		return;
	e->flags |= ACKNOWLEDGED;
	e->told = now;
}

void judge_trouble(struct judge *j, uint32_t from, uint32_t until)
{
	uint32_t n = ARRAY_ADD(j->troubles);

	j->troubles.at[n] = (struct interval){from, until};
}

void judge_in_order(struct judge *j, struct map64 *map, uint64_t key, enum count count,
		    uint32_t number, uint32_t session, uint32_t now)
{
	uintptr_t last = (uintptr_t)map64_find(map, key);

	if (last > number) {
		j->overtaker = (uint32_t)last - 1;
		judge_breach(j, count, number, session, now);
		j->overtaker = JUDGE_NONE;
	} else {
		map64_put(map, key, (void *)((uintptr_t)number + 1));
	}
}

/* Within one pair of sessions and one address what was sent first comes first. Not judged: what
 * was sent more than once, before the receiver's session began, or to another session of it. */
static void judge_order(struct judge *j, uint32_t number, uint32_t session, uint32_t now)
{
	const struct entry *e = &j->entries.at[number];
	bool bare = e->to_session == JUDGE_NONE;

	if (e->sendings > 1 || j->sessions.at[session].began > e->sent ||
	    (!bare && e->to_session != session))
		return;
	uint64_t key = ((uint64_t)e->session << 32 | session) << 1 | bare;
	judge_in_order(j, &j->order, key, COUNT_OVERTAKEN, number, session, now);
}

struct sight *judge_sight(struct judge *j, uint32_t number, uint32_t session, uint32_t now)
{
	struct entry *e = &j->entries.at[number];

	for (uint32_t s = e->sight; s != JUDGE_NONE; s = j->sights.at[s].previous) {
		if (j->sights.at[s].session == session)
			return &j->sights.at[s];
	}
	uint32_t n = ARRAY_ADD(j->sights);
	j->sights.at[n] = (struct sight){.session = session, .first = now, .previous = e->sight};
	e->sight = n;
	return &j->sights.at[n];
}

/* Has another session of the same client, or component, seen it? */
static bool seen_before(const struct judge *j, const struct entry *e, uint32_t session)
{
	uint32_t seat = j->sessions.at[session].seat;
	bool component = j->sessions.at[session].component;

	for (uint32_t s = e->sight; s != JUDGE_NONE; s = j->sights.at[s].previous) {
		const struct sight *other = &j->sights.at[s];

		if (other->session != session &&
		    (component || j->sessions.at[other->session].seat == seat))
			return true;
	}
	return false;
}

void judge_see(struct judge *j, uint32_t entry, uint32_t session, uint64_t name, uint32_t now)
{
	const struct entry *e = &j->entries.at[entry];

	if (e->to != j->sessions.at[session].party) {
		judge_breach(j, COUNT_MISROUTED, entry, session, now);
		return;
	}
	if (judge_blocked(j, e, BLOCK_IN, now) || judge_blocked(j, e, BLOCK_OUT, now))
		judge_breach(j, COUNT_BLOCKED_SEEN, entry, session, now);
	struct sight *s = judge_sight(j, entry, session, now);
	bool first = s->times + s->copies == 0;
	judge_component_had(j, entry);
	if (first)
		s->at = j->sessions.at[session].bytes += e->bytes;
	if (s->name == 0)
		s->name = name;
	if (++s->times + s->copies > e->sendings)
		judge_breach(j, s->copies ? COUNT_CARBON_TWICE : COUNT_TWICE, entry, session, now);
	else if (!first)
		judge_count(j, COUNT_AGAIN_ANEW, NULL);
	else if (j->sessions.at[session].component)
		judge_component_order(j, entry, session, !seen_before(j, e, session), now);
	else if (seen_before(j, e, session))
		judge_count(j, COUNT_AGAIN_SESSION, NULL);
	else
		judge_order(j, entry, session, now);
}

uint32_t judge_entries(const struct judge *j)
{
	return j->entries.len;
}

uint32_t judge_sender_session(const struct judge *j, uint32_t entry)
{
	return j->entries.at[entry].session;
}

uint32_t judge_party_of(const struct judge *j, uint32_t session)
{
	return j->sessions.at[session].party;
}

uint32_t judge_seat_of(const struct judge *j, uint32_t session)
{
	return j->sessions.at[session].seat;
}

/* Was a plain session of the addressee ending while the message may have been on its way to it?
 * Either it was there when the message was sent, or it got what waited for it at its beginning. */
static bool addressee_vanished(const struct judge *j, const struct entry *e)
{
	for (uint32_t n = j->newest.at[e->to]; n != JUDGE_NONE; n = j->sessions.at[n].previous) {
		const struct session *s = &j->sessions.at[n];

		if (s->resumable || s->ended == JUDGE_NONE || s->ended + VANISH_BEFORE_MS < e->sent)
			continue;
		uint32_t base = s->began > e->told ? s->began : e->told;
		if (s->ended < base + VANISH_AFTER_MS)
			return true;
	}
	return false;
}

/* Answers and pings are for one session only: with it they may go. But a component's answers are
 * for whoever serves its domain. */
static bool is_for_session_only(const struct entry *e)
{
	return (e->kind == JUDGE_ANSWER || e->kind == JUDGE_PING) && e->to_session != JUDGE_NONE;
}

bool judge_in_trouble(const struct judge *j, const struct entry *e)
{
	for (uint32_t i = 0; i < j->troubles.len; i++) {
		const struct interval *t = &j->troubles.at[i];

		if (e->told + TROUBLE_MS >= t->from && t->until + TROUBLE_MS >= e->sent)
			return true;
	}
	return false;
}

/* A request whose addressee's session ended is bounced to the session it came from, and to no other
 * (RFC 6121 8.5.3.2.3): with that one the error may go. */
static bool bounced_to_nobody(const struct judge *j, const struct entry *e)
{
	return e->kind == JUDGE_IQ && e->to_session != JUDGE_NONE &&
	       j->sessions.at[e->to_session].ended != JUDGE_NONE &&
	       j->sessions.at[e->session].ended != JUDGE_NONE;
}

/* A block may drop an answer; its error is for the session that sent it, and may go with that. */
static bool blocked_away(const struct judge *j, const struct entry *e)
{
	return !judge_unblocked(j, e, 0) &&
	       (e->kind == JUDGE_ANSWER || j->sessions.at[e->session].ended != JUDGE_NONE);
}

/* With whom it was for. */
static bool goes_along(struct judge *j, uint32_t number)
{
	const struct entry *e = &j->entries.at[number];

	if (judge_is_component(j, e->to) && e->to_session == JUDGE_NONE)
		return judge_component_lost(j, number);
	if (is_for_session_only(e))
		return j->sessions.at[e->to_session].ended != JUDGE_NONE;
	return bounced_to_nobody(j, e) || addressee_vanished(j, e);
}

/* True: the server had it, and it is not its fault that nobody saw it. */
static bool judge_unseen(struct judge *j, uint32_t number, struct row *row)
{
	struct entry *e = &j->entries.at[number];
	const struct session *from = &j->sessions.at[e->session];
	bool lives = from->ended == JUDGE_NONE;

	if (!(e->flags & ACKNOWLEDGED)) {
		/* What a living stream has not acknowledged after the quiet time hangs. */
		row->unknown++;
		judge_component_untold(j, number);
		if (lives && (from->resumable || e->kind == JUDGE_PING))
			judge_breach(j, COUNT_STUCK, number, JUDGE_NONE, 0);
		return false;
	}
	if (blocked_away(j, e)) {
		row->apart++;
		return false;
	}
	if (goes_along(j, number)) {
		row->apart++;
		return true;
	}
	row->lost++;
	if (!from->resumable && !from->component && judge_in_trouble(j, e))
		judge_count(j, COUNT_PLAIN_LOST, NULL);
	else
		judge_breach(j, COUNT_LOST, number, JUDGE_NONE, 0);
	return false;
}

static bool is_astray(const struct judge *j, const struct entry *e)
{
	if (e->to_session == JUDGE_NONE || j->sessions.at[e->to_session].ended != JUDGE_NONE)
		return false;
	for (uint32_t s = e->sight; s != JUDGE_NONE; s = j->sights.at[s].previous) {
		if (j->sights.at[s].session == e->to_session && j->sights.at[s].times)
			return false;
	}
	return true;
}

/* Which of the addressee's sessions has it? A copy is enough where it is not for one session, or
 * that session has gone (XEP-0280 section 7). */
static const struct sight *receipt(const struct judge *j, const struct entry *e)
{
	bool copy_is_enough =
		e->to_session == JUDGE_NONE || j->sessions.at[e->to_session].ended != JUDGE_NONE;

	for (uint32_t s = e->sight; s != JUDGE_NONE; s = j->sights.at[s].previous) {
		const struct sight *one = &j->sights.at[s];

		if (j->sessions.at[one->session].party == e->to && (one->times || copy_is_enough))
			return one;
	}
	return NULL;
}

static struct row *row_of(const struct judge *j, const struct entry *e, struct verdict *out)
{
	if (e->kind == JUDGE_PING)
		return &out->rows[ROW_SERVER];
	bool from_sm = j->sessions.at[e->session].resumable;
	bool to_sm = j->sessions.at[j->newest.at[e->to]].resumable;
	if (judge_is_component(j, e->to))
		return &out->rows[to_sm ? ROW_TO_BRIDGE : ROW_TO_PART];
	if (j->sessions.at[e->session].component)
		return &out->rows[from_sm ? ROW_OF_BRIDGE : ROW_OF_PART];
	return &out->rows[from_sm ? (to_sm ? ROW_SM_SM : ROW_SM_PLAIN)
				  : (to_sm ? ROW_PLAIN_SM : ROW_PLAIN_PLAIN)];
}

static void judge_entry(struct judge *j, uint32_t number, struct verdict *out)
{
	const struct entry *e = &j->entries.at[number];
	const struct sight *seen = receipt(j, e);
	struct row *row = row_of(j, e, out);
	bool accepted = (e->flags & ACKNOWLEDGED) != 0;

	row->sent++;
	row->acknowledged += accepted;
	row->received += seen != NULL;
	row->bounced += !seen && e->bounces;
	if (seen && e->bounces)
		judge_count(j, COUNT_LATE_BOUNCE, NULL);
	if (seen && is_astray(j, e))
		judge_breach(j, COUNT_ASTRAY, number, seen->session, seen->first);
	if (!seen && !e->bounces)
		accepted = judge_unseen(j, number, row);
	else if (!accepted && j->sessions.at[e->session].resumable &&
		 j->sessions.at[e->session].ended == JUDGE_NONE)
		judge_breach(j, COUNT_STUCK, number, JUDGE_NONE, 0);
	if (accepted && !e->bounces && judge_is_message(e))
		judge_copy_end(j, number);
	judge_archive_end(j, number, accepted, seen != NULL);
	judge_component_end(j, number);
}

void judge_end(struct judge *j, struct verdict *out)
{
	*out = (struct verdict){0};
	for (uint32_t i = 0; i < j->entries.len; i++) {
		judge_component_told(j, i);
		judge_entry(j, i, out);
	}
	for (size_t i = 0; i < COUNTS; i++)
		out->counts[i] = j->counts[i];
}

uint64_t verdict_breaches(const struct verdict *v, bool strict)
{
	static const enum weight weights[] = {
#define COUNT(name, weight, key, text) [COUNT_##name] = weight,
#include "tests/ledger/counts.def"
#undef COUNT
	};
	uint64_t sum = 0;

	for (size_t i = 0; i < COUNTS; i++) {
		if (weights[i] == BREACH || (strict && weights[i] == STRICT))
			sum += v->counts[i];
	}
	return sum;
}
