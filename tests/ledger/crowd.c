#include "tests/ledger/crowd.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/monotime.h"
#include "base/xmem.h"
#include "tests/ledger/feud.h"
#include "tests/ledger/mam.h"

#define TURN_MS	   5
#define START_MS   60000 /* for all to be online at the beginning */
#define GOODBYE_MS 3000
#define READ_MS	   60000 /* for the archives of a run without length */

#define CUT_MS 6000 /* a component that does not read notices it so late */

static volatile sig_atomic_t kills, recoveries, cuts, planned;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		kills++;
	else if (number == SIGUSR2)
		recoveries++;
	else if (number == SIGRTMIN)
		cuts++;
	else
		planned++;
}

uint32_t crowd_ms(const struct crowd *w)
{
	return (uint32_t)((monotime_now().us - w->start_us) / 1000);
}

/* splitmix64: the same seed, the same habits. */
uint32_t crowd_random(struct crowd *w, uint32_t below)
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	z ^= z >> 31;
	return below ? (uint32_t)((z >> 32) * below >> 32) : 0;
}

static void print_time(void)
{
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	fprintf(stderr, "%02d:%02d:%02d.%03ld ", tm.tm_hour, tm.tm_min, tm.tm_sec,
		ts.tv_nsec / 1000000);
}

void crowd_tell(const struct member *m, const char *fmt, ...)
{
	va_list ap;

	if (!m->crowd->opts->verbose)
		return;
	print_time();
	fprintf(stderr, "%8.3f client %u: ", crowd_ms(m->crowd) / 1e3, m->seat);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void on_breach(void *arg, enum count count, const char *text)
{
	static const char *const keys[] = {
#define COUNT(name, weight, key, text) [COUNT_##name] = key,
#include "tests/ledger/counts.def"
#undef COUNT
	};
	const struct crowd *w = arg;

	if (judge_counted(w->judge, count) > 20 && !w->opts->verbose)
		return;
	print_time();
	fprintf(stderr, "%8.3f event=%s %s\n", crowd_ms(w) / 1e3, keys[count], text);
}

struct member *crowd_member(const struct crowd *w, uint32_t account)
{
	uint32_t twins = w->opts->twins;

	return &w->members[account < twins ? 2 * account : account + twins];
}

/* Sending. */

static struct member *pick(struct crowd *w)
{
	return &w->members[crowd_random(w, w->clients)];
}

static struct member *pick_component(struct crowd *w)
{
	return &w->members[w->clients + crowd_random(w, w->count - w->clients)];
}

/* False: the one whose turn it was cannot send now. */
static bool say_one(struct crowd *w)
{
	struct member *from = pick(w);
	struct member *to = pick(w);
	uint32_t kind = crowd_random(w, 100);

	/* Enemies are few: they talk to each other more often than chance would have it. */
	if (w->opts->block > 0 && crowd_random(w, 20) == 0)
		feud_pick(w, &from, &to);
	if (w->count > w->clients && crowd_random(w, 1000) < w->opts->component_share * 1000) {
		if (crowd_random(w, 2))
			from = pick_component(w);
		else
			to = pick_component(w);
	}
	/* Whoever forgets its session forgets what comes back to it. */
	bool echo = w->opts->echo && crowd_random(w, 12) == 0 && from->wants_sm && !from->part &&
		    from->habit != CRASHER;
	if (!from->ready || from->sm.len >= w->opts->window || from == to ||
	    (from->part && from->part == to->part))
		return false;
	if (echo)
		talk_to_echo(from);
	else if (kind >= 92)
		talk_say(from, JUDGE_PING, from);
	else if (kind < 40 || to->session == JUDGE_NONE || (to->part && kind < 80))
		talk_say(from, JUDGE_BARE, to);
	else
		talk_say(from, kind < 80 ? JUDGE_FULL : JUDGE_IQ, to);
	return true;
}

/* As many as the rate allows since the last turn; at most a tenth of a second's worth. */
static void say_due(struct crowd *w, double *owed, uint32_t *last)
{
	uint32_t now = crowd_ms(w);

	*owed += (now - *last) * w->opts->rate / 1000.0;
	*last = now;
	if (*owed > w->opts->rate / 10.0 + 1)
		*owed = w->opts->rate / 10.0 + 1;
	for (; *owed >= 1; *owed -= 1) {
		for (int tries = 0; tries < 10 && !say_one(w);)
			tries++;
	}
}

/* Turns. */

static sig_atomic_t cuts_seen, planned_seen; /* those before, which are over */

static void note_signals(struct crowd *w)
{
	static sig_atomic_t seen;
	static uint32_t since;
	bool open = kills > seen;

	if (open && since == 0)
		since = crowd_ms(w);
	if (!open && since == 0)
		return;
	if (recoveries < kills && !w->calm)
		return;
	judge_trouble(w->judge, since, crowd_ms(w));
	seen = kills;
	since = 0;
}

static void note_cuts(struct crowd *w)
{
	if (cuts > cuts_seen)
		judge_cut(w->judge, crowd_ms(w));
	if (cuts > cuts_seen || planned > planned_seen)
		w->cut_at = crowd_ms(w);
	cuts_seen = cuts;
	planned_seen = planned;
}

bool crowd_is_cut(const struct crowd *w)
{
	return cuts > cuts_seen || planned > planned_seen ||
	       (w->cut_at && crowd_ms(w) < w->cut_at + CUT_MS);
}

static void turn(struct crowd *w)
{
	tcp_turn(w->tcp, TURN_MS);
	uint32_t now = crowd_ms(w);
	for (uint32_t i = 0; i < w->count; i++)
		member_tick(&w->members[i], now);
	feud_tick(w, now);
	note_signals(w);
	note_cuts(w);
}

static uint32_t count_ready(const struct crowd *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->count; i++)
		n += w->members[i].ready;
	return n;
}

static bool all_acknowledged(const struct crowd *w)
{
	for (uint32_t i = 0; i < w->count; i++) {
		if (w->members[i].sm.len || w->members[i].anew.len)
			return false;
	}
	return true;
}

static bool start(struct crowd *w)
{
	uint32_t ready = 0;

	while (((ready = count_ready(w)) < w->count || !feud_quiet(w)) && crowd_ms(w) < START_MS)
		turn(w);
	if (ready == w->count && feud_quiet(w))
		return true;
	fprintf(stderr, "only %u of %u clients are online after %d s; --verbose says why\n", ready,
		w->count, START_MS / 1000);
	return false;
}

static void send_all(struct crowd *w)
{
	uint32_t last = crowd_ms(w);
	uint32_t end = last + (uint32_t)(w->opts->seconds * 1000);
	double owed = 0;

	w->calm = false;
	for (uint32_t i = 0; i < w->count; i++)
		member_wake(&w->members[i]);
	print_time();
	fprintf(stderr, "event=online clients=%u seed=%u\n", w->count, w->opts->seed);
	while (crowd_ms(w) < end) {
		turn(w);
		say_due(w, &owed, &last);
	}
}

/* Everybody stays online until nothing has come and nothing is owed for a while. */
static void settle(struct crowd *w)
{
	uint32_t begun = crowd_ms(w);
	uint32_t quiet = (uint32_t)(w->opts->quiet * 1000);
	uint32_t end = begun + (uint32_t)(w->opts->settle * 1000);
	uint32_t now = begun;

	w->calm = true;
	w->last_sight = begun;
	print_time();
	fprintf(stderr, "event=settling\n");
	while (now < end) {
		turn(w);
		now = crowd_ms(w);
		if (count_ready(w) == w->count && all_acknowledged(w) && feud_quiet(w) &&
		    now - w->last_sight >= quiet)
			return;
		if (count_ready(w) < w->count)
			w->last_sight = now;
	}
	print_time();
	fprintf(stderr, "event=not_quiet seconds=%.0f\n", w->opts->settle);
}

static uint32_t count_open(const struct crowd *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->count; i++)
		n += w->members[i].client != NULL;
	return n;
}

static void goodbye(struct crowd *w)
{
	w->closing = true;
	for (uint32_t i = 0; i < w->count; i++) {
		struct member *m = &w->members[i];

		client_free(&m->ghost);
		if (m->ready)
			talk_goodbye(m);
		else
			client_free(&m->client);
	}
	for (uint32_t end = crowd_ms(w) + GOODBYE_MS; count_open(w) && crowd_ms(w) < end;)
		tcp_turn(w->tcp, TURN_MS);
}

static void run(struct crowd *w, struct verdict *out)
{
	char text[64];

	send_all(w);
	settle(w);
	for (uint32_t i = 0; i < w->count; i++) {
		snprintf(text, sizeof text, "client %u", i);
		if (!w->members[i].ready)
			judge_count(w->judge, COUNT_AWAY, text);
	}
	if (!feud_quiet(w))
		judge_count(w->judge, COUNT_BLOCK_FAILED, "blocks without an answer");
	if (w->opts->archive)
		mam_read(w, (uint32_t)(READ_MS + w->opts->seconds * 1000), turn);
	judge_end(w->judge, out);
}

bool crowd_run(const struct options *o, struct verdict *out)
{
	struct crowd w = {
		.opts = o, .random = o->seed, .start_us = monotime_now().us, .calm = true};

	w.run = crowd_random(&w, UINT32_MAX) ^ (uint32_t)time(NULL);
	w.tcp = tcp_new(&o->server);
	if (!w.tcp)
		return false;
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	signal(SIGRTMIN, on_signal);
	signal(SIGRTMIN + 1, on_signal);
	w.judge = judge_new(on_breach, &w);
	w.clients = o->sm + o->plain;
	w.count = w.clients + part_init(&w);
	judge_buffer(w.judge, part_buffer());
	w.members = xcalloc(w.count, sizeof *w.members);
	for (uint32_t i = 0; i < w.count; i++)
		member_init(&w.members[i], &w, i);
	feud_init(&w);
	bool ok = start(&w);
	if (ok)
		run(&w, out);
	goodbye(&w);
	for (uint32_t i = 0; i < w.count; i++)
		member_clear(&w.members[i]);
	tcp_turn(w.tcp, 0);
	tcp_free(&w.tcp);
	judge_free(&w.judge);
	feud_clear(&w);
	free(w.members);
	part_clear(&w);
	return ok;
}
