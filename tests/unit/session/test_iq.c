/* Requests that the server answers itself. */
#include "tests/unit/session/fake_host.h"

#define JULIET		   "juliet@example.com"
#define ANSWER(type, from) "answer sid=1 iq " type " from=" from " to=" JULIET "/balcony id=q1"
#define ERROR_OF(type, condition) \
	" <error type='" type "'><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"

static const struct {
	const char *type, *to, *inner, *trace;
} rows[] = {
	{"get", "example.com", "<ping xmlns='urn:xmpp:ping'/>",
	 ANSWER("result", "example.com") "\nconsumed: xep0199 ping\n"},
	{"get", "", "<ping xmlns='urn:xmpp:ping'/>",
	 ANSWER("result", JULIET) "\nconsumed: xep0199 ping\n"},
	{"get", "example.com", "<query xmlns='jabber:iq:version'/>",
	 ANSWER("result", "example.com") " <query xmlns='jabber:iq:version'><name>Roundhouse</name>"
					 "<version>0.1</version></query>\n"
					 "consumed: xep0092 version\n"},
	{"get", "example.com", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
	 ANSWER("result",
		"example.com") " <query xmlns='http://jabber.org/protocol/disco#items'/>\n"
			       "consumed: xep0030 items\n"},
	{"get", JULIET, "<query xmlns='http://jabber.org/protocol/disco#items'/>",
	 ANSWER("result", JULIET) " <query xmlns='http://jabber.org/protocol/disco#items'>"
				  "<item jid='" JULIET "/balcony'/></query>\n"
				  "consumed: xep0030 items\n"},
	{"get", "example.com", "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>",
	 ANSWER("error", "example.com")
		 ERROR_OF("cancel", "item-not-found") "</error>\n"
						      "bounced: xep0030-3.2 no such node\n"},
	{"set", "", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>",
	 ANSWER("result", JULIET) "\nconsumed: rfc3921-3 session\n"},
	{"set", "example.com", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>",
	 ANSWER("result", "example.com") "\nconsumed: rfc3921-3 session\n"},
	{"get", "example.com", "<unknown xmlns='urn:x'/>",
	 ANSWER("error", "example.com") ERROR_OF(
		 "cancel", "service-unavailable") "</error>\n"
						  "bounced: rfc6120-8.4 iq that nobody handles\n"},
	{"set", "", "<unknown xmlns='urn:x'/>",
	 ANSWER("error", JULIET) ERROR_OF(
		 "cancel", "service-unavailable") "</error>\n"
						  "bounced: rfc6120-8.4 iq that nobody handles\n"},
	{"get", "example.com/x", "<ping xmlns='urn:xmpp:ping'/>",
	 ANSWER("error", "example.com/x") ERROR_OF(
		 "cancel", "service-unavailable") "</error>\n"
						  "bounced: rfc6120-8.4 iq that nobody handles\n"},
	{"get", "example.com", "",
	 ANSWER("error", "example.com") ERROR_OF(
		 "modify", "bad-request") "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>"
					  "An iq request has exactly one child.</text></error>\n"
					  "bounced: rfc6120-8.2.3 iq without exactly one child\n"},
	{"get", "example.com", "<ping xmlns='urn:xmpp:ping'/><ping xmlns='urn:xmpp:ping'/>",
	 ANSWER("error", "example.com") ERROR_OF(
		 "modify", "bad-request") "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>"
					  "An iq request has exactly one child.</text></error>\n"
					  "bounced: rfc6120-8.2.3 iq without exactly one child\n"},
	{"", "example.com", "<ping xmlns='urn:xmpp:ping'/>",
	 ANSWER("error", "example.com") ERROR_OF(
		 "modify",
		 "bad-request") "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>"
				"The type of an iq is get, set, result or error.</text></error>\n"
				"bounced: rfc6120-8.2.3 iq of unknown type\n"},
	{"result", "", "", "consumed: iq answer to the server\n"},
	{"error", "example.com", "", "consumed: iq answer to the server\n"},
	{"get", "rooms.example.com", "<ping xmlns='urn:xmpp:ping'/>",
	 "deliver sid=30 iq get from=" JULIET "/balcony to=rooms.example.com id=q1 "
	 "<ping xmlns='urn:xmpp:ping'/>\n"},
	{"get", "elsewhere.example", "<ping xmlns='urn:xmpp:ping'/>",
	 ANSWER("error", "elsewhere.example") ERROR_OF(
		 "cancel", "remote-server-not-found") "<text "
						      "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>"
						      "This domain is not served here "
						      "and other servers cannot be reached "
						      "yet.</text></error>\n"
						      "bounced: rfc6120-10.4 no such server\n"},
};

static void requests_are_answered_by_namespace_and_addressee(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, "romeo@example.com", "orchard", "0");
	f->show_inner = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		iq(f, 1, rows[i].type, rows[i].to, rows[i].inner);
		expect(f, rows[i].trace);
	}
}

static void a_service_may_ask_the_server_too(void **state)
{
	struct fake *f = *state;

	fake_send(f, 30, "rooms.example.com", STANZA_IQ, "get", "example.com", "q1",
		  "<ping xmlns='urn:xmpp:ping'/>");
	expect(f, "answer sid=30 iq result from=example.com to=rooms.example.com id=q1\n"
		  "consumed: xep0199 ping\n");
}

static void the_rosters_of_others_are_forbidden(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	iq(f, 1, "get", "romeo@example.com", "<query xmlns='jabber:iq:roster'/>");
	iq(f, 1, "set", "romeo@example.com",
	   "<query xmlns='jabber:iq:roster'><item jid='a@b'/></query>");
	expect(f, ANSWER("error",
			 "romeo@example.com") "\n"
					      "bounced: rfc6121-2.3.3 roster of somebody "
					      "else\n" ANSWER(
						      "error",
						      "romeo@example.com") "\n"
									   "bounced: rfc6121-2.3.3 "
									   "roster of somebody "
									   "else\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_are_answered_by_namespace_and_addressee),
		TEST(a_service_may_ask_the_server_too),
		TEST(the_rosters_of_others_are_forbidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
