/* Components (XEP-0114) as the session manager sees them: a domain that somebody else serves. */
#include "tests/unit/session/fake_host.h"

#define JULIET "juliet@example.com"
#define ROOM   "rooms.example.com"
#define STANZA "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"

static void disco(struct fake *f, const char *domain)
{
	fake_forget(f);
	f->show_inner = true;
	iq(f, 1, "get", domain, "<query xmlns='http://jabber.org/protocol/disco#items'/>");
}

#define ITEMS "<query xmlns='http://jabber.org/protocol/disco#items'>"

/* The most specific of our domains; what is below none of them is at each. */
static void disco_names_the_components_below_a_domain_in_order_xep0030_4(void **state)
{
	static const char *const jids[] = {"b.example.com", "a.example.com",  "example.net",
					   "c.example.org", "badexample.com", NULL};
	struct fake *f = *state;

	f->components = jids;
	online(f, 1, JULIET, "a", "0");
	disco(f, "example.com");
	expect(f, "answer sid=1 iq result from=example.com to=juliet@example.com/a id=q1 " ITEMS
		  "<item jid='a.example.com'/><item jid='b.example.com'/>"
		  "<item jid='badexample.com'/><item jid='example.net'/></query>\n"
		  "consumed: xep0030 items\n");
	disco(f, "example.org");
	expect(f, "answer sid=1 iq result from=example.org to=juliet@example.com/a id=q1 " ITEMS
		  "<item jid='badexample.com'/><item jid='c.example.org'/>"
		  "<item jid='example.net'/></query>\nconsumed: xep0030 items\n");
	f->components = NULL;
	disco(f, "example.com");
	expect(f, "answer sid=1 iq result from=example.com to=juliet@example.com/a id=q1 "
		  "<query xmlns='http://jabber.org/protocol/disco#items'/>\n"
		  "consumed: xep0030 items\n");
}

static void a_components_stanza_without_addressee_is_a_bad_request(void **state)
{
	struct fake *f = *state;

	f->show_inner = true;
	fake_send(f, 30, ROOM, STANZA_IQ, "get", "", "q1", "");
	expect(f, "answer sid=30 iq error from=example.com to=rooms.example.com id=q1 "
		  "<error type='modify'><bad-request " STANZA
		  "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>"
		  "A stanza of a component needs a &apos;to&apos;.</text></error>\n"
		  "bounced: xep0114-3 stanza of a service without an addressee\n");
	fake_send(f, 30, ROOM, STANZA_IQ, "result", "", "q1", "");
	expect(f, "discarded: xep0114-3 stanza of a service without an addressee\n");
}

static void what_goes_nowhere_comes_back_to_the_component(void **state)
{
	struct fake *f = *state;

	fake_send(f, 30, ROOM "/x", STANZA_MESSAGE, "chat", "a@elsewhere.test", "m1", "");
	expect(f, "answer sid=30 message error from=a@elsewhere.test to=rooms.example.com/x id=m1\n"
		  "bounced: rfc6120-10.4 no such server\n");
	fake_send(f, 30, "r@" ROOM, STANZA_IQ, "get", JULIET "/gone", "q1", "");
	expect(f, "answer sid=30 iq error from=juliet@example.com/gone to=r@rooms.example.com "
		  "id=q1\nbounced: rfc6121-8.5.3.2.3 iq to no such resource\n");
	fake_send(f, 30, "r@" ROOM, STANZA_MESSAGE, "groupchat", JULIET, "m1", "");
	expect(f, "answer sid=30 message error from=juliet@example.com to=r@rooms.example.com "
		  "id=m1\nbounced: rfc6121-8.5.2.2.1 groupchat to a bare JID\n");
	fake_send(f, 30, "r@" ROOM, STANZA_MESSAGE, "chat", "example.com", "m1", "");
	expect(f, "answer sid=30 message error from=example.com to=r@rooms.example.com id=m1\n"
		  "bounced: message to the server\n");
}

static void a_component_reaches_the_resources_of_users_as_anybody_else_rfc6121_8(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	fake_send(f, 30, "r@" ROOM, STANZA_IQ, "get", JULIET "/a", "q1", "");
	expect(f, "deliver sid=1 iq get from=r@rooms.example.com to=juliet@example.com/a id=q1\n");
	fake_send(f, 30, "r@" ROOM, STANZA_MESSAGE, "chat", JULIET, "m1", "");
	expect(f, "deliver sid=1 message chat from=r@rooms.example.com to=juliet@example.com "
		  "id=m1\n");
	fake_send(f, 30, "r@" ROOM "/n", STANZA_PRESENCE, "", JULIET "/a", "", "");
	expect(f, "deliver sid=1 presence from=r@rooms.example.com/n to=juliet@example.com/a\n");
	iq(f, 1, "result", "r@" ROOM, "");
	expect(f, "deliver sid=30 iq result from=juliet@example.com/a to=r@rooms.example.com "
		  "id=q1\n");
}

static void a_component_that_has_had_presence_hears_of_its_end_rfc6121_4_6(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	presence(f, 1, "", "r@" ROOM "/n", "");
	expect(f, "deliver sid=30 presence from=juliet@example.com/a to=r@rooms.example.com/n\n");
	session_unbind(f->m, 1, S("gone"), NOW);
	store_run(f);
	assert_non_null(strstr(f->trace.data,
			       "answer sid=30 presence unavailable from=juliet@example.com/a "
			       "to=r@rooms.example.com/n (for no stanza)\n"));
}

/* Which of a component's connections it is depends on who is on the other side, in both directions.
 */
static void the_other_side_of_a_component_is_the_user(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	message(f, 1, "chat", "r@" ROOM);
	assert_string_equal(f->peer, JULIET "/a");
	iq(f, 1, "get", "r@" ROOM, "");
	assert_string_equal(f->peer, JULIET "/a");
	presence(f, 1, "", "r@" ROOM, "");
	assert_string_equal(f->peer, JULIET "/a");
	fake_send(f, 30, "r@" ROOM, STANZA_IQ, "get", JULIET "/gone", "q1", "");
	assert_string_equal(f->peer, JULIET "/gone");
}

static void what_its_connection_manager_refused_is_answered_by_the_server(void **state)
{
	struct fake *f = *state;
	struct msg_refused r = {.sid = 30,
				.n = 1,
				.kind = STANZA_IQ,
				.type = TYPE_GET,
				.id = S("q1"),
				.condition = S("policy-violation")};

	session_refuse(f->m, &f->entries[f->nentries++], S(ROOM), &r, NOW);
	expect(f, "answer sid=30 iq error from=example.com to=rooms.example.com id=q1\n"
		  "bounced: refused by the connection manager\n");
	r.sid = 7; /* a client that is gone */
	session_refuse(f->m, &f->entries[f->nentries++], SLICE_NONE, &r, NOW);
	expect(f, "discarded: refused stanza of a session that is gone\n");
}

static void an_error_that_the_router_before_had_made_for_a_component_is_made_again(void **state)
{
	struct fake *f = *state;
	struct msg_stanza m = {.sid = 30,
			       .n = 1,
			       .kind = STANZA_MESSAGE,
			       .type = TYPE_CHAT,
			       .from = S("r@" ROOM),
			       .to = S(JULIET),
			       .id = S("m1")};

	session_bounce(f->m, 30, &f->entries[f->nentries++], &m, "service-unavailable", NOW);
	expect(f, "answer sid=30 message error from=juliet@example.com to=r@rooms.example.com "
		  "id=m1\nbounced: bounced before\n");
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(disco_names_the_components_below_a_domain_in_order_xep0030_4),
		T(a_components_stanza_without_addressee_is_a_bad_request),
		T(what_goes_nowhere_comes_back_to_the_component),
		T(a_component_reaches_the_resources_of_users_as_anybody_else_rfc6121_8),
		T(a_component_that_has_had_presence_hears_of_its_end_rfc6121_4_6),
		T(the_other_side_of_a_component_is_the_user),
		T(what_its_connection_manager_refused_is_answered_by_the_server),
		T(an_error_that_the_router_before_had_made_for_a_component_is_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
