/*
 * In-band registration before login (XEP-0077 3.1), client state (XEP-0352) and stream limits
 * (XEP-0478) in the core of a client's stream.
 */
#include "tests/unit/cm-client/trace.h"

#define QUERY(type, inside)                                                             \
	"element:<iq type='" type "' id='r1'><query xmlns='jabber:iq:register'>" inside \
	"</query></iq>"
#define SET(user, password) \
	QUERY("set", "<username>" user "</username><password>" password "</password>")
#define REFUSED(code, type, condition, text)                                             \
	"  <iq type='error' id='r1' from='localhost'><error code='" code "' type='" type \
	"'><" condition " 'stanzas'/><text 'stanzas'>" text "</text></error></iq>\n"
#define NOT_ACCEPTABLE(text) REFUSED("406", "modify", "not-acceptable", text)
#define DONE		     "  <iq type='result' id='r1' from='localhost'></iq>\n"

static struct c2s_rules open_rules(void)
{
	struct c2s_rules r = rules(true, false, 3);

	r.registration = true;
	return r;
}

#define STORY(lines, text, ...)                               \
	run(&(struct scenario){.rules = open_rules(),         \
			       .script = SCRIPT(__VA_ARGS__), \
			       .shown = lines,                \
			       .trace = text})

static void it_is_offered_inside_tls_only(void **state)
{
	(void)state;
	STORY(4,
	      OPEN "<stream:features><starttls 'tls'><required/></starttls></stream:features>\n"
		   "= offered\n"
		   "  <proceed 'tls'/>\n  start-tls\n= securing\n"
		   "  restart\n= secured\n" OPEN
		   "<stream:features><mechanisms 'sasl'><mechanism>SCRAM-SHA-256-PLUS</mechanism>"
		   "<mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-256</mechanism>"
		   "<mechanism>SCRAM-SHA-1</mechanism></mechanisms><sasl-channel-binding "
		   "'urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>"
		   "</sasl-channel-binding><register 'http://jabber.org/features/iq-register'/>"
		   "</stream:features>\n= login\n",
	      TO_LOGIN);
	STORY(1,
	      "  <stream:error><not-authorized 'streams'/><text 'streams'>log in before you send "
	      "stanzas</text></stream:error></CLOSE>\n  close not-authorized: log in before you "
	      "send stanzas\n= closed\n",
	      "header:to='localhost' version='1.0'", QUERY("get", ""));
}

static void the_fields_are_a_name_and_a_password(void **state)
{
	(void)state;
	STORY(1,
	      "  <iq type='result' id='r1' from='localhost'><query 'jabber:iq:register'>"
	      "<instructions>Choose a user name and a password.</instructions><username/>"
	      "<password/></query></iq>\n= login\n",
	      TO_LOGIN, QUERY("get", ""));
}

static void an_account_is_made_and_can_log_in(void **state)
{
	(void)state;
	STORY(3,
	      "  register [juliet] [s &cret]\n= registering\n" DONE
	      "= login\n  auth-start SCRAM-SHA-256 [n,}]\n= checking\n",
	      TO_LOGIN, SET("Juliet", "s &amp;cret"), "registered", AUTH("SCRAM-SHA-256", "bix9"));
	STORY(1, "  register [j] [x]\n= registering\n", TO_LOGIN,
	      "element:<iq type='set' id='r1' to='localhost'><query xmlns='jabber:iq:register'>"
	      "<username>j</username><password>x</password></query></iq>");
}

static void what_is_missing_or_wrong_is_not_acceptable(void **state)
{
	static const struct {
		const char *set, *trace;
	} rows[] = {
		{QUERY("set", ""), NOT_ACCEPTABLE("a user name and a password are needed")},
		{QUERY("set", "<username>a</username>"),
		 NOT_ACCEPTABLE("a user name and a password are needed")},
		{SET("a", ""), NOT_ACCEPTABLE("a user name and a password are needed")},
		{SET("", "a"), NOT_ACCEPTABLE("a user name and a password are needed")},
		{SET("a b", "a"), NOT_ACCEPTABLE("this cannot be a user name (RFC 7622 3.3)")},
		{SET("a@localhost", "a"),
		 NOT_ACCEPTABLE("this cannot be a user name (RFC 7622 3.3)")},
		{QUERY("set", "<remove/>"),
		 REFUSED("400", "wait", "unexpected-request", "log in to remove your account")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char trace[512];

		snprintf(trace, sizeof(trace), "%s= login\n", rows[i].trace);
		STORY(1, trace, TO_LOGIN, rows[i].set);
	}
}

static void a_password_may_be_as_long_as_one_that_can_log_in(void **state)
{
	static const size_t lengths[] = {1022, 1023, 1024};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct str line = STR_INIT, trace = STR_INIT;
		char *password = calloc(1, lengths[i] + 1);

		memset(password, 'x', lengths[i]);
		str_addf(&line, SET("a", "%s"), password);
		if (lengths[i] <= 1023)
			str_addf(&trace, "  register [a] [%s]\n= registering\n", password);
		else
			str_adds(&trace, NOT_ACCEPTABLE("the password is too long") "= login\n");
		STORY(1, trace.data, TO_LOGIN, line.data);
		str_clear(&line);
		str_clear(&trace);
		free(password);
	}
}

static void the_store_may_refuse(void **state)
{
	(void)state;
	STORY(1,
	      REFUSED("409", "cancel", "conflict", "this name is taken: choose another one") "= "
											     "login"
											     "\n",
	      TO_LOGIN, SET("a", "b"),
	      "register-failed:conflict:this name is taken: choose another one");
	STORY(1,
	      "  register-drop\n" REFUSED("500", "wait", "resource-constraint",
					  "the account store does not answer now: try again "
					  "later") "= login\n",
	      TO_LOGIN, SET("a", "b"), "late");
}

static void a_stream_has_one_account_and_as_many_attempts_as_logins(void **state)
{
	(void)state;
	STORY(1, NOT_ACCEPTABLE("you have an account now: log in") "= login\n", TO_LOGIN,
	      SET("a", "b"), "registered", SET("c", "d"));
	STORY(1,
	      "  <iq type='error' id='r1' from='localhost'><error code='409' type='cancel'>"
	      "<conflict 'stanzas'/><text 'stanzas'>taken</text></error></iq>"
	      "<stream:error><policy-violation 'streams'/><text 'streams'>too many refused "
	      "registrations on this stream</text></stream:error></CLOSE>\n"
	      "  close policy-violation: too many refused registrations on this stream\n= closed\n",
	      TO_LOGIN, SET("a", "b"), "register-failed:conflict:taken", SET("c", "b"),
	      "register-failed:conflict:taken", SET("d", "b"), "register-failed:conflict:taken");
}

static void where_it_is_off_it_is_unavailable(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, false, 3),
		.script = SCRIPT(TO_LOGIN, QUERY("get", "")),
		.shown = 1,
		.trace = REFUSED("503", "cancel", "service-unavailable",
				 "accounts cannot be registered here") "= login\n",
	});
}

static void the_limits_of_the_stream_are_told(void **state)
{
	struct c2s_rules r = rules(true, false, 3);

	(void)state;
	r.max_bytes[0] = 10240;
	r.max_bytes[1] = 262144;
	r.idle_s[0] = 30;
	run(&(struct scenario){
		.rules = r,
		.script = SCRIPT(TO_LOGIN),
		.shown = 1,
		.trace = OPEN
		"<stream:features><mechanisms 'sasl'><mechanism>SCRAM-SHA-256-PLUS</mechanism>"
		"<mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-256</mechanism>"
		"<mechanism>SCRAM-SHA-1</mechanism></mechanisms><sasl-channel-binding "
		"'urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>"
		"</sasl-channel-binding><limits 'urn:xmpp:stream-limits:0'><max-bytes>10240"
		"</max-bytes><idle-seconds>30</idle-seconds></limits></stream:features>\n"
		"= login\n",
	});
	r.csi = true;
	run(&(struct scenario){
		.rules = r,
		.script = SCRIPT(TO_BINDABLE),
		.shown = 1,
		.trace = OPEN "<stream:features><bind 'bind'/><session 'session'><optional/>"
			      "</session><sm 'urn:xmpp:sm:3'/>"
			      "<ver 'urn:xmpp:features:rosterver'/>"
			      "<sub 'urn:xmpp:features:pre-approval'/><csi 'urn:xmpp:csi:0'/>"
			      "<limits 'urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes>"
			      "</limits></stream:features>\n= bindable\n",
	});
}

static void a_bound_client_says_its_state_and_hears_nothing(void **state)
{
	(void)state;
	STORY(2, "  csi inactive\n= bound\n  csi active\n= bound\n", TO_BOUND,
	      "element:<inactive xmlns='" NS_CSI "'/>", "element:<active xmlns='" NS_CSI "'/>");
	STORY(2, "  csi inactive\n= bindable\n  bind []\n= binding\n", TO_BINDABLE,
	      "element:<inactive xmlns='" NS_CSI "'/>", BIND(""));
	STORY(1,
	      "  " ERROR("unsupported-stanza-type",
			 "a first-level element must be a message, presence "
			 "or iq of jabber:client"),
	      TO_BOUND, "element:<idle xmlns='" NS_CSI "'/>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_offered_inside_tls_only),
		cmocka_unit_test(the_fields_are_a_name_and_a_password),
		cmocka_unit_test(an_account_is_made_and_can_log_in),
		cmocka_unit_test(what_is_missing_or_wrong_is_not_acceptable),
		cmocka_unit_test(a_password_may_be_as_long_as_one_that_can_log_in),
		cmocka_unit_test(the_store_may_refuse),
		cmocka_unit_test(a_stream_has_one_account_and_as_many_attempts_as_logins),
		cmocka_unit_test(where_it_is_off_it_is_unavailable),
		cmocka_unit_test(the_limits_of_the_stream_are_told),
		cmocka_unit_test(a_bound_client_says_its_state_and_hears_nothing),
	};

	return cmocka_run_group_tests(tests, trace_setup, trace_teardown);
}
