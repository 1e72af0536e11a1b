/* RFC 6121 section 3, rule by rule: presence subscriptions. (Appendix A as a table is in
 * test_subscription.c.) */
#include "tests/unit/session/fake_host.h"

#include "session/manager.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.org"
#define GATE   "nurse@rooms.example.com" /* somewhere else: through service 30 */
#define J      "juliet@example.com/balcony"
#define R      "romeo@example.org/orchard"
#define DONE   "consumed: rfc6121-a.3 subscription\n"
#define KEPT   "consumed: rfc6121-a.2 subscription kept here\n"

/* Available and interested. */
static void client(struct fake *f, uint64_t sid, const char *bare, const char *resource)
{
	bind_to(f, sid, bare, resource);
	iq(f, sid, "get", "", "<query xmlns='jabber:iq:roster'/>");
	store_run(f);
	presence(f, sid, "", "", "");
	fake_forget(f);
}

static void both(struct fake *f)
{
	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
}

static void friends(struct fake *f, const char *juliets, const char *romeos)
{
	contact(f, JULIET, ROMEO, juliets);
	contact(f, ROMEO, JULIET, romeos);
	both(f);
}

static bool said(const struct fake *f, const char *text)
{
	return strstr(f->trace.data, text) != NULL;
}

/* What comes first comes first. */
static void assert_order(const struct fake *f, const char *first, const char *then)
{
	const char *a = strstr(f->trace.data, first), *b = strstr(f->trace.data, then);

	if (!a || !b || a > b)
		fail_msg("not \"%s\" before \"%s\" in:\n%s", first, then, f->trace.data);
}

static void rfc6121_3_1_1_a_request_to_a_full_jid_is_for_the_account(void **state)
{
	struct fake *f = *state;

	both(f);
	presence(f, 1, "subscribe", R, "");
	expect(f, "answer sid=1 iq set from=" JULIET " to=" J "\n"
		  "deliver sid=2 presence subscribe from=" JULIET " to=" ROMEO "\n" DONE);
	assert_string_equal(stored(f, JULIET, ROMEO), "none ask");
}

static void rfc6121_3_1_2_interested_resources_are_told_of_the_request(void **state)
{
	struct fake *f = *state;

	f->show_inner = true;
	client(f, 1, JULIET, "balcony");
	client(f, 3, JULIET, "chamber");
	online(f, 4, JULIET, "deaf", "0");
	presence(f, 1, "subscribe", ROMEO, "");
	assert_true(said(f, "answer sid=1 iq set"));
	assert_true(said(f, "answer sid=3 iq set"));
	assert_false(said(f, "answer sid=4"));
	assert_true(said(f, "<item jid='" ROMEO "' subscription='none' ask='subscribe'/>"));
}

static void rfc6121_3_1_2_a_request_without_an_answer_is_sent_again_at_login(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	presence(f, 1, "subscribe", GATE, "");
	assert_true(said(f, "deliver sid=30 presence subscribe from=" JULIET " to=" GATE "\n"));
	fake_forget(f);
	client(f, 3, JULIET, "chamber");
	session_unbind(f->m, 3, S("gone"), NOW);
	bind_to(f, 3, JULIET, "chamber");
	fake_forget(f);
	presence(f, 3, "", "", "");
	assert_true(said(f, "answer sid=30 presence subscribe from=" JULIET " to=" GATE "\n"));
	fake_send(f, 30, GATE, STANZA_PRESENCE, "subscribed", JULIET, "", "");
	store_run(f);
	session_unbind(f->m, 3, S("gone"), NOW);
	bind_to(f, 3, JULIET, "chamber");
	fake_forget(f);
	presence(f, 3, "", "", "");
	assert_false(said(f, "subscribe"));
}

static void rfc6121_3_1_3_a_request_to_nobody_is_silently_ignored(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	f->unknown = ROMEO;
	presence(f, 1, "subscribe", ROMEO, "");
	expect(f, "answer sid=1 iq set from=" JULIET " to=" J "\n"
		  "discarded: rfc6121-8.5.1 subscription to nobody\n");
}

static void rfc6121_3_1_3_a_request_is_shown_to_all_available_resources(void **state)
{
	struct fake *f = *state;

	both(f);
	client(f, 3, ROMEO, "hall");
	bind_to(f, 4, ROMEO, "silent"); /* not available */
	fake_forget(f);
	presence(f, 1, "subscribe", ROMEO, "");
	assert_true(said(f, "deliver sid=2 presence subscribe"));
	assert_true(said(f, "deliver sid=3 presence subscribe"));
	assert_false(said(f, "sid=4"));
	/* The server grants nothing by itself. */
	assert_false(said(f, "subscribed"));
	assert_string_equal(stored(f, ROMEO, JULIET), "none approved pending"); /* hidden */
}

static void rfc6121_3_1_3_who_sees_the_contact_already_is_answered_by_the_server(void **state)
{
	struct fake *f = *state;

	friends(f, "none", "from");
	presence(f, 1, "subscribe", ROMEO, "");
	assert_false(said(f, "sid=2"));
	assert_true(said(f, "answer sid=1 presence subscribed from=" ROMEO " to=" JULIET "\n"));
	assert_string_equal(stored(f, JULIET, ROMEO), "to");
}

static void rfc6121_3_1_3_the_complete_request_waits_for_an_available_resource(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	f->show_inner = true;
	presence(f, 1, "subscribe", ROMEO, "<status>It is I</status>");
	presence(f, 1, "subscribe", ROMEO, "<status>again</status>");
	for (uint64_t sid = 2; sid < 5; sid++) { /* at each login, until it is answered */
		bind_to(f, sid, ROMEO, sid == 2 ? "a" : sid == 3 ? "b" : "c");
		fake_forget(f);
		presence(f, sid, "", "", "");
		assert_order(f, "presence subscribe from=" JULIET " to=" ROMEO, "It is I");
		assert_false(said(f, "again"));
		/* Once, not at every change of presence. */
		fake_forget(f);
		presence(f, sid, "", "", "<show>away</show>");
		assert_false(said(f, "subscribe"));
	}
	/* Another router knows it as well. */
	session_free(&f->m);
	f->m = session_new(&fake_host, f);
	fake_configure(f, "replace", 9);
	bind_to(f, 6, ROMEO, "d");
	presence(f, 6, "", "", "");
	assert_true(said(f, "It is I"));
	presence(f, 6, "unsubscribed", JULIET, "");
	assert_string_equal(stored(f, ROMEO, JULIET), "-");
	bind_to(f, 7, ROMEO, "e");
	fake_forget(f);
	presence(f, 7, "", "", "");
	assert_false(said(f, "subscribe"));
}

static void rfc6121_3_1_3_a_request_of_somebody_in_the_roster_keeps_what_came_with_it(void **state)
{
	struct fake *f = *state;

	contact(f, ROMEO, JULIET, "to");
	client(f, 1, JULIET, "balcony");
	presence(f, 1, "subscribe", ROMEO, "<status>It is I</status>");
	client(f, 2, ROMEO, "orchard");
	/* The contact is renamed while the request waits. */
	iq(f, 2, "set", "",
	   "<query xmlns='jabber:iq:roster'><item jid='" JULIET "' name='J'/></query>");
	store_run(f);
	bind_to(f, 3, ROMEO, "hall");
	fake_forget(f);
	f->show_inner = true;
	presence(f, 3, "", "", "");
	assert_true(said(f, "presence subscribe from=" JULIET " to=" ROMEO
			    " <status>It is I</status>\n"));
	assert_string_equal(stored(f, ROMEO, JULIET), "to pending");
}

static void rfc6121_3_1_3_the_own_request_does_not_touch_one_that_waits(void **state)
{
	struct fake *f = *state;

	both(f);
	presence(f, 1, "subscribe", ROMEO, "<status>It is I</status>");
	presence(f, 2, "subscribe", JULIET, "<status>And I</status>");
	bind_to(f, 3, ROMEO, "hall");
	fake_forget(f);
	f->show_inner = true;
	presence(f, 3, "", "", "");
	assert_true(said(f, "presence subscribe from=" JULIET " to=" ROMEO
			    " <status>It is I</status>\n"));
}

static void rfc6121_3_1_3_more_than_is_kept_of_strangers_goes_without_its_content(void **state)
{
	struct str big = STR_INIT;
	struct fake *f = *state;

	for (int i = 0; i < 5000; i++)
		str_addc(&big, 'x');
	client(f, 1, JULIET, "balcony");
	presence(f, 1, "subscribe", ROMEO, big.data);
	bind_to(f, 2, ROMEO, "orchard");
	fake_forget(f);
	f->show_inner = true;
	presence(f, 2, "", "", "");
	assert_true(said(f, "presence subscribe from=" JULIET " to=" ROMEO "\n"));
	str_clear(&big);
}

static void rfc6121_3_1_5_an_approval_goes_out_with_the_presence_of_all_resources(void **state)
{
	struct fake *f = *state;

	both(f);
	client(f, 3, ROMEO, "hall");
	presence(f, 1, "subscribe", ROMEO, "");
	fake_forget(f);
	presence(f, 2, "subscribed", J, "");
	expect(f, "answer sid=2 iq set from=" ROMEO " to=" R "\n"
		  "answer sid=3 iq set from=" ROMEO " to=" ROMEO "/hall\n"
		  /* 3.1.6: the approval, then the push, then presence */
		  "deliver sid=1 presence subscribed from=" ROMEO " to=" JULIET "\n"
		  "answer sid=1 iq set from=" JULIET " to=" J "\n"
		  "answer sid=1 presence from=" R " to=" JULIET "\n"
		  "answer sid=1 presence from=" ROMEO "/hall to=" JULIET "\n" DONE);
}

static void rfc6121_3_1_6_an_approval_that_was_not_asked_for_is_ignored(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	fake_send(f, 30, GATE, STANZA_PRESENCE, "subscribed", JULIET, "", "");
	store_run(f);
	expect(f, DONE);
	assert_string_equal(stored(f, JULIET, GATE), "-");
}

static void rfc6121_3_1_6_an_approval_goes_to_interested_resources_only(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	online(f, 3, JULIET, "deaf", "0");
	presence(f, 1, "subscribe", GATE, "");
	fake_forget(f);
	fake_send(f, 30, GATE, STANZA_PRESENCE, "subscribed", JULIET, "", "");
	store_run(f);
	expect(f, "deliver sid=1 presence subscribed from=" GATE " to=" JULIET "\n"
		  "answer sid=1 iq set from=" JULIET " to=" J "\n" DONE);
}

static void rfc6121_3_2_2_unavailable_goes_before_the_cancellation(void **state)
{
	struct fake *f = *state;

	friends(f, "both", "both");
	presence(f, 1, "unsubscribed", ROMEO, "");
	assert_order(f, "answer sid=2 presence unavailable from=" J " to=" ROMEO "\n",
		     "deliver sid=2 presence unsubscribed from=" JULIET " to=" ROMEO "\n");
	assert_string_equal(stored(f, JULIET, ROMEO), "to");
	assert_string_equal(stored(f, ROMEO, JULIET), "from");
	/* The same towards another server. */
	contact(f, JULIET, GATE, "from");
	session_unbind(f->m, 1, S("gone"), NOW);
	client(f, 1, JULIET, "balcony");
	presence(f, 1, "unsubscribed", GATE, "");
	assert_order(f, "answer sid=30 presence unavailable from=" J " to=" GATE "\n",
		     "deliver sid=30 presence unsubscribed from=" JULIET " to=" GATE "\n");
}

static void rfc6121_3_2_2_to_whom_sees_nothing_no_cancellation_goes(void **state)
{
	struct fake *f = *state;

	friends(f, "to", "from");
	presence(f, 1, "unsubscribed", ROMEO, "");
	expect(f, KEPT);
}

static void rfc6121_3_2_3_a_cancellation_is_shown_then_the_roster_pushed(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, GATE, "to");
	client(f, 1, JULIET, "balcony");
	fake_send(f, 30, GATE, STANZA_PRESENCE, "unsubscribed", JULIET, "", "");
	store_run(f);
	expect(f, "deliver sid=1 presence unsubscribed from=" GATE " to=" JULIET "\n"
		  "answer sid=1 iq set from=" JULIET " to=" J "\n" DONE);
	/* And once more: nothing. */
	fake_send(f, 30, GATE, STANZA_PRESENCE, "unsubscribed", JULIET, "", "");
	store_run(f);
	expect(f, DONE);
}

static void rfc6121_3_3_2_unsubscribe_is_sent_and_the_roster_pushed(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, GATE, "both");
	client(f, 1, JULIET, "balcony");
	presence(f, 1, "unsubscribe", GATE "/some", "");
	expect(f, "answer sid=1 iq set from=" JULIET " to=" J "\n"
		  "deliver sid=30 presence unsubscribe from=" JULIET " to=" GATE "\n");
	assert_string_equal(stored(f, JULIET, GATE), "from");
}

static void rfc6121_3_3_3_who_unsubscribes_is_told_unavailable_at_the_end(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, GATE, "both");
	client(f, 1, JULIET, "balcony");
	fake_send(f, 30, GATE, STANZA_PRESENCE, "unsubscribe", JULIET, "", "");
	store_run(f);
	expect(f, "deliver sid=1 presence unsubscribe from=" GATE " to=" JULIET "\n"
		  "answer sid=1 iq set from=" JULIET " to=" J "\n"
		  "answer sid=30 presence unavailable from=" J " to=" GATE "\n" DONE);
	assert_string_equal(stored(f, JULIET, GATE), "to");
}

static void rfc6121_3_3_3_who_was_not_subscribed_is_ignored(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, GATE, "to");
	client(f, 1, JULIET, "balcony");
	fake_send(f, 30, GATE, STANZA_PRESENCE, "unsubscribe", JULIET, "", "");
	store_run(f);
	expect(f, DONE);
}

static void rfc6121_3_4_2_pre_approval_stays_here_and_is_in_the_roster(void **state)
{
	struct fake *f = *state;

	both(f);
	f->show_inner = true;
	presence(f, 1, "subscribed", ROMEO, "");
	assert_true(said(f, "<item jid='" ROMEO "' subscription='none' approved='true'/>"));
	assert_false(said(f, "sid=2"));
	assert_string_equal(stored(f, JULIET, ROMEO), "none approved");
	fake_forget(f);
	presence(f, 1, "subscribed", ROMEO, ""); /* once is enough */
	expect(f, KEPT);
}

static void rfc6121_3_4_2_a_request_that_was_approved_is_answered_and_not_shown(void **state)
{
	struct fake *f = *state;

	both(f);
	presence(f, 1, "subscribed", ROMEO, "");
	fake_forget(f);
	presence(f, 2, "subscribe", JULIET, "");
	assert_false(said(f, "sid=1 presence subscribe"));
	assert_order(f, "answer sid=2 presence subscribed from=" JULIET " to=" ROMEO "\n",
		     "answer sid=2 presence from=" J " to=" ROMEO "\n");
	assert_string_equal(stored(f, JULIET, ROMEO), "from");
	assert_string_equal(stored(f, ROMEO, JULIET), "to");
}

static void rfc6121_3_4_2_pre_approval_can_be_taken_back_silently(void **state)
{
	struct fake *f = *state;

	both(f);
	presence(f, 1, "subscribed", ROMEO, "");
	fake_forget(f);
	f->show_inner = true;
	presence(f, 1, "unsubscribed", ROMEO, "");
	assert_true(said(f, "<item jid='" ROMEO "' subscription='none'/>"));
	assert_false(said(f, "sid=2"));
}

static bool resent(void *ctx, const struct custody_entry *e)
{
	(void)ctx;
	(void)e;
	return true;
}

/* CUSTODY 5: a router dies when the roster is written and nobody has been told. */
static void what_is_judged_twice_tells_everybody_the_same(void **state)
{
	static const struct {
		const char *juliets, *romeos, *type;
	} rows[] = {
		{"none", "none", "subscribe"},	  {"to", "from", "unsubscribe"},
		{"both", "both", "unsubscribe"},  {"from", "to", "unsubscribed"},
		{"both", "both", "unsubscribed"}, {"none", "none", "subscribed"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake *f;
		char *first;

		fake_teardown(state);
		fake_setup(state);
		f = *state;
		friends(f, rows[i].juliets, rows[i].romeos);
		if (strcmp(rows[i].type, "subscribed") == 0)
			presence(f, 2, "subscribe", JULIET, "");
		fake_forget(f);
		f->m->host.repeated = resent;
		presence(f, 1, rows[i].type, ROMEO, "");
		first = xstrdup(f->trace.data);
		fake_forget(f);
		presence(f, 1, rows[i].type, ROMEO, "");
		if (strcmp(f->trace.data, first) != 0)
			fail_msg("row %zu: first\n%s\nthen\n%s", i, first, f->trace.data);
		free(first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
		T(rfc6121_3_1_1_a_request_to_a_full_jid_is_for_the_account),
		T(rfc6121_3_1_2_interested_resources_are_told_of_the_request),
		T(rfc6121_3_1_2_a_request_without_an_answer_is_sent_again_at_login),
		T(rfc6121_3_1_3_a_request_to_nobody_is_silently_ignored),
		T(rfc6121_3_1_3_a_request_is_shown_to_all_available_resources),
		T(rfc6121_3_1_3_who_sees_the_contact_already_is_answered_by_the_server),
		T(rfc6121_3_1_3_the_complete_request_waits_for_an_available_resource),
		T(rfc6121_3_1_3_a_request_of_somebody_in_the_roster_keeps_what_came_with_it),
		T(rfc6121_3_1_3_the_own_request_does_not_touch_one_that_waits),
		T(rfc6121_3_1_3_more_than_is_kept_of_strangers_goes_without_its_content),
		T(rfc6121_3_1_5_an_approval_goes_out_with_the_presence_of_all_resources),
		T(rfc6121_3_1_6_an_approval_that_was_not_asked_for_is_ignored),
		T(rfc6121_3_1_6_an_approval_goes_to_interested_resources_only),
		T(rfc6121_3_2_2_unavailable_goes_before_the_cancellation),
		T(rfc6121_3_2_2_to_whom_sees_nothing_no_cancellation_goes),
		T(rfc6121_3_2_3_a_cancellation_is_shown_then_the_roster_pushed),
		T(rfc6121_3_3_2_unsubscribe_is_sent_and_the_roster_pushed),
		T(rfc6121_3_3_3_who_unsubscribes_is_told_unavailable_at_the_end),
		T(rfc6121_3_3_3_who_was_not_subscribed_is_ignored),
		T(rfc6121_3_4_2_pre_approval_stays_here_and_is_in_the_roster),
		T(rfc6121_3_4_2_a_request_that_was_approved_is_answered_and_not_shown),
		T(rfc6121_3_4_2_pre_approval_can_be_taken_back_silently),
		T(what_is_judged_twice_tells_everybody_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
