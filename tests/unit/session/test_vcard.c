/* vcard-temp (XEP-0054) and private XML storage (XEP-0049). */
#include "tests/unit/session/fake_data.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.com"
#define CARD                                          \
	"<vCard xmlns='vcard-temp'><FN>Juliet &amp; " \
	"co</FN><PHOTO><TYPE>image/png</TYPE></PHOTO></vCard>"
#define TO_JULIET(from) "from=" from " to=" JULIET "/a id=q1"

static void both(struct fake *f)
{
	online(f, 1, JULIET, "a", "0");
	online(f, 2, ROMEO, "b", "0");
}

static void a_vcard_that_was_set_is_got_by_its_owner_and_by_others(void **state)
{
	struct fake *f = *state;

	both(f);
	ask(f, 1, "set", "", CARD);
	expect(f,
	       "answer sid=1 iq result " TO_JULIET(JULIET) "\nconsumed: xep0054-3.2 vcard set\n");
	ask(f, 1, "get", "", "<vCard xmlns='vcard-temp'/>");
	expect(f, "answer sid=1 iq result " TO_JULIET(
			  JULIET) " " CARD "\nconsumed: xep0054-3.1 own vcard\n");
	ask(f, 2, "get", JULIET, "<vCard xmlns='vcard-temp'/>");
	expect(f, "answer sid=2 iq result from=" JULIET " to=" ROMEO "/b id=q1 " CARD
		  "\nconsumed: xep0054-3.3 vcard of another user\n");
}

static void without_a_vcard_the_owner_gets_an_empty_one(void **state)
{
	struct fake *f = *state;

	both(f);
	ask(f, 1, "get", JULIET, "<vCard xmlns='vcard-temp'/>");
	expect(f, "answer sid=1 iq result " TO_JULIET(JULIET) " <vCard xmlns='vcard-temp'/>\n"
							      "consumed: xep0054-3.1 own vcard\n");
}

static void others_cannot_tell_no_vcard_from_no_user_3_3(void **state)
{
	static const char *const whom[] = {ROMEO, "nobody@example.com"};
	struct fake *f = *state;

	both(f);
	for (size_t i = 0; i < 2; i++) {
		ask(f, 1, "get", whom[i], "<vCard xmlns='vcard-temp'/>");
		expect_part(f, "<error type='cancel'><service-unavailable " STANZAS
			       "/></error>\nbounced: xep0054-3.3 no vcard\n");
	}
}

static void a_vcard_of_somebody_else_cannot_be_set_3_2(void **state)
{
	struct fake *f = *state;

	both(f);
	ask(f, 1, "set", ROMEO, CARD);
	expect_part(f, "<forbidden " STANZAS "/>");
	ask(f, 1, "set", "example.com", CARD);
	expect_part(f, "<forbidden " STANZAS "/>");
	assert_int_equal(((struct fake_data *)f->more)->count, 0);
}

static void the_server_has_a_vcard_and_services_may_ask(void **state)
{
	struct fake *f = *state;

	both(f);
	ask(f, 1, "get", "example.com", "<vCard xmlns='vcard-temp'/>");
	expect_part(f, "<vCard xmlns='vcard-temp'><FN>Roundhouse</FN>"
		       "<JABBERID>example.com</JABBERID></vCard>");
	ask(f, 1, "set", "", CARD);
	fake_forget(f);
	fake_send(f, 30, "room@rooms.example.com", STANZA_IQ, "get", JULIET, "q2",
		  "<vCard xmlns='vcard-temp'/>");
	store_run(f);
	expect(f, "answer sid=30 iq result from=" JULIET " to=room@rooms.example.com id=q2 " CARD
		  "\nconsumed: xep0054-3.3 vcard of another user\n");
}

static void a_presence_with_a_photo_hash_goes_on_as_it_is_xep0153(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, ROMEO, "both");
	contact(f, ROMEO, JULIET, "both");
	both(f);
	presence(f, 1, "", "", "<x xmlns='vcard-temp:x:update'><photo>ab12</photo></x>");
	expect_part(f, "deliver sid=2 presence from=" JULIET "/a to=" ROMEO
		       " <x xmlns='vcard-temp:x:update'><photo>ab12</photo></x>\n");
}

static void a_full_share_and_a_dead_datastore_are_told(void **state)
{
	struct fake *f = *state;
	struct fake_data *d = f->more;

	both(f);
	d->fails = ERR_FULL;
	ask(f, 1, "set", "", CARD);
	expect_part(f, "bounced: user data full\n");
	iq(f, 1, "set", "", CARD);
	store_answer(f, ERR_TIMEOUT);
	expect_part(f, "<error type='wait'><resource-constraint ");
	iq(f, 1, "get", "", "<vCard xmlns='vcard-temp'/>");
	store_answer(f, ERR_IO);
	/* A failed read is never "empty". */
	expect_part(f, "<error type='wait'><internal-server-error ");
}

static void one_user_takes_a_quarter_of_the_places(void **state)
{
	struct fake *f = *state;

	data_configure(f, true, true, 40);
	both(f);
	for (int i = 0; i < 10; i++)
		iq(f, 1, "get", "", "<vCard xmlns='vcard-temp'/>");
	expect(f, "");
	iq(f, 1, "get", "", "<vCard xmlns='vcard-temp'/>");
	expect_part(f, "bounced: too many requests wait for the datastore\n");
	fake_forget(f);
	iq(f, 2, "get", "", "<vCard xmlns='vcard-temp'/>");
	expect(f, "");
	store_answer(f, ERR_OK);
	fake_forget(f);
	iq(f, 1, "get", "", "<vCard xmlns='vcard-temp'/>");
	expect(f, "");
	store_run(f);
	fake_forget(f);
}

static void requests_that_wait_are_bounded_and_die_with_their_session(void **state)
{
	struct fake *f = *state;

	data_configure(f, true, true, 2);
	both(f);
	iq(f, 1, "get", "", "<vCard xmlns='vcard-temp'/>");
	iq(f, 1, "get", "", "<vCard xmlns='vcard-temp'/>");
	expect(f, "");
	iq(f, 1, "get", "", "<vCard xmlns='vcard-temp'/>");
	expect_part(f, "bounced: too many requests wait for the datastore\n");
	session_unbind(f->m, 1, S("gone"), NOW);
	fake_forget(f);
	store_answer(f, ERR_OK);
	expect(f, "discarded: request of a session that is gone\n");
	store_answer(f, ERR_TIMEOUT);
	expect(f, "discarded: request of a session that is gone\n");
	store_run(f);
	online(f, 1, JULIET, "a", "0");
	iq(f, 1, "get", "", "<vCard xmlns='vcard-temp'/>");
	iq(f, 1, "get", "", "<vCard xmlns='vcard-temp'/>");
	expect(f, "");
	/* What is still under way is freed by the teardown. */
}

/* ---- XEP-0049 ---- */

#define PRIVATE(inner) "<query xmlns='jabber:iq:private'>" inner "</query>"

static void private_elements_are_kept_by_namespace_and_name(void **state)
{
	struct fake *f = *state;

	both(f);
	ask(f, 1, "set", "", PRIVATE("<e xmlns='exodus:prefs'><nick>Ham</nick></e>"));
	expect(f, "answer sid=1 iq result " TO_JULIET(JULIET) "\nconsumed: xep0049 set\n");
	ask(f, 1, "set", "", PRIVATE("<o xmlns='exodus:prefs'>1</o>"));
	fake_forget(f);
	ask(f, 1, "get", "", PRIVATE("<e xmlns='exodus:prefs'/>"));
	expect_part(f, PRIVATE("<e xmlns='exodus:prefs'><nick>Ham</nick></e>") "\n");
	ask(f, 1, "get", JULIET, PRIVATE("<e xmlns='other'/>"));
	expect_part(f, PRIVATE("<e xmlns='other'/>") "\n");
	/* And nobody else's. */
	ask(f, 2, "get", "", PRIVATE("<e xmlns='exodus:prefs'/>"));
	expect_part(f, PRIVATE("<e xmlns='exodus:prefs'/>") "\n");
}

static void several_elements_go_in_one_request(void **state)
{
	struct fake *f = *state;

	both(f);
	ask(f, 1, "set", "", PRIVATE("<a xmlns='x'>1</a><b xmlns='x' k='v'/>"));
	expect(f, "answer sid=1 iq result " TO_JULIET(JULIET) "\nconsumed: xep0049 set\n");
	ask(f, 1, "get", "", PRIVATE("<b xmlns='x'/><c xmlns='x'/><a xmlns='x'/>"));
	expect_part(f, PRIVATE("<b xmlns='x' k='v'/><c xmlns='x'/><a xmlns='x'>1</a>") "\n");
	/* An empty one takes the place away. */
	ask(f, 1, "set", "", PRIVATE("<a xmlns='x'/>"));
	assert_int_equal(((struct fake_data *)f->more)->count, 1);
	fake_forget(f);
	ask(f, 1, "get", "", PRIVATE("<a xmlns='x'/>"));
	expect_part(f, PRIVATE("<a xmlns='x'/>") "\n");
}

/* A small request for a large value, again and again. */
static void an_answer_of_private_data_is_bounded(void **state)
{
	struct fake *f = *state;
	struct str set = STR_INIT, get = STR_INIT;

	both(f);
	str_adds(&set, "<query xmlns='jabber:iq:private'><a xmlns='x'>");
	for (int i = 0; i < 100 * 1024; i++)
		str_addc(&set, 'x');
	str_adds(&set, "</a></query>");
	ask(f, 1, "set", "", set.data);
	expect_part(f, "consumed: xep0049 set\n");
	str_adds(&get, "<query xmlns='jabber:iq:private'>");
	for (int i = 0; i < 32; i++)
		str_adds(&get, "<a xmlns='x'/>");
	str_adds(&get, "</query>");
	ask(f, 1, "get", "", get.data);
	expect_part(f, "<error type='wait'><resource-constraint ");
	for (int i = 0; i < 1000; i++) { /* what was put together is not counted any more */
		ask(f, 1, "get", "", PRIVATE("<a xmlns='x'/><b xmlns='x'/>"));
		expect_part(f, "consumed: xep0049 get\n");
		memset(f->entries, 0, sizeof(f->entries));
		f->nentries = 0;
	}
	str_clear(&set);
	str_clear(&get);
}

static void private_data_without_a_namespace_is_not_acceptable_2(void **state)
{
	static const struct {
		const char *type, *inner;
	} cases[] = {{"set", PRIVATE("")},
		     {"get", PRIVATE("")},
		     {"set", PRIVATE("<a/>")},
		     {"set", PRIVATE("<a xmlns='x'>1</a><b/>")},
		     {"get", PRIVATE("<a/>")}};
	struct fake *f = *state;

	both(f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ask(f, 1, cases[i].type, "", cases[i].inner);
		expect_part(f, "<error type='modify'><not-acceptable ");
	}
	assert_int_equal(((struct fake_data *)f->more)->count, 0);
}

static void private_data_of_others_is_forbidden_2(void **state)
{
	static const char *const whom[] = {ROMEO, "nobody@example.com", "example.com"};
	struct fake *f = *state;

	both(f);
	for (size_t i = 0; i < 3; i++) {
		ask(f, 1, i % 2 ? "get" : "set", whom[i], PRIVATE("<a xmlns='x'>1</a>"));
		expect_part(f, "<error type='auth'><forbidden ");
	}
}

static void a_failure_in_the_middle_of_several_is_told(void **state)
{
	struct fake *f = *state;

	both(f);
	iq(f, 1, "set", "", PRIVATE("<a xmlns='x'>1</a><b xmlns='x'>2</b>"));
	store_answer(f, ERR_OK);
	expect(f, "");
	store_answer(f, ERR_TIMEOUT);
	expect_part(f, "<error type='wait'><resource-constraint ");
	iq(f, 1, "get", "", PRIVATE("<a xmlns='x'/><b xmlns='x'/>"));
	store_answer(f, ERR_OK);
	store_answer(f, ERR_CORRUPT);
	expect_part(f, "<error type='wait'><internal-server-error ");
	/* The session goes in between. */
	iq(f, 1, "get", "", PRIVATE("<a xmlns='x'/><b xmlns='x'/>"));
	store_answer(f, ERR_OK);
	session_unbind(f->m, 1, S("gone"), NOW);
	fake_forget(f);
	store_answer(f, ERR_OK);
	expect(f, "discarded: request of a session that is gone\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DATA_TEST(a_vcard_that_was_set_is_got_by_its_owner_and_by_others),
		DATA_TEST(without_a_vcard_the_owner_gets_an_empty_one),
		DATA_TEST(others_cannot_tell_no_vcard_from_no_user_3_3),
		DATA_TEST(a_vcard_of_somebody_else_cannot_be_set_3_2),
		DATA_TEST(the_server_has_a_vcard_and_services_may_ask),
		DATA_TEST(a_presence_with_a_photo_hash_goes_on_as_it_is_xep0153),
		DATA_TEST(a_full_share_and_a_dead_datastore_are_told),
		DATA_TEST(one_user_takes_a_quarter_of_the_places),
		DATA_TEST(requests_that_wait_are_bounded_and_die_with_their_session),
		DATA_TEST(private_elements_are_kept_by_namespace_and_name),
		DATA_TEST(several_elements_go_in_one_request),
		DATA_TEST(an_answer_of_private_data_is_bounded),
		DATA_TEST(private_data_without_a_namespace_is_not_acceptable_2),
		DATA_TEST(private_data_of_others_is_forbidden_2),
		DATA_TEST(a_failure_in_the_middle_of_several_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
