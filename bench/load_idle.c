/*
 * load_idle - connections that log in and stay: what each holds of the server's memory, and what
 * all of them cost while nothing happens.
 *
 * Memory is the growth from the first tenth of the connections to all of them, so that what the
 * server has once, whatever the number of connections, is not in it.
 */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/crew.h"
#include "bench/load.h"
#include "bench/tcp.h"

static bool fill(struct tcp *n, const struct opts *o, struct crew *crew, struct usage *grown)
{
	uint32_t first = o->count / 10 + 1;
	struct usage before, after;

	if (!crew_login(crew, first))
		return false;
	tcp_turn_for(n, o->warmup);
	usage_take(&before, &o->server, true);
	if (!crew_login(crew, o->count))
		return false;
	tcp_turn_for(n, o->warmup);
	usage_take(&after, &o->server, true);
	usage_between(grown, &before, &after);
	return true;
}

/* Others are measured while these are there. */
static bool hold(struct tcp *n, const struct opts *o)
{
	struct crew *crew = crew_new(n, o, o->count, NULL, NULL);
	bool ok = crew_login(crew, o->count);
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	const char *why;
	char byte;

	if (ok) {
		puts("ready");
		fflush(stdout);
		while (poll(&in, 1, 0) == 0 || read(STDIN_FILENO, &byte, 1) > 0)
			tcp_turn(n, 50);
	}
	uint32_t lost = crew_lost(crew, &why);
	if (lost)
		fprintf(stderr, "%u connections were lost; %s\n", lost, why);
	crew_free(&crew);
	return ok && !lost;
}

bool load_idle(struct tcp *n, const struct opts *o, struct result *r)
{
	if (o->hold)
		return hold(n, o);

	struct crew *crew = crew_new(n, o, o->count, NULL, NULL);
	struct usage grown;
	struct span span;
	const char *why;
	bool ok = fill(n, o, crew, &grown);

	r->unit = "connection";
	if (ok) {
		span_begin(&span, o);
		tcp_turn_for(n, o->seconds);
		span_end(&span, r);
		r->count = o->count;
		r->idle_connections = o->count - (o->count / 10 + 1);
		for (size_t i = 0; i < r->used.count; i++) {
			for (size_t k = 0; k < grown.count; k++) {
				if (grown.process[k].pid != r->used.process[i].pid)
					continue;
				r->used.process[i].rss = grown.process[k].rss;
				r->used.process[i].pss = grown.process[k].pss;
			}
		}
		uint32_t lost = crew_lost(crew, &why);
		if (lost)
			result_error(r, "%u connections were lost; %s", lost, why);
	}
	r->retried += crew_retried(crew);
	crew_free(&crew);
	return ok;
}
