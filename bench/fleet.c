#include "bench/fleet.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotime.h"
#include "base/random.h"
#include "base/xmem.h"
#include "bench/acks.h"
#include "bench/client.h"
#include "bench/scan.h"
#include "bench/tcp.h"

#define QUIET_MS 300

struct member {
	struct client *client;
	char *jid;
	char *resume_id;
	bool ready;
	bool refused; /* in this round */
	uint32_t got; /* of a session whose connection is gone */
	uint32_t sent;
	uint32_t held; /* messages of this round that came */
};

struct fleet {
	struct tcp *tcp;
	const struct opts *opts;
	struct step *step; /* under way; NULL: none */
	struct member *members;
	uint32_t *waiting; /* a stack: who is to be connected */
	uint32_t waiting_len;
	uint32_t under_way;
	uint32_t open;
	uint32_t ready;
	char run[9]; /* what the ids of this run begin with */
	uint32_t round;
	uint32_t each; /* messages of this round for one session */
	uint64_t due;  /* those that have not come */
	struct monotime last_stanza;
};

void step_error(struct step *s, const char *fmt, ...)
{
	va_list ap;

	if (s->errors++ > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof s->why, fmt, ap);
	va_end(ap);
}

static void fault(struct fleet *f, uint32_t i, const char *what, struct slice stanza)
{
	if (f->step)
		step_error(f->step, "client %u: %s: %.*s", i, what, SLICE_ARG(stanza));
}

static void name_session(struct fleet *f, uint32_t i, struct client *c)
{
	struct member *m = &f->members[i];

	free(m->jid);
	free(m->resume_id);
	m->jid = xstrdup(client_jid(c));
	m->resume_id = client_resume_id(c) ? xstrdup(client_resume_id(c)) : NULL;
	if (!m->resume_id)
		fault(f, i, "cannot be resumed", slice_str(m->jid));
}

static void on_ready(void *arg, struct client *c)
{
	struct fleet *f = arg;
	uint32_t i = client_tag(c);

	if (client_jid(c))
		name_session(f, i, c);
	f->members[i].ready = true;
	f->ready++;
	f->under_way--;
	acks_ask(client_acks(c), client_output(c));
}

static void on_resume(void *arg, struct client *c, struct slice answer)
{
	struct fleet *f = arg;
	uint32_t i = client_tag(c), h;

	if (!slice_is(scan_name(answer), "resumed")) {
		if (f->step && f->step->refused++ == 0)
			fprintf(stderr, "client %u is refused: %.*s\n", i, SLICE_ARG(answer));
		if (f->due)
			f->due -= f->each - f->members[i].held;
		f->members[i].refused = true; /* its messages may be stored, or bounced */
		return;
	}
	if (!acks_number(scan_attribute(answer, "h"), &h) || h != f->members[i].sent)
		fault(f, i, "the server has forgotten stanzas or invented some", answer);
}

void fleet_id(const struct fleet *f, char *out, size_t size, uint32_t n)
{
	snprintf(out, size, "%s-%u-%u", f->run, f->round, n);
}

static void on_stanza(void *arg, struct client *c, struct slice stanza)
{
	struct fleet *f = arg;
	uint32_t i = client_tag(c);
	struct member *m = &f->members[i];
	char id[32];

	f->last_stanza = monotime_now();
	struct slice got = scan_attribute(stanza, "id");
	if (!slice_is(scan_name(stanza), "message") || got.len < sizeof f->run ||
	    memcmp(got.data, f->run, sizeof f->run - 1) != 0 || m->refused)
		return;
	fleet_id(f, id, sizeof id, m->held);
	if (f->due == 0 || !slice_is(got, id)) {
		fault(f, i, "another message was due", stanza);
		return;
	}
	m->held++;
	f->due--;
}

static void on_closed(void *arg, struct client *c, const char *why)
{
	struct fleet *f = arg;
	uint32_t i = client_tag(c);
	struct member *m = &f->members[i];

	f->open--;
	if (m->ready) {
		m->got = client_acks(c)->got;
		m->sent = client_acks(c)->sent;
		m->ready = false;
		f->ready--;
	} else {
		f->under_way--;
		f->waiting[f->waiting_len++] = i;
		if (f->step && f->step->retried++ == 0)
			fprintf(stderr, "client %u tries again: %s\n", i, why);
	}
	client_free(&m->client);
}

static const struct client_events events = {.on_ready = on_ready,
					    .on_stanza = on_stanza,
					    .on_resume = on_resume,
					    .on_closed = on_closed};

struct fleet *fleet_new(struct tcp *n, const struct opts *o)
{
	struct fleet *f = xcalloc(1, sizeof *f);

	f->tcp = n;
	f->opts = o;
	random_hex(f->run, 4);
	f->run[8] = 0;
	f->members = xcalloc(o->count, sizeof *f->members);
	f->waiting = xcalloc(o->count, sizeof *f->waiting);
	return f;
}

void fleet_free(struct fleet **fp)
{
	struct fleet *f = *fp;

	if (!f)
		return;
	for (uint32_t i = 0; i < f->opts->count; i++) {
		client_free(&f->members[i].client);
		free(f->members[i].jid);
		free(f->members[i].resume_id);
	}
	tcp_turn(f->tcp, 0);
	free(f->members);
	free(f->waiting);
	free(f);
	*fp = NULL;
}

static bool start_one(struct fleet *f)
{
	uint32_t i = f->waiting[--f->waiting_len];
	struct member *m = &f->members[i];
	struct client_wish wish = {.resume = m->resume_id, .h = m->got};

	m->client = client_new(f->tcp, f->opts, i % f->opts->users, &wish, &events, f);
	if (!m->client) {
		step_error(f->step, "client %u: no connection: %s", i, strerror(errno));
		return false;
	}
	client_set_tag(m->client, i);
	f->open++;
	f->under_way++;
	return true;
}

static bool in_time(struct fleet *f, struct monotime end, const char *what)
{
	tcp_turn(f->tcp, 50);
	if (monotime_before(monotime_now(), end))
		return true;
	step_error(f->step, "%s after %.0f s (--deadline): %u of %u sessions, %llu messages due",
		   what, f->opts->deadline, f->ready, f->opts->count, (unsigned long long)f->due);
	return false;
}

static struct monotime deadline(const struct fleet *f)
{
	return monotime_add_ms(monotime_now(), (uint64_t)(f->opts->deadline * 1000));
}

/* All connections that are missing, opts.together at a time. */
static bool connect_all(struct fleet *f)
{
	struct monotime end = deadline(f);

	f->waiting_len = 0;
	for (uint32_t i = f->opts->count; i > 0; i--) {
		if (!f->members[i - 1].client)
			f->waiting[f->waiting_len++] = i - 1;
	}
	while (f->waiting_len || f->under_way) {
		while (f->waiting_len && f->under_way < f->opts->together) {
			if (!start_one(f))
				return false;
		}
		if (!in_time(f, end, "not all are there"))
			return false;
	}
	return true;
}

static bool all_acknowledged(struct fleet *f)
{
	for (uint32_t i = 0; i < f->opts->count; i++) {
		struct client *c = f->members[i].client;

		if (!c || client_acks(c)->acked == client_acks(c)->sent)
			continue;
		acks_ask(client_acks(c), client_output(c));
		return false;
	}
	return true;
}

/* Presence has gone round, everything is acknowledged both ways. */
static void come_to_rest(struct fleet *f)
{
	struct monotime end = deadline(f);

	while (!all_acknowledged(f) ||
	       monotime_ms_between(f->last_stanza, monotime_now()) < QUIET_MS) {
		if (!in_time(f, end, "no rest"))
			return;
	}
}

static double since(struct monotime begun)
{
	return (double)(monotime_now().us - begun.us) / 1e6;
}

static void begin(struct fleet *f, struct step *s)
{
	f->step = s;
	f->last_stanza = monotime_now();
}

static void finish(struct fleet *f)
{
	f->step->ready = f->ready;
	f->step = NULL;
}

void fleet_login(struct fleet *f, struct step *s)
{
	struct monotime begun = monotime_now();

	begin(f, s);
	if (connect_all(f))
		come_to_rest(f);
	s->seconds = since(begun);
	finish(f);
}

void fleet_broken(struct fleet *f, struct step *s)
{
	struct monotime begun = monotime_now(), end = deadline(f);

	begin(f, s);
	while (f->open && in_time(f, end, "not all connections are closed"))
		;
	s->seconds = since(begun);
	finish(f);
}

void fleet_resume(struct fleet *f, struct step *s)
{
	struct monotime begun = monotime_now(), end = deadline(f);

	begin(f, s);
	s->messages = f->due;
	bool ok = connect_all(f);
	s->seconds = since(begun);
	while (ok && f->due && in_time(f, end, "messages are missing"))
		;
	s->delivered = since(begun);
	if (ok)
		come_to_rest(f);
	finish(f);
}

void fleet_expect(struct fleet *f, uint32_t each)
{
	f->round++;
	f->each = each;
	f->due = (uint64_t)each * f->opts->count;
	for (uint32_t i = 0; i < f->opts->count; i++) {
		f->members[i].held = 0;
		f->members[i].refused = false;
	}
}

const char *fleet_jid(const struct fleet *f, uint32_t i)
{
	return f->members[i].jid;
}
