/* RFC 6121 section 8: one case for each row of the table in 8.5.4, and what surrounds it. */
#include "tests/unit/session/fake_host.h"

#define ROMEO "romeo@example.org"
#define FROM  " from=juliet@example.com/balcony"

struct row {
	const char *name;
	const char *
		resources; /* priorities of romeo's r1, r2, ... as sid 2, 3, ...; "c" = connected */
	const char *to;
	const char *type;
	const char *trace;
};

#define DELIVER(sid, type, to) \
	"deliver sid=" sid " message" type " from=juliet@example.com/balcony to=" to " id=m1\n"
#define BOUNCE(to) "answer sid=1 message error from=" to " to=juliet@example.com/balcony id=m1\n"

static const struct row message_rows[] = {
	{"no_account_or_resource_bare_normal_is_bounced", "", ROMEO, "normal",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 normal to nobody\n"},
	{"no_resource_bare_untyped_is_normal", "", ROMEO, "",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 normal to nobody\n"},
	{"no_resource_bare_unknown_type_is_normal", "", ROMEO, "party",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 normal to nobody\n"},
	{"no_resource_bare_chat_is_bounced", "", ROMEO, "chat",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 chat to nobody\n"},
	{"no_resource_bare_groupchat_is_bounced", "", ROMEO, "groupchat",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 groupchat to a bare JID\n"},
	{"no_resource_bare_headline_is_ignored", "", ROMEO, "headline",
	 "discarded: rfc6121-8.5.2.2.1 headline to nobody\n"},
	{"no_resource_bare_error_is_ignored", "", ROMEO, "error",
	 "discarded: rfc6121-8.5.2.2.1 error to a bare JID\n"},
	{"no_resource_full_normal_is_bounced", "", ROMEO "/r1", "",
	 BOUNCE(ROMEO "/r1") "bounced: rfc6121-8.5.3.2.1 normal to no such resource\n"},
	{"no_resource_full_chat_is_bounced", "", ROMEO "/r1", "chat",
	 BOUNCE(ROMEO "/r1") "bounced: rfc6121-8.5.3.2.1 chat to nobody\n"},
	{"no_resource_full_groupchat_is_bounced", "", ROMEO "/r1", "groupchat",
	 BOUNCE(ROMEO "/r1") "bounced: rfc6121-8.5.3.2.1 groupchat to no such resource\n"},
	{"no_resource_full_headline_is_ignored", "", ROMEO "/r1", "headline",
	 "discarded: rfc6121-8.5.3.2.1 headline to no such resource\n"},
	{"no_resource_full_error_is_ignored", "", ROMEO "/r1", "error",
	 "discarded: rfc6121-8.5.3.2.1 error to no such resource\n"},

	{"connected_without_presence_bare_is_bounced", "c", ROMEO, "chat",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 chat to nobody\n"},
	{"connected_without_presence_full_is_delivered", "c", ROMEO "/r1", "chat",
	 DELIVER("2", " chat", ROMEO "/r1")},

	{"negative_only_bare_normal_is_bounced", "-1", ROMEO, "",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 normal to nobody\n"},
	{"negative_only_bare_chat_is_bounced", "-1", ROMEO, "chat",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 chat to nobody\n"},
	{"negative_only_bare_groupchat_is_bounced", "-1", ROMEO, "groupchat",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.2.1 groupchat to a bare JID\n"},
	{"negative_only_bare_headline_is_ignored", "-1", ROMEO, "headline",
	 "discarded: rfc6121-8.5.2.2.1 headline to nobody\n"},
	{"negative_only_full_match_is_delivered", "-1", ROMEO "/r1", "",
	 DELIVER("2", "", ROMEO "/r1")},
	{"negative_only_full_match_groupchat_is_delivered", "-1", ROMEO "/r1", "groupchat",
	 DELIVER("2", " groupchat", ROMEO "/r1")},
	{"negative_only_full_match_headline_is_delivered", "-1", ROMEO "/r1", "headline",
	 DELIVER("2", " headline", ROMEO "/r1")},
	{"negative_only_full_no_match_normal_is_bounced", "-1", ROMEO "/x", "",
	 BOUNCE(ROMEO "/x") "bounced: rfc6121-8.5.3.2.1 normal to no such resource\n"},
	{"negative_only_full_no_match_chat_is_bounced", "-1", ROMEO "/x", "chat",
	 BOUNCE(ROMEO "/x") "bounced: rfc6121-8.5.3.2.1 chat to nobody\n"},

	{"one_resource_bare_normal_is_delivered", "0", ROMEO, "", DELIVER("2", "", ROMEO)},
	{"one_resource_bare_chat_is_delivered", "0", ROMEO, "chat", DELIVER("2", " chat", ROMEO)},
	{"one_resource_bare_headline_is_delivered", "0", ROMEO, "headline",
	 DELIVER("2", " headline", ROMEO)},
	{"one_resource_bare_groupchat_is_bounced", "0", ROMEO, "groupchat",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.1.1 groupchat to a bare JID\n"},
	{"one_resource_bare_error_is_ignored", "0", ROMEO, "error",
	 "discarded: rfc6121-8.5.2.1.1 error to a bare JID\n"},
	{"one_resource_full_match_normal_is_delivered", "0", ROMEO "/r1", "",
	 DELIVER("2", "", ROMEO "/r1")},
	{"one_resource_full_match_error_is_delivered", "0", ROMEO "/r1", "error",
	 DELIVER("2", " error", ROMEO "/r1")},
	{"one_resource_full_no_match_normal_is_bounced", "0", ROMEO "/x", "",
	 BOUNCE(ROMEO "/x") "bounced: rfc6121-8.5.3.2.1 normal to no such resource\n"},
	{"one_resource_full_no_match_chat_goes_to_it", "0", ROMEO "/x", "chat",
	 DELIVER("2", " chat", ROMEO "/x")},
	{"one_resource_full_no_match_groupchat_is_bounced", "0", ROMEO "/x", "groupchat",
	 BOUNCE(ROMEO "/x") "bounced: rfc6121-8.5.3.2.1 groupchat to no such resource\n"},
	{"one_resource_full_no_match_headline_is_ignored", "0", ROMEO "/x", "headline",
	 "discarded: rfc6121-8.5.3.2.1 headline to no such resource\n"},
	{"one_resource_full_no_match_error_is_ignored", "0", ROMEO "/x", "error",
	 "discarded: rfc6121-8.5.3.2.1 error to no such resource\n"},

	{"several_bare_normal_goes_to_the_highest", "1 5 -1", ROMEO, "", DELIVER("3", "", ROMEO)},
	{"several_bare_normal_goes_to_the_highest_wherever_it_is", "5 1", ROMEO, "",
	 DELIVER("2", "", ROMEO)},
	{"several_bare_chat_goes_to_all_of_the_highest", "5 1 5", ROMEO, "chat",
	 DELIVER("2", " chat", ROMEO) DELIVER("4", " chat", ROMEO)},
	{"several_bare_headline_goes_to_all_non_negative", "1 -3 0", ROMEO, "headline",
	 DELIVER("2", " headline", ROMEO) DELIVER("4", " headline", ROMEO)},
	{"several_bare_groupchat_is_bounced", "1 2", ROMEO, "groupchat",
	 BOUNCE(ROMEO) "bounced: rfc6121-8.5.2.1.1 groupchat to a bare JID\n"},
	{"several_full_match_is_delivered_to_it_alone", "1 2", ROMEO "/r1", "chat",
	 DELIVER("2", " chat", ROMEO "/r1")},
	{"several_full_no_match_chat_goes_to_the_highest", "1 2", ROMEO "/x", "chat",
	 DELIVER("3", " chat", ROMEO "/x")},
	{"several_full_no_match_normal_is_bounced", "1 2", ROMEO "/x", "",
	 BOUNCE(ROMEO "/x") "bounced: rfc6121-8.5.3.2.1 normal to no such resource\n"},

	{"no_addressee_is_the_own_account", "", "", "chat",
	 DELIVER("1", " chat", "juliet@example.com")},
	{"service_on_the_bus_gets_it", "", "lobby@rooms.example.com", "groupchat",
	 DELIVER("30", " groupchat", "lobby@rooms.example.com")},
	{"other_domain_is_not_found", "", "tybalt@capulet.example", "chat",
	 BOUNCE("tybalt@capulet.example") "bounced: rfc6120-10.4 no such server\n"},
	{"error_to_other_domain_is_dropped", "", "tybalt@capulet.example", "error",
	 "discarded: rfc6120-10.4 no such server\n"},
	{"message_to_the_server_is_bounced", "", "example.com", "chat",
	 BOUNCE("example.com") "bounced: message to the server\n"},
	{"headline_to_the_server_is_dropped", "", "example.com", "headline",
	 "discarded: headline to the server\n"},
};

/* Juliet is sid 1; romeo's resources r1, r2, ... are sids 2, 3, ... */
static void people(struct fake *f, const char *priorities)
{
	char *list = xstrdup(priorities), *at = list, *p;
	char resource[8];
	uint64_t sid = 2;

	online(f, 1, "juliet@example.com", "balcony", "0");
	while ((p = strsep(&at, " ")) && *p) {
		snprintf(resource, sizeof(resource), "r%u", (unsigned int)sid - 1);
		online(f, sid++, ROMEO, resource, *p == 'c' ? NULL : p);
	}
	free(list);
}

static void one_row(const struct row *r)
{
	void *state;
	struct fake *f;

	fake_setup(&state);
	f = state;
	people(f, r->resources);
	message(f, 1, r->type, r->to);
	if (strcmp(f->trace.data, r->trace) != 0)
		print_error("row %s\n", r->name);
	expect(f, r->trace);
	fake_teardown(&state);
}

static void messages_follow_the_table_of_rfc6121_8_5_4(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(message_rows) / sizeof(*message_rows); i++)
		one_row(&message_rows[i]);
}

static void the_error_says_service_unavailable_and_echoes_nothing(void **state)
{
	struct fake *f = *state;

	people(f, "");
	f->show_inner = true;
	message(f, 1, "chat", ROMEO);
	expect(f, "answer sid=1 message error from=" ROMEO " to=juliet@example.com/balcony id=m1 "
		  "<error type='cancel'><service-unavailable "
		  "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>\n"
		  "bounced: rfc6121-8.5.2.2.1 chat to nobody\n");
}

static void iq_to_a_resource_is_delivered(void **state)
{
	struct fake *f = *state;

	people(f, "-5");
	iq(f, 1, "get", ROMEO "/r1", "<query xmlns='jabber:iq:version'/>");
	expect(f, "deliver sid=2 iq get" FROM " to=" ROMEO "/r1 id=q1\n");
	iq(f, 2, "result", "juliet@example.com/balcony", "");
	expect(f,
	       "deliver sid=1 iq result from=" ROMEO "/r1 to=juliet@example.com/balcony id=q1\n");
}

static void iq_to_no_such_resource_is_answered_by_an_error_only_if_it_asks(void **state)
{
	struct fake *f = *state;

	people(f, "0");
	iq(f, 1, "get", ROMEO "/x", "<ping xmlns='urn:xmpp:ping'/>");
	expect(f, "answer sid=1 iq error from=" ROMEO "/x to=juliet@example.com/balcony id=q1\n"
		  "bounced: rfc6121-8.5.3.2.3 iq to no such resource\n");
	iq(f, 1, "result", ROMEO "/x", "");
	expect(f, "discarded: rfc6121-8.5.3.2.3 iq to no such resource\n");
	iq(f, 1, "error", ROMEO "/x", "");
	expect(f, "discarded: rfc6121-8.5.3.2.3 iq to no such resource\n");
}

static void a_service_gets_its_error_back_through_its_own_session(void **state)
{
	struct fake *f = *state;

	people(f, "");
	fake_send(f, 30, "lobby@rooms.example.com/nick", STANZA_MESSAGE, "chat", ROMEO, "m1", "");
	expect(f,
	       "answer sid=30 message error from=" ROMEO " to=lobby@rooms.example.com/nick id=m1\n"
	       "bounced: rfc6121-8.5.2.2.1 chat to nobody\n");
	fake_send(f, 30, "lobby@rooms.example.com/nick", STANZA_MESSAGE, "chat",
		  "juliet@example.com/balcony", "m1", "");
	expect(f, "deliver sid=1 message chat from=lobby@rooms.example.com/nick "
		  "to=juliet@example.com/balcony id=m1\n");
}

static void a_stanza_of_a_session_that_is_gone_is_discarded(void **state)
{
	struct fake *f = *state;

	message(f, 9, "chat", ROMEO);
	expect(f, "discarded: stanza of a session that is gone\n");
}

/* Tells the manager that what e brought to sid was not delivered. */
static void undelivered(struct fake *f, struct custody_entry *e, uint64_t sid, uint8_t kind,
			uint8_t type, const char *to, const char *reason)
{
	struct session_stanza s = {.kind = kind,
				   .type = type,
				   .from = S("juliet@example.com/balcony"),
				   .to = S(to),
				   .id = S("m1")};

	session_undelivered(f->m, e, sid, &s, reason, NOW);
}

static void undelivered_chat_goes_to_a_resource_that_did_not_have_it(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;

	people(f, "5");
	e = message(f, 1, "chat", ROMEO "/r1");
	online(f, 3, ROMEO, "r2", "1");
	session_unbind(f->m, 2, S("lost"), NOW);
	fake_forget(f);
	undelivered(f, e, 2, STANZA_MESSAGE, TYPE_CHAT, ROMEO "/r1", "recipient-unavailable");
	expect(f, "deliver sid=3 message chat" FROM " to=" ROMEO "/r1 id=m1\n");
}

static void undelivered_copy_is_not_repeated_to_who_had_one(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;

	people(f, "5 5");
	e = message(f, 1, "chat", ROMEO);
	fake_forget(f);
	undelivered(f, e, 2, STANZA_MESSAGE, TYPE_CHAT, ROMEO, "recipient-unavailable");
	expect(f, "discarded: rfc6121-8.5.2.1.1 chat\n");
}

static void undelivered_by_a_session_that_lives_goes_past_it(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;

	people(f, "5 1");
	e = message(f, 1, "chat", ROMEO);
	fake_forget(f);
	undelivered(f, e, 2, STANZA_MESSAGE, TYPE_CHAT, ROMEO, "resource-constraint");
	expect(f, "deliver sid=3 message chat" FROM " to=" ROMEO " id=m1\n");
}

static void undelivered_message_to_nobody_else_is_bounced_with_the_reason(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;

	people(f, "0");
	e = message(f, 1, "", ROMEO "/r1");
	fake_forget(f);
	f->show_inner = true;
	undelivered(f, e, 2, STANZA_MESSAGE, TYPE_NONE, ROMEO "/r1", "resource-constraint");
	expect(f,
	       "answer sid=1 message error from=" ROMEO "/r1 to=juliet@example.com/balcony id=m1 "
	       "<error type='wait'><resource-constraint "
	       "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>\n"
	       "bounced: rfc6121-8.5.3.2.1 normal to no such resource\n");
}

static void undelivered_iq_and_presence_are_judged_by_kind(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e = &f->entries[f->nentries++];

	people(f, "0");
	undelivered(f, e, 2, STANZA_IQ, TYPE_GET, ROMEO "/r1", "service-unavailable");
	expect(f, "answer sid=1 iq error from=" ROMEO "/r1 to=juliet@example.com/balcony id=m1\n"
		  "bounced: rfc6121-8.5.3.2.3 iq to a lost session\n");
	undelivered(f, e, 2, STANZA_IQ, TYPE_RESULT, ROMEO "/r1", "service-unavailable");
	expect(f, "discarded: rfc6121-8.5.3.2.3 iq to a lost session\n");
	undelivered(f, e, 2, STANZA_PRESENCE, TYPE_NONE, ROMEO "/r1", "service-unavailable");
	expect(f, "discarded: rfc6121-8.5.3.2.2 presence to a lost session\n");
	undelivered(f, NULL, 2, STANZA_MESSAGE, TYPE_CHAT, ROMEO "/r1", "service-unavailable");
	expect(f, "");
}

static void undelivered_stanzas_of_somebody_who_left_are_discarded(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;

	people(f, "0");
	e = message(f, 1, "chat", ROMEO "/r1");
	session_unbind(f->m, 1, S("gone"), NOW);
	session_unbind(f->m, 2, S("gone"), NOW);
	fake_forget(f);
	undelivered(f, e, 2, STANZA_MESSAGE, TYPE_CHAT, ROMEO "/r1", "recipient-unavailable");
	expect(f, "discarded: no way back to the sender\n");
	undelivered(f, e, 2, STANZA_IQ, TYPE_GET, ROMEO "/r1", "recipient-unavailable");
	expect(f, "discarded: undelivered, and nobody is there to be told\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_follow_the_table_of_rfc6121_8_5_4),
		TEST(the_error_says_service_unavailable_and_echoes_nothing),
		TEST(iq_to_a_resource_is_delivered),
		TEST(iq_to_no_such_resource_is_answered_by_an_error_only_if_it_asks),
		TEST(a_service_gets_its_error_back_through_its_own_session),
		TEST(a_stanza_of_a_session_that_is_gone_is_discarded),
		TEST(undelivered_chat_goes_to_a_resource_that_did_not_have_it),
		TEST(undelivered_copy_is_not_repeated_to_who_had_one),
		TEST(undelivered_by_a_session_that_lives_goes_past_it),
		TEST(undelivered_message_to_nobody_else_is_bounced_with_the_reason),
		TEST(undelivered_iq_and_presence_are_judged_by_kind),
		TEST(undelivered_stanzas_of_somebody_who_left_are_discarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
