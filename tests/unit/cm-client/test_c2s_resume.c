/*
 * Stream management (XEP-0198) of the whole service between a real socket and a scripted router.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/cm-client/rig.h"

#define SM(element)	"<" element " xmlns='urn:xmpp:sm:3'/>"
#define A(h)		"<a xmlns='urn:xmpp:sm:3' h='" h "'/>"
#define ENABLED		"<enabled xmlns='urn:xmpp:sm:3' id='rid' resume='true' max='300'/>"
#define MESSAGE(body)	"<message to='romeo@localhost'><body>" body "</body></message>"
#define DELIVERED(body) "<message from='romeo@localhost/y'><body>" body "</body></message>"

static int start_default(void **state)
{
	(void)state;
	rig_start(NULL);
	return 0;
}

static int start_strict(void **state)
{
	struct config *cfg = config_defaults();

	(void)state;
	cfg->client_ack_timeout_s = 1;
	cfg->limit_session_unsettled = 16384;
	rig_start(cfg);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	rig_stop();
	return 0;
}

static void enable(struct client *c)
{
	client_open(c);
	assert_true(client_login(c));
	assert_true(client_expect(c, SM("enable resume='true'"), ENABLED));
}

static bool is_unbound(void)
{
	return rig.unbound[0];
}

static bool is_detached(void)
{
	return rig.detached[0];
}

static bool one_is_delivered(void)
{
	return rig.delivered_q == 1;
}

static bool three_are_delivered(void)
{
	return rig.delivered_q == 3;
}

static void a_delivery_is_reported_when_the_client_acknowledges_it(void **state)
{
	struct client c;

	(void)state;
	enable(&c);
	assert_true(client_expect(&c, MESSAGE("echo"), SM("r")));
	assert_string_equal(c.in.data, DELIVERED("echo") SM("r"));
	usleep(50000);
	assert_int_equal(rig.delivered_q, 0);
	client_say(&c, SM("a h='1'"));
	rig_wait(one_is_delivered, "DELIVERED");
	client_close(&c);
}

static void r_stands_once_behind_the_last_of_several(void **state)
{
	struct client c;

	(void)state;
	enable(&c);
	str_reset(&c.in);
	rig_do(RIG_THREE);
	assert_true(client_wait(&c, SM("r")));
	assert_string_equal(c.in.data, DELIVERED("3") DELIVERED("3") DELIVERED("3") SM("r"));
	str_reset(&c.in);
	rig_do(RIG_THREE); /* the <r/> is not answered: no other one */
	assert_true(client_wait(&c, DELIVERED("3") DELIVERED("3") DELIVERED("3")));
	assert_null(strstr(c.in.data, "<r "));
	assert_true(client_expect(&c, SM("a h='3'"), SM("r")));
	rig_wait(three_are_delivered, "DELIVERED");
	client_close(&c);
}

static void what_was_delivered_before_enabled_is_not_counted(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	str_reset(&c.in);
	client_say(&c, MESSAGE("echo") SM("enable resume='true'") MESSAGE("echo2"));
	assert_true(client_wait(&c, SM("r")));
	assert_string_equal(c.in.data, DELIVERED("echo") ENABLED DELIVERED("echo2") SM("r"));
	rig_wait(one_is_delivered, "DELIVERED of the first");
	assert_true(client_expect(&c, SM("r"), "h='1'/>"));
	client_close(&c);
}

static void h_is_what_the_router_holds_and_the_rest_follows(void **state)
{
	struct client c;

	(void)state;
	enable(&c);
	pthread_mutex_lock(&rig.lock);
	rig.holds = false;
	pthread_mutex_unlock(&rig.lock);
	assert_true(client_expect(&c, MESSAGE("1") MESSAGE("2") SM("r"), A("0")));
	str_reset(&c.in);
	rig_do(RIG_HOLD);
	assert_true(client_wait(&c, A("2")));
	assert_true(client_expect(&c, MESSAGE("3") MESSAGE("<bad/>") SM("r"), A("4")));
	client_close(&c);
}

static bool is_refused(void)
{
	return rig.refused[0];
}

static void a_refused_stanza_takes_a_number(void **state)
{
	struct client c;

	(void)state;
	enable(&c);
	client_say(&c, MESSAGE("1") "<message to='@' id='m2'><body>x</body></message>");
	rig_wait(is_refused, "REFUSED");
	assert_string_equal(rig.refused, "n=2 jid-malformed id=m2");
	client_close(&c);
}

static void a_lost_connection_leaves_the_session_and_a_closed_stream_ends_it(void **state)
{
	struct client c;

	(void)state;
	enable(&c);
	client_close(&c);
	rig_wait(is_detached, "DETACHED");
	assert_string_equal(rig.detached, "connection-lost");
	assert_string_equal(rig.unbound, "");
	enable(&c);
	assert_true(client_expect(&c, "</stream:stream>", "</stream:stream>"));
	rig_wait(is_unbound, "UNBIND");
	assert_string_equal(rig.unbound, "closed");
	client_close(&c);
}

static void what_cannot_be_resumed_ends_with_its_connection(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	assert_true(client_expect(&c, SM("enable"), SM("enabled")));
	client_close(&c);
	rig_wait(is_unbound, "UNBIND");
	assert_string_equal(rig.unbound, "connection-lost");
	assert_string_equal(rig.detached, "");
}

static void expect_silent_end(struct client *c, const char *reason)
{
	str_reset(&c->in);
	assert_false(client_wait(c, NULL));
	assert_true(c->eof);
	assert_string_equal(c->in.data, "");
	rig_wait(is_detached, "DETACHED");
	assert_string_equal(rig.detached, reason);
}

static void a_session_that_moves_leaves_its_connection_without_a_word(void **state)
{
	struct client c;

	(void)state;
	enable(&c);
	rig_do(RIG_DETACH);
	expect_silent_end(&c, "moved");
	client_close(&c);
}

static void a_stop_leaves_what_can_be_resumed_without_a_word(void **state)
{
	struct client c, plain;

	(void)state;
	client_open(&plain);
	assert_true(client_login(&plain));
	enable(&c);
	rig_do(RIG_DRAIN);
	expect_silent_end(&c, "system-shutdown");
	client_close(&c);
	assert_true(client_wait(&plain, "<system-shutdown "));
	client_close(&plain);
	pthread_join(rig.thread, NULL);
	assert_true(rig.proc.drained);
	check(pthread_create(&rig.thread, NULL, rig_thread, NULL) == 0);
	rig.proc.drained = false;
}

#define RESUMED "<resumed xmlns='urn:xmpp:sm:3' previd='rid' h='38'/>"

static void a_session_is_resumed_where_it_stood(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_authenticate(&c));
	str_reset(&c.in);
	/* Sent ahead: the stream is not read before the router has answered. */
	client_say(&c, SM("resume previd='rid' h='7'") MESSAGE("1") SM("r"));
	assert_true(client_wait(&c, SM("r")));
	assert_memory_equal(c.in.data, RESUMED, strlen(RESUMED));
	assert_non_null(strstr(c.in.data, DELIVERED("kept")));
	assert_string_equal(rig.resume, "juliet@localhost rid h=7");
	assert_true(strstr(c.in.data, A("39")) || client_wait(&c, A("39")));
	assert_non_null(strstr(rig.last, "n=41 "));
	client_say(&c, SM("a h='8'"));
	client_close(&c);
	rig_wait(is_detached, "DETACHED");
	assert_int_equal(rig.delivered_q, RIG_HAD + 1);
}

static void who_asks_for_nobodys_session_may_bind(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_authenticate(&c));
	assert_true(client_expect(&c, SM("resume previd='other' h='0'"),
				  "<item-not-found "
				  "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"));
	assert_true(client_expect(&c,
				  "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-"
				  "bind'><resource>x</resource></bind></iq>",
				  "juliet@localhost/x"));
	assert_true(client_expect(&c, SM("enable resume='true'"), ENABLED));
	client_close(&c);
}

static void who_gave_up_before_the_answer_leaves_the_session_to_the_next(void **state)
{
	struct client c;

	(void)state;
	pthread_mutex_lock(&rig.lock);
	rig.answers_resume = false;
	pthread_mutex_unlock(&rig.lock);
	client_open(&c);
	assert_true(client_authenticate(&c));
	assert_true(client_expect(&c, SM("resume previd='rid' h='7'"), "<resource-constraint "));
	assert_int_not_equal(rig.request, 0);
	rig_do(RIG_RESUMED);
	rig_wait(is_detached, "DETACHED");
	assert_string_equal(rig.detached, "gone");
	client_close(&c);
}

static void who_does_not_answer_is_taken_for_lost(void **state)
{
	struct client c;

	(void)state;
	enable(&c);
	assert_true(client_expect(&c, MESSAGE("echo"), SM("r")));
	expect_silent_end(&c, "connection-timeout");
	client_close(&c);
}

static void who_acknowledges_too_much_is_closed(void **state)
{
	struct client c;

	(void)state;
	enable(&c);
	assert_true(client_expect(&c, MESSAGE("echo"), SM("r")));
	assert_true(client_expect(&c, SM("a h='2'"), "</stream:stream>"));
	assert_non_null(strstr(c.in.data, "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='2' "
					  "send-count='1'/></stream:error>"));
	rig_wait(is_unbound, "UNBIND");
	assert_string_equal(rig.unbound, "undefined-condition");
	client_close(&c);
}

static bool all_have_come(void)
{
	return rig.stanzas == 100;
}

/* Or two who write to each other would wait for each other's <a/>, which nobody reads. */
static void what_the_router_holds_does_not_stop_the_reading(void **state)
{
	char stanza[1200];
	struct client c;

	(void)state;
	enable(&c);
	pthread_mutex_lock(&rig.lock);
	rig.settles = false;
	pthread_mutex_unlock(&rig.lock);
	snprintf(stanza, sizeof(stanza), MESSAGE("%01000d"), 1);
	for (int i = 0; i < 100; i++)
		client_say(&c, stanza);
	rig_wait(all_have_come, "the stanzas");
	client_close(&c);
}

int main(void)
{
#define D(f) cmocka_unit_test_setup_teardown(f, start_default, stop)
#define T(f) cmocka_unit_test_setup_teardown(f, start_strict, stop)
	const struct CMUnitTest tests[] = {
		D(a_delivery_is_reported_when_the_client_acknowledges_it),
		D(r_stands_once_behind_the_last_of_several),
		D(what_was_delivered_before_enabled_is_not_counted),
		D(h_is_what_the_router_holds_and_the_rest_follows),
		D(a_refused_stanza_takes_a_number),
		D(a_lost_connection_leaves_the_session_and_a_closed_stream_ends_it),
		D(what_cannot_be_resumed_ends_with_its_connection),
		D(a_session_that_moves_leaves_its_connection_without_a_word),
		D(a_stop_leaves_what_can_be_resumed_without_a_word),
		D(a_session_is_resumed_where_it_stood),
		D(who_asks_for_nobodys_session_may_bind),
		D(who_gave_up_before_the_answer_leaves_the_session_to_the_next),
		T(who_does_not_answer_is_taken_for_lost),
		D(who_acknowledges_too_much_is_closed),
		T(what_the_router_holds_does_not_stop_the_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
