/* The message of the day: once in the life of a session, also when routers die. */
#include "tests/unit/session/fake_host.h"

#include "session/manager.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.org"
#define J      JULIET "/balcony"
#define HELLO \
	"answer sid=1 message headline from=example.com to=" J " <body>Good &lt;day&gt;</body>\n"

static uint64_t number;
static bool is_resent;

static void origin(void *ctx, const struct custody_entry *e, uint64_t *sid, uint64_t *n)
{
	(void)ctx, (void)e;
	*sid = 1;
	*n = number;
}

static bool repeated(void *ctx, const struct custody_entry *e)
{
	(void)ctx, (void)e;
	return is_resent;
}

static void configure(struct fake *f, const char *motd)
{
	session_configure(f->m, &(struct session_config){.domains = fake_domains,
							 .sessions_per_user = 4,
							 .resource_conflict = "replace",
							 .presence_grace_s = 60,
							 .reconnect_grace_s = 10,
							 .motd = motd});
}

static void start(struct fake *f, const char *motd)
{
	f->m->host.origin = origin;
	f->m->host.repeated = repeated;
	is_resent = false;
	f->show_inner = true;
	configure(f, motd);
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
}

static void say(struct fake *f, uint64_t n, const char *type, const char *to)
{
	fake_forget(f);
	number = n;
	presence(f, 1, type, to, "");
}

static bool greeted(const struct fake *f)
{
	const char *at = strstr(f->trace.data, HELLO);

	return at && !strstr(at + strlen(HELLO), "headline");
}

static void assert_silent(struct fake *f)
{
	if (strstr(f->trace.data, "headline"))
		fail_msg("%s", f->trace.data);
}

static void the_first_available_presence_is_answered_with_it(void **state)
{
	struct fake *f = *state;

	start(f, "Good <day>");
	assert_silent(f);
	say(f, 1, "", "");
	assert_true(greeted(f));
}

static void nothing_else_is(void **state)
{
	struct fake *f = *state;

	start(f, "Good <day>");
	say(f, 1, "", ROMEO);
	assert_silent(f);
	say(f, 2, "unavailable", "");
	assert_silent(f);
	say(f, 3, "", "");
	assert_true(greeted(f));
	say(f, 4, "", "");
	assert_silent(f);
	say(f, 5, "unavailable", "");
	assert_silent(f);
	say(f, 6, "", "");
	assert_silent(f);
}

static void each_session_gets_its_own(void **state)
{
	struct fake *f = *state;

	start(f, "Good <day>");
	say(f, 1, "", "");
	bind_to(f, 2, JULIET, "hall");
	fake_forget(f);
	number = 1;
	presence(f, 2, "", "", "");
	assert_non_null(strstr(f->trace.data,
			       "answer sid=2 message headline from=example.com to=" JULIET
			       "/hall "));
	assert_null(strstr(f->trace.data, "answer sid=1 message"));
}

static void a_resumed_session_does_not(void **state)
{
	struct fake *f = *state;

	start(f, "Good <day>");
	say(f, 1, "", "");
	session_detached(f->m, 1, NOW);
	tick(f, 61); /* its contacts have seen it go */
	fake_forget(f);
	session_resumed(f->m, 1, S("c2s#2"), S("127.0.0.1:4001"), after_s(62));
	assert_silent(f);
	say(f, 2, "", "");
	assert_silent(f);
}

static void restart(struct fake *f, const char *motd)
{
	struct str blob = STR_INIT;

	str_add_slice(&blob, str_slice(&f->blobs[1]));
	fake_restart(f);
	f->m->host.origin = origin;
	f->m->host.repeated = repeated;
	is_resent = true;
	configure(f, motd);
	assert_int_equal(announce(f, 1, J, str_slice(&blob)), ERR_OK);
	fake_forget(f);
	str_clear(&blob);
}

static void the_next_router_does_not_repeat_it(void **state)
{
	struct fake *f = *state;

	start(f, "Good <day>");
	say(f, 1, "", "");
	restart(f, "Good <day>");
	is_resent = false;
	say(f, 2, "", "");
	assert_silent(f);
	restart(f, "Good <day>");
	is_resent = false;
	say(f, 3, "unavailable", "");
	say(f, 4, "", "");
	assert_silent(f);
}

/* Its origin is that of the first time, so who has had it gets no second one (CUSTODY 6). */
static void a_presence_that_is_judged_again_is_answered_again(void **state)
{
	struct fake *f = *state;

	start(f, "Good <day>");
	say(f, 1, "", "");
	restart(f, "Good <day>");
	say(f, 1, "", "");
	assert_true(greeted(f));
	say(f, 2, "", "");
	restart(f, "Good <day>");
	say(f, 1, "", "");
	assert_true(greeted(f));
	say(f, 2, "", "");
	assert_silent(f);
	say(f, 3, "unavailable", "");
	restart(f, "Good <day>");
	say(f, 1, "", "");
	assert_true(greeted(f));
}

static void who_was_there_before_it_was_set_is_not_told(void **state)
{
	struct fake *f = *state;

	start(f, NULL);
	say(f, 1, "", "");
	assert_silent(f);
	configure(f, "Good <day>");
	assert_silent(f);
	say(f, 2, "", "");
	assert_silent(f);
	say(f, 3, "unavailable", "");
	say(f, 4, "", "");
	assert_silent(f);
	restart(f, "Good <day>");
	say(f, 1, "", "");
	assert_silent(f);
}

static void a_new_one_holds_at_once_and_none_ends_it(void **state)
{
	struct fake *f = *state;

	start(f, "Old news");
	configure(f, "Good <day>");
	say(f, 1, "", "");
	assert_true(greeted(f));
	configure(f, "");
	bind_to(f, 2, JULIET, "hall");
	presence(f, 2, "", "", "");
	fake_forget(f);
	presence(f, 2, "", "", "");
	assert_silent(f);
}

static void what_is_no_text_is_not_sent(void **state)
{
	static char longest[2048 * 2 + 1], longer[2049 + 1];
	const struct {
		const char *text;
		bool sent;
	} rows[] = {
		{"tab\tand\nline", true}, {"bell \a", false},	    {"\xff", false},
		{"x\xef\xbf\xbe", false}, {"\xef\xbf\xbfx", false}, {"\xef\xbf\xbd", true},
		{longest, true},	  {longer, false},	    {"\xed\xa0\x80", false},
	};

	(void)state;
	for (size_t i = 0; i < 2048; i++)
		memcpy(longest + 2 * i, "\xc3\xa9", 2);
	memset(longer, 'x', sizeof(longer) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *own;
		struct fake *f;

		fake_setup(&own);
		f = own;
		start(f, rows[i].text);
		say(f, 1, "", "");
		if (!!strstr(f->trace.data, "headline") != rows[i].sent)
			fail_msg("row %zu", i);
		fake_teardown(&own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
		T(the_first_available_presence_is_answered_with_it),
		T(nothing_else_is),
		T(each_session_gets_its_own),
		T(a_resumed_session_does_not),
		T(the_next_router_does_not_repeat_it),
		T(a_presence_that_is_judged_again_is_answered_again),
		T(who_was_there_before_it_was_set_is_not_told),
		T(a_new_one_holds_at_once_and_none_ends_it),
		cmocka_unit_test(what_is_no_text_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
