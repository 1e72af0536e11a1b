#include "tests/ledger/mam.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "bench/scan.h"
#include "tests/ledger/token.h"

#define PAGE	 200
#define AGAIN_MS 500

struct found {
	uint32_t entry;
	uint64_t name;
};

/* One account's archive. A page counts when its end is there: an error may have come after some of
 * it, and it is asked for again. */
struct reading {
	struct member *by;
	uint32_t session; /* in which it was asked, JUDGE_NONE: not asked */
	uint32_t query;	  /* how manieth */
	uint32_t next_at;
	char after[64];
	bool done;
	uint32_t len;
	struct found page[PAGE];
};

struct mam {
	uint32_t len;
	struct reading at[];
};

static void ask(struct reading *r, uint32_t account)
{
	const struct crowd *w = r->by->crowd;
	struct str text = STR_INIT;

	str_adds(&text, "<iq type='set' id='");
	token_add_name(&text, 'm', w->run, account);
	str_addf(&text,
		 "'><query xmlns='urn:xmpp:mam:2' queryid='%u'>"
		 "<set xmlns='http://jabber.org/protocol/rsm'><max>%u</max>",
		 ++r->query, PAGE);
	if (*r->after)
		str_addf(&text, "<after>%s</after>", r->after);
	str_adds(&text, "</set></query></iq>");
	talk_put(r->by, str_slice(&text));
	str_clear(&text);
	r->session = r->by->session;
	r->len = 0;
}

static void tick(struct crowd *w, uint32_t now)
{
	for (uint32_t i = 0; i < w->mam->len; i++) {
		struct reading *r = &w->mam->at[i];

		if (!r->done && r->by && r->by->ready && r->session != r->by->session &&
		    now >= r->next_at)
			ask(r, i);
	}
}

static bool all_done(const struct crowd *w)
{
	for (uint32_t i = 0; i < w->mam->len; i++) {
		if (w->mam->at[i].by && !w->mam->at[i].done)
			return false;
	}
	return true;
}

void mam_read(struct crowd *w, uint32_t ms, void (*turn)(struct crowd *w))
{
	uint32_t accounts = w->opts->server.users;
	uint32_t end = crowd_ms(w) + ms;
	char text[64];

	w->mam = xcalloc(1, sizeof *w->mam + accounts * sizeof *w->mam->at);
	w->mam->len = accounts;
	for (uint32_t i = 0; i < w->clients; i++) {
		struct reading *r = &w->mam->at[w->members[i].account];

		r->session = JUDGE_NONE;
		if (!r->by)
			r->by = &w->members[i];
	}
	while (!all_done(w) && crowd_ms(w) < end) {
		tick(w, crowd_ms(w));
		turn(w);
	}
	for (uint32_t i = 0; i < accounts; i++) {
		const struct reading *r = &w->mam->at[i];

		snprintf(text, sizeof text, "archive of account %u, page %u", i, r->query);
		if (r->done)
			judge_archive_read(w->judge, i);
		else if (r->by)
			judge_count(w->judge, COUNT_ARCHIVE_UNREAD, text);
	}
	free(w->mam);
	w->mam = NULL;
}

static struct reading *reading_of(const struct member *m, uint32_t account)
{
	struct reading *r =
		m->crowd->mam && account < m->crowd->mam->len ? &m->crowd->mam->at[account] : NULL;

	return r && r->by == m && r->session == m->session && !r->done ? r : NULL;
}

void mam_take(struct member *m, struct slice message)
{
	struct slice result = talk_inside(message, "<result");
	struct slice original = talk_inside(result, "<message");
	struct reading *r = reading_of(m, m->account);
	char query[16];

	snprintf(query, sizeof query, "%u", r ? r->query : 0);
	if (!r || !slice_is(scan_attribute(result, "queryid"), query))
		return;
	if (part_is_echo(m->crowd, original))
		return;
	uint32_t entry = talk_token(m, original);
	if (entry == JUDGE_NONE || r->len == PAGE)
		return;
	r->page[r->len++] = (struct found){entry, token_hash(scan_attribute(result, "id"))};
}

static void page_over(struct member *m, struct reading *r, struct slice iq)
{
	struct crowd *w = m->crowd;
	struct slice last = scan_text(iq, "last");

	for (uint32_t i = 0; i < r->len; i++)
		judge_archive_see(w->judge, r->page[i].entry, m->account, r->page[i].name,
				  crowd_ms(w));
	r->done = scan_has(iq, "complete='true'") || last.len == 0;
	if (last.len < sizeof r->after) {
		memcpy(r->after, last.data, last.len);
		r->after[last.len] = 0;
	}
}

void mam_answered(struct member *m, uint32_t account, bool done, struct slice iq)
{
	struct reading *r = reading_of(m, account);

	if (!r)
		return;
	/* What waits for a slow datastore may still come before the end. */
	if (done && !scan_has(iq, "stable='false'"))
		page_over(m, r, iq);
	else
		r->next_at = crowd_ms(m->crowd) + AGAIN_MS;
	if (!done)
		crowd_tell(m, "archive: %.*s", SLICE_ARG(iq));
	r->session = JUDGE_NONE;
}
