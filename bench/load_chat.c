/*
 * load_chat - pairs of clients that exchange messages.
 *
 * chat: of each pair, one keeps a window of messages on their way to the other; the time is that
 * of delivery. pingpong: the other answers each, one is on its way; the time is the round trip's.
 * Every message carries its number, so one that is lost, doubled or overtaken is seen; and the
 * name of the run, since a server may have stored what an earlier one left on its way. With --sm
 * all of this goes over streams with XEP-0198.
 */
#include <stdlib.h>
#include <string.h>

#include "base/monotime.h"
#include "base/random.h"
#include "base/str.h"
#include "base/xmem.h"
#include "bench/crew.h"
#include "bench/load.h"
#include "bench/tcp.h"
#include "bench/scan.h"

struct pair {
	struct str head; /* of a message, up to its id; [0] to the second, [1] to the first */
	struct str back;
	uint64_t sent;
	uint64_t received;
	struct monotime *times; /* of the last opts.window messages */
};

struct chat {
	const struct opts *opts;
	struct result *result;
	struct crew *crew;
	struct pair *pairs;
	char run[10];	 /* what the ids of this run begin with */
	struct str tail; /* of every message, after its id */
	bool answered;	 /* pingpong */
	bool measuring;
};

static void write_message(struct chat *chat, uint32_t client, const struct str *head,
			  uint64_t number)
{
	struct client *c = crew_client(chat->crew, client);
	char id[24];

	if (!c)
		return;
	struct str *out = client_output(c);
	int n = snprintf(id, sizeof id, "%llx", (unsigned long long)number);
	str_add(out, head->data, head->len);
	str_add(out, id, (size_t)n);
	str_add(out, chat->tail.data, chat->tail.len);
	client_sent(c);
}

static void send_next(struct chat *chat, uint32_t i)
{
	struct pair *p = &chat->pairs[i];

	p->times[p->sent % chat->opts->window] = monotime_now();
	write_message(chat, 2 * i, &p->head, p->sent++);
}

/* A number that went the whole way: counted, and the next one is sent. */
static void complete(struct chat *chat, uint32_t i, uint64_t number)
{
	struct pair *p = &chat->pairs[i];
	struct monotime began = p->times[number % chat->opts->window];

	if (number != p->received)
		result_error(chat->result, "pair %u: message %llu came when %llu was due", i,
			     (unsigned long long)number, (unsigned long long)p->received);
	p->received = number + 1;
	if (chat->measuring) {
		chat->result->count += chat->answered ? 2 : 1;
		hist_add(&chat->result->times, monotime_now().us - began.us);
	}
	send_next(chat, i);
}

static void on_stanza(void *arg, uint32_t client, struct slice stanza)
{
	struct chat *chat = arg;
	size_t len = strlen(chat->run);

	if (!chat->pairs || stanza.len < 9 || memcmp(stanza.data, "<message", 8) != 0)
		return;
	struct slice id = scan_attribute(stanza, "id");
	if (id.len == 0) {
		result_error(chat->result, "no id: %.*s", SLICE_ARG(stanza));
		return;
	}
	if (id.len <= len || memcmp(id.data, chat->run, len) != 0)
		return;
	if (slice_is(scan_attribute(stanza, "type"), "error")) {
		result_error(chat->result, "%.*s", SLICE_ARG(stanza));
		return;
	}
	uint64_t number = strtoull(id.data + len, NULL, 16);
	if (chat->answered && client % 2)
		write_message(chat, client, &chat->pairs[client / 2].back, number);
	else
		complete(chat, client / 2, number);
}

static void address(struct chat *chat, struct str *head, uint32_t to)
{
	str_init(head);
	str_addf(head, "<message to='%s' type='chat' id='%s",
		 client_jid(crew_client(chat->crew, to)), chat->run);
}

static void prepare(struct chat *chat)
{
	const struct opts *o = chat->opts;

	random_hex(chat->run, 4);
	chat->run[8] = '-';
	chat->run[9] = 0;
	chat->pairs = xcalloc(o->pairs, sizeof *chat->pairs);
	for (uint32_t i = 0; i < o->pairs; i++) {
		address(chat, &chat->pairs[i].head, 2 * i + 1);
		address(chat, &chat->pairs[i].back, 2 * i);
		chat->pairs[i].times = xcalloc(o->window, sizeof(struct monotime));
	}
	str_adds(&chat->tail, "'><body>");
	for (uint32_t i = 0; i < o->body; i++)
		str_addc(&chat->tail, "the quick brown fox jumps over a lazy dog "[i % 42]);
	str_adds(&chat->tail, "</body></message>");
}

/* What was asked and told within the measured time. */
static void count_acks(struct chat *chat, const struct acks_count *before)
{
	struct acks_count *c = &chat->result->acks;
	uint32_t unheard = crew_acks(chat->crew, c);

	c->asked_in -= before->asked_in;
	c->asked_out -= before->asked_out;
	c->told_in -= before->told_in;
	c->told_out -= before->told_out;
	if (chat->opts->sm && unheard)
		result_error(chat->result, "%u clients were acknowledged nothing", unheard);
}

static void measure(struct chat *chat, struct tcp *n)
{
	struct acks_count before;
	struct span span;
	const char *why;

	for (uint32_t i = 0; i < chat->opts->pairs; i++) {
		for (uint32_t k = 0; k < chat->opts->window; k++)
			send_next(chat, i);
	}
	tcp_turn_for(n, chat->opts->warmup);
	crew_acks(chat->crew, &before);
	span_begin(&span, chat->opts);
	chat->measuring = true;
	tcp_turn_for(n, chat->opts->seconds);
	chat->measuring = false;
	span_end(&span, chat->result);
	count_acks(chat, &before);
	uint32_t lost = crew_lost(chat->crew, &why);
	if (lost)
		result_error(chat->result, "%u connections were lost; %s", lost, why);
}

static void release(struct chat *chat)
{
	for (uint32_t i = 0; chat->pairs && i < chat->opts->pairs; i++) {
		str_clear(&chat->pairs[i].head);
		str_clear(&chat->pairs[i].back);
		free(chat->pairs[i].times);
	}
	free(chat->pairs);
	str_clear(&chat->tail);
}

static bool run(struct tcp *n, const struct opts *o, struct result *r, bool answered)
{
	struct opts quiet = *o;
	struct crew *idle = NULL;
	struct chat chat = {.opts = o, .result = r, .tail = STR_INIT, .answered = answered};

	r->unit = "message";
	r->times_name = answered ? "round trip" : "delivery";
	quiet.sm = false;
	if (o->idle) {
		idle = crew_new(n, &quiet, o->idle, NULL, NULL);
		if (!crew_login(idle, o->idle)) {
			crew_free(&idle);
			return false;
		}
	}
	chat.crew = crew_new(n, o, 2 * o->pairs, on_stanza, &chat);
	bool ok = crew_login(chat.crew, 2 * o->pairs);
	if (ok) {
		prepare(&chat);
		tcp_turn_for(n, 0.3); /* the presence of all has gone round */
		measure(&chat, n);
	}
	r->retried += crew_retried(chat.crew) + (idle ? crew_retried(idle) : 0);
	crew_free(&chat.crew);
	crew_free(&idle);
	release(&chat);
	return ok;
}

bool load_chat(struct tcp *n, const struct opts *o, struct result *r)
{
	return run(n, o, r, false);
}

bool load_pingpong(struct tcp *n, const struct opts *o, struct result *r)
{
	struct opts one = *o;

	one.window = 1;
	return run(n, &one, r, true);
}
