/* cli/xmpp/trace.c against a router that answers by a script. */
#include "../run_command.h"

#include "cli/xmpp/trace.h"
#include "cli/xmpp/xmpp_program.h"
#include "ipc/codec.h"

static pid_t router;

static void answer(struct link *l, uint16_t type, struct slice body)
{
	struct msg_admin_reply r = {.more = 1};
	struct msg_admin m;
	struct str text = STR_INIT;

	if (type != MSG_ADMIN || msg_admin_get(body, &m) != ERR_OK)
		return;
	r.req = m.req;
	if (!slice_is(m.command, "trace") || !memchr(m.args.data, '\0', m.args.len)) {
		r.status = ERR_UNSUPPORTED;
	} else if (slice_is(slice_of(m.args.data, strlen(m.args.data)), "full.example")) {
		r.status = ERR_FULL;
		r.text = slice_str("4 traces are running already");
	} else {
		/* what was asked, pieces of any size, the end */
		str_addf(&text,
			 "{\"what\":\"started\",\"filter\":\"%s\",\"seconds\":%.*s}\n"
			 "{\"what\":\"dropped\",\"count\":7}\n",
			 m.args.data, (int)(m.args.len - strlen(m.args.data) - 1),
			 m.args.data + strlen(m.args.data) + 1);
		r.text = str_slice(&text);
		link_put_admin_reply(l, &r);
		r.text = slice_str("{\"what\":\"ended\",\"lines\":3,\"dropped\":7}\n");
		r.more = 0;
	}
	link_put_admin_reply(l, &r);
	str_clear(&text);
}

static int setup(void **state)
{
	fake_setup(state);
	router = fake_router_start(answer);
	return 0;
}

static int teardown(void **state)
{
	fake_router_stop(&router);
	return fake_teardown(state);
}

static void the_router_is_asked_in_normal_form_and_its_lines_are_shown(void **state)
{
	static const struct {
		const char *args[6];
		int code;
		const char *out, *err;
	} cases[] = {
		{{"trace", "Juliet@LOCALHOST/B"}, 0, "tracing juliet@localhost/B for 60 s;", ""},
		{{"trace", "juliet@localhost", "--for", "5m"},
		 0,
		 "... 7 lines were left out: more than router.trace_lines a second\n"
		 "time is over: 3 lines, 7 left out\n",
		 ""},
		{{"trace", "LOCALHOST", "--json"},
		 0,
		 "{\"what\":\"started\",\"filter\":\"localhost\",\"seconds\":60}\n"
		 "{\"what\":\"dropped\",\"count\":7}\n"
		 "{\"what\":\"ended\",\"lines\":3,\"dropped\":7}\n",
		 ""},
		{{"trace", "[2001:DB8::1]:5000"}, 0, "tracing [2001:db8::1]:5000 for 60 s", ""},
		{{"trace", "full.example"}, 1, "", "refused: 4 traces are running already"},
		{{"trace", "a@b@c"}, 2, "", "'a@b@c' is neither a JID nor an address nor a domain"},
		{{"trace", "a.b/c"}, 2, "", "neither"},
		{{"trace", "a.b", "--for", "2h"}, 2, "", "--for takes a time to 3600 s"},
		{{"trace"}, 2, "", "takes JID|ADDRESS|DOMAIN"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_run r =
			fake_run(&xmpp_program, sizeof(struct xmpp_values), cases[i].args, "");

		assert_int_equal(r.code, cases[i].code);
		if (!strstr(r.out, cases[i].out) || !strstr(r.err, cases[i].err))
			fail_msg("%zu: '%s' '%s'", i, r.out, r.err);
	}
}

static void times_are_read_with_their_units(void **state)
{
	static const struct {
		const char *text;
		unsigned int seconds;
	} cases[] = {
		{"60", 60},	{"60s", 60},
		{"5m", 300},	{"1h", 3600},
		{"3600", 3600}, {"3601", 0},
		{"61m", 0},	{"0", 0},
		{"", 0},	{"s", 0},
		{"5ms", 0},	{"-5", 0},
		{"1.5m", 0},	{"99999999999s", 0},
		{"5d", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(trace_seconds(cases[i].text), cases[i].seconds);
}

static void lines_are_told_in_words_that_cannot_steer_the_terminal(void **state)
{
	static const struct {
		const char *line, *want;
	} cases[] = {
		{"{\"time\":\"2026-11-21T16:56:54.123Z\",\"what\":\"stream\",\"instance\":\"cm-1\","
		 "\"conn\":\"c2s#4\",\"addr\":\"[::1]:5\",\"jid\":\"j@a\",\"event\":\"auth\","
		 "\"detail\":\"mechanism=PLAIN\"}",
		 "16:56:54.123  -- auth mechanism=PLAIN jid=j@a addr=[::1]:5 (cm-1 c2s#4)\n"},
		{"{\"time\":\"2026-11-21T16:56:54.123Z\",\"what\":\"stanza\",\"dir\":\"out\","
		 "\"session\":\"j@a/x\",\"kind\":\"message\",\"type\":\"\",\"id\":\"1\",\"from\":"
		 "\"r@a\",\"to\":\"j@a\",\"bytes\":3,\"xml\":\"<message/>\"}",
		 "16:56:54.123  << message id=1 from=r@a to=j@a bytes=3 (for j@a/x)\n"
		 "              <message/>\n"},
		{"{\"what\":\"stream\",\"event\":\"a\\u001b[31mb\"}", "  -- a\\x1b[31mb ( )\n"},
		{"{\"what\":\"new\"}", "{\"what\":\"new\"}\n"},
		{"no json", "no json\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;

		trace_show(slice_str(cases[i].line), &out);
		assert_string_equal(out.data, cases[i].want);
		str_clear(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_router_is_asked_in_normal_form_and_its_lines_are_shown, setup,
			teardown),
		cmocka_unit_test(times_are_read_with_their_units),
		cmocka_unit_test(lines_are_told_in_words_that_cannot_steer_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
