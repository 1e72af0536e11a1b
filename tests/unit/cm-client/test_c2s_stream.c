/*
 * The core of a client's stream up to a bound resource, and what becomes of stanzas.
 */
#include "tests/unit/cm-client/trace.h"

static void a_client_goes_all_the_way_by_starttls(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-256", "bix9"), "challenge:r=1",
				 "element:<response xmlns='" NS_SASL "'>Yz0=</response>",
				 "authenticated:juliet",
				 "header:to='localhost' version='1.0' from='juliet@localhost'",
				 BIND("<resource>x</resource>"), "bound:juliet@localhost/x",
				 "stanza:<message to='romeo@localhost'><body>hi</body></message>",
				 "end"),
		.trace = "  <OPEN id='0000000000000abc' from='localhost'><stream:features>"
			 "<starttls 'tls'><required/></starttls></stream:features>\n= offered\n"
			 "  <proceed 'tls'/>\n  start-tls\n= securing\n"
			 "  restart\n= secured\n"
			 "  <OPEN id='0000000000000abc' from='localhost'><stream:features>"
			 "<mechanisms 'sasl'><mechanism>SCRAM-SHA-256-PLUS</mechanism>"
			 "<mechanism>SCRAM-SHA-1-PLUS</mechanism>"
			 "<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>"
			 "<mechanism>PLAIN</mechanism></mechanisms>"
			 "<sasl-channel-binding 'urn:xmpp:sasl-cb:0'>"
			 "<channel-binding type='tls-exporter'/></sasl-channel-binding>"
			 "</stream:features>\n= login\n"
			 "  auth-start SCRAM-SHA-256 [n,}]\n= checking\n"
			 "  <challenge 'sasl'>cj0x</challenge>\n= asked\n"
			 "  auth-data [c=]\n= checking\n"
			 "  <success 'sasl'>dj0x</success>\n  auth-drop\n  restart\n= proven\n"
			 "  <OPEN id='0000000000000abc' from='localhost' to='juliet@localhost'>"
			 "<stream:features><bind 'bind'/><session 'session'><optional/></session>"
			 "<sm 'urn:xmpp:sm:3'/><ver 'urn:xmpp:features:rosterver'/>"
			 "<sub 'urn:xmpp:features:pre-approval'/></stream:features>\n= bindable\n"
			 "  bind [x]\n= binding\n"
			 "  <iq type='result' id='b1' to='juliet@localhost/x'>"
			 "<bind 'bind'><jid>juliet@localhost/x</jid></bind></iq>\n= bound\n"
			 "  send\n= bound\n"
			 "  </CLOSE>\n  close closed: the client closed its stream\n= closed\n",
	});
}

static void direct_tls_begins_with_the_handshake(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, false, 3),
		.direct = true,
		.script = SCRIPT("secure:", "header:to='example.com' version='1.0'"),
		.trace = "  restart\n= secured\n"
			 "  <OPEN id='0000000000000abc' from='example.com'><stream:features>"
			 "<mechanisms 'sasl'><mechanism>SCRAM-SHA-256</mechanism>"
			 "<mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>\n"
			 "= login\n",
	});
}

static void without_required_tls_only_scram_is_offered_in_the_clear(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(false, true, 3),
		.script = SCRIPT("header:to='localhost' version='1.0'", AUTH("PLAIN", "AGEAYg=="),
				 AUTH("SCRAM-SHA-1-PLUS", "bix9"), AUTH("SCRAM-SHA-1", "bix9"),
				 "failed:not-authorized:wrong"),
		.trace = "  <OPEN id='0000000000000abc' from='localhost'><stream:features>"
			 "<starttls 'tls'></starttls><mechanisms 'sasl'>"
			 "<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>"
			 "</mechanisms></stream:features>\n= offered\n"
			 "  <failure 'sasl'><encryption-required/>"
			 "<text>PLAIN is taken inside TLS only</text></failure>\n= offered\n"
			 "  <failure 'sasl'><invalid-mechanism/><text>choose one of the mechanisms "
			 "that were offered</text></failure>\n= offered\n"
			 "  auth-start SCRAM-SHA-1 [n,}]\n= checking\n"
			 "  auth-drop\n  <failure "
			 "'sasl'><not-authorized/><text>wrong</text></failure>"
			 "<stream:error><policy-violation 'streams'/>"
			 "<text 'streams'>too many failed logins on this "
			 "stream</text></stream:error>"
			 "</CLOSE>\n  close policy-violation: too many failed logins on this "
			 "stream\n"
			 "= closed\n",
	});
}

static void a_wrong_header_is_answered_with_a_header_and_its_error(void **state)
{
	static const struct {
		const char *header;
		const char *trace;
	} cases[] = {
		{"header:to='nowhere.example' version='1.0'",
		 OPEN ERROR("host-unknown", "this domain is not served here")},
		{"header:version='1.0'",
		 OPEN ERROR("improper-addressing",
			    "the stream must name a domain of this server in its to attribute")},
		{"header:to='juliet@localhost' version='1.0'",
		 OPEN ERROR("improper-addressing",
			    "the stream must name a domain of this server in its to attribute")},
		{"header:to='localhost'",
		 OPEN ERROR("unsupported-version", "only streams of version 1.0 are spoken here")},
		{"header:to='localhost' version='0.9'",
		 OPEN ERROR("unsupported-version", "only streams of version 1.0 are spoken here")},
		{"header:to='localhost' version='x'",
		 OPEN ERROR("unsupported-version", "only streams of version 1.0 are spoken here")},
		{"header:<stream:stream xmlns='jabber:component:accept' "
		 "xmlns:stream='" NS_STREAM "' to='bridge.localhost'>",
		 OPEN ERROR("invalid-namespace", "components connect to port 5223")},
		{"header:<stream:stream xmlns='jabber:server' xmlns:stream='" NS_STREAM
		 "' to='localhost' version='1.0'>",
		 OPEN ERROR(
			 "invalid-namespace",
			 "this port is for clients: the default namespace must be jabber:client")},
		{"header:<stream:stream xmlns='jabber:client' xmlns:stream='http://wrong' "
		 "to='localhost' version='1.0'>",
		 OPEN BARE_ERROR("invalid-namespace")},
		{"header:<s:stream xmlns='jabber:client' xmlns:s='" NS_STREAM
		 "' to='localhost' version='1.0'>",
		 OPEN BARE_ERROR("bad-namespace-prefix")},
		{"header:<stream:wrong xmlns='jabber:client' xmlns:stream='" NS_STREAM
		 "' to='localhost' version='1.0'>",
		 OPEN BARE_ERROR("bad-format")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run(&(struct scenario){.rules = rules(true, true, 3),
				       .script = SCRIPT(cases[i].header),
				       .trace = cases[i].trace});
}

static void versions_above_one_are_answered(void **state)
{
	(void)state;
	run(&(struct scenario){.rules = rules(true, true, 3),
			       .script = SCRIPT("header:to='localhost' version='2.3'"),
			       .trace = OPEN "<stream:features><starttls 'tls'><required/>"
					     "</starttls></stream:features>\n= offered\n"});
}

static void plaintext_behind_starttls_is_refused(void **state)
{
	(void)state;
	run(&(struct scenario){.rules = rules(true, true, 3),
			       .script = SCRIPT("header:to='localhost' version='1.0'",
						"pipelined:<starttls xmlns='" NS_TLS "'/>"),
			       .shown = 1,
			       .trace = "  <failure 'tls'/></CLOSE>\n  close starttls-failure: "
					"plain bytes came behind <starttls/>\n= closed\n"});
}

static void what_was_said_before_tls_is_forgotten(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT("header:to='example.com' version='1.0'",
				 "element:<starttls xmlns='" NS_TLS "'/>",
				 "secure:", "stop:system-shutdown:bye"),
		.shown = 1,
		.trace = OPEN ERROR("system-shutdown", "bye"),
	});
}

#define FAILURE(condition, text) "<failure 'sasl'><" condition "/><text>" text "</text></failure>\n"

static void sasl_refusals_are_those_of_rfc_6120_6_5(void **state)
{
	static const struct {
		const char *line;
		const char *trace;
	} cases[] = {
		{AUTH("LOGIN", ""),
		 "  " FAILURE("invalid-mechanism",
			      "choose one of the mechanisms that were offered") "= login\n"},
		{"element:<auth xmlns='" NS_SASL "'/>",
		 "  " FAILURE("invalid-mechanism",
			      "choose one of the mechanisms that were offered") "= login\n"},
		{AUTH("PLAIN", "not base64!"),
		 "  " FAILURE("incorrect-encoding",
			      "the initial response is not base64") "= login\n"},
		{AUTH("PLAIN", "=="),
		 "  " FAILURE("incorrect-encoding",
			      "the initial response is not base64") "= login\n"},
		{AUTH("SCRAM-SHA-1", "="), "  auth-start SCRAM-SHA-1 []\n= checking\n"},
		{AUTH("SCRAM-SHA-1", ""), "  auth-start SCRAM-SHA-1 none []\n= checking\n"},
		{"element:<abort xmlns='" NS_SASL "'/>",
		 "  <failure 'sasl'><aborted/></failure>\n= login\n"},
		{"element:<response xmlns='" NS_SASL "'/>",
		 "  " FAILURE("malformed-request",
			      "no login is under way: send <auth/>") "= login\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str trace = STR_INIT;
		const char *p;

		/* <auth/> in the text is escaped on the wire. */
		for (p = cases[i].trace; *p; p++) {
			if (strncmp(p, "<auth/>", 7) == 0) {
				str_adds(&trace, "&lt;auth/&gt;");
				p += 6;
			} else {
				str_addc(&trace, *p);
			}
		}
		run(&(struct scenario){.rules = rules(true, true, 3),
				       .script = SCRIPT(TO_LOGIN, cases[i].line),
				       .shown = 1,
				       .trace = trace.data});
		str_clear(&trace);
	}
}

static void login_before_tls_needs_encryption(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script =
			SCRIPT("header:to='localhost' version='1.0'", AUTH("SCRAM-SHA-1", "bix9")),
		.shown = 1,
		.trace = "  " FAILURE("encryption-required",
				      "start TLS before you log in") "= offered\n",
	});
}

static void an_exchange_can_be_aborted_and_begun_again(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-1", "bix9"), "challenge:c",
				 "element:<abort xmlns='" NS_SASL "'/>",
				 AUTH("SCRAM-SHA-256", "bix9")),
		.shown = 2,
		.trace = "  auth-drop\n  <failure 'sasl'><aborted/></failure>\n= login\n"
			 "  auth-start SCRAM-SHA-256 [n,}]\n= checking\n",
	});
}

static void a_response_that_is_not_base64_ends_the_exchange(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-1", "bix9"), "challenge:c",
				 "element:<response xmlns='" NS_SASL "'>%%%</response>"),
		.shown = 1,
		.trace = "  auth-drop\n  " FAILURE("incorrect-encoding",
						   "the response is not base64") "= login\n",
	});
}

static void the_third_failure_ends_the_stream(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script =
			SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-1", "bix9"), "failed:not-authorized:wrong",
			       AUTH("SCRAM-SHA-1", "bix9"), "failed:not-authorized:wrong",
			       AUTH("SCRAM-SHA-1", "bix9"), "failed:not-authorized:wrong"),
		.shown = 1,
		.trace = "  auth-drop\n  <failure 'sasl'><not-authorized/><text>wrong</text>"
			 "</failure>" ERROR("policy-violation",
					    "too many failed logins on this stream"),
	});
}

static void a_server_that_is_not_ready_does_not_count_against_the_client(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 1),
		.script = SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-1", "bix9"), "late",
				 AUTH("SCRAM-SHA-1", "bix9")),
		.shown = 2,
		.trace = "  auth-drop\n  " FAILURE("temporary-auth-failure",
						   "the account store does not answer now: try "
						   "again later") "= login\n"
								  "  auth-start SCRAM-SHA-1 "
								  "[n,}]\n= checking\n",
	});
}

static void stanzas_before_login_or_binding_are_not_authorized(void **state)
{
	static const char stanza[] = "element:<message to='a@localhost'><body>x</body></message>";

	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT("header:to='localhost' version='1.0'", stanza),
		.shown = 1,
		.trace = "  " ERROR("not-authorized", "log in before you send stanzas"),
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BINDABLE, stanza),
		.shown = 1,
		.trace = "  " ERROR("not-authorized", "bind a resource before you send stanzas"),
	});
}

static void elements_that_nobody_knows_are_unsupported(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, "element:<hello xmlns='urn:x'/>"),
		.shown = 1,
		.trace = "  " ERROR("unsupported-stanza-type", "this element is not expected here"),
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BOUND, "stanza:<hello xmlns='urn:x'/>"),
		.shown = 1,
		.trace = "  " ERROR("unsupported-stanza-type",
				    "a first-level element must be a message, presence or iq of "
				    "jabber:client"),
	});
}

static void after_login_the_domain_cannot_change(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-1", "bix9"), "authenticated:juliet",
				 "header:to='example.com' version='1.0'"),
		.shown = 1,
		.trace = OPEN ERROR("not-authorized", "you authenticated for another domain"),
	});
}

#define IQ_ERROR(condition, type, text)                                          \
	"<error type='" type "'><" condition " 'stanzas'/><text 'stanzas'>" text \
	"</text></error></iq>\n"

static void binding_can_be_refused_and_tried_again(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BINDABLE, BIND("<resource>&#x200e;</resource>"), BIND(""),
				 "refused:conflict:taken", BIND("<resource>y</resource>"), "late"),
		.shown = 5,
		.trace = "  <iq type='error' id='b1'>" IQ_ERROR(
			"bad-request", "modify",
			"this cannot be a resource (RFC 7622 3.4)") "= bindable\n"
								    "  bind []\n= binding\n"
								    "  <iq type='error' "
								    "id='b1'>" IQ_ERROR(
									    "conflict", "cancel",
									    "taken") "= bindable\n"
										     "  bind "
										     "[y]\n= "
										     "binding\n"
										     "  <iq "
										     "type='error' "
										     "id='b1'"
										     ">" IQ_ERROR(
											     "resou"
											     "rce-"
											     "const"
											     "rain"
											     "t",
											     "wait",
											     "the "
											     "route"
											     "r "
											     "does "
											     "not "
											     "answe"
											     "r "
											     "now: "
											     "try "
											     "again"
											     " late"
											     "r") "= bindable\n",
	});
}

static void a_bound_stream_answers_session_and_refuses_a_second_bind(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BOUND,
				 "stanza:<iq type='set' id='s1'><session xmlns='" NS_SESSION
				 "'/></iq>",
				 "stanza:<iq type='set' id='s0' to='localhost'>"
				 "<session xmlns='" NS_SESSION "'/></iq>",
				 "stanza:<iq type='set' id='b2'><bind xmlns='" NS_BIND "'/></iq>",
				 "stanza:<iq type='set' id='s2' to='romeo@localhost'>"
				 "<session xmlns='" NS_SESSION "'/></iq>"),
		.shown = 4,
		.trace = "  <iq type='result' id='s1' to='juliet@localhost/x'>"
			 "</iq>\n= bound\n"
			 "  <iq type='result' id='s0' from='localhost' to='juliet@localhost/x'>"
			 "</iq>\n= bound\n"
			 "  refuse not-allowed: this stream has its resource already\n= bound\n"
			 "  send\n= bound\n",
	});
}

static void from_must_be_the_streams_own_address(void **state)
{
	static const struct {
		const char *from;
		bool good;
	} cases[] = {
		{"juliet@localhost/x", true}, {"juliet@localhost", true},
		{"JULIET@LOCALHOST/x", true}, {"juliet@localhost/y", false},
		{"romeo@localhost", false},   {"localhost", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[128];

		snprintf(line, sizeof(line), "stanza:<presence from='%s'/>", cases[i].from);
		run(&(struct scenario){
			.rules = rules(true, true, 3),
			.script = SCRIPT(TO_BOUND, line),
			.shown = 1,
			.trace = cases[i].good
					 ? "  send\n= bound\n"
					 : "  " ERROR("invalid-from", "the from attribute is not "
								      "the address of this stream"),
		});
	}
}

static void a_bad_stanza_is_the_routers_to_answer(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script =
			SCRIPT(TO_BOUND, "stanza:<message to='@' id='m1'><body>x</body></message>",
			       "stanza:<message to='@' type='error'/>"),
		.shown = 2,
		.trace = "  refuse jid-malformed: the to attribute is not a JID\n= bound\n"
			 "  refuse jid-malformed: the to attribute is not a JID\n= bound\n",
	});
}

static void every_refusal_is_noted_in_the_same_words(void **state)
{
	(void)state;
	show_notes = true;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, AUTH("LOGIN", "")),
		.shown = 1,
		.trace = "  note auth_failed invalid-mechanism: choose one of the mechanisms that "
			 "were offered\n"
			 "  " FAILURE("invalid-mechanism",
				      "choose one of the mechanisms that were offered") "= login\n",
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BINDABLE, BIND(""), "refused:conflict:taken"),
		.shown = 1,
		.trace = "  note bind_refused conflict: taken\n"
			 "  <iq type='error' id='b1'>" IQ_ERROR("conflict", "cancel",
								"taken") "= bindable\n",
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BOUND, "stanza:<presence type='wrong'/>"),
		.shown = 1,
		.trace = "  note stanza_refused bad-request: unknown type of presence\n"
			 "  refuse bad-request: unknown type of presence\n= bound\n",
	});
	show_notes = false;
}

static void time_ends_every_state_with_its_own_words(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT("late"),
		.trace = OPEN ERROR("connection-timeout", "no stream header in time"),
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT("header:to='localhost' version='1.0'", "late"),
		.shown = 1,
		.trace = "  " ERROR("connection-timeout", "no TLS in time"),
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.direct = true,
		.script = SCRIPT("late"),
		.trace = "  close connection-timeout: the TLS handshake was not done in time\n"
			 "= closed\n",
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BINDABLE, "late"),
		.shown = 1,
		.trace = "  " ERROR("connection-timeout", "no login in time"),
	});
}

static void a_closed_stream_does_nothing_more(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BOUND, "stop:conflict:replaced", "stop:conflict:replaced",
				 "end", "stanza:<presence/>", "late"),
		.shown = 5,
		.trace = "  " ERROR("conflict", "replaced") "= closed\n= closed\n= closed\n"
							    "= closed\n",
	});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_goes_all_the_way_by_starttls),
		cmocka_unit_test(direct_tls_begins_with_the_handshake),
		cmocka_unit_test(without_required_tls_only_scram_is_offered_in_the_clear),
		cmocka_unit_test(a_wrong_header_is_answered_with_a_header_and_its_error),
		cmocka_unit_test(versions_above_one_are_answered),
		cmocka_unit_test(plaintext_behind_starttls_is_refused),
		cmocka_unit_test(what_was_said_before_tls_is_forgotten),
		cmocka_unit_test(sasl_refusals_are_those_of_rfc_6120_6_5),
		cmocka_unit_test(login_before_tls_needs_encryption),
		cmocka_unit_test(an_exchange_can_be_aborted_and_begun_again),
		cmocka_unit_test(a_response_that_is_not_base64_ends_the_exchange),
		cmocka_unit_test(the_third_failure_ends_the_stream),
		cmocka_unit_test(a_server_that_is_not_ready_does_not_count_against_the_client),
		cmocka_unit_test(stanzas_before_login_or_binding_are_not_authorized),
		cmocka_unit_test(elements_that_nobody_knows_are_unsupported),
		cmocka_unit_test(after_login_the_domain_cannot_change),
		cmocka_unit_test(binding_can_be_refused_and_tried_again),
		cmocka_unit_test(a_bound_stream_answers_session_and_refuses_a_second_bind),
		cmocka_unit_test(from_must_be_the_streams_own_address),
		cmocka_unit_test(a_bad_stanza_is_the_routers_to_answer),
		cmocka_unit_test(every_refusal_is_noted_in_the_same_words),
		cmocka_unit_test(time_ends_every_state_with_its_own_words),
		cmocka_unit_test(a_closed_stream_does_nothing_more),
	};

	return cmocka_run_group_tests(tests, trace_setup, trace_teardown);
}
