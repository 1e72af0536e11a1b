/*
 * Stream management (XEP-0198) in the core of a client's stream.
 */
#include "tests/unit/cm-client/trace.h"

#define SM(element) "element:<" element " xmlns='" NS_SM3 "'/>"
#define TO_ENABLED  TO_BOUND, SM("enable resume='true'"), "enabled:id1"
#define STANZA	    "stanza:<message to='romeo@localhost'><body>hi</body></message>"
#define FAILED(c, t) \
	"  <failed 'urn:xmpp:sm:3'><" c " 'stanzas'/><text 'stanzas'>" t "</text></failed>\n"
#define A(h) "  <a 'urn:xmpp:sm:3' h='" h "'/>\n"
#define R    "  <r 'urn:xmpp:sm:3'/>\n"

#define STORY(lines, text, ...)                               \
	run(&(struct scenario){.rules = rules(true, true, 3), \
			       .script = SCRIPT(__VA_ARGS__), \
			       .shown = lines,                \
			       .trace = text})

static void a_client_enables_it_after_binding(void **state)
{
	(void)state;
	STORY(2,
	      "  enable - max=0\n= bound\n"
	      "  <enabled 'urn:xmpp:sm:3'/>\n= bound\n",
	      TO_BOUND, SM("enable"), "enabled:");
	STORY(2,
	      "  enable resume max=120\n= bound\n"
	      "  <enabled 'urn:xmpp:sm:3' id='id1' resume='true' max='300'/>\n= bound\n",
	      TO_BOUND, SM("enable resume='1' max='120'"), "enabled:id1");
	STORY(1, "  enable - max=0\n= bound\n", TO_BOUND, SM("enable resume='0' max='-5'"));
}

static void it_cannot_be_enabled_before_binding_or_twice(void **state)
{
	(void)state;
	STORY(1, FAILED("unexpected-request", "log in first") "= login\n", TO_LOGIN, SM("enable"));
	STORY(1, FAILED("unexpected-request", "log in first") "= login\n", TO_LOGIN,
	      SM("resume previd='id1' h='0'"));
	STORY(2,
	      FAILED("unexpected-request",
		     "bind a resource first") "= bindable\n  bind []\n= binding\n",
	      TO_BINDABLE, SM("enable"), BIND(""));
	STORY(1, FAILED("unexpected-request", "stream management is on already") "= bound\n",
	      TO_BOUND, SM("enable"), SM("enable"));
	STORY(1, FAILED("unexpected-request", "stream management is on already") "= bound\n",
	      TO_ENABLED, SM("enable"));
	STORY(1, FAILED("unexpected-request", "this is not expected now") "= bound\n", TO_ENABLED,
	      SM("resume previd='id1' h='0'"));
	STORY(2,
	      FAILED("unexpected-request", "enable stream management first") "= bound\n" FAILED(
		      "unexpected-request", "enable stream management first") "= bound\n",
	      TO_BOUND, SM("r"), SM("a h='0'"));
}

static void r_is_answered_at_once_with_what_is_secured(void **state)
{
	(void)state;
	STORY(1, A("0") "= bound\n", TO_ENABLED, SM("r"));
	STORY(2, A("2") "= bound\n= bound\n", TO_ENABLED, STANZA, STANZA, "secured:h=2", SM("r"),
	      "secured:h=2");
}

static void an_unasked_a_follows_when_h_gets_there(void **state)
{
	(void)state;
	STORY(5,
	      A("1") "= bound\n"
		     "  send\n= bound\n"
		     "= bound\n" A("3") "= bound\n"
					"= bound\n",
	      TO_ENABLED, STANZA, STANZA, STANZA, "secured:h=1", SM("r"), STANZA, "secured:h=2",
	      "secured:h=3", "secured:h=4");
	STORY(3, A("0") "= bound\n" A("0") "= bound\n" A("1") "= bound\n", TO_ENABLED, STANZA,
	      SM("r"), SM("r"), "secured:h=1");
}

static void r_before_enabled_waits_for_it(void **state)
{
	(void)state;
	STORY(4,
	      "  send\n= bound\n= bound\n"
	      "  <enabled 'urn:xmpp:sm:3' id='id1' resume='true' max='300'/><a 'urn:xmpp:sm:3' "
	      "h='0'/>\n= bound\n" A("1") "= bound\n",
	      TO_BOUND, SM("enable resume='true'"), STANZA, SM("r"), "enabled:id1", "secured:h=1");
}

static void refused_stanzas_count_like_others(void **state)
{
	(void)state;
	STORY(5,
	      "  refuse jid-malformed: the to attribute is not a JID\n= bound\n"
	      "  refuse not-allowed: this stream has its resource already\n= bound\n"
	      "  send\n= bound\n" A("0") "= bound\n" A("3") "= bound\n",
	      TO_ENABLED, "stanza:<message to='@'><body>x</body></message>",
	      "stanza:<iq type='set' id='b2'><bind xmlns='" NS_BIND "'/></iq>",
	      "stanza:<iq type='set' id='s'><session xmlns='" NS_SESSION "'/></iq>",
	      "element:<r xmlns='" NS_SM3 "'/>", "secured:h=3");
}

static void stanzas_before_enable_are_not_counted(void **state)
{
	(void)state;
	STORY(2, A("0") "= bound\n= bound\n", TO_BOUND, STANZA, STANZA, SM("enable"),
	      "enabled:", SM("r"), "secured:h=0");
}

static void r_is_asked_once_until_it_is_answered(void **state)
{
	(void)state;
	STORY(6,
	      R "  wait for-answer\n= bound\n"
		"= bound\n"
		"  wait for-nothing\n  acked 5\n= bound\n" R "  wait for-answer\n= bound\n"
		"  wait for-nothing\n  acked 11\n= bound\n"
		"= bound\n",
	      TO_ENABLED, "flush:unacked=5", "flush:unacked=11", SM("a h='5'"), "flush:unacked=6",
	      SM("a h='11'"), "flush:unacked=0");
}

/* One time of waiting, however many come meanwhile; nothing is left unasked. */
static void few_stanzas_are_asked_for_together_after_a_while(void **state)
{
	(void)state;
	STORY(3, "  wait for-more\n= bound\n= bound\n" R "  wait for-answer\n= bound\n", TO_ENABLED,
	      "flush:unacked=1", "flush:unacked=2", "ask-again:unacked=2");
	STORY(3, "  wait for-more\n= bound\n= bound\n" R "  wait for-answer\n= bound\n", TO_ENABLED,
	      "flush:unacked=1", "flush:unacked=4", "flush:unacked=5");
	/* A client may say <a/> unasked: the waiting begins anew for what it left out. */
	STORY(3,
	      "  wait for-more\n= bound\n"
	      "  wait for-nothing\n  acked 1\n= bound\n"
	      "  wait for-more\n= bound\n",
	      TO_ENABLED, "flush:unacked=1", SM("a h='1'"), "flush:unacked=1");
}

static void who_answers_with_less_is_asked_again_later(void **state)
{
	(void)state;
	STORY(5,
	      R "  wait for-answer\n= bound\n"
		"  wait for-nothing\n  acked 4\n= bound\n"
		"  wait to-ask-again\n= bound\n" R "  wait for-answer\n= bound\n"
		"= bound\n",
	      TO_ENABLED, "flush:unacked=5", SM("a h='4'"), "flush:unacked=1",
	      "ask-again:unacked=1", "ask-again:unacked=1");
	STORY(1, R "  wait for-answer\n= bound\n", TO_ENABLED, "flush:unacked=6", SM("a h='1'"),
	      "flush:unacked=5", "flush:unacked=6");
}

static void nothing_is_asked_of_a_stream_without_it(void **state)
{
	(void)state;
	STORY(3, "= bound\n= bound\n= bound\n", TO_BOUND, "flush:unacked=2", "ask-again:unacked=2",
	      "secured:h=3");
}

#define TOO_HIGH                                                                                  \
	"  <stream:error><undefined-condition 'streams'/><text 'streams'>you acknowledged 10 "    \
	"stanzas, but 8 were sent to you</text><handled-count-too-high 'urn:xmpp:sm:3' h='10' "   \
	"send-count='8'/></stream:error></CLOSE>\n  close undefined-condition: you acknowledged " \
	"10 stanzas, but 8 were sent to you\n= closed\n"

static void who_acknowledges_too_much_is_told_and_closed(void **state)
{
	(void)state;
	STORY(2, "  wait for-nothing\n  acked 10\n= bound\n" TOO_HIGH, TO_ENABLED, SM("a h='10'"),
	      "ack-range:h=10 sent=8");
}

static void an_a_without_a_number_is_invalid(void **state)
{
	static const char *const bad[] = {SM("a"), SM("a h=''"), SM("a h='x'"), SM("a h='-1'"),
					  SM("a h='4294967296'")};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		STORY(1, "  " ERROR("invalid-xml", "an acknowledgement needs a number h"),
		      TO_ENABLED, bad[i]);
	STORY(1, "  wait for-nothing\n  acked 4294967295\n= bound\n", TO_ENABLED,
	      SM("a h='4294967295'"));
}

static void h_goes_round_at_two_to_the_32(void **state)
{
	(void)state;
	STORY(4,
	      "  send\n= bound\n  send\n= bound\n" A("4294967295") "= bound\n" A("1") "= bound\n",
	      TO_BINDABLE, SM("resume previd='id1' h='7'"), "resumed:h=4294967295", STANZA, STANZA,
	      SM("r"), "secured:h=1");
}

static void a_broken_stream_that_can_be_resumed_is_not_closed(void **state)
{
	(void)state;
	STORY(1, "  lost connection-timeout: no acknowledgement from you in time\n= closed\n",
	      TO_ENABLED, "ack-late");
	STORY(1, "  lost connection-timeout: nothing was heard from you for too long\n= closed\n",
	      TO_ENABLED, "late");
	STORY(1, "  lost system-shutdown: bye\n= closed\n", TO_ENABLED, "lost:system-shutdown:bye");
	STORY(1, "  lost moved: the session was resumed elsewhere\n= closed\n", TO_ENABLED,
	      "moved");
	STORY(1, "  lost system-shutdown: bye\n= closed\n", TO_BINDABLE,
	      SM("resume previd='id1' h='7'"), "lost:system-shutdown:bye");
}

static void a_broken_stream_that_cannot_hears_why(void **state)
{
	(void)state;
	STORY(1, "  " ERROR("connection-timeout", "no acknowledgement from you in time"), TO_BOUND,
	      SM("enable"), "enabled:", "ack-late");
	STORY(1, "  " ERROR("system-shutdown", "bye"), TO_BOUND, "lost:system-shutdown:bye");
	STORY(1, "  " ERROR("system-shutdown", "bye"), TO_LOGIN, "lost:system-shutdown:bye");
	STORY(1, "  " ERROR("system-shutdown", "bye"), TO_BOUND, SM("enable resume='true'"),
	      "lost:system-shutdown:bye");
}

static void a_clean_end_and_violations_end_the_session(void **state)
{
	(void)state;
	STORY(1, "  </CLOSE>\n  close closed: the client closed its stream\n= closed\n", TO_ENABLED,
	      "end");
	STORY(1, "  " ERROR("invalid-from", "the from attribute is not the address of this stream"),
	      TO_ENABLED, "stanza:<presence from='romeo@localhost'/>");
	STORY(1, "  " ERROR("conflict", "replaced"), TO_ENABLED, "stop:conflict:replaced");
	STORY(1, "  </CLOSE>\n  close peer-error: the client sent a stream error\n= closed\n",
	      TO_ENABLED,
	      "element:<error xmlns='" NS_STREAM "'><reset xmlns='" NS_STREAMS_ERR "'/></error>");
}

static void a_session_is_resumed_instead_of_binding(void **state)
{
	(void)state;
	STORY(6,
	      "  resume [id1] h=7\n= resuming\n"
	      "  <resumed 'urn:xmpp:sm:3' previd='id1' h='41'/>\n= bound\n"
	      "  wait for-more\n= bound\n"
	      "  send\n= bound\n" A("41") "= bound\n" A("42") "= bound\n",
	      TO_BINDABLE, SM("resume previd='id1' h='7'"), "resumed:h=41", "flush:unacked=3",
	      STANZA, SM("r"), "secured:h=42");
	STORY(1, "  lost moved: the session was resumed elsewhere\n= closed\n", TO_BINDABLE,
	      SM("resume previd='id1' h='7'"), "resumed:h=41", "moved");
	STORY(1, FAILED("unexpected-request", "stream management is on already") "= bound\n",
	      TO_BINDABLE, SM("resume previd='id1' h='7'"), "resumed:h=41", SM("enable"));
}

static void who_cannot_resume_may_bind(void **state)
{
	(void)state;
	STORY(3,
	      FAILED("item-not-found",
		     "gone") "= bindable\n"
			     "  bind []\n= binding\n"
			     "  <iq type='result' id='b1' to='juliet@localhost/x'>"
			     "<bind 'bind'><jid>juliet@localhost/x</jid></bind></iq>\n= bound\n",
	      TO_BINDABLE, SM("resume previd='id1' h='7'"), "resume-refused:item-not-found:gone",
	      BIND(""), "bound:juliet@localhost/x");
	STORY(2,
	      FAILED("resource-constraint",
		     "the router does not answer now: try again later") "= bindable\n  resume "
									"[id1] h=7\n= resuming\n",
	      TO_BINDABLE, SM("resume previd='id1' h='7'"), "late",
	      SM("resume previd='id1' h='7'"));
	STORY(2,
	      "  enable resume max=0\n= bound\n"
	      "  <enabled 'urn:xmpp:sm:3' id='id2' resume='true' max='300'/>\n= bound\n",
	      TO_BINDABLE, SM("resume previd='id1' h='7'"), "resume-refused:item-not-found:gone",
	      BIND(""), "bound:juliet@localhost/x", SM("enable resume='true'"), "enabled:id2");
}

static void a_resume_that_says_too_little_fails(void **state)
{
	static const char *const bad[] = {SM("resume"), SM("resume h='1'"), SM("resume previd='a'"),
					  SM("resume previd='' h='1'"),
					  SM("resume previd='a' h='one'")};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		STORY(1,
		      FAILED("bad-request",
			     "&lt;resume/&gt; needs a previd and a number h") "= bindable\n",
		      TO_BINDABLE, bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_enables_it_after_binding),
		cmocka_unit_test(it_cannot_be_enabled_before_binding_or_twice),
		cmocka_unit_test(r_is_answered_at_once_with_what_is_secured),
		cmocka_unit_test(an_unasked_a_follows_when_h_gets_there),
		cmocka_unit_test(r_before_enabled_waits_for_it),
		cmocka_unit_test(refused_stanzas_count_like_others),
		cmocka_unit_test(stanzas_before_enable_are_not_counted),
		cmocka_unit_test(r_is_asked_once_until_it_is_answered),
		cmocka_unit_test(few_stanzas_are_asked_for_together_after_a_while),
		cmocka_unit_test(who_answers_with_less_is_asked_again_later),
		cmocka_unit_test(nothing_is_asked_of_a_stream_without_it),
		cmocka_unit_test(who_acknowledges_too_much_is_told_and_closed),
		cmocka_unit_test(an_a_without_a_number_is_invalid),
		cmocka_unit_test(h_goes_round_at_two_to_the_32),
		cmocka_unit_test(a_broken_stream_that_can_be_resumed_is_not_closed),
		cmocka_unit_test(a_broken_stream_that_cannot_hears_why),
		cmocka_unit_test(a_clean_end_and_violations_end_the_session),
		cmocka_unit_test(a_session_is_resumed_instead_of_binding),
		cmocka_unit_test(who_cannot_resume_may_bind),
		cmocka_unit_test(a_resume_that_says_too_little_fails),
	};

	return cmocka_run_group_tests(tests, trace_setup, trace_teardown);
}
