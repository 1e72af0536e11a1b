#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "bench/crew.h"
#include "bench/load.h"
#include "bench/tcp.h"
#include "tests/unit/bench/fake_server.h"

static bool parse(struct opts *o, const struct fake_server *s, const char *line)
{
	char *words = NULL, *rest = NULL;
	char *argv[32] = {(char *)(uintptr_t) "xmpp-load"};
	int argc = 1;
	static char text[512];

	snprintf(text, sizeof text, "%s --port %u --tls none --deadline 10 --warmup 0.05", line,
		 s->port);
	for (words = strtok_r(text, " ", &rest); words; words = strtok_r(NULL, " ", &rest))
		argv[argc++] = words;
	optind = 1;
	return opts_parse(o, argc, argv);
}

static void refused_logins_are_tried_again_as_often_as_is_said(void **state)
{
	static const struct {
		unsigned int refuse;
		const char *line;
		bool ok;
	} table[] = {
		{0, "idle --retry 0", true},
		{3, "idle --retry 3", true},
		{4, "idle --retry 3", false},
		{1, "idle", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct fake_server s = {.refuse = table[i].refuse, .seen = STR_INIT};
		struct opts o;

		fake_start(&s);
		assert_true(parse(&o, &s, table[i].line));
		struct tcp *n = tcp_new(&o);
		struct crew *crew = crew_new(n, &o, 8, NULL, NULL);
		assert_int_equal(crew_login(crew, 8), table[i].ok);
		if (table[i].ok)
			assert_int_equal(crew_retried(crew), table[i].refuse);
		for (uint32_t k = 0; table[i].ok && k < 8; k++)
			assert_non_null(crew_client(crew, k));
		crew_free(&crew);
		tcp_free(&n);
		fake_stop(&s);
	}
}

static void a_storm_of_logins_counts_only_those_that_succeed(void **state)
{
	struct fake_server s = {.accept_first = 1, .refuse = 2, .seen = STR_INIT};
	static struct result r;
	struct opts o;

	(void)state;
	fake_start(&s);
	assert_true(parse(&o, &s, "login --count 5 --users 1 --together 2 --retry 9"));
	struct tcp *n = tcp_new(&o);
	assert_true(load_login(n, &o, &r));
	assert_int_equal(r.count, 5);
	assert_int_equal(r.retried, 2);
	assert_int_equal(r.errors, 0);
	tcp_free(&n);
	fake_stop(&s);
}

static void the_roster_is_asked_for_before_presence_is_sent(void **state)
{
	struct fake_server s = {.seen = STR_INIT};
	static struct result r;
	struct opts o;

	(void)state;
	fake_start(&s);
	assert_true(parse(&o, &s, "idle --count 1 --roster --time 0.05"));
	struct tcp *n = tcp_new(&o);
	assert_true(load_idle(n, &o, &r));
	assert_string_equal(s.seen.data, "<iq type='get' id='roster'>"
					 "<query xmlns='jabber:iq:roster'/></iq><presence/>"
					 "</stream:stream>");
	tcp_free(&n);
	fake_stop(&s);
}

static void idle_clients_come_first_and_stay(void **state)
{
	struct fake_server s = {.seen = STR_INIT};
	static struct result r;
	struct opts o;

	(void)state;
	fake_start(&s);
	assert_true(parse(&o, &s, "chat --pairs 1 --idle 5 --time 0.05"));
	struct tcp *n = tcp_new(&o);
	assert_true(load_chat(n, &o, &r));
	assert_int_equal(s.count, 7);
	assert_int_equal(r.count, 0); /* this server delivers nothing */
	assert_non_null(strstr(s.seen.data, "<message to='c6@localhost/r'"));
	tcp_free(&n);
	fake_stop(&s);
}

static void lines_that_come_back_are_counted_both_ways(void **state)
{
	struct fake_server s = {.swap = true, .seen = STR_INIT};
	static struct result r;
	struct opts o;

	(void)state;
	fake_start(&s);
	assert_true(parse(&o, &s, "relay --pairs 3 --time 0.2"));
	struct tcp *n = tcp_new(&o);
	assert_true(load_relay(n, &o, &r));
	assert_int_equal(r.errors, 0);
	assert_true(r.count > 0);
	assert_int_equal(r.count, 2 * r.times.count);
	tcp_free(&n);
	fake_stop(&s);
}

/* ---- presence: the server below lets everybody see everybody, as far as it is told */

static unsigned int lose; /* every so many-th presence of a user is lost; 0 = none */
static bool twice;	  /* is delivered twice */

static void pass_presence(struct fake_server *s, struct fake_client *from, const char *text)
{
	static unsigned int seen;
	char out[4096];

	for (const char *at = strstr(text, "<presence"); at; at = strstr(at + 1, "<presence")) {
		const char *end = strstr(at, "</presence>");
		const char *short_end = strstr(at, "/>");
		const char *next = strstr(at + 1, "<presence");

		if (!end || (next && next < end))
			end = NULL; /* without content */
		else
			end += strlen("</presence>");
		if (!end && !short_end)
			return;
		if (end && lose && ++seen % lose == 0)
			continue;
		snprintf(out, sizeof out, "<presence from='bench%u@localhost/r'%.*s", from->number,
			 (int)((end ? end : short_end + 2) - at - 9), at + 9);
		for (unsigned int i = 0; i < s->count; i++) {
			if (s->client[i].user[0] && i != from->number)
				fake_say(&s->client[i], out);
			if (s->client[i].user[0] && i != from->number && end && twice)
				fake_say(&s->client[i], out);
		}
	}
}

static uint64_t go_round(struct result *r, unsigned int losing, bool doubling)
{
	struct fake_server s = {.seen = STR_INIT, .on_stanza = pass_presence};
	struct opts o;
	bool ok;

	lose = losing;
	twice = doubling;
	fake_start(&s);
	assert_true(parse(&o, &s,
			  "presence --pairs 2 --count 3 --window 2 --time 0.3 --users 5 "
			  "--together 1"));
	struct tcp *n = tcp_new(&o);
	ok = load_presence(n, &o, r);
	tcp_free(&n);
	fake_stop(&s);
	assert_true(ok);
	return r->count;
}

static void every_delivery_of_presence_is_counted(void **state)
{
	static struct result r;

	(void)state;
	assert_true(go_round(&r, 0, false) > 0);
	assert_int_equal(r.errors, 0);
	assert_int_equal(r.times.count, r.count);
}

static void presence_that_is_lost_or_doubled_is_an_error(void **state)
{
	static struct result lost, doubled;

	(void)state;
	go_round(&lost, 3, false);
	assert_true(lost.errors > 0);
	go_round(&doubled, 0, true);
	assert_true(doubled.errors > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_logins_are_tried_again_as_often_as_is_said),
		cmocka_unit_test(a_storm_of_logins_counts_only_those_that_succeed),
		cmocka_unit_test(the_roster_is_asked_for_before_presence_is_sent),
		cmocka_unit_test(idle_clients_come_first_and_stay),
		cmocka_unit_test(lines_that_come_back_are_counted_both_ways),
		cmocka_unit_test(every_delivery_of_presence_is_counted),
		cmocka_unit_test(presence_that_is_lost_or_doubled_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
