/* Last activity (XEP-0012). */
#include "tests/unit/session/fake_data.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.com"
#define LAST   "<query xmlns='jabber:iq:last'/>"

/* Juliet's presence is for romeo to see. */
static void subscribed(struct fake *f)
{
	contact(f, JULIET, ROMEO, "from");
	contact(f, ROMEO, JULIET, "to");
	online(f, 2, ROMEO, "b", "0");
}

static void leave(struct fake *f, uint64_t sid, const char *inner)
{
	presence(f, sid, "unavailable", "", inner);
	store_run(f);
	fake_forget(f);
}

static void who_has_left_is_away_since_then_with_his_last_status_3(void **state)
{
	struct fake *f = *state;

	subscribed(f);
	online(f, 1, JULIET, "a", "0");
	leave(f, 1, "<status>Heading &lt;Home&gt;</status>");
	f->wall_ms += 903 * 1000 + 999;
	session_unbind(f->m, 1, S("gone"), NOW);
	store_run(f);
	fake_forget(f);
	ask(f, 2, "get", JULIET, LAST);
	expect(f, "answer sid=2 iq result from=" JULIET " to=" ROMEO "/b id=q1 "
		  "<query xmlns='jabber:iq:last' seconds='903'>Heading &lt;Home&gt;</query>\n"
		  "consumed: xep0012 last activity\n");
}

static void whose_connection_ends_is_away_since_then_3(void **state)
{
	struct fake *f = *state;

	subscribed(f);
	online(f, 1, JULIET, "a", "0");
	session_unbind(f->m, 1, S("gone"), NOW);
	store_run(f);
	f->wall_ms += 60 * 1000;
	ask(f, 2, "get", JULIET, LAST);
	expect_part(f, "<query xmlns='jabber:iq:last' seconds='60'/>\n");
}

static void only_the_last_resource_that_leaves_counts(void **state)
{
	struct fake *f = *state;
	struct fake_data *d = f->more;

	subscribed(f);
	online(f, 1, JULIET, "a", "0");
	online(f, 3, JULIET, "c", "-1");
	leave(f, 1, "<status>one</status>");
	assert_int_equal(d->count, 0);
	leave(f, 3, "<status>two</status>");
	assert_int_equal(d->count, 1);
	assert_true(slice_eq(str_slice(&d->rows[0].value), slice_of("\1two", 4)));
	/* One that was not available leaves nobody. */
	leave(f, 3, "<status>three</status>");
	assert_true(slice_eq(str_slice(&d->rows[0].value), slice_of("\1two", 4)));
}

static void who_is_connected_is_active_now_3(void **state)
{
	struct fake *f = *state;

	subscribed(f);
	online(f, 1, JULIET, "a", "0");
	ask(f, 2, "get", JULIET, LAST);
	expect_part(f, "<query xmlns='jabber:iq:last' seconds='0'/>\n");
	leave(f, 1, "");
	f->wall_ms += 60 * 1000;
	ask(f, 2, "get", JULIET, LAST); /* connected, though not available */
	expect_part(f, "<query xmlns='jabber:iq:last' seconds='0'/>\n");
	ask(f, 1, "get", "", LAST); /* her own */
	expect_part(f, "<query xmlns='jabber:iq:last' seconds='0'/>\n");
}

static void who_may_not_see_the_presence_is_forbidden_3(void **state)
{
	static const char *const whom[] = {JULIET, "nobody@example.com", ROMEO};
	struct fake *f = *state;

	contact(f, JULIET, ROMEO, "to");
	contact(f, ROMEO, "mercutio@example.com", "to");
	f->unknown = "nobody@example.com";
	online(f, 2, ROMEO, "b", "0");
	online(f, 4, "mercutio@example.com", "m", "0");
	for (int i = 0; i < 3; i++) { /* offline, unknown, online: the same answer */
		ask(f, i < 2 ? 2 : 4, "get", whom[i], LAST);
		expect_part(f, "<error type='auth'><forbidden " STANZAS "/>");
	}
}

static void a_query_to_a_resource_reaches_it_only_from_who_may_4(void **state)
{
	struct fake *f = *state;

	subscribed(f);
	online(f, 1, JULIET, "a", "0");
	online(f, 4, "mercutio@example.com", "m", "0");
	ask(f, 2, "get", JULIET "/a", LAST);
	expect(f, "deliver sid=1 iq get from=" ROMEO "/b to=" JULIET "/a id=q1 " LAST "\n");
	ask(f, 4, "get", JULIET "/a", LAST);
	expect_part(f, "answer sid=4 iq error from=" JULIET
		       "/a to=mercutio@example.com/m id=q1 <error type='auth'><forbidden ");
	/* Anything else passes, even if it looks similar. */
	ask(f, 4, "get", JULIET "/a", "<q xmlns='x' about='jabber:iq:last'/>");
	expect_part(f, "deliver sid=1 iq get from=mercutio@example.com/m");
	ask(f, 4, "get", JULIET "/none", LAST);
	expect_part(f, "<service-unavailable ");
}

static void of_somebody_never_seen_nothing_is_known(void **state)
{
	struct fake *f = *state;

	subscribed(f);
	ask(f, 2, "get", JULIET, LAST);
	expect_part(f, "<service-unavailable " STANZAS "/></error>\n"
		       "bounced: xep0012-3 nothing is known\n");
}

static void the_server_tells_its_uptime_5(void **state)
{
	struct fake *f = *state;

	online(f, 2, ROMEO, "b", "0");
	tick(f, 1);
	tick(f, 124);
	ask(f, 2, "get", "example.com", LAST);
	expect_part(f, "<query xmlns='jabber:iq:last' seconds='123'/>\n");
}

static void an_unreadable_roster_is_no_permission_and_no_refusal(void **state)
{
	struct fake *f = *state;

	subscribed(f);
	f->slow_lists = true;
	iq(f, 2, "get", JULIET, LAST);
	store_answer(f, ERR_OK); /* whom she has blocked */
	expect(f, "");
	store_answer(f, ERR_TIMEOUT);
	expect_part(f, "<error type='wait'><resource-constraint ");
}

static void a_long_status_is_cut_between_characters(void **state)
{
	char status[2000] = "<status>x";
	struct fake *f = *state;
	struct fake_data *d = f->more;

	for (size_t at = 9; at < 1500; at += 2)
		memcpy(status + at, "\xc3\xa9\0", 3);
	memcpy(status + strlen(status), "</status>", 10);
	subscribed(f);
	online(f, 1, JULIET, "a", "0");
	leave(f, 1, status);
	assert_int_equal(d->count, 1);
	assert_int_equal(d->rows[0].value.len, 1 + 1023);
}

static void who_leaves_keeps_nobodys_request_waiting(void **state)
{
	struct fake *f = *state;
	char jid[32];

	data_configure(f, true, true, 1);
	subscribed(f);
	f->slow_store = true;
	for (unsigned int i = 0; i < 12; i++) {
		snprintf(jid, sizeof(jid), "u%u@example.com", i);
		online(f, 10 + i, jid, "a", "0");
		store_run(f);
	}
	for (unsigned int i = 0; i < 12; i++)
		session_unbind(f->m, 10 + i, S("gone"), NOW);
	assert_int_equal(f->nrequests, 10); /* and no more */
	fake_forget(f);
	iq(f, 2, "get", "", "<vCard xmlns='vcard-temp'/>");
	expect(f, "");
	store_run(f);
	expect_part(f, "consumed: xep0054-3.1 own vcard\n");
	assert_int_equal(((struct fake_data *)f->more)->count, 10);
}

static void it_can_be_switched_off(void **state)
{
	struct fake *f = *state;

	fake_configure(f, "replace", 4);
	subscribed(f);
	online(f, 1, JULIET, "a", "0");
	leave(f, 1, "<status>x</status>");
	assert_int_equal(((struct fake_data *)f->more)->count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DATA_TEST(who_has_left_is_away_since_then_with_his_last_status_3),
		DATA_TEST(whose_connection_ends_is_away_since_then_3),
		DATA_TEST(only_the_last_resource_that_leaves_counts),
		DATA_TEST(who_is_connected_is_active_now_3),
		DATA_TEST(who_may_not_see_the_presence_is_forbidden_3),
		DATA_TEST(a_query_to_a_resource_reaches_it_only_from_who_may_4),
		DATA_TEST(of_somebody_never_seen_nothing_is_known),
		DATA_TEST(the_server_tells_its_uptime_5),
		DATA_TEST(an_unreadable_roster_is_no_permission_and_no_refusal),
		DATA_TEST(a_long_status_is_cut_between_characters),
		DATA_TEST(who_leaves_keeps_nobodys_request_waiting),
		DATA_TEST(it_can_be_switched_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
