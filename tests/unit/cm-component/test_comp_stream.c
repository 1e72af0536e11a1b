/*
 * The core of a component's stream: what is said and done in each state, as tables of scripts.
 */
#include "tests/unit/cm-component/trace.h"

#define STEPS_MAX 12

#define HEADER                                            \
	"<stream:stream xmlns='jabber:component:accept' " \
	"xmlns:stream='http://etherx.jabber.org/streams' to='cb1.localhost'>"
#define HEADER_1_0                                                                                 \
	"<stream:stream xmlns='jabber:component:accept' "                                          \
	"xmlns:stream='http://etherx.jabber.org/streams' from='cb1.localhost' to='cb1.localhost' " \
	"version='1.0'>"
#define HEADER_OF(ns, to) \
	"<stream:stream xmlns='" ns "' xmlns:stream='http://etherx.jabber.org/streams'" to ">"
#define OURS	   "<?xml version='1.0'?><stream:stream id='0000000000000001' from='cb1.localhost' "
#define NOBODYS	   "<?xml version='1.0'?><stream:stream id='0000000000000001' "
#define PLAIN	   OURS "xml:lang='en'>"
#define MODERN	   OURS "version='1.0' xml:lang='en'>"
#define STARTTLS   "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define DIGEST	   "<handshake>abc</handshake>"
#define BOUND	   HEADER, "!found", DIGEST, "!right", "!bound"
#define TO_BOUND   "[lookup]" PLAIN "[lookup abc][bind]<handshake/>"
#define SM(name)   "<" name " xmlns='urn:xmpp:sm:3'/>"
#define COUNTED	   BOUND, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "!enabled 1"
#define TO_COUNTED TO_BOUND "[enable 0 resumable]<enabled id='rid' resume='true' max='300'/>"
#define ERROR(condition, text)                                                             \
	"<stream:error><" condition "/><text xml:lang='en'>" text "</text></stream:error>" \
	"</stream:stream>[close " condition "]"

struct row {
	const char *name;
	bool tls_required;
	const char *steps[STEPS_MAX];
	const char *expected;
};

static void run(const struct row *rows, size_t n)
{
	bool good = true;

	for (size_t i = 0; i < n; i++) {
		struct trace t;

		trace_open(&t);
		t.rules.tls_required = rows[i].tls_required;
		for (const char *const *s = rows[i].steps; *s; s++)
			trace_step(&t, *s);
		if (strcmp(t.out.data, rows[i].expected) != 0) {
			print_error("%s:\n  is      %s\n  must be %s\n", rows[i].name, t.out.data,
				    rows[i].expected);
			good = false;
		}
		trace_close(&t);
	}
	assert_true(good);
}

#define RUN(rows) run(rows, sizeof(rows) / sizeof((rows)[0]))

static void the_header_is_judged_before_anybody_is_asked(void **state)
{
	static const struct row rows[] = {
		{"a good one", false, {HEADER, "!found"}, "[lookup]" PLAIN},
		{"its name is normalised",
		 false,
		 {HEADER_OF("jabber:component:accept", " to='CB1.LocalHost'"), "!found"},
		 "[lookup]" PLAIN},
		{"no features for XEP-0114 that says version 1.0",
		 false,
		 {HEADER_OF("jabber:component:accept", " to='cb1.localhost' version='1.0'"),
		  "!found"},
		 "[lookup]" PLAIN},
		{"none for version 0.9 either",
		 false,
		 {HEADER_OF("jabber:component:accept",
			    " from='cb1.localhost' to='cb1.localhost' version='0.9'"),
		  "!found"},
		 "[lookup]" PLAIN},
		{"features for those who say version 1.0 and who they are",
		 false,
		 {HEADER_1_0, "!found"},
		 "[lookup]" MODERN "<stream:features><starttls/><sm/></stream:features>"},
		{"TLS may be required",
		 true,
		 {HEADER_1_0, "!found"},
		 "[lookup]" MODERN "<stream:features><starttls><required/></starttls><sm/>"
		 "</stream:features>"},
		{"a client",
		 false,
		 {HEADER_OF("jabber:client", " to='localhost'")},
		 NOBODYS "xml:lang='en'>" ERROR(
			 "invalid-namespace",
			 "this port is for components: clients connect to the client port")},
		{"another server",
		 false,
		 {HEADER_OF("jabber:server", " to='localhost'")},
		 NOBODYS "xml:lang='en'>" ERROR(
			 "invalid-namespace", "this port is for components: the default namespace "
					      "must be jabber:component:accept")},
		{"without to",
		 false,
		 {HEADER_OF("jabber:component:accept", "")},
		 NOBODYS "xml:lang='en'>" ERROR(
			 "host-unknown",
			 "the stream must name the component&apos;s domain in its to attribute")},
		{"to nothing that is a domain",
		 false,
		 {HEADER_OF("jabber:component:accept", " to='a@b'")},
		 NOBODYS
		 "xml:lang='en'>" ERROR("host-unknown", "the to attribute is not a domain")},
		{"unknown",
		 false,
		 {HEADER, "!unknown"},
		 "[lookup]" PLAIN ERROR("host-unknown", "who?")},
		{"the datastore is away",
		 false,
		 {HEADER, "!late"},
		 "[lookup]" PLAIN ERROR("resource-constraint", "the datastore does not answer now: "
							       "try again later")},
		{"nothing comes",
		 false,
		 {"!late"},
		 NOBODYS "xml:lang='en'>" ERROR("connection-timeout", "no stream header in time")},
	};

	(void)state;
	RUN(rows);
}

static void the_digest_decides_and_the_account_is_asked_for_twice(void **state)
{
	static const struct row rows[] = {
		{"right", false, {BOUND}, TO_BOUND},
		{"wrong",
		 false,
		 {HEADER, "!found", DIGEST, "!wrong"},
		 "[lookup]" PLAIN
		 "[lookup abc]" ERROR("not-authorized", "the digest is not right")},
		{"revoked meanwhile",
		 false,
		 {HEADER, "!found", DIGEST, "!unknown"},
		 "[lookup]" PLAIN "[lookup abc]" ERROR("host-unknown", "who?")},
		{"an empty one is one too",
		 false,
		 {HEADER, "!found", "<handshake/>", "!wrong"},
		 "[lookup]" PLAIN "[lookup]" ERROR("not-authorized", "the digest is not right")},
		{"a stanza before it",
		 false,
		 {HEADER, "!found", "<message/>"},
		 "[lookup]" PLAIN ERROR("not-authorized",
					"say &lt;handshake/&gt; before you send stanzas")},
		{"something else before it",
		 false,
		 {HEADER, "!found", "<x xmlns='urn:example'/>"},
		 "[lookup]" PLAIN ERROR("unsupported-stanza-type",
					"this element is not expected here")},
		{"no digest in time",
		 false,
		 {HEADER, "!found", "!late"},
		 "[lookup]" PLAIN ERROR("connection-timeout", "no &lt;handshake/&gt; in time")},
		{"in clear where TLS is required",
		 true,
		 {HEADER, "!found", DIGEST},
		 "[lookup]" PLAIN ERROR("policy-violation",
					"this port takes components inside TLS only")},
		{"somebody has the domain",
		 false,
		 {HEADER, "!found", DIGEST, "!right", "!conflict"},
		 "[lookup]" PLAIN "[lookup abc][bind]" ERROR("conflict", "taken")},
		{"the router does not know it",
		 false,
		 {HEADER, "!found", DIGEST, "!right", "!gone"},
		 "[lookup]" PLAIN "[lookup abc][bind]<stream:error><host-unknown/></stream:error>"
		 "</stream:stream>[close host-unknown]"},
		{"a condition that streams do not have",
		 false,
		 {HEADER, "!found", DIGEST, "!right", "!odd"},
		 "[lookup]" PLAIN "[lookup abc][bind]<stream:error><undefined-condition/>"
		 "</stream:error></stream:stream>[close undefined-condition]"},
		{"the router does not answer",
		 false,
		 {HEADER, "!found", DIGEST, "!right", "!late"},
		 "[lookup]" PLAIN "[lookup abc][bind]" ERROR(
			 "resource-constraint", "the router does not answer now: try again later")},
		{"a second handshake",
		 false,
		 {BOUND, DIGEST},
		 TO_BOUND ERROR("unsupported-stanza-type",
				"a first-level element must be a message, presence or iq of "
				"jabber:component:accept")},
	};

	(void)state;
	RUN(rows);
}

static void tls_forgets_what_was_said_before_it(void **state)
{
	static const struct row rows[] = {
		{"starttls, then everything anew",
		 true,
		 {HEADER_1_0, "!found", STARTTLS, "!secure", HEADER, "!found", DIGEST, "!right",
		  "!bound"},
		 "[lookup]" MODERN
		 "<stream:features><starttls><required/></starttls><sm/></stream:features>"
		 "<proceed/>[start-tls][restart]" TO_BOUND},
		{"from the first byte",
		 true,
		 {"!direct", "!secure", HEADER_1_0, "!found"},
		 "[restart][lookup]" MODERN "<stream:features><sm/></stream:features>"},
		{"a second starttls",
		 false,
		 {"!direct", "!secure", HEADER, "!found", STARTTLS},
		 "[restart][lookup]" PLAIN ERROR("unsupported-stanza-type",
						 "this element is not expected here")},
		{"no handshake in time says nothing in clear",
		 false,
		 {HEADER, "!found", STARTTLS, "!late"},
		 "[lookup]" PLAIN "<proceed/>[start-tls][close connection-timeout]"},
	};

	(void)state;
	RUN(rows);
}

static void only_its_own_domain_may_stand_in_from(void **state)
{
	static const char not_its[] = TO_BOUND ERROR(
		"invalid-from", "the from attribute is not an address of this component");
	static const struct row rows[] = {
		{"its domain",
		 false,
		 {BOUND, "<message from='cb1.localhost' to='romeo@localhost'/>"},
		 TO_BOUND "[send]"},
		{"a user of it, with a resource",
		 false,
		 {BOUND, "<presence from='U@CB1.localhost/r' to='romeo@localhost'/>"},
		 TO_BOUND "[send]"},
		{"the server's domain",
		 false,
		 {BOUND, "<message from='localhost' to='romeo@localhost'/>"},
		 not_its},
		{"another component",
		 false,
		 {BOUND, "<message from='a@cb2.localhost' to='romeo@localhost'/>"},
		 not_its},
		{"a domain below its own",
		 false,
		 {BOUND, "<message from='a@b.cb1.localhost' to='romeo@localhost'/>"},
		 not_its},
		{"no JID", false, {BOUND, "<message from='@' to='romeo@localhost'/>"}, not_its},
		{"no JID in either", false, {BOUND, "<message from='@' to='@'/>"}, not_its},
		{"none",
		 false,
		 {BOUND, "<message to='romeo@localhost'/>"},
		 TO_BOUND ERROR("invalid-from",
				"a component&apos;s stanza needs a from attribute")},
		{"its stanza to nobody is answered",
		 false,
		 {BOUND, "<message from='a@cb1.localhost'/>"},
		 TO_BOUND "[refuse bad-request]"},
		{"to no JID as well",
		 false,
		 {BOUND, "<message from='a@cb1.localhost' to='@'/>"},
		 TO_BOUND "[refuse jid-malformed]"},
		{"an iq of no type as well",
		 false,
		 {BOUND, "<iq from='a@cb1.localhost' to='romeo@localhost' id='1'/>"},
		 TO_BOUND "[refuse bad-request]"},
	};

	(void)state;
	RUN(rows);
}

static void a_probe_is_a_ping_whose_answer_goes_no_further(void **state)
{
#define PING                                                                            \
	"<iq type='get' id='ping0000000000000001' from='localhost' to='cb1.localhost'>" \
	"<ping/></iq>"
#define PONG(id, more) "<iq type='" more "' id='" id "' from='cb1.localhost' to='localhost'/>"
	static const struct row rows[] = {
		{"result",
		 false,
		 {BOUND, "!probe", PONG("ping0000000000000001", "result")},
		 TO_BOUND PING},
		{"error",
		 false,
		 {BOUND, "!probe", PONG("ping0000000000000001", "error")},
		 TO_BOUND PING},
		{"only once",
		 false,
		 {BOUND, "!probe", PONG("ping0000000000000001", "result"),
		  PONG("ping0000000000000001", "result")},
		 TO_BOUND PING "[send]"},
		{"another id",
		 false,
		 {BOUND, "!probe", PONG("x", "result")},
		 TO_BOUND PING "[send]"},
		{"not asked",
		 false,
		 {BOUND, PONG("ping0000000000000001", "result")},
		 TO_BOUND "[send]"},
		{"a spoofed one ends the stream all the same",
		 false,
		 {BOUND, "!probe",
		  "<iq type='result' id='ping0000000000000001' from='localhost'/>"},
		 TO_BOUND PING ERROR("invalid-from",
				     "the from attribute is not an address of this component")},
		{"where stanzas are counted <r/>", false, {COUNTED, "!probe"}, TO_COUNTED "<r/>"},
		{"while they begin to be counted behind <enabled/>",
		 false,
		 {BOUND, SM("enable"), "!probe", "!enabled 0"},
		 TO_BOUND "[enable 0]<enabled/><r/>"},
		{"an answer that is counted goes to the router",
		 false,
		 {BOUND, "!probe", SM("enable"), PONG("ping0000000000000001", "result")},
		 TO_BOUND PING "[enable 0][send]"},
	};

	(void)state;
	RUN(rows);
}

static void stanzas_are_counted_as_xep_0198_says(void **state)
{
	static const struct row rows[] = {
		{"enable before the handshake",
		 false,
		 {HEADER, "!found", SM("enable")},
		 "[lookup]" PLAIN "<failed><unexpected-request/><text xml:lang='en'>say "
		 "&lt;handshake/&gt; first</text></failed>"},
		{"enable twice",
		 false,
		 {COUNTED, SM("enable")},
		 TO_COUNTED "<failed><unexpected-request/><text xml:lang='en'>stream management is "
			    "on already</text></failed>"},
		{"<r/> is answered with what is secured, the rest follows",
		 false,
		 {COUNTED, "<message from='cb1.localhost' to='a@localhost'/>", SM("r"), "!held 1"},
		 TO_COUNTED "[send]<a h='0'/><a h='1'/>"},
		{"<a/> tells custody",
		 false,
		 {COUNTED, "!flush 5", "<a xmlns='urn:xmpp:sm:3' h='5'/>"},
		 TO_COUNTED "<r/>[wait 1][wait 0][acked 5]"},
		{"<a/> without a number",
		 false,
		 {COUNTED, SM("a")},
		 TO_COUNTED ERROR("invalid-xml", "an acknowledgement needs a number h")},
		{"<a/> of more than was sent",
		 false,
		 {COUNTED, "!range 7"},
		 TO_COUNTED
		 "<stream:error><undefined-condition/><text xml:lang='en'>you acknowledged 7 "
		 "stanzas, but 2 were sent to you</text><handled-count-too-high h='7' "
		 "send-count='2'/></stream:error></stream:stream>[close undefined-condition]"},
		{"a few are asked about after a while",
		 false,
		 {COUNTED, "!flush 1", "!again 1"},
		 TO_COUNTED "[wait 3]<r/>[wait 1]"},
		{"no answer leaves the session to be resumed",
		 false,
		 {COUNTED, "!ack-late"},
		 TO_COUNTED "[lost connection-timeout]"},
		{"no answer where it cannot be resumed",
		 false,
		 {BOUND, SM("enable"), "!enabled 0", "!ack-late"},
		 TO_BOUND "[enable 0]<enabled/>" ERROR("connection-timeout",
						       "no acknowledgement from you in time")},
	};

	(void)state;
	RUN(rows);
}

static void resume_comes_before_the_handshake_and_is_answered_after_it(void **state)
{
#define RESUME "<resume xmlns='urn:xmpp:sm:3' previd='rid' h='4'/>"
	static const struct row rows[] = {
		{"resumed",
		 false,
		 {HEADER, "!found", RESUME, DIGEST, "!right", "!resumed 9"},
		 "[lookup]" PLAIN "[lookup abc][resume rid 4]<resumed previd='rid' h='9'/>"},
		{"h goes on from there",
		 false,
		 {HEADER, "!found", RESUME, DIGEST, "!right", "!resumed 9",
		  "<message from='cb1.localhost' to='a@localhost'/>", SM("r"), "!held 10"},
		 "[lookup]" PLAIN "[lookup abc][resume rid 4]<resumed previd='rid' h='9'/>[send]"
		 "<a h='0'/><a h='10'/>"},
		{"not there: a session begins",
		 false,
		 {HEADER, "!found", RESUME, DIGEST, "!right", "!not-resumed", "!bound"},
		 "[lookup]" PLAIN "[lookup abc][resume rid 4]<failed><item-not-found/><text "
		 "xml:lang='en'>no</text></failed>[bind]<handshake/>"},
		{"with a wrong digest",
		 false,
		 {HEADER, "!found", RESUME, DIGEST, "!wrong"},
		 "[lookup]" PLAIN
		 "[lookup abc]" ERROR("not-authorized", "the digest is not right")},
		{"without a number",
		 false,
		 {HEADER, "!found", "<resume xmlns='urn:xmpp:sm:3' previd='rid'/>", DIGEST,
		  "!right"},
		 "[lookup]" PLAIN
		 "<failed><bad-request/><text xml:lang='en'>&lt;resume/&gt; needs a "
		 "previd and a number h</text></failed>[lookup abc][bind]"},
		{"the last one counts",
		 false,
		 {HEADER, "!found", "<resume xmlns='urn:xmpp:sm:3' previd='old' h='1'/>", RESUME,
		  DIGEST, "!right"},
		 "[lookup]" PLAIN "[lookup abc][resume rid 4]"},
		{"the router does not answer",
		 false,
		 {HEADER, "!found", RESUME, DIGEST, "!right", "!late"},
		 "[lookup]" PLAIN "[lookup abc][resume rid 4]" ERROR(
			 "resource-constraint", "the router does not answer now: try again later")},
	};

	(void)state;
	RUN(rows);
}

static void a_stream_that_can_be_resumed_is_not_closed_when_the_server_stops(void **state)
{
	static const struct row rows[] = {
		{"plain", false, {BOUND, "!lost"}, TO_BOUND ERROR("system-shutdown", "bye")},
		{"counted", false, {COUNTED, "!lost"}, TO_COUNTED "[lost system-shutdown]"},
		{"moved", false, {COUNTED, "!moved"}, TO_COUNTED "[lost moved]"},
		{"told to end", false, {COUNTED, "!stop"}, TO_COUNTED ERROR("reset", "reset")},
		{"before anything was said",
		 false,
		 {"!lost"},
		 NOBODYS "xml:lang='en'>" ERROR("system-shutdown", "bye")},
		{"it ends itself",
		 false,
		 {BOUND, "!end"},
		 TO_BOUND "</stream:stream>[close closed]"},
		{"it says an error",
		 false,
		 {BOUND, "<stream:error><undefined-condition "
			 "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"},
		 TO_BOUND "</stream:stream>[close peer-error]"},
		{"bytes that are no XML",
		 false,
		 {BOUND, "!broken"},
		 TO_BOUND ERROR("not-well-formed", "no")},
		{"nothing after the last word",
		 false,
		 {BOUND, "!end", "!probe", "!stop", "!flush 5", "!bound", "!late"},
		 TO_BOUND "</stream:stream>[close closed]"},
	};

	(void)state;
	RUN(rows);
}

static void every_event_in_every_state_does_no_harm(void **state)
{
	static const char *const ways[][STEPS_MAX] = {
		{NULL},
		{"!direct", NULL},
		{"!direct", "!secure", NULL},
		{HEADER, NULL},
		{HEADER, "!found", NULL},
		{HEADER, "!found", DIGEST, NULL},
		{HEADER, "!found", DIGEST, "!right", NULL},
		{HEADER, "!found", RESUME, DIGEST, "!right", NULL},
		{BOUND, NULL},
		{COUNTED, NULL},
		{BOUND, "!end", NULL},
	};
	static const char *const events[] = {"!bound",	  "!conflict", "!secure",  "!late",
					     "!end",	  "!broken",   "!stop",	   "!probe",
					     "!ack-late", "!lost",     "!moved",   "!held 2",
					     "!flush 2",  "!again 1",  "!unknown", "!enabled 1"};

	(void)state;
	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		for (size_t e = 0; e < sizeof(events) / sizeof(events[0]); e++) {
			struct trace t;

			trace_open(&t);
			for (const char *const *s = ways[w]; *s; s++)
				trace_step(&t, *s);
			trace_step(&t, events[e]);
			assert_non_null(comp_state_name(comp_stream_state(t.stream)));
			trace_close(&t);
		}
	}
	for (int k = 0; k < COMP_EVENTS; k++)
		assert_non_null(comp_event_name((enum comp_event_kind)k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_is_judged_before_anybody_is_asked),
		cmocka_unit_test(the_digest_decides_and_the_account_is_asked_for_twice),
		cmocka_unit_test(tls_forgets_what_was_said_before_it),
		cmocka_unit_test(only_its_own_domain_may_stand_in_from),
		cmocka_unit_test(a_probe_is_a_ping_whose_answer_goes_no_further),
		cmocka_unit_test(stanzas_are_counted_as_xep_0198_says),
		cmocka_unit_test(resume_comes_before_the_handshake_and_is_answered_after_it),
		cmocka_unit_test(a_stream_that_can_be_resumed_is_not_closed_when_the_server_stops),
		cmocka_unit_test(every_event_in_every_state_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
