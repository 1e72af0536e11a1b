/*
 * load_presence - presence that goes round: --pairs users change theirs, each has the same --count
 * contacts, all online.
 *
 * The contacts subscribe as any client would (RFC 6121 section 3); where an earlier run has left
 * the subscription that is seen by the presence which comes unasked. A user changes its presence
 * again when all contacts have one of the --window changes on their way. What is counted are
 * deliveries; each carries the name of the run, the user's number and its own, so one that is lost,
 * doubled or overtaken is seen.
 */
#include <stdio.h>
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

#define SEEN_MS 1000 /* for presence that comes unasked */

struct change {
	struct monotime began;
	uint32_t got; /* contacts that have it */
};

struct user {
	uint64_t sent;
	struct change *changes; /* the last opts.window */
};

struct round {
	const struct opts *opts;
	struct result *result;
	struct crew *crew;
	struct user *users;
	uint64_t *next;	 /* [contact][user]: the number of the change that is due */
	bool *known;	 /* [contact][user]: subscribed */
	uint32_t nknown; /* of these, true */
	char run[10];	 /* what a status of this run begins with; empty = not yet */
	bool measuring;
};

static size_t cell(const struct round *r, uint32_t contact, uint32_t user)
{
	return (size_t)contact * r->opts->pairs + user;
}

static void change(struct round *r, uint32_t user)
{
	struct user *u = &r->users[user];
	struct client *c = crew_client(r->crew, user);

	if (!c)
		return;
	u->changes[u->sent % r->opts->window] = (struct change){monotime_now(), 0};
	str_addf(client_output(c),
		 "<presence><show>away</show><status>%s%x-%llx</status></presence>", r->run, user,
		 (unsigned long long)u->sent++);
	client_sent(c);
}

/* "RUN-USER-NUMBER" in a status; false when it is none of this run. */
static bool parse(const struct round *r, struct slice status, uint32_t *user, uint64_t *number)
{
	size_t len = strlen(r->run);
	char *end;

	if (len == 0 || status.len <= len || memcmp(status.data, r->run, len) != 0)
		return false;
	*user = (uint32_t)strtoul(status.data + len, &end, 16);
	*number = strtoull(end + 1, NULL, 16);
	return *user < r->opts->pairs;
}

static void take(struct round *r, uint32_t contact, uint32_t user, uint64_t number)
{
	uint64_t *due = &r->next[cell(r, contact, user)];
	struct change *c = &r->users[user].changes[number % r->opts->window];

	if (number != *due)
		result_error(r->result, "contact %u, user %u: presence %llu came when %llu was due",
			     contact, user, (unsigned long long)number, (unsigned long long)*due);
	*due = number + 1;
	if (r->measuring) {
		r->result->count++;
		hist_add(&r->result->times, monotime_now().us - c->began.us);
	}
	if (++c->got == r->opts->count)
		change(r, user);
}

/* Account i of the options is called USERi: whose presence is it? */
static bool sender(const struct round *r, struct slice from, uint32_t *user)
{
	size_t len = strlen(r->opts->user);
	char *end;

	if (from.len <= len || memcmp(from.data, r->opts->user, len) != 0)
		return false;
	*user = (uint32_t)strtoul(from.data + len, &end, 10);
	return *end == '@' && *user < r->opts->pairs;
}

static void at_user(struct round *r, uint32_t user, struct slice stanza)
{
	struct slice from = scan_attribute(stanza, "from");
	struct client *c = crew_client(r->crew, user);

	if (!c || !slice_is(scan_attribute(stanza, "type"), "subscribe"))
		return;
	str_addf(client_output(c), "<presence type='subscribed' to='%.*s'/>", SLICE_ARG(from));
	client_sent(c);
}

static void at_contact(struct round *r, uint32_t contact, struct slice stanza)
{
	struct slice type = scan_attribute(stanza, "type");
	uint64_t number;
	uint32_t user;

	if (parse(r, scan_text(stanza, "status"), &user, &number)) {
		take(r, contact, user, number);
		return;
	}
	if (slice_is(type, "error"))
		result_error(r->result, "%.*s", SLICE_ARG(stanza));
	if ((type.len && !slice_is(type, "subscribed")) ||
	    !sender(r, scan_attribute(stanza, "from"), &user) || r->known[cell(r, contact, user)])
		return;
	r->known[cell(r, contact, user)] = true;
	r->nknown++;
}

static void on_stanza(void *arg, uint32_t client, struct slice stanza)
{
	struct round *r = arg;

	if (stanza.len < 10 || memcmp(stanza.data, "<presence", 9) != 0)
		return;
	if (client < r->opts->pairs)
		at_user(r, client, stanza);
	else
		at_contact(r, client - r->opts->pairs, stanza);
}

static void ask_all(struct round *r)
{
	const struct opts *o = r->opts;

	for (uint32_t i = 0; i < o->count; i++) {
		struct client *c = crew_client(r->crew, o->pairs + i);

		for (uint32_t user = 0; c && user < o->pairs; user++) {
			if (r->known[cell(r, i, user)])
				continue;
			str_addf(client_output(c), "<presence type='subscribe' to='%s%u@%s'/>",
				 o->user, user, o->domain);
			client_sent(c);
		}
	}
}

/* Everybody sees everybody; false: not within the time (said on stderr). */
static bool subscribe(struct round *r, struct tcp *n)
{
	struct monotime end = monotime_add_ms(monotime_now(), (uint64_t)(r->opts->deadline * 1000));
	uint32_t all = r->opts->count * r->opts->pairs;

	tcp_turn_for(n, SEEN_MS / 1e3);
	if (r->nknown < all)
		ask_all(r);
	while (r->nknown < all && monotime_before(monotime_now(), end))
		tcp_turn(n, 100);
	if (r->nknown < all)
		fprintf(stderr, "%u of %u subscriptions stand after %.0f s (--deadline)\n",
			r->nknown, all, r->opts->deadline);
	tcp_turn_for(n, 0.3);
	return r->nknown == all;
}

static void measure(struct round *r, struct tcp *n)
{
	struct span span;
	const char *why;
	uint32_t lost;

	random_hex(r->run, 4);
	r->run[8] = '-';
	r->run[9] = 0;
	for (uint32_t user = 0; user < r->opts->pairs; user++)
		for (uint32_t k = 0; k < r->opts->window; k++)
			change(r, user);
	tcp_turn_for(n, r->opts->warmup);
	span_begin(&span, r->opts);
	r->measuring = true;
	tcp_turn_for(n, r->opts->seconds);
	r->measuring = false;
	span_end(&span, r->result);
	lost = crew_lost(r->crew, &why);
	if (lost)
		result_error(r->result, "%u connections were lost; %s", lost, why);
}

bool load_presence(struct tcp *n, const struct opts *o, struct result *result)
{
	struct round r = {.opts = o, .result = result};
	uint32_t all = o->pairs + o->count;
	bool ok;

	if (all > o->users) {
		fprintf(stderr, "presence: %u users and %u contacts are more than --users %u\n",
			o->pairs, o->count, o->users);
		return false;
	}
	result->unit = "delivery";
	result->times_name = "presence";
	r.users = xcalloc(o->pairs, sizeof *r.users);
	for (uint32_t i = 0; i < o->pairs; i++)
		r.users[i].changes = xcalloc(o->window, sizeof(struct change));
	r.next = xcalloc((size_t)o->count * o->pairs, sizeof *r.next);
	r.known = xcalloc((size_t)o->count * o->pairs, sizeof *r.known);
	r.crew = crew_new(n, o, all, on_stanza, &r);
	ok = crew_login(r.crew, all) && subscribe(&r, n);
	if (ok)
		measure(&r, n);
	result->retried += crew_retried(r.crew);
	crew_free(&r.crew);
	for (uint32_t i = 0; i < o->pairs; i++)
		free(r.users[i].changes);
	free(r.users);
	free(r.next);
	free(r.known);
	return ok;
}
