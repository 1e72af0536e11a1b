/*
 * RFC 6121 section 8, rule by rule: each row is a test named after the section. Where the RFC lets
 * a server choose, the name says what this one does. Who has carbons: test_carbons.c; what is kept
 * for later (8.5.2.2.1): test_hints.c, test_offline.c.
 */
#include "tests/unit/session/stanza_text.h"

#define JULIET	"juliet@example.com"
#define BALCONY JULIET "/balcony"
#define ROMEO	"romeo@example.org"
#define NOBODY	"nobody@example.org"
#define FROM	" from=" BALCONY

#define MSG(type, to)  "<message id='m1' " type " to='" to "'><body>hi</body></message>"
#define PRES(type, to) "<presence " type " to='" to "'/>"
#define GET(to)	       "<iq type='get' id='q1' to='" to "'><query xmlns='u'/></iq>"
#define PING(to)       "<iq type='get' id='q1' to='" to "'><ping xmlns='urn:xmpp:ping'/></iq>"

#define TO(sid, type, to)      "deliver sid=" sid " message" type FROM " to=" to " id=m1\n"
#define PRESENT(sid, type, to) "deliver sid=" sid " presence" type FROM " to=" to "\n"
#define BOUNCE(to)	       "answer sid=1 message error from=" to " to=" BALCONY " id=m1\n"
#define IQ_ERROR(to)	       "answer sid=1 iq error from=" to " to=" BALCONY " id=q1\n"
#define IQ_RESULT(from)	       "answer sid=1 iq result from=" from " to=" BALCONY " id=q1\n"

struct row {
	const char *name;
	/* priorities of romeo's r1, r2, ... as sid 2, 3, ...; "c" = connected without presence */
	const char *resources;
	const char *text; /* by juliet, sid 1 */
	const char *trace;
};

static const struct row rows[] = {
	/* 8.1: no 'to' */
	{"rfc6121_8_1_a_message_without_to_is_for_the_own_account", "",
	 "<message id='m1' type='chat'><body>hi</body></message>", TO("1", " chat", JULIET)},
	{"rfc6121_8_1_an_iq_without_to_is_handled_for_the_own_account", "",
	 "<iq type='get' id='q1'><ping xmlns='urn:xmpp:ping'/></iq>",
	 IQ_RESULT(JULIET) "consumed: xep0199 ping\n"},
	{"rfc6121_8_1_an_iq_without_to_that_nobody_knows_is_an_error", "",
	 "<iq type='get' id='q1'><query xmlns='u'/></iq>",
	 IQ_ERROR(JULIET) "bounced: rfc6120-8.4 iq that nobody handles\n"},

	/* 8.2: a remote domain */
	{"rfc6121_8_2_a_message_for_another_domain_goes_there", "",
	 MSG("type='groupchat'", "lobby@rooms.example.com"),
	 TO("30", " groupchat", "lobby@rooms.example.com")},
	{"rfc6121_8_2_an_iq_for_another_domain_goes_there", "", GET("rooms.example.com"),
	 "deliver sid=30 iq get" FROM " to=rooms.example.com id=q1\n"},
	{"rfc6121_8_2_presence_for_another_domain_goes_there", "",
	 PRES("", "lobby@rooms.example.com/me"),
	 "deliver sid=30 presence" FROM " to=lobby@rooms.example.com/me\n"},
	{"rfc6121_8_2_a_domain_that_cannot_be_reached_is_an_error", "",
	 MSG("type='chat'", "tybalt@capulet.example"),
	 BOUNCE("tybalt@capulet.example") "bounced: rfc6120-10.4 no such server\n"},
	{"rfc6121_8_2_an_iq_for_a_domain_that_cannot_be_reached_is_an_error", "",
	 GET("capulet.example"),
	 IQ_ERROR("capulet.example") "bounced: rfc6120-10.4 no such server\n"},

	/* 8.3: the local domain */
	{"rfc6121_8_3_an_iq_for_the_server_is_answered_by_it", "", PING("example.com"),
	 IQ_RESULT("example.com") "consumed: xep0199 ping\n"},
	{"rfc6121_8_3_an_unknown_iq_for_the_server_is_service_unavailable", "", GET("example.com"),
	 IQ_ERROR("example.com") "bounced: rfc6120-8.4 iq that nobody handles\n"},
	{"rfc6121_8_3_a_message_for_the_server_is_an_error", "", MSG("", "example.com"),
	 BOUNCE("example.com") "bounced: message to the server\n"},
	{"rfc6121_8_3_an_error_for_the_server_is_ignored", "", MSG("type='error'", "example.com"),
	 "discarded: message to the server\n"},
	{"rfc6121_8_3_an_iq_for_a_resource_of_the_server_is_an_error", "", GET("example.com/x"),
	 IQ_ERROR("example.com/x") "bounced: rfc6120-8.4 iq that nobody handles\n"},
	{"rfc6121_8_3_presence_for_the_server_is_consumed", "", PRES("", "example.com"),
	 "consumed: presence to the server\n"},

	/* 8.5.1: no such user. As 8.5.2.2, so that nobody learns who has an account. */
	{"rfc6121_8_5_1_a_message_for_no_such_user_is_service_unavailable", "",
	 MSG("type='chat'", NOBODY), BOUNCE(NOBODY) "bounced: rfc6121-8.5.2.2.1 chat to nobody\n"},
	{"rfc6121_8_5_1_presence_for_no_such_user_is_ignored", "", PRES("", NOBODY),
	 "discarded: rfc6121-8.5 presence to nobody\n"},
	{"rfc6121_8_5_1_unavailable_presence_for_no_such_user_is_ignored", "",
	 PRES("type='unavailable'", NOBODY), "discarded: rfc6121-8.5 presence to nobody\n"},
	{"rfc6121_8_5_1_an_iq_for_no_such_user_is_service_unavailable", "", GET(NOBODY),
	 IQ_ERROR(NOBODY) "bounced: rfc6120-8.4 iq that nobody handles\n"},
	{"rfc6121_8_5_1_an_iq_for_a_resource_of_no_such_user_is_service_unavailable", "",
	 GET(NOBODY "/x"),
	 IQ_ERROR(NOBODY "/x") "bounced: rfc6121-8.5.3.2.3 iq to no such resource\n"},

	/* 8.5.2.1.1: a message for the bare JID, resources are there */
	{"rfc6121_8_5_2_1_1_chat_to_a_bare_jid_goes_to_the_highest_priority", "1 5 0",
	 MSG("type='chat'", ROMEO), TO("3", " chat", ROMEO)},
	{"rfc6121_8_5_2_1_1_chat_to_a_bare_jid_goes_to_all_of_the_highest_priority", "5 1 5",
	 MSG("type='chat'", ROMEO), TO("2", " chat", ROMEO) TO("4", " chat", ROMEO)},
	{"rfc6121_8_5_2_1_1_normal_to_a_bare_jid_goes_to_the_highest_priority", "1 5 0",
	 MSG("type='normal'", ROMEO), TO("3", " normal", ROMEO)},
	{"rfc6121_8_5_2_1_1_without_a_type_is_normal", "1 5 0", MSG("", ROMEO), TO("3", "", ROMEO)},
	{"rfc6121_8_5_2_1_1_negative_priorities_get_nothing_for_the_bare_jid", "-1 0 c",
	 MSG("type='chat'", ROMEO), TO("3", " chat", ROMEO)},
	{"rfc6121_8_5_2_1_1_the_to_is_not_rewritten", "0", MSG("type='chat'", ROMEO),
	 TO("2", " chat", ROMEO)},
	{"rfc6121_8_5_2_1_1_groupchat_to_a_bare_jid_is_an_error", "0",
	 MSG("type='groupchat'", ROMEO),
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.1.1 groupchat to a bare JID\n"},
	{"rfc6121_8_5_2_1_1_headline_to_a_bare_jid_goes_to_all_not_negative", "1 -1 0",
	 MSG("type='headline'", ROMEO), TO("2", " headline", ROMEO) TO("4", " headline", ROMEO)},
	{"rfc6121_8_5_2_1_1_error_to_a_bare_jid_is_ignored", "0", MSG("type='error'", ROMEO),
	 "discarded: rfc6121-8.5.2.1.1 error to a bare JID\n"},

	/* 8.5.2.1.2: presence */
	{"rfc6121_8_5_2_1_2_presence_to_a_bare_jid_goes_to_all_available", "1 -1 c",
	 PRES("", ROMEO), PRESENT("2", "", ROMEO) PRESENT("3", "", ROMEO)},
	{"rfc6121_8_5_2_1_2_unavailable_to_a_bare_jid_goes_to_all_available", "1 -1 c",
	 PRES("type='unavailable'", ROMEO),
	 PRESENT("2", " unavailable", ROMEO) PRESENT("3", " unavailable", ROMEO)},

	/* 8.5.2.1.3: an iq for the bare JID is the server's to answer, for the user. */
	{"rfc6121_8_5_2_1_3_an_iq_to_a_bare_jid_is_never_delivered", "0", GET(ROMEO),
	 IQ_ERROR(ROMEO) "bounced: rfc6120-8.4 iq that nobody handles\n"},
	{"rfc6121_8_5_2_1_3_an_iq_result_to_a_bare_jid_is_consumed", "0",
	 "<iq type='result' id='q1' to='" ROMEO "'/>", "consumed: iq answer to the server\n"},
	{"rfc6121_8_5_2_1_3_an_iq_error_to_a_bare_jid_is_consumed", "0",
	 "<iq type='error' id='q1' to='" ROMEO "'/>", "consumed: iq answer to the server\n"},

	/* 8.5.2.2.1: nobody is available (what can be kept is kept: test_hints.c) */
	{"rfc6121_8_5_2_2_1_chat_that_is_not_kept_is_service_unavailable", "",
	 MSG("type='chat'", ROMEO), BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 chat to nobody\n"},
	{"rfc6121_8_5_2_2_1_normal_that_is_not_kept_is_service_unavailable", "-1", MSG("", ROMEO),
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 normal to nobody\n"},
	{"rfc6121_8_5_2_2_1_who_is_only_connected_is_not_available", "c", MSG("type='chat'", ROMEO),
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 chat to nobody\n"},
	{"rfc6121_8_5_2_2_1_groupchat_is_an_error", "", MSG("type='groupchat'", ROMEO),
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 groupchat to a bare JID\n"},
	{"rfc6121_8_5_2_2_1_headline_is_ignored", "", MSG("type='headline'", ROMEO),
	 "discarded: rfc6121-8.5.2.2.1 headline to nobody\n"},
	{"rfc6121_8_5_2_2_1_error_is_ignored", "", MSG("type='error'", ROMEO),
	 "discarded: rfc6121-8.5.2.2.1 error to a bare JID\n"},
	{"rfc6121_8_5_2_2_2_presence_is_ignored", "c", PRES("", ROMEO),
	 "discarded: rfc6121-8.5 presence to nobody\n"},
	{"rfc6121_8_5_2_2_3_an_iq_is_answered_by_the_server", "", GET(ROMEO),
	 IQ_ERROR(ROMEO) "bounced: rfc6120-8.4 iq that nobody handles\n"},

	/* 8.5.3.1: the full JID matches: whatever it is goes there and nowhere else. */
	{"rfc6121_8_5_3_1_chat_goes_to_the_resource", "1 5", MSG("type='chat'", ROMEO "/r1"),
	 TO("2", " chat", ROMEO "/r1")},
	{"rfc6121_8_5_3_1_normal_goes_to_a_negative_priority", "-1 5", MSG("", ROMEO "/r1"),
	 TO("2", "", ROMEO "/r1")},
	{"rfc6121_8_5_3_1_chat_goes_to_one_without_presence", "c 5",
	 MSG("type='chat'", ROMEO "/r1"), TO("2", " chat", ROMEO "/r1")},
	{"rfc6121_8_5_3_1_groupchat_goes_to_the_resource", "1",
	 MSG("type='groupchat'", ROMEO "/r1"), TO("2", " groupchat", ROMEO "/r1")},
	{"rfc6121_8_5_3_1_headline_goes_to_the_resource", "1 5",
	 MSG("type='headline'", ROMEO "/r1"), TO("2", " headline", ROMEO "/r1")},
	{"rfc6121_8_5_3_1_error_goes_to_the_resource", "1 5", MSG("type='error'", ROMEO "/r1"),
	 TO("2", " error", ROMEO "/r1")},
	{"rfc6121_8_5_3_1_presence_goes_to_the_resource", "1 5", PRES("", ROMEO "/r1"),
	 PRESENT("2", "", ROMEO "/r1")},
	{"rfc6121_8_5_3_1_unavailable_goes_to_the_resource", "1 5",
	 PRES("type='unavailable'", ROMEO "/r1"), PRESENT("2", " unavailable", ROMEO "/r1")},
	{"rfc6121_8_5_3_1_an_iq_goes_to_the_resource", "-1", GET(ROMEO "/r1"),
	 "deliver sid=2 iq get" FROM " to=" ROMEO "/r1 id=q1\n"},
	{"rfc6121_8_5_3_1_an_iq_result_goes_to_the_resource", "1",
	 "<iq type='result' id='q1' to='" ROMEO "/r1'/>",
	 "deliver sid=2 iq result" FROM " to=" ROMEO "/r1 id=q1\n"},

	/* 8.5.3.2.1: no such resource */
	{"rfc6121_8_5_3_2_1_normal_to_no_such_resource_is_service_unavailable", "1",
	 MSG("", ROMEO "/x"),
	 BOUNCE(ROMEO "/x") "bounced: rfc6121-8.5.3.2.1 normal to no such resource\n"},
	{"rfc6121_8_5_3_2_1_chat_to_no_such_resource_goes_where_the_bare_jid_leads", "1 5 -1",
	 MSG("type='chat'", ROMEO "/x"), TO("3", " chat", ROMEO "/x")},
	{"rfc6121_8_5_3_2_1_chat_to_no_resource_at_all_is_as_for_the_bare_jid", "-1",
	 MSG("type='chat'", ROMEO "/x"),
	 BOUNCE(ROMEO "/x") "bounced: rfc6121-8.5.3.2.1 chat to nobody\n"},
	{"rfc6121_8_5_3_2_1_groupchat_to_no_such_resource_is_an_error", "1",
	 MSG("type='groupchat'", ROMEO "/x"),
	 BOUNCE(ROMEO "/x") "bounced: rfc6121-8.5.3.2.1 groupchat to no such resource\n"},
	{"rfc6121_8_5_3_2_1_headline_to_no_such_resource_is_ignored", "1",
	 MSG("type='headline'", ROMEO "/x"),
	 "discarded: rfc6121-8.5.3.2.1 headline to no such resource\n"},
	{"rfc6121_8_5_3_2_1_error_to_no_such_resource_is_ignored", "1",
	 MSG("type='error'", ROMEO "/x"),
	 "discarded: rfc6121-8.5.3.2.1 error to no such resource\n"},
	{"rfc6121_8_5_3_2_2_presence_to_no_such_resource_is_ignored", "1", PRES("", ROMEO "/x"),
	 "discarded: rfc6121-8.5 presence to nobody\n"},
	{"rfc6121_8_5_3_2_2_unavailable_to_no_such_resource_is_ignored", "1",
	 PRES("type='unavailable'", ROMEO "/x"), "discarded: rfc6121-8.5 presence to nobody\n"},
	{"rfc6121_8_5_3_2_3_an_iq_request_to_no_such_resource_is_service_unavailable", "1",
	 GET(ROMEO "/x"),
	 IQ_ERROR(ROMEO "/x") "bounced: rfc6121-8.5.3.2.3 iq to no such resource\n"},
	{"rfc6121_8_5_3_2_3_an_iq_result_to_no_such_resource_is_ignored", "1",
	 "<iq type='result' id='q1' to='" ROMEO "/x'/>",
	 "discarded: rfc6121-8.5.3.2.3 iq to no such resource\n"},
	{"rfc6121_8_5_3_2_3_an_iq_error_to_no_such_resource_is_ignored", "1",
	 "<iq type='error' id='q1' to='" ROMEO "/x'/>",
	 "discarded: rfc6121-8.5.3.2.3 iq to no such resource\n"},

	/* RFC 6120 8.3.1: an error is not answered by an error. */
	{"rfc6120_8_3_1_an_error_for_an_unreachable_domain_is_not_answered", "",
	 MSG("type='error'", "tybalt@capulet.example"), "discarded: rfc6120-10.4 no such server\n"},
};

static void one_row(void **state)
{
	const struct row *r = *state;
	char *list = xstrdup(r->resources), *at = list, *p;
	char resource[8];
	uint64_t sid = 2;
	struct fake *f;
	void *own;

	fake_setup(&own);
	f = own;
	online(f, 1, JULIET, "balcony", "0");
	while ((p = strsep(&at, " ")) && *p) {
		snprintf(resource, sizeof(resource), "r%u", (unsigned int)sid - 1);
		online(f, sid++, ROMEO, resource, *p == 'c' ? NULL : p);
	}
	free(list);
	say(f, 1, r->text);
	store_run(f);
	expect(f, r->trace);
	fake_teardown(&own);
}

/* 8.1: to all who see it, and to the other resources. */
static void rfc6121_8_1_presence_without_to_is_broadcast(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, JULIET, "chamber", "0");
	say(f, 1, "<presence><show>dnd</show></presence>");
	store_run(f);
	assert_non_null(strstr(f->trace.data, "deliver sid=2 presence" FROM " to=" JULIET "\n"));
}

/* RFC 6120 8.3.1: from and to are exchanged, the id is kept, and there is one error element. */
static void rfc6120_8_3_1_an_error_has_the_id_and_the_condition(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	f->show_inner = true;
	say(f, 1, MSG("type='groupchat'", ROMEO));
	store_run(f);
	expect(f, "answer sid=1 message error from=" ROMEO " to=" BALCONY
		  " id=m1 <error type='cancel'><service-unavailable "
		  "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>\n"
		  "bounced: rfc6121-8.5.2.2.1 groupchat to a bare JID\n");
}

#define ROWS (sizeof(rows) / sizeof(*rows))

int main(void)
{
	struct CMUnitTest tests[ROWS + 2] = {
		cmocka_unit_test_setup_teardown(rfc6121_8_1_presence_without_to_is_broadcast,
						fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(rfc6120_8_3_1_an_error_has_the_id_and_the_condition,
						fake_setup, fake_teardown),
	};

	for (size_t i = 0; i < ROWS; i++)
		tests[i + 2] = (struct CMUnitTest){.name = rows[i].name,
						   .test_func = one_row,
						   .initial_state = (void *)&rows[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
