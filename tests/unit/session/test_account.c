/* An account from inside (XEP-0077), and its end. */
#include "tests/unit/session/fake_data.h"

#define JULIET		     "juliet@example.com"
#define ROMEO		     "romeo@example.com"
#define NURSE		     "nurse@example.com"
#define REGISTER(inner)	     "<query xmlns='jabber:iq:register'>" inner "</query>"
#define PASSWORD(user, pass) REGISTER("<username>" user "</username><password>" pass "</password>")
#define REMOVE		     REGISTER("<remove/>")

static const char *password_of(struct fake *f)
{
	return ((struct fake_data *)f->more)->password;
}

static void who_asks_is_registered_3_1(void **state)
{
	static const char *const whom[] = {"", JULIET, "example.com"};
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	for (int i = 0; i < 3; i++) {
		ask(f, 1, "get", whom[i], REGISTER(""));
		expect_part(f,
			    REGISTER("<registered/><username>juliet</username><password/>") "\n");
	}
	ask(f, 1, "get", "example.org", REGISTER(""));
	expect_part(f, "<service-unavailable ");
	ask(f, 1, "get", ROMEO, REGISTER(""));
	expect_part(f, "<service-unavailable ");
	fake_send(f, 30, "rooms.example.com", STANZA_IQ, "get", "example.com", "q1", REGISTER(""));
	expect_part(f, "<service-unavailable ");
}

static void a_user_changes_his_password_3_3(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	ask(f, 1, "set", "example.com", PASSWORD("Juliet", "n&amp;w"));
	expect(f, "answer sid=1 iq result from=example.com to=" JULIET "/a id=q1\n"
		  "consumed: xep0077-3.3 password changed\n");
	assert_string_equal(password_of(f), "juliet:n&w");
	ask(f, 1, "set", "", PASSWORD("juliet", "again"));
	assert_string_equal(password_of(f), "juliet:again");
}

static void a_change_of_password_that_cannot_be_is_refused_3_3(void **state)
{
	static const struct {
		const char *to, *inner, *condition;
	} cases[] = {
		{"example.com", REGISTER("<password>x</password>"), "<bad-request "},
		{"example.com", REGISTER("<username>juliet</username>"), "<bad-request "},
		{"example.com", PASSWORD("juliet", ""), "<bad-request "},
		{"example.com", REGISTER(""), "<bad-request "},
		{"example.com", PASSWORD("romeo", "x"), "<not-acceptable "},
		{"example.com", PASSWORD("@", "x"), "<not-acceptable "},
		{"example.org", PASSWORD("juliet", "x"), "<service-unavailable "},
		{ROMEO, PASSWORD("romeo", "x"), "<service-unavailable "},
	};
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ask(f, 1, "set", cases[i].to, cases[i].inner);
		expect_part(f, cases[i].condition);
	}
	data_configure(f, false, false, 0);
	ask(f, 1, "set", "", PASSWORD("juliet", "x"));
	expect_part(f, "<not-allowed ");
	ask(f, 1, "set", "", REMOVE);
	expect_part(f, "<not-allowed ");
	assert_string_equal(password_of(f), "");
}

static void what_the_datastore_says_of_a_password_is_told(void **state)
{
	static const struct {
		enum err status;
		const char *condition;
	} cases[] = {{ERR_FORMAT, "<not-acceptable "},
		     {ERR_TOOBIG, "<not-acceptable "},
		     {ERR_NOTFOUND, "<registration-required "},
		     {ERR_AGAIN, "<error type='wait'><resource-constraint "},
		     {ERR_NOSPACE, "<error type='wait'><resource-constraint "},
		     {ERR_IO, "<internal-server-error "}};
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		iq(f, 1, "set", "", PASSWORD("juliet", "x"));
		store_answer(f, cases[i].status);
		/* 3.3: what was sent does not come back. */
		assert_null(strstr(f->trace.data, "<password>"));
		expect_part(f, cases[i].condition);
	}
}

static void remove_stands_alone_3_2(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	ask(f, 1, "set", "", REGISTER("<remove/><username>juliet</username>"));
	expect_part(f, "<bad-request ");
	assert_true(session_exists(f->m, 1));
}

/* ---- the end of an account ---- */

/* Juliet with two resources; romeo, online, and nurse, offline, see her and she sees them; mercutio
 * has asked to. A gateway's user, too. */
static void verona(struct fake *f)
{
	contact(f, JULIET, ROMEO, "both");
	contact(f, ROMEO, JULIET, "both");
	contact(f, JULIET, NURSE, "from");
	contact(f, NURSE, JULIET, "to");
	contact(f, JULIET, "bot@rooms.example.com", "both");
	contact(f, JULIET, "tybalt@example.com", "none");
	contact(f, "tybalt@example.com", JULIET, "none");
	online(f, 1, JULIET, "a", "0");
	online(f, 2, ROMEO, "b", "0");
	online(f, 3, JULIET, "c", "0");
	iq(f, 2, "get", "", "<query xmlns='jabber:iq:roster'/>");
	store_run(f);
	f->show_inner = false;
	fake_forget(f);
}

static void expect_nothing_left(struct fake *f)
{
	assert_string_equal(stored(f, ROMEO, JULIET), "none");
	assert_string_equal(stored(f, NURSE, JULIET), "none");
	assert_string_equal(stored(f, "tybalt@example.com", JULIET), "none");
	assert_string_equal(stored(f, JULIET, ROMEO), "-");
	assert_string_equal(stored(f, JULIET, NURSE), "-");
	assert_int_equal(((struct fake_data *)f->more)->count, 0);
	assert_false(session_exists(f->m, 1));
	assert_false(session_exists(f->m, 3));
	assert_true(session_exists(f->m, 2));
}

/* The trace has these, in this order. */
static void expect_order(struct fake *f, const char *const *parts)
{
	const char *at = f->trace.data;

	for (; *parts; parts++) {
		const char *found = strstr(at, *parts);

		if (!found)
			fail_msg("no \"%s\" (in that order) in\n%s", *parts, f->trace.data);
		at = found + strlen(*parts);
	}
}

static void a_user_removes_his_account_3_2(void **state)
{
	static const char *const want[] = {
		/* The other resource first, so that nothing new comes of it. */
		"close sid=3 not-authorized\n",
		"answer sid=2 presence unavailable from=" JULIET "/c to=" ROMEO,
		"removed " JULIET "\n",
		"answer sid=1 iq result from=" JULIET " to=" JULIET "/a id=q1\n",
		"consumed: xep0077-3.2 account removed\n",
		"close sid=1 not-authorized\n",
		NULL,
	};
	static const char *const parts[] = {
		"answer sid=2 presence unsubscribe from=" JULIET " to=" ROMEO "\n",
		"answer sid=2 presence unsubscribed from=" JULIET " to=" ROMEO "\n",
		"answer sid=2 presence unavailable from=" JULIET "/a to=" ROMEO "\n",
		"answer sid=2 iq set from=" ROMEO " to=" ROMEO "/b\n",
		"answer sid=30 presence unsubscribe from=" JULIET " to=bot@rooms.example.com\n",
		"answer sid=30 presence unsubscribed from=" JULIET " to=bot@rooms.example.com\n",
		"answer sid=30 presence unavailable from=" JULIET "/a to=bot@rooms.example.com\n",
	};
	static const char gone[] = "presence unavailable from=" JULIET "/a to=" ROMEO;
	struct fake *f = *state;

	verona(f);
	data_put(f, JULIET " 1", S("card"));
	ask(f, 1, "set", "", REMOVE);
	expect_order(f, want);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (!strstr(f->trace.data, parts[i]))
			fail_msg("no \"%s\" in\n%s", parts[i], f->trace.data);
	}
	/* Once is enough. */
	assert_null(strstr(strstr(f->trace.data, gone) + 1, gone));
	expect_nothing_left(f);
}

static void the_contacts_are_told_before_the_account_goes(void **state)
{
	struct fake *f = *state;
	size_t done = 0;

	verona(f);
	iq(f, 1, "set", "", REMOVE);
	while (f->nrequests && !strstr(f->trace.data, "removed " JULIET)) {
		store_answer(f, ERR_OK);
		done++;
		if (!strstr(f->trace.data, "removed " JULIET))
			continue;
		assert_string_equal(stored(f, ROMEO, JULIET), "none");
		assert_string_equal(stored(f, NURSE, JULIET), "none");
	}
	assert_true(done > 3);
}

/* Whatever request fails: doing it again ends it. */
static void a_removal_that_failed_is_finished_by_the_next(void **state)
{
	struct fake *f = *state;

	for (size_t fail = 0;; fail++) {
		size_t n = 0;
		bool failed = false;

		verona(f);
		iq(f, 1, "set", "", REMOVE);
		while (f->nrequests) {
			failed |= n == fail;
			store_answer(f, n++ == fail ? ERR_TIMEOUT : ERR_OK);
		}
		if (session_exists(f->m, 1)) {
			assert_non_null(strstr(f->trace.data, "bounced: user data store away\n"));
			fake_forget(f);
			ask(f, 1, "set", "", REMOVE);
			assert_non_null(strstr(f->trace.data, "iq result from=" JULIET));
		}
		expect_nothing_left(f);
		data_teardown(state);
		data_setup(state);
		f = *state;
		if (!failed)
			return;
	}
}

static void a_removal_goes_on_when_who_asked_is_gone(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;

	verona(f);
	e = iq(f, 1, "set", "", REMOVE);
	session_unbind(f->m, 1, S("gone"), NOW);
	store_run(f);
	expect_nothing_left(f);
	assert_int_equal(e->concluded, 1);
	assert_int_equal(e->holds, 0);
}

/* A router died after the account went and before its answer was noted. */
static void a_repeat_for_an_account_that_is_gone_is_answered_alike(void **state)
{
	struct fake *f = *state;

	f->unknown = JULIET;
	online(f, 1, JULIET, "a", NULL);
	ask(f, 1, "set", "", REMOVE);
	assert_non_null(strstr(f->trace.data, "answer sid=1 iq result "));
	assert_non_null(strstr(f->trace.data, "close sid=1 not-authorized\n"));
}

/* ---- by the operator ---- */

struct told {
	unsigned int times;
	enum err status;
};

static void on_removed(void *arg, enum err status)
{
	struct told *t = arg;

	t->times++;
	t->status = status;
}

static void the_operator_removes_an_account_in_the_same_way(void **state)
{
	struct fake *f = *state;
	struct told told = {0};

	verona(f);
	data_put(f, JULIET " 1", S("card"));
	session_remove_account(f->m, S(JULIET), NOW, on_removed, &told);
	assert_false(session_exists(f->m, 1));
	assert_int_equal(told.times, 0);
	store_run(f);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.status, ERR_OK);
	assert_non_null(strstr(f->trace.data, "answer sid=2 presence unsubscribed from=" JULIET
					      " to=" ROMEO " (for no stanza)\n"));
	expect_nothing_left(f);
}

static void an_account_that_is_not_there_is_told(void **state)
{
	struct fake *f = *state;
	struct told told = {0};

	f->unknown = JULIET;
	online(f, 1, JULIET, "a", "0");
	session_remove_account(f->m, S(JULIET), NOW, on_removed, &told);
	store_run(f);
	assert_int_equal(told.status, ERR_NOTFOUND);
	assert_false(session_exists(f->m, 1));
}

static void who_logs_in_while_it_is_removed_is_ended_too(void **state)
{
	struct fake *f = *state;
	struct told told = {0};

	verona(f);
	session_remove_account(f->m, S(JULIET), NOW, on_removed, &told);
	bind_to(f, 5, JULIET, "late");
	store_run(f);
	assert_false(session_exists(f->m, 5));
	assert_non_null(strstr(f->trace.data, "close sid=5 not-authorized\n"));
}

static void a_removal_is_told_when_the_router_ends(void **state)
{
	struct fake *f = *state;
	struct told told = {0};

	for (int steps = 0; steps < 4; steps++) {
		verona(f);
		session_remove_account(f->m, S(JULIET), NOW, on_removed, &told);
		for (int i = 0; i < steps; i++)
			store_answer(f, ERR_OK);
		data_teardown(state);
		assert_int_equal(told.times, steps + 1);
		assert_int_equal(told.status, ERR_CLOSED);
		data_setup(state);
		f = *state;
	}
}

static void a_long_roster_is_told_a_few_at_a_time(void **state)
{
	struct fake *f = *state;
	struct told told = {0};
	char jid[64];
	size_t most = 0;

	for (int i = 0; i < 30; i++) {
		snprintf(jid, sizeof(jid), "c%d@example.com", i);
		contact(f, JULIET, jid, "both");
		contact(f, jid, JULIET, "both");
	}
	session_remove_account(f->m, S(JULIET), NOW, on_removed, &told);
	while (f->nrequests) {
		if (f->nrequests > most)
			most = f->nrequests;
		store_answer(f, ERR_OK);
	}
	assert_int_equal(told.status, ERR_OK);
	assert_in_range(most, 4, 17);
	for (int i = 0; i < 30; i++) {
		snprintf(jid, sizeof(jid), "c%d@example.com", i);
		assert_string_equal(stored(f, jid, JULIET), "none");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DATA_TEST(who_asks_is_registered_3_1),
		DATA_TEST(a_user_changes_his_password_3_3),
		DATA_TEST(a_change_of_password_that_cannot_be_is_refused_3_3),
		DATA_TEST(what_the_datastore_says_of_a_password_is_told),
		DATA_TEST(remove_stands_alone_3_2),
		DATA_TEST(a_user_removes_his_account_3_2),
		DATA_TEST(the_contacts_are_told_before_the_account_goes),
		DATA_TEST(a_removal_that_failed_is_finished_by_the_next),
		DATA_TEST(a_removal_goes_on_when_who_asked_is_gone),
		DATA_TEST(a_repeat_for_an_account_that_is_gone_is_answered_alike),
		DATA_TEST(the_operator_removes_an_account_in_the_same_way),
		DATA_TEST(an_account_that_is_not_there_is_told),
		DATA_TEST(who_logs_in_while_it_is_removed_is_ended_too),
		DATA_TEST(a_removal_is_told_when_the_router_ends),
		DATA_TEST(a_long_roster_is_told_a_few_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
