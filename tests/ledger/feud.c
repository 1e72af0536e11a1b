#include "tests/ledger/feud.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "tests/ledger/token.h"

#define AGAINST	 3   /* accounts that one blocks */
#define AGAIN_MS 500 /* after a refusal */

struct feud {
	struct member *by; /* who commands */
	uint32_t against;  /* account */
	uint32_t session;  /* in which it was asked, JUDGE_NONE: not asked */
	uint32_t next_at;  /* it is changed, 0 = not any more */
	bool stays;
	bool wanted;
	bool changing;
};

struct feuds {
	uint32_t len;
	struct feud at[];
};

/* A steady one, since a session that is thrown away takes its command along. */
static bool may_command(const struct member *m)
{
	return m->wants_sm && m->habit != CRASHER &&
	       (m->seat >= 2 * m->crowd->opts->twins || m->seat % 2 == 0);
}

static void change(struct feud *f, bool wanted, uint32_t now)
{
	struct crowd *w = f->by->crowd;

	f->wanted = wanted;
	f->changing = true;
	f->session = JUDGE_NONE;
	f->next_at = now;
	judge_block(w->judge, f->by->account, f->against, JUDGE_CHANGING, now);
	judge_count(w->judge, COUNT_BLOCKS, NULL);
}

static void add(struct crowd *w, struct member *by, bool stays)
{
	struct feud *f = &w->feuds->at[w->feuds->len];
	uint32_t against;

	do
		against = w->members[crowd_random(w, w->clients)].account;
	while (against == by->account);
	for (uint32_t i = 0; i < w->feuds->len; i++) {
		if (w->feuds->at[i].by == by && w->feuds->at[i].against == against)
			return;
	}
	w->feuds->len++;
	*f = (struct feud){.by = by, .against = against, .session = JUDGE_NONE, .stays = stays};
	if (stays)
		change(f, true, 0);
}

void feud_init(struct crowd *w)
{
	w->feuds = xcalloc(1, sizeof *w->feuds + w->count * AGAINST * sizeof *w->feuds->at);
	for (uint32_t i = 0; w->opts->block > 0 && i < w->clients; i++) {
		struct member *m = &w->members[i];

		if (!may_command(m) || crowd_random(w, 1000) >= w->opts->block * 1000)
			continue;
		for (uint32_t n = 0; n < AGAINST; n++)
			add(w, m, n % 2 == 0);
	}
}

void feud_clear(struct crowd *w)
{
	free(w->feuds);
	w->feuds = NULL;
}

static void command(struct feud *f, uint32_t number)
{
	const struct member *m = f->by;
	const struct crowd *w = m->crowd;
	const char *what = f->wanted ? "block" : "unblock";
	struct str text = STR_INIT;

	str_adds(&text, "<iq type='set' id='");
	token_add_name(&text, 'b', w->run, number);
	str_addf(&text, "'><%s xmlns='urn:xmpp:blocking'><item jid='%s%u@%s'/></%s></iq>", what,
		 w->opts->server.user, f->against, w->opts->server.domain, what);
	talk_put(f->by, str_slice(&text));
	str_clear(&text);
	f->session = m->session;
	crowd_tell(m, "%s account %u", what, f->against);
}

void feud_tick(struct crowd *w, uint32_t now)
{
	for (uint32_t i = 0; i < w->feuds->len; i++) {
		struct feud *f = &w->feuds->at[i];

		if (!f->changing && !f->stays && !w->calm && now >= f->next_at)
			change(f, !f->wanted, now);
		if (f->changing && f->by->ready && now >= f->next_at &&
		    f->session != f->by->session) {
			if (f->session != JUDGE_NONE)
				judge_count(w->judge, COUNT_BLOCK_AGAIN, NULL);
			command(f, i);
		}
	}
}

bool feud_quiet(const struct crowd *w)
{
	for (uint32_t i = 0; i < w->feuds->len; i++) {
		if (w->feuds->at[i].changing)
			return false;
	}
	return true;
}

void feud_answered(struct member *m, uint32_t number, bool done)
{
	struct crowd *w = m->crowd;
	struct feud *f = number < w->feuds->len ? &w->feuds->at[number] : NULL;
	uint32_t now = crowd_ms(w);

	if (!f || f->by != m || !f->changing || f->session != m->session)
		return;
	if (!done) {
		judge_count(w->judge, COUNT_BLOCK_AGAIN, NULL);
		f->session = JUDGE_NONE;
		f->next_at = now + AGAIN_MS;
		return;
	}
	f->changing = false;
	f->next_at = now + 2000 + crowd_random(w, 8000);
	judge_block(w->judge, m->account, f->against, f->wanted ? JUDGE_BLOCKED : JUDGE_UNBLOCKED,
		    now);
}

bool feud_pick(struct crowd *w, struct member **from, struct member **to)
{
	if (w->feuds->len == 0)
		return false;
	const struct feud *f = &w->feuds->at[crowd_random(w, w->feuds->len)];
	struct member *other = crowd_member(w, f->against);
	bool back = crowd_random(w, 3) == 0;

	*from = back ? f->by : other;
	*to = back ? other : f->by;
	return true;
}
