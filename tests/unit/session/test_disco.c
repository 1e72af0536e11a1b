/* Service discovery (XEP-0030), time (XEP-0202), contact addresses (XEP-0157). */
#include "tests/unit/session/fake_data.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.com"
#define INFO   "<query xmlns='http://jabber.org/protocol/disco#info'/>"
#define ITEMS  "<query xmlns='http://jabber.org/protocol/disco#items'/>"

static const char *const common[] = {"http://jabber.org/protocol/disco#info",
				     "http://jabber.org/protocol/disco#items",
				     "urn:xmpp:ping",
				     "jabber:iq:last",
				     "vcard-temp",
				     NULL};
static const char *const server[] = {"jabber:iq:version",
				     "urn:xmpp:time",
				     "jabber:iq:roster",
				     "jabber:iq:private",
				     "jabber:iq:register",
				     "msgoffline",
				     NULL};

static void expect_features(struct fake *f, const char *const *vars)
{
	char text[128];

	for (; *vars; vars++) {
		const char *at;

		snprintf(text, sizeof(text), "<feature var='%s'/>", *vars);
		at = strstr(f->trace.data, text);
		if (!at)
			fail_msg("%s is not in %s", text, f->trace.data);
		assert_null(strstr(at + 1, text)); /* XEP-0115 5.4: each once */
	}
}

static void the_server_says_what_it_is_and_can(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	ask(f, 1, "get", "example.com", INFO);
	expect_features(f, common);
	expect_features(f, server);
	expect_part(f, "<identity category='server' type='im' name='Roundhouse'/>");
}

static void an_account_says_what_it_is_and_can(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	ask(f, 1, "get", "", INFO);
	expect_features(f, common);
	assert_null(strstr(f->trace.data, "jabber:iq:version"));
	expect_part(f, "<identity category='account' type='registered'/>");
}

static void registration_is_named_only_where_something_of_it_is_on(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	data_configure(f, false, false, 0);
	ask(f, 1, "get", "example.com", INFO);
	assert_null(strstr(f->trace.data, "jabber:iq:register"));
	data_configure(f, false, true, 0);
	ask(f, 1, "get", "example.com", INFO);
	expect_part(f, "jabber:iq:register");
}

static void whom_to_write_to_stands_in_a_form_xep0157(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	ask(f, 1, "get", "example.com", INFO);
	expect_part(f, "<x xmlns='jabber:x:data' type='result'>"
		       "<field var='FORM_TYPE' type='hidden'>"
		       "<value>http://jabber.org/network/serverinfo</value></field>"
		       "<field var='abuse-addresses' type='list-multi'>"
		       "<value>mailto:abuse@example.com</value>"
		       "<value>xmpp:abuse@example.com</value></field></x></query>");
	fake_configure(f, "replace", 4);
	ask(f, 1, "get", "example.com", INFO);
	assert_null(strstr(f->trace.data, "jabber:x:data"));
}

static void no_node_is_known_3_2(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	for (int i = 0; i < 4; i++) {
		ask(f, 1, "get", i % 2 ? "example.com" : "",
		    i < 2 ? "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>"
			  : "<query xmlns='http://jabber.org/protocol/disco#items' node='x'/>");
		expect_part(f, "<item-not-found " STANZAS "/>");
	}
}

static void who_may_see_the_presence_may_ask_an_account_8(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, ROMEO, "from");
	online(f, 2, ROMEO, "b", "0");
	/* She is not there: her roster is read. */
	ask(f, 2, "get", JULIET, INFO);
	expect_part(f, "<identity category='account' type='registered'/>");
	ask(f, 2, "get", JULIET, ITEMS);
	expect_part(f, " <query xmlns='http://jabber.org/protocol/disco#items'></query>\n");
	online(f, 1, JULIET, "a", "0");
	online(f, 3, JULIET, "unseen", NULL);
	ask(f, 2, "get", JULIET, ITEMS);
	expect_part(f, "disco#items'><item jid='" JULIET "/a'/></query>\n");
}

static void others_cannot_tell_a_refusal_from_no_account_8(void **state)
{
	static const char *const whom[] = {JULIET, "mercutio@example.com", "nobody@example.com"};
	struct fake *f = *state;

	contact(f, JULIET, ROMEO, "to");
	f->unknown = "nobody@example.com";
	online(f, 1, JULIET, "a", "0");
	online(f, 2, ROMEO, "b", "0");
	for (size_t i = 0; i < 6; i++) {
		ask(f, 2, "get", whom[i % 3], i < 3 ? INFO : ITEMS);
		expect_part(f, " <error type='cancel'><service-unavailable " STANZAS "/></error>\n"
			       "bounced: xep0030-8 disco of an account without subscription\n");
	}
}

static void the_time_is_utc_xep0202(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	f->wall_ms = UINT64_C(1700000000007);
	ask(f, 1, "get", "example.com", "<time xmlns='urn:xmpp:time'/>");
	expect(f, "answer sid=1 iq result from=example.com to=" JULIET
		  "/a id=q1 <time xmlns='urn:xmpp:time'><tzo>+00:00</tzo>"
		  "<utc>2023-11-14T22:13:20Z</utc></time>\nconsumed: xep0202 time\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DATA_TEST(the_server_says_what_it_is_and_can),
		DATA_TEST(an_account_says_what_it_is_and_can),
		DATA_TEST(registration_is_named_only_where_something_of_it_is_on),
		DATA_TEST(whom_to_write_to_stands_in_a_form_xep0157),
		DATA_TEST(no_node_is_known_3_2),
		DATA_TEST(who_may_see_the_presence_may_ask_an_account_8),
		DATA_TEST(others_cannot_tell_a_refusal_from_no_account_8),
		DATA_TEST(the_time_is_utc_xep0202),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
