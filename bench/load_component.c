/*
 * load_component - clients that keep a window of messages on their way to a component (XEP-0114) of
 * this process, which sends each back; what is counted are echoes: two ways through the server.
 */
#include <stdlib.h>
#include <string.h>

#include "base/monotime.h"
#include "base/random.h"
#include "base/str.h"
#include "base/xmem.h"
#include "bench/component.h"
#include "bench/crew.h"
#include "bench/load.h"
#include "bench/scan.h"
#include "bench/tcp.h"

struct sender {
	uint64_t sent;
	uint64_t received;
	struct monotime *times; /* of the last opts.window messages */
};

struct echo {
	const struct opts *opts;
	struct result *result;
	struct crew *crew;
	struct sender *senders;
	char run[10]; /* what the ids of this run begin with */
	struct str head, tail;
	bool measuring;
};

static void send_next(struct echo *e, uint32_t i)
{
	struct sender *s = &e->senders[i];
	struct client *c = crew_client(e->crew, i);
	char id[24];

	if (!c)
		return;
	struct str *out = client_output(c);
	int n = snprintf(id, sizeof id, "%llx", (unsigned long long)s->sent);
	s->times[s->sent++ % e->opts->window] = monotime_now();
	str_add(out, e->head.data, e->head.len);
	str_add(out, id, (size_t)n);
	str_add(out, e->tail.data, e->tail.len);
	client_sent(c);
}

static void on_stanza(void *arg, uint32_t i, struct slice stanza)
{
	struct echo *e = arg;
	size_t len = strlen(e->run);

	if (!e->senders || stanza.len < 9 || memcmp(stanza.data, "<message", 8) != 0)
		return;
	struct slice id = scan_attribute(stanza, "id");
	if (id.len <= len || memcmp(id.data, e->run, len) != 0)
		return;
	if (slice_is(scan_attribute(stanza, "type"), "error")) {
		result_error(e->result, "%.*s", SLICE_ARG(stanza));
		return;
	}
	struct sender *s = &e->senders[i];
	uint64_t number = strtoull(id.data + len, NULL, 16);
	if (number != s->received)
		result_error(e->result, "client %u: echo %llu came when %llu was due", i,
			     (unsigned long long)number, (unsigned long long)s->received);
	s->received = number + 1;
	if (e->measuring) {
		e->result->count++;
		hist_add(&e->result->times,
			 monotime_now().us - s->times[number % e->opts->window].us);
	}
	send_next(e, i);
}

static void prepare(struct echo *e)
{
	random_hex(e->run, 4);
	e->run[8] = '-';
	e->run[9] = 0;
	e->senders = xcalloc(e->opts->pairs, sizeof *e->senders);
	for (uint32_t i = 0; i < e->opts->pairs; i++)
		e->senders[i].times = xcalloc(e->opts->window, sizeof(struct monotime));
	str_addf(&e->head, "<message to='bot@%s' type='chat' id='%s", e->opts->component, e->run);
	str_adds(&e->tail, "'><body>");
	for (uint32_t i = 0; i < e->opts->body; i++)
		str_addc(&e->tail, "the quick brown fox jumps over a lazy dog "[i % 42]);
	str_adds(&e->tail, "</body></message>");
}

static void measure(struct echo *e, struct tcp *n, const struct component *component)
{
	struct span span;
	const char *why;

	for (uint32_t i = 0; i < e->opts->pairs; i++) {
		for (uint32_t k = 0; k < e->opts->window; k++)
			send_next(e, i);
	}
	tcp_turn_for(n, e->opts->warmup);
	span_begin(&span, e->opts);
	e->measuring = true;
	tcp_turn_for(n, e->opts->seconds);
	e->measuring = false;
	span_end(&span, e->result);
	uint32_t lost = crew_lost(e->crew, &why);
	if (lost)
		result_error(e->result, "%u connections were lost; %s", lost, why);
	if (component_lost(component))
		result_error(e->result, "the component was lost: %s", component_lost(component));
}

static void release(struct echo *e)
{
	for (uint32_t i = 0; e->senders && i < e->opts->pairs; i++)
		free(e->senders[i].times);
	free(e->senders);
	str_clear(&e->head);
	str_clear(&e->tail);
}

bool load_component(struct tcp *n, const struct opts *o, struct result *r)
{
	struct echo e = {.opts = o, .result = r, .head = STR_INIT, .tail = STR_INIT};
	struct component *component = component_open(n, o);

	r->unit = "echo";
	r->times_name = "round trip";
	if (!component)
		return false;
	e.crew = crew_new(n, o, o->pairs, on_stanza, &e);
	bool ok = crew_login(e.crew, o->pairs);
	if (ok) {
		prepare(&e);
		tcp_turn_for(n, 0.3); /* the presence of all has gone round */
		measure(&e, n, component);
	}
	r->retried += crew_retried(e.crew);
	crew_free(&e.crew);
	component_close(&component);
	release(&e);
	return ok;
}
