#include "bench/crew.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotime.h"
#include "base/xmem.h"
#include "bench/tcp.h"

#define CLOSE_MS 2000

struct crew {
	struct tcp *tcp;
	const struct opts *opts;
	struct client **clients;
	uint32_t count;
	uint32_t started;
	uint32_t ready;
	uint32_t ended;
	uint32_t retried;
	uint32_t *again; /* refused: to be started again */
	uint32_t nagain;
	bool *was_ready;
	bool closing;
	char why[256];
	crew_on_stanza *on_stanza;
	void *arg;
};

static void on_ready(void *arg, struct client *c)
{
	struct crew *crew = arg;

	crew->was_ready[client_tag(c)] = true;
	crew->ready++;
}

static void on_stanza(void *arg, struct client *c, struct slice stanza)
{
	struct crew *crew = arg;

	if (crew->on_stanza && !crew->closing)
		crew->on_stanza(crew->arg, client_tag(c), stanza);
}

static void on_closed(void *arg, struct client *c, const char *why)
{
	struct crew *crew = arg;
	uint32_t i = client_tag(c);
	struct client **slot = &crew->clients[i];

	if (!crew->closing && !crew->was_ready[i] && crew->retried < crew->opts->retry) {
		crew->retried++;
		crew->again[crew->nagain++] = i;
		client_free(slot);
		return;
	}
	if (crew->ended++ == 0 && !crew->closing)
		snprintf(crew->why, sizeof crew->why, "client %u: %s", i, why);
	client_free(slot);
}

static const struct client_events events = {
	.on_ready = on_ready, .on_stanza = on_stanza, .on_closed = on_closed};

struct crew *crew_new(struct tcp *n, const struct opts *o, uint32_t count, crew_on_stanza *stanza,
		      void *arg)
{
	struct crew *crew = xcalloc(1, sizeof *crew);

	crew->tcp = n;
	crew->opts = o;
	crew->count = count;
	crew->clients = xcalloc(count, sizeof(struct client *));
	crew->again = xcalloc(count, sizeof(uint32_t));
	crew->was_ready = xcalloc(count, sizeof(bool));
	crew->on_stanza = stanza;
	crew->arg = arg;
	return crew;
}

static bool start_one(struct crew *crew)
{
	uint32_t i = crew->nagain ? crew->again[--crew->nagain] : crew->started++;
	struct client *c =
		client_new(crew->tcp, crew->opts, i % crew->opts->users, NULL, &events, crew);

	if (!c) {
		fprintf(stderr, "client %u: no connection: %s\n", i, strerror(errno));
		return false;
	}
	client_set_tag(c, i);
	crew->clients[i] = c;
	return true;
}

bool crew_login(struct crew *crew, uint32_t upto)
{
	struct monotime end =
		monotime_add_ms(monotime_now(), (uint64_t)(crew->opts->deadline * 1000));

	while (crew->ready < upto && crew->ended == 0) {
		while ((crew->nagain || crew->started < upto) &&
		       crew->started - crew->nagain - crew->ready < crew->opts->together) {
			if (!start_one(crew))
				return false;
		}
		tcp_turn(crew->tcp, 100);
		if (monotime_before(end, monotime_now())) {
			fprintf(stderr, "%u of %u logged in after %.0f s (--deadline)\n",
				crew->ready, upto, crew->opts->deadline);
			return false;
		}
	}
	if (crew->ended)
		fprintf(stderr, "login failed: %s\n", crew->why);
	return crew->ended == 0;
}

struct client *crew_client(struct crew *crew, uint32_t index)
{
	return crew->clients[index];
}

uint32_t crew_acks(const struct crew *crew, struct acks_count *sum)
{
	uint32_t unheard = 0;

	*sum = (struct acks_count){0};
	for (uint32_t i = 0; i < crew->started; i++) {
		const struct acks *a = crew->clients[i] ? client_acks(crew->clients[i]) : NULL;

		if (!a)
			continue;
		sum->asked_in += a->count.asked_in;
		sum->asked_out += a->count.asked_out;
		sum->told_in += a->count.told_in;
		sum->told_out += a->count.told_out;
		unheard += a->sent >= 2 * ACKS_ASK_EVERY && a->acked == 0;
	}
	return unheard;
}

uint32_t crew_retried(const struct crew *crew)
{
	return crew->retried;
}

uint32_t crew_lost(const struct crew *crew, const char **why)
{
	*why = crew->why;
	return crew->ended;
}

void crew_free(struct crew **cp)
{
	struct crew *crew = *cp;
	struct monotime end = monotime_add_ms(monotime_now(), CLOSE_MS);

	if (!crew)
		return;
	crew->closing = true;
	for (uint32_t i = 0; i < crew->started; i++) {
		if (crew->clients[i])
			str_adds(client_output(crew->clients[i]), "</stream:stream>");
	}
	while (crew->ended < crew->started && monotime_before(monotime_now(), end))
		tcp_turn(crew->tcp, 50);
	for (uint32_t i = 0; i < crew->started; i++)
		client_free(&crew->clients[i]);
	tcp_turn(crew->tcp, 0);
	free(crew->clients);
	free(crew->again);
	free(crew->was_ready);
	free(crew);
	*cp = NULL;
}
