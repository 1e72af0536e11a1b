/* RFC 6121 section 4, rule by rule: exchanging presence. */
#include "tests/unit/session/fake_host.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.org"
#define NURSE  "nurse@example.com"
#define ROOM   "lobby@rooms.example.com" /* somewhere else: through service 30 */
#define J      "juliet@example.com/balcony"
#define C      "juliet@example.com/chamber"
#define R      "romeo@example.org/orchard"
#define H      "romeo@example.org/hall"
#define SAID   "consumed: rfc6121-4.2 presence broadcast\n"
#define LEFT   "consumed: rfc6121-4.5 presence broadcast\n"
#define PROBED "consumed: rfc6121-4.3.2 probe\n"

static bool said(const struct fake *f, const char *text)
{
	return strstr(f->trace.data, text) != NULL;
}

/* Juliet's contact, as she has it and as he has her; everybody is bound, nobody is available. */
static void know(struct fake *f, const char *juliets, const char *romeos)
{
	contact(f, JULIET, ROMEO, juliets);
	contact(f, ROMEO, JULIET, romeos);
	bind_to(f, 1, JULIET, "balcony");
	bind_to(f, 2, ROMEO, "orchard");
	fake_forget(f);
}

static void available(struct fake *f, uint64_t sid)
{
	presence(f, sid, "", "", "");
	fake_forget(f);
}

static void rfc6121_4_2_2_initial_presence_goes_to_whom_the_subscription_lets_see_it(void **state)
{
	static const struct {
		const char *juliets, *romeos;
		bool seen, sees;
	} rows[] = {
		{"none", "none", false, false},
		{"to", "from", false, true},
		{"from", "to", true, false},
		{"both", "both", true, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake *f;

		fake_teardown(state);
		fake_setup(state);
		f = *state;
		know(f, rows[i].juliets, rows[i].romeos);
		available(f, 2);
		presence(f, 1, "", "", "");
		assert_int_equal(said(f, "deliver sid=2 presence from=" J " to=" ROMEO "\n"),
				 rows[i].seen);
		assert_int_equal(said(f, "answer sid=1 presence from=" R " to=" J "\n"),
				 rows[i].sees);
	}
}

static void rfc6121_4_2_2_it_goes_to_the_own_resources_and_the_one_that_sent_it(void **state)
{
	struct fake *f = *state;

	bind_to(f, 1, JULIET, "balcony");
	online(f, 2, JULIET, "chamber", "-1");
	bind_to(f, 3, JULIET, "silent"); /* not available */
	fake_forget(f);
	presence(f, 1, "", "", "");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "deliver sid=2 presence from=" J " to=" JULIET "\n"
		  "answer sid=1 presence from=" C " to=" JULIET "\n" SAID);
}

static void rfc6121_4_2_3_all_available_resources_of_the_contact_get_it(void **state)
{
	struct fake *f = *state;

	know(f, "from", "to");
	available(f, 2);
	online(f, 3, ROMEO, "hall", "-128");
	bind_to(f, 4, ROMEO, "silent");
	fake_forget(f);
	presence(f, 1, "", "", "");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "deliver sid=2 presence from=" J " to=" ROMEO "\n"
		  "deliver sid=3 presence from=" J " to=" ROMEO "\n" SAID);
}

static void rfc6121_4_3_1_the_server_probes_whom_the_user_is_subscribed_to(void **state)
{
	static const struct {
		const char *subscription;
		bool probed;
	} rows[] = {{"none", false}, {"from", false}, {"to", true}, {"both", true}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake *f;

		fake_teardown(state);
		fake_setup(state);
		f = *state;
		contact(f, JULIET, ROOM, rows[i].subscription);
		bind_to(f, 1, JULIET, "balcony");
		presence(f, 1, "", "", "");
		assert_int_equal(said(f, "answer sid=30 presence probe from=" J " to=" ROOM "\n"),
				 rows[i].probed);
		fake_forget(f);
		/* 4.4.2: what comes later is no reason to probe. */
		presence(f, 1, "", "", "<show>away</show>");
		assert_false(said(f, "probe"));
	}
}

static void rfc6121_4_3_2_a_probe_by_who_may_not_see_is_answered_unsubscribed(void **state)
{
	struct fake *f = *state;

	f->unknown = "nobody@example.org";
	know(f, "to", "to");
	available(f, 2);
	presence(f, 1, "probe", ROMEO, "");
	expect(f, "answer sid=1 presence unsubscribed from=" ROMEO " to=" J "\n" PROBED);
	presence(f, 1, "probe", "nobody@example.org", "");
	expect(f, "answer sid=1 presence unsubscribed from=nobody@example.org to=" J "\n" PROBED);
	/* Nor does he learn which resources there are. */
	presence(f, 1, "probe", R, "");
	expect(f, "answer sid=1 presence unsubscribed from=" ROMEO " to=" J "\n" PROBED);
}

static void rfc6121_4_3_2_a_probe_for_nobody_available_is_answered_unavailable(void **state)
{
	struct fake *f = *state;

	know(f, "to", "from");
	presence(f, 1, "probe", ROMEO, "");
	expect(f, "answer sid=1 presence unavailable from=" ROMEO " to=" J "\n" PROBED);
	session_unbind(f->m, 2, S("gone"), NOW);
	fake_forget(f);
	presence(f, 1, "probe", ROMEO, "");
	expect(f, "answer sid=1 presence unavailable from=" ROMEO " to=" J "\n" PROBED);
}

static void rfc6121_4_3_2_a_probe_is_answered_with_the_last_presence_of_each_resource(void **state)
{
	struct fake *f = *state;

	know(f, "to", "from");
	presence(f, 2, "", "", "<show>away</show><x xmlns='urn:example:x'/>");
	online(f, 3, ROMEO, "hall", "-1");
	presence(f, 3, "", "", "<show>dnd</show>");
	bind_to(f, 4, ROMEO, "silent");
	fake_forget(f);
	f->show_inner = true;
	presence(f, 1, "probe", ROMEO, "");
	expect(f, "answer sid=1 presence from=" R " to=" J
		  " <show>away</show><x xmlns='urn:example:x'/>\n"
		  "answer sid=1 presence from=" H " to=" J " <show>dnd</show>\n" PROBED);
}

static void rfc6121_4_3_2_a_probe_to_a_full_jid_is_about_that_resource(void **state)
{
	struct fake *f = *state;

	know(f, "to", "from");
	available(f, 2);
	online(f, 3, ROMEO, "hall", "0");
	bind_to(f, 4, ROMEO, "silent");
	fake_forget(f);
	presence(f, 1, "probe", H, "");
	expect(f, "answer sid=1 presence from=" H " to=" J "\n" PROBED);
	presence(f, 1, "probe", ROMEO "/silent", "");
	expect(f, "answer sid=1 presence unavailable from=" ROMEO "/silent to=" J "\n" PROBED);
	presence(f, 1, "probe", ROMEO "/nowhere", "");
	expect(f, "answer sid=1 presence unavailable from=" ROMEO "/nowhere to=" J "\n" PROBED);
	/* One's own resources may be asked as well. */
	online(f, 5, JULIET, "chamber", "0");
	online(f, 6, JULIET, "tomb", "0");
	presence(f, 1, "probe", C, "");
	expect(f, "answer sid=1 presence from=" C " to=" J "\n" PROBED);
}

static void rfc6121_4_4_2_a_later_presence_goes_to_contacts_and_own_resources(void **state)
{
	struct fake *f = *state;

	know(f, "both", "both");
	available(f, 2);
	available(f, 1);
	online(f, 3, JULIET, "chamber", "0");
	f->show_inner = true;
	presence(f, 1, "", "", "<show>xa</show><status>out</status>");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET
		  " <show>xa</show><status>out</status>\n"
		  "deliver sid=3 presence from=" J " to=" JULIET
		  " <show>xa</show><status>out</status>\n"
		  "deliver sid=2 presence from=" J " to=" ROMEO
		  " <show>xa</show><status>out</status>\n" SAID);
}

static void rfc6121_4_5_2_unavailable_goes_to_all_who_were_told_with_what_it_says(void **state)
{
	struct fake *f = *state;

	know(f, "both", "both");
	available(f, 2);
	available(f, 1);
	online(f, 3, JULIET, "chamber", "0");
	online(f, 4, NURSE, "kitchen", "0");
	presence(f, 1, "", NURSE "/kitchen", "");
	fake_forget(f);
	f->show_inner = true;
	presence(f, 1, "unavailable", "", "<status>bye</status>");
	expect(f,
	       "deliver sid=1 presence unavailable from=" J " to=" JULIET " <status>bye</status>\n"
	       "deliver sid=3 presence unavailable from=" J " to=" JULIET " <status>bye</status>\n"
	       "deliver sid=2 presence unavailable from=" J " to=" ROMEO " <status>bye</status>\n"
	       "deliver sid=4 presence unavailable from=" J " to=" NURSE
	       "/kitchen <status>bye</status>\n" LEFT);
}

static void rfc6121_4_5_2_the_server_says_it_for_a_session_that_is_gone(void **state)
{
	struct fake *f = *state;

	know(f, "both", "both");
	available(f, 2);
	available(f, 1);
	online(f, 4, NURSE, "kitchen", "0");
	presence(f, 1, "", NURSE "/kitchen", "");
	fake_forget(f);
	session_unbind(f->m, 1, S("lost"), NOW);
	expect(f, "answer sid=2 presence unavailable from=" J " to=" ROMEO " (for no stanza)\n"
		  "answer sid=4 presence unavailable from=" J " to=" NURSE
		  "/kitchen (for no stanza)\n");
}

static void rfc6121_4_5_2_after_unavailable_the_next_presence_is_an_initial_one(void **state)
{
	struct fake *f = *state;

	know(f, "both", "both");
	available(f, 2);
	available(f, 1);
	presence(f, 1, "unavailable", "", "");
	fake_forget(f);
	/* It is told nothing meanwhile, and shown everybody then. */
	presence(f, 2, "", "", "<show>dnd</show>");
	assert_false(said(f, "sid=1"));
	fake_forget(f);
	presence(f, 1, "", "", "");
	assert_true(said(f, "answer sid=1 presence from=" R " to=" J "\n"));
}

static void rfc6121_4_6_3_directed_presence_goes_to_its_addressee_only(void **state)
{
	struct fake *f = *state;

	know(f, "both", "both");
	available(f, 2);
	available(f, 1);
	online(f, 3, ROMEO, "hall", "0");
	f->show_inner = true;
	presence(f, 1, "", H, "<show>dnd</show>");
	expect(f, "deliver sid=3 presence from=" J " to=" H " <show>dnd</show>\n");
	/* What is broadcast stays what a probe is answered with. */
	presence(f, 2, "probe", JULIET, "");
	expect(f, "answer sid=2 presence from=" J " to=" R "\n" PROBED);
}

static void rfc6121_4_6_3_a_contact_hears_of_the_end_once(void **state)
{
	struct fake *f = *state;

	know(f, "both", "both");
	available(f, 2);
	available(f, 1);
	presence(f, 1, "", ROMEO, "");
	fake_forget(f);
	presence(f, 1, "unavailable", "", "");
	expect(f, "deliver sid=1 presence unavailable from=" J " to=" JULIET "\n"
		  "deliver sid=2 presence unavailable from=" J " to=" ROMEO "\n" LEFT);
}

static void rfc6121_4_6_3_who_is_no_contact_hears_of_the_end_and_of_nothing_else(void **state)
{
	struct fake *f = *state;

	bind_to(f, 1, JULIET, "balcony");
	available(f, 1);
	online(f, 2, ROMEO, "orchard", "0");
	presence(f, 1, "", R, "");
	fake_forget(f);
	presence(f, 1, "", "", "<show>away</show>");
	assert_false(said(f, "sid=2"));
	fake_forget(f);
	presence(f, 1, "unavailable", "", "");
	assert_true(said(f, "deliver sid=2 presence unavailable from=" J " to=" R "\n"));
}

static void rfc6121_4_6_3_directed_unavailable_ends_it(void **state)
{
	struct fake *f = *state;

	bind_to(f, 1, JULIET, "balcony");
	available(f, 1);
	online(f, 2, ROMEO, "orchard", "0");
	presence(f, 1, "", R, "");
	presence(f, 1, "unavailable", R, "");
	fake_forget(f);
	presence(f, 1, "unavailable", "", "");
	assert_false(said(f, "sid=2"));
}

static void rfc6121_4_6_3_it_may_be_sent_without_being_available(void **state)
{
	struct fake *f = *state;

	know(f, "both", "both");
	available(f, 2);
	presence(f, 1, "", ROOM "/juliet", "");
	expect(f, "deliver sid=30 presence from=" J " to=" ROOM "/juliet\n");
	/* The end of the session is told to whom it was sent, and to nobody else. */
	session_unbind(f->m, 1, S("gone"), NOW);
	expect(f, "answer sid=30 presence unavailable from=" J " to=" ROOM
		  "/juliet (for no stanza)\n");
}

static void rfc6121_4_7_1_an_unknown_type_is_a_bad_request(void **state)
{
	struct fake *f = *state;

	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	f->show_inner = true;
	presence(f, 1, "available", "", "");
	assert_true(said(f, "answer sid=1 presence error from=" JULIET " to=" J));
	assert_true(said(f, "<bad-request "));
	presence(f, 1, "", "", "");
	presence(f, 1, "hidden", "", "");
	/* And changes nothing. */
	fake_forget(f);
	presence(f, 1, "probe", JULIET, "");
	expect(f, "answer sid=1 presence from=" J " to=" J "\n" PROBED);
}

/* The values of <show/>, texts in several languages and whatever else there is are for those who
 * read it. */
static void rfc6121_4_7_what_a_presence_contains_is_passed_untouched(void **state)
{
	static const char *const inner[] = {
		"<show>busy</show>",
		"<show/>",
		"<show>chat</show><show>dnd</show>",
		"<status>wooing</status><status xml:lang='cs'>namlouvat</status>",
		"<priority>1</priority><c xmlns='http://jabber.org/protocol/caps' ver='x'/>",
	};
	struct fake *f = *state;
	char wanted[256];

	know(f, "both", "both");
	available(f, 2);
	available(f, 1);
	f->show_inner = true;
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
		presence(f, 1, "", "", inner[i]);
		snprintf(wanted, sizeof(wanted),
			 "deliver sid=2 presence from=" J " to=" ROMEO " %s\n", inner[i]);
		assert_true(said(f, wanted));
		fake_forget(f);
		presence(f, 2, "probe", JULIET, "");
		snprintf(wanted, sizeof(wanted), "answer sid=2 presence from=" J " to=" R " %s\n",
			 inner[i]);
		assert_true(said(f, wanted));
		fake_forget(f);
	}
}

static void rfc6121_4_7_2_3_without_a_priority_it_is_0(void **state)
{
	struct fake *f = *state;

	bind_to(f, 1, JULIET, "balcony");
	presence(f, 1, "", "", "<priority>5</priority>");
	presence(f, 1, "", "", "<show>away</show>");
	fake_forget(f);
	session_list(f->m, SLICE_NONE, &f->trace);
	assert_true(said(f, "\"priority\":0,"));
}

static void rfc6121_4_7_2_3_a_priority_that_is_none_changes_nothing(void **state)
{
	struct fake *f = *state;

	know(f, "both", "both");
	available(f, 2);
	presence(f, 1, "", "", "<priority>5</priority>");
	fake_forget(f);
	presence(f, 1, "", "", "<priority>128</priority>");
	assert_true(said(f, "answer sid=1 presence error"));
	assert_false(said(f, "sid=2"));
	fake_forget(f);
	session_list(f->m, SLICE_NONE, &f->trace);
	assert_true(said(f, "\"priority\":5,"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
		T(rfc6121_4_2_2_initial_presence_goes_to_whom_the_subscription_lets_see_it),
		T(rfc6121_4_2_2_it_goes_to_the_own_resources_and_the_one_that_sent_it),
		T(rfc6121_4_2_3_all_available_resources_of_the_contact_get_it),
		T(rfc6121_4_3_1_the_server_probes_whom_the_user_is_subscribed_to),
		T(rfc6121_4_3_2_a_probe_by_who_may_not_see_is_answered_unsubscribed),
		T(rfc6121_4_3_2_a_probe_for_nobody_available_is_answered_unavailable),
		T(rfc6121_4_3_2_a_probe_is_answered_with_the_last_presence_of_each_resource),
		T(rfc6121_4_3_2_a_probe_to_a_full_jid_is_about_that_resource),
		T(rfc6121_4_4_2_a_later_presence_goes_to_contacts_and_own_resources),
		T(rfc6121_4_5_2_unavailable_goes_to_all_who_were_told_with_what_it_says),
		T(rfc6121_4_5_2_the_server_says_it_for_a_session_that_is_gone),
		T(rfc6121_4_5_2_after_unavailable_the_next_presence_is_an_initial_one),
		T(rfc6121_4_6_3_directed_presence_goes_to_its_addressee_only),
		T(rfc6121_4_6_3_a_contact_hears_of_the_end_once),
		T(rfc6121_4_6_3_who_is_no_contact_hears_of_the_end_and_of_nothing_else),
		T(rfc6121_4_6_3_directed_unavailable_ends_it),
		T(rfc6121_4_6_3_it_may_be_sent_without_being_available),
		T(rfc6121_4_7_1_an_unknown_type_is_a_bad_request),
		T(rfc6121_4_7_what_a_presence_contains_is_passed_untouched),
		T(rfc6121_4_7_2_3_without_a_priority_it_is_0),
		T(rfc6121_4_7_2_3_a_priority_that_is_none_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
