/*
 * load_detach - what it means to a server that all its XEP-0198 sessions lose their connections at
 * once: how long it takes, what a session and a stanza that wait hold of its memory.
 *
 * What breaks the connections and how to see that all is stored is the affair of whoever drives
 * this (bench/detach.py): steps are read from standard input, one a line, and each is answered with
 * one line of JSON that ends with the CPU and memory of the server's processes at that moment.
 * Clients answer the server between steps, too.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/monotime.h"
#include "bench/crew.h"
#include "bench/fleet.h"
#include "bench/load.h"
#include "bench/report.h"
#include "bench/scan.h"
#include "bench/tcp.h"

#define SENDERS 16

struct drill {
	struct tcp *tcp;
	struct opts opts;	 /* of the fleet */
	struct opts sender_opts; /* their presence would be told to the sessions that are away */
	struct fleet *fleet;
	struct crew *senders;
	struct step *step;
};

/* Whatever a sender is sent is an error: nobody writes to it. */
static void on_answer(void *arg, uint32_t index, struct slice stanza)
{
	struct drill *d = arg;

	if (d->step)
		step_error(d->step, "sender %u got %.*s", index, SLICE_ARG(stanza));
}

static void write_message(struct drill *d, uint32_t i, const char *id)
{
	struct client *c = crew_client(d->senders, i % SENDERS);

	if (!c || !fleet_jid(d->fleet, i))
		return;
	struct str *out = client_output(c);
	size_t before = out->len;
	str_addf(out, "<message to='%s' type='chat' id='%s'><body>", fleet_jid(d->fleet, i), id);
	for (uint32_t k = 0; k < d->opts.body; k++)
		str_addc(out, "the quick brown fox jumps over a lazy dog "[k % 42]);
	str_adds(out, "</body></message>");
	d->step->bytes += out->len - before;
	d->step->messages++;
	client_sent(c);
}

/* The server has taken all of them: the h of every sender counts all that it sent. */
static bool senders_acknowledged(struct drill *d)
{
	bool all = true;

	for (uint32_t i = 0; i < SENDERS; i++) {
		struct client *c = crew_client(d->senders, i);

		if (!c || client_acks(c)->acked == client_acks(c)->sent)
			continue;
		acks_ask(client_acks(c), client_output(c));
		all = false;
	}
	return all;
}

static void hold(struct drill *d, struct step *s)
{
	struct monotime begun = monotime_now();
	struct monotime end = monotime_add_ms(begun, (uint64_t)(d->opts.deadline * 1000));
	const char *why;
	char id[32];

	fleet_expect(d->fleet, d->opts.held);
	for (uint32_t n = 0; n < d->opts.held; n++) {
		fleet_id(d->fleet, id, sizeof id, n);
		for (uint32_t i = 0; i < d->opts.count; i++)
			write_message(d, i, id);
	}
	while (!senders_acknowledged(d) && monotime_before(monotime_now(), end))
		tcp_turn(d->tcp, 50);
	if (!senders_acknowledged(d))
		step_error(s, "not all messages are acknowledged after %.0f s", d->opts.deadline);
	if (crew_lost(d->senders, &why))
		step_error(s, "senders were lost: %s", why);
	s->seconds = (double)(monotime_now().us - begun.us) / 1e6;
}

/* Before the messages, so that the senders themselves are not in the memory of these. */
static void senders(struct drill *d, struct step *s)
{
	crew_free(&d->senders);
	d->senders = crew_new(d->tcp, &d->sender_opts, SENDERS, on_answer, d);
	if (!crew_login(d->senders, SENDERS))
		step_error(s, "the senders could not log in");
}

static bool run_step(struct drill *d, const char *name, struct step *s)
{
	if (strcmp(name, "login") == 0)
		fleet_login(d->fleet, s);
	else if (strcmp(name, "broken") == 0)
		fleet_broken(d->fleet, s);
	else if (strcmp(name, "senders") == 0)
		senders(d, s);
	else if (strcmp(name, "hold") == 0 && d->senders)
		hold(d, s);
	else if (strcmp(name, "resume") == 0)
		fleet_resume(d->fleet, s);
	else if (strcmp(name, "usage") != 0)
		return false;
	return true;
}

static void do_step(struct drill *d, const char *name)
{
	struct step s = {.name = name};

	d->step = &s;
	if (!run_step(d, name, &s))
		step_error(&s, "no such step now: login, broken, senders, hold, resume, usage");
	usage_take(&s.used, &d->opts.server, true);
	report_step(&s);
	d->step = NULL;
}

/* A line of standard input; the clients live on meanwhile. False: there are no more. */
static bool next_step(struct drill *d, char *line, size_t size)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	size_t len = 0;
	char c;

	for (;;) {
		while (poll(&in, 1, 0) > 0) {
			if (read(STDIN_FILENO, &c, 1) != 1)
				return false;
			if (c == '\n') {
				line[len] = 0;
				return true;
			}
			if (len < size - 1)
				line[len++] = c;
		}
		tcp_turn(d->tcp, 10);
	}
}

/* A few, so that what the server needs once is not in the figures; not many, since what it frees
 * then would be used again unseen. */
static bool warm_up(struct drill *d)
{
	struct crew *crew = crew_new(d->tcp, &d->opts, SENDERS, NULL, NULL);
	bool ok = crew_login(crew, SENDERS);

	crew_free(&crew);
	return ok;
}

bool load_detach(struct tcp *n, const struct opts *o, struct result *r)
{
	struct drill d = {.tcp = n, .opts = *o, .sender_opts = *o};
	char line[32];

	(void)r;
	d.opts.sm = d.sender_opts.sm = true;
	d.sender_opts.presence = false;
	bool ok = warm_up(&d);
	if (ok) {
		d.fleet = fleet_new(n, &d.opts);
		while (next_step(&d, line, sizeof line))
			do_step(&d, line);
	}
	crew_free(&d.senders);
	fleet_free(&d.fleet);
	return ok;
}
