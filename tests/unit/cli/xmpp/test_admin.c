#include "../run_command.h"

#include "cli/xmpp/xmpp_program.h"
#include "ipc/codec.h"

static pid_t router;

static void answer(struct link *l, uint16_t type, struct slice body)
{
	struct msg_admin_reply r = {0};
	struct msg_admin m;

	if (type != MSG_ADMIN || msg_admin_get(body, &m) != ERR_OK)
		return;
	r.req = m.req;
	if (slice_is(m.command, "sessions") && !m.args.len) {
		r.more = 1;
		r.text = slice_str("{\"jid\":\"a@b/c\",\"addr\":\"127.0.0.1\"}\n");
		link_put_admin_reply(l, &r);
		r.more = 0;
		r.text = slice_str("{\"jid\":\"d@b/e\",\"addr\":\"::1\"}\n");
	} else if (slice_is(m.command, "kick") && slice_is(m.args, "gone@b")) {
		r.status = ERR_NOTFOUND;
	} else if (slice_is(m.command, "kick") && slice_is(m.args, "shy@b")) {
		r.text = slice_str("{\"kicked\":0}\n");
	} else if (slice_is(m.command, "kick") && slice_is(m.args, "one@b/Phone")) {
		r.text = slice_str("{\"kicked\":1}\n");
	} else if (slice_is(m.command, "kick")) {
		r.text = slice_str("{\"kicked\":2}\n");
	} else if (slice_is(m.command, "stats")) {
		r.text = slice_str("{\"process\":\"router\",\"accepted\":2,\"delivered\":2}\n");
	}
	link_put_admin_reply(l, &r);
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

static void each_command_prints_what_the_router_answers(void **state)
{
	static const struct {
		const char *args[4];
		int code;
		const char *out, *err;
	} cases[] = {
		{{"sessions"}, 0, "JID    ADDR\na@b/c  127.0.0.1\nd@b/e  ::1\n", ""},
		{{"sessions", "--json"},
		 0,
		 "{\"jid\":\"a@b/c\",\"addr\":\"127.0.0.1\"}\n"
		 "{\"jid\":\"d@b/e\",\"addr\":\"::1\"}\n",
		 ""},
		{{"sessions", "nobody@b"}, 0, "no sessions\n", ""},
		{{"sessions", "nobody@b", "--json"}, 0, "", ""},
		{{"kick", "Two@b"}, 0, "2 sessions of two@b ended\n", ""},
		{{"kick", "one@b/Phone"}, 0, "1 session of one@b/Phone ended\n", ""},
		{{"kick", "two@b", "--json"}, 0, "{\"kicked\":2}\n", ""},
		{{"kick", "gone@b"},
		 1,
		 "",
		 "xmpp: nobody is online as gone@b; 'xmpp sessions' lists who is\n"},
		{{"kick", "shy@b"},
		 1,
		 "",
		 "xmpp: nobody is online as shy@b; 'xmpp sessions' lists who is\n"},
		{{"kick", "b"}, 2, "", "xmpp: 'b' names no user; a JID looks like juliet@b\n"},
		{{"stats"},
		 0,
		 "PROCESS  KEY        VALUE\n"
		 "router   accepted   2\n"
		 "router   delivered  2\n"
		 "\nbooks: accepted=2 announced=0 generated=0 delivered=2 stored=0 bounced=0 "
		 "consumed=0 discarded=0 held=0 difference=0\n",
		 ""},
		{{"stats", "--json"},
		 0,
		 "{\"process\":\"router\",\"accepted\":2,\"delivered\":2}\n"
		 "{\"process\":\"books\",\"accepted\":2,\"announced\":0,\"generated\":0,"
		 "\"delivered\":2,\"stored\":0,\"bounced\":0,\"consumed\":0,\"discarded\":0,"
		 "\"held\":0,\"difference\":0}\n",
		 ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_run r =
			fake_run(&xmpp_program, sizeof(struct xmpp_values), cases[i].args, "");

		assert_string_equal(r.err, cases[i].err);
		assert_string_equal(r.out, cases[i].out);
		assert_int_equal(r.code, cases[i].code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_command_prints_what_the_router_answers, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
