/*
 * member - a client of the ledger: connects, resumes, binds anew, and has its habits.
 */
#include "tests/ledger/crowd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmem.h"
#include "bench/scan.h"

#define LOGIN_MS  20000
#define SILENT_MS 15000
#define GHOST_MS  5000

static void connect_in(struct member *m, uint32_t ms)
{
	m->connect_at = crowd_ms(m->crowd) + ms + 1;
}

static uint32_t within(struct member *m, uint32_t from, uint32_t to)
{
	return from + crowd_random(m->crowd, to - from + 1);
}

static void next_habit(struct member *m)
{
	m->habit_at = crowd_ms(m->crowd) + within(m, 2000, 10000);
}

void member_wake(struct member *m)
{
	next_habit(m);
}

static void disconnected(struct member *m)
{
	m->client = NULL;
	m->ready = false;
	m->paused = false;
	m->asked_at = 0;
	if (!m->session_lives)
		return;
	if (!m->sm_on || !m->resume_id)
		member_lose_session(m);
}

void member_lose_session(struct member *m)
{
	judge_session_end(m->crowd->judge, m->session, crowd_ms(m->crowd));
	m->session_lives = false;
	while (m->sm.len) {
		const struct sm_sent *s = sm_oldest(&m->sm);

		if (m->sm_on && s->entry != JUDGE_NONE)
			sm_push(&m->anew, s->entry, slice_str(s->text));
		sm_pop(&m->sm);
	}
	m->sm_on = false;
	free(m->resume_id);
	m->resume_id = NULL;
}

/* A connection that stays open while its successor resumes the session (rule 12 of custody). */
static void leave_ghost(struct member *m)
{
	client_free(&m->ghost);
	client_pause(m->client, true);
	m->ghost = m->client;
	m->ghost_until = crowd_ms(m->crowd) + GHOST_MS;
}

void member_drop(struct member *m, bool forget, uint32_t away_ms)
{
	if (m->client && m->ready && !forget && m->resume_id && crowd_random(m->crowd, 4) == 0)
		leave_ghost(m);
	else
		client_free(&m->client);
	crowd_tell(m, "dropped%s for %u ms%s", m->ghost ? ", left open," : "", away_ms,
		   forget ? ", session forgotten" : "");
	if (forget && m->session_lives)
		member_lose_session(m);
	disconnected(m);
	connect_in(m, away_ms);
}

static void on_ready(void *arg, struct client *c)
{
	struct member *m = arg;
	struct crowd *w = m->crowd;

	if (!client_jid(c)) { /* resumed */
		talk_resent(m);
		member_ready(m);
		return;
	}
	if (!m->part) {
		free(m->jid);
		m->jid = xstrdup(client_jid(c));
	}
	m->session = judge_session_begin(w->judge, m->account, m->seat, m->wants_sm, crowd_ms(w));
	if (m->part)
		judge_component(w->judge, m->session, m->part->shared);
	m->session_lives = true;
	crowd_tell(m, "bound %s, session %u", m->jid, m->session);
	if (m->wants_sm)
		talk_enable(m);
	else
		member_ready(m);
}

void member_ready(struct member *m)
{
	bool bound = client_jid(m->client) != NULL;

	m->ready = true;
	m->ask_after = within(m, 1, 8);
	m->ask_at = crowd_ms(m->crowd) + 1000;
	next_habit(m);
	m->tries = 0;
	if (bound) {
		if (m->wants_carbons)
			talk_carbons(m);
		if (!m->part)
			talk_presence(m);
		talk_anew(m);
	}
}

static void on_resume(void *arg, struct client *c, struct slice answer)
{
	struct member *m = arg;

	(void)c;
	if (slice_is(scan_name(answer), "resumed")) {
		judge_count(m->crowd->judge, COUNT_RESUMED, NULL);
		crowd_tell(m, "%.*s", SLICE_ARG(answer));
		if (!talk_acknowledged(m, answer))
			member_drop(m, true, 100);
		return;
	}
	char why[200];
	snprintf(why, sizeof why, "client %u at %.3f: %.*s", m->seat, crowd_ms(m->crowd) / 1e3,
		 SLICE_ARG(answer));
	judge_count(m->crowd->judge, COUNT_RESUME_REFUSED, why);
	if (scan_attribute(answer, "h").len && !talk_acknowledged(m, answer))
		crowd_tell(m, "the refusal's h is not used");
	member_lose_session(m);
}

static void on_stanza(void *arg, struct client *c, struct slice stanza)
{
	struct member *m = arg;

	if (c == m->client)
		talk_take(m, stanza);
}

static void note_trouble(struct crowd *w)
{
	uint32_t now = crowd_ms(w);

	if (w->closing || (w->last_trouble && now - w->last_trouble < 200))
		return;
	w->last_trouble = now;
	judge_trouble(w->judge, now, now);
}

static void on_closed(void *arg, struct client *c, const char *why)
{
	struct member *m = arg;
	struct crowd *w = m->crowd;

	if (c == m->ghost) {
		client_free(&m->ghost);
		return;
	}
	if (c != m->client)
		return;
	crowd_tell(m, "%s: %s", m->ready ? "broken" : "login failed", why);
	if (!w->closing && strcmp(why, strerror(ECONNREFUSED)) == 0)
		judge_count(w->judge, COUNT_REFUSED, why);
	judge_count(w->judge, m->ready ? COUNT_BROKEN : COUNT_LOGIN_FAILED, NULL);
	note_trouble(w);
	if (m->part && m->ready)
		part_broken(m, why);
	else if (m->part)
		part_refused(m, why);
	client_free(&m->client);
	if (m->part)
		connect_in(m, part_pause(m));
	else
		connect_in(m, m->ready ? within(m, 0, 500) : within(m, 100, 600));
	disconnected(m);
}

static const struct client_events events = {.on_ready = on_ready,
					    .on_stanza = on_stanza,
					    .on_resume = on_resume,
					    .on_closed = on_closed};

static void connect_now(struct member *m)
{
	struct crowd *w = m->crowd;
	char resource[32];
	struct client_wish wish = {.resource = resource,
				   .resume = m->resume_id,
				   .h = m->sm.got,
				   .component = m->part ? &m->part->is : NULL};

	m->connect_at = 0;
	if (w->closing)
		return;
	/* Half of them come back under the name they had, the others under a new one. */
	if (m->seat % 2 || m->habit == CRASHER)
		snprintf(resource, sizeof resource, "s%u", m->seat);
	else
		snprintf(resource, sizeof resource, "s%u-%u", m->seat, m->binds++);
	m->begun_at = crowd_ms(w);
	m->client = client_new(w->tcp, &w->opts->server, m->account, &wish, &events, m);
	if (!m->client) {
		fprintf(stderr, "client %u: no connection: %s\n", m->seat, strerror(errno));
		connect_in(m, 500);
	}
}

static void toggle_reading(struct member *m)
{
	m->paused = !m->paused;
	client_pause(m->client, m->paused);
	m->asked_at = 0;
	if (m->paused)
		m->habit_at = crowd_ms(m->crowd) + within(m, 500, 5000);
	else
		next_habit(m);
}

static void follow_habit(struct member *m)
{
	if (m->habit == SLOW) {
		toggle_reading(m);
	} else if (m->habit == DROPPER || m->habit == CRASHER) {
		judge_count(m->crowd->judge, COUNT_DROPS, NULL);
		member_drop(m, !m->wants_sm || m->habit == CRASHER, within(m, 0, 4000));
	} else {
		next_habit(m);
	}
}

static void tick_ready(struct member *m, uint32_t now)
{
	if (m->crowd->calm) {
		if (m->paused)
			toggle_reading(m);
	} else if (now >= m->habit_at) {
		follow_habit(m);
		return;
	}
	if (m->asked_at && !m->paused && now - m->asked_at > SILENT_MS) {
		judge_count(m->crowd->judge, COUNT_SILENT, NULL);
		crowd_tell(m, "silent since %.3f", m->asked_at / 1e3);
		member_drop(m, false, 0);
	} else if (m->sm.len && now >= m->ask_at && (m->sm_on || m->asked_at == 0)) {
		talk_ask(m);
	}
}

void member_tick(struct member *m, uint32_t now)
{
	if (m->ghost && now >= m->ghost_until)
		client_free(&m->ghost);
	if (m->connect_at && now >= m->connect_at) {
		connect_now(m);
	} else if (m->client && !m->ready && now - m->begun_at > LOGIN_MS) {
		judge_count(m->crowd->judge, COUNT_SILENT, NULL);
		crowd_tell(m, "not logged in after %u s", LOGIN_MS / 1000);
		client_free(&m->client);
		disconnected(m);
		connect_in(m, 100);
	} else if (m->client && m->ready) {
		tick_ready(m, now);
	}
}

/* Seats: the clients with XEP-0198 first; of these the first twins * 2 share accounts. Habits are
 * dealt out in turn, so that twins have different ones. */
static enum habit habit_of(const struct options *o, uint32_t seat)
{
	if (seat >= o->sm)
		return seat - o->sm < o->vanishers ? DROPPER : STEADY;
	uint32_t place = (uint32_t)((uint64_t)seat * 7919 % o->sm);
	if (o->sm % 7919 == 0)
		place = seat;
	const uint32_t numbers[] = {o->slow, o->mute, o->droppers, o->crashers};
	const enum habit habits[] = {SLOW, MUTE, DROPPER, CRASHER};
	for (size_t i = 0; i < sizeof habits / sizeof *habits; i++) {
		if (place < numbers[i])
			return habits[i];
		place -= numbers[i];
	}
	return STEADY;
}

void member_init(struct member *m, struct crowd *w, uint32_t seat)
{
	const struct options *o = w->opts;

	*m = (struct member){.crowd = w, .seat = seat, .session = JUDGE_NONE};
	sm_init(&m->sm);
	sm_init(&m->anew);
	connect_in(m, crowd_random(w, 20 * w->count / 4));
	if (seat >= w->clients) {
		part_take(m, seat - w->clients);
		return;
	}
	m->account = seat < o->twins * 2 ? seat / 2 : seat - o->twins;
	m->wants_sm = seat < o->sm && !o->no_sm;
	/* Dealt out like the habits, so that the same seed has the same ones with and without. */
	m->wants_carbons = m->wants_sm && seat * 7927ull % 1000 < o->carbons * 1000;
	m->habit = habit_of(o, seat);
}

void member_clear(struct member *m)
{
	client_free(&m->client);
	client_free(&m->ghost);
	free(m->jid);
	free(m->resume_id);
	sm_clear(&m->sm);
	sm_clear(&m->anew);
}
