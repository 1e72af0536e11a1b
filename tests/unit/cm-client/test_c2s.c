/*
 * The whole service between a real socket and a scripted router: ordinary clients, and everything
 * that strangers may send.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/cm-client/rig.h"

static int start_default(void **state)
{
	(void)state;
	rig_start(NULL);
	return 0;
}

/* Small limits and short times. */
static int start_strict(void **state)
{
	struct config *cfg = config_defaults();

	(void)state;
	cfg->limit_unauthenticated_per_address = 3;
	cfg->limit_tls_s = 1;
	cfg->client_idle_timeout_s = 1;
	cfg->limit_session_unsettled = 16384;
	cfg->limit_session_queue = 65536;
	rig_start(cfg);
	return 0;
}

static int start_with_keepalive(void **state)
{
	struct config *cfg = config_defaults();

	(void)state;
	cfg->client_keepalive_s = 1;
	rig_start(cfg);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	rig_stop();
	return 0;
}

static void an_ordinary_client_still_works(void)
{
	struct client c;

	client_open(&c);
	assert_true(client_login(&c));
	assert_true(client_expect(&c, "<message to='romeo@localhost'><body>echo</body></message>",
				  "<body>echo</body></message>"));
	client_close(&c);
}

static bool one_is_delivered(void)
{
	return rig.delivered_q == 1;
}

static bool is_unbound(void)
{
	return rig.unbound[0];
}

static void stanzas_pass_with_their_envelope_and_delivery_is_reported(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	assert_true(client_expect(&c, "<message to='romeo@localhost'><body>echo</body></message>",
				  "</message>"));
	assert_string_equal(c.in.data,
			    "<message from='romeo@localhost/y'><body>echo</body></message>");
	assert_string_equal(rig.last, "kind=1 n=1 to=romeo@localhost flags=1 "
				      "inner=<body>echo</body>");
	rig_wait(one_is_delivered, "DELIVERED");
	assert_true(client_expect(&c, "<iq type='get' id='1'><echo xmlns='urn:x'/></iq>", "echo"));
	assert_non_null(strstr(rig.last, "to=juliet@localhost flags=80"));
	assert_true(client_expect(&c, " </stream:stream\n >", "</stream:stream>"));
	rig_wait(is_unbound, "UNBIND");
	assert_string_equal(rig.unbound, "closed");
	client_close(&c);
}

static void direct_tls_works_on_the_same_port(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_tls(&c));
	assert_true(client_expect(&c, CLIENT_HEADER, "</stream:features>"));
	assert_non_null(strstr(c.in.data, "<mechanism>SCRAM-SHA-256-PLUS</mechanism>"));
	assert_null(strstr(c.in.data, "starttls"));
	client_close(&c);
}

static void bytes_may_come_one_at_a_time(void **state)
{
	static const char text[] = " <message to='a@localhost' id='1'><body>echo</body></message> ";
	struct client c;

	(void)state;
	client_open(&c);
	for (const char *p = CLIENT_HEADER; *p; p++)
		client_say_bytes(&c, p, 1);
	assert_true(client_wait(&c, "</stream:features>"));
	client_close(&c);
	client_open(&c);
	assert_true(client_login(&c));
	for (const char *p = text; *p; p++)
		client_say_bytes(&c, p, 1);
	assert_true(client_wait(&c, "echo</body></message>"));
	client_close(&c);
}

static void a_client_may_send_ahead_after_tls(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_tls(&c));
	client_say(&c, CLIENT_HEADER
		   "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
		   "AGp1bGlldABzZWNyZXQ=</auth>" CLIENT_HEADER
		   "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
		   "<message to='a@localhost'><body>echo</body></message>");
	assert_true(client_wait(&c, "<body>echo</body></message>"));
	client_close(&c);
}

#define ERR_(condition) "<stream:error><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
#define S(x)                     \
	{                        \
		x, sizeof(x) - 1 \
	}

static void hostile_bytes_before_tls_get_their_error(void **state)
{
	static char big[12000];
	const struct {
		struct slice bytes;
		const char *error;
	} cases[] = {
		{S("GET / HTTP/1.1\r\n\r\n"), ERR_("not-well-formed")},
		{S("</stream:stream>"), ERR_("not-well-formed")},
		{S("<<<<"), ERR_("not-well-formed")},
		{S("\0\0\0\0"), ERR_("not-well-formed")},
		{S("<!DOCTYPE s [<!ENTITY a 'b'>]>"), ERR_("restricted-xml")},
		{S("<!-- hello -->"), ERR_("restricted-xml")},
		{S("<?php echo?>"), ERR_("restricted-xml")},
		{S("<?xml version='1.0' encoding='iso-8859-1'?><stream:stream "
		   "xmlns='jabber:client' "
		   "xmlns:stream='http://etherx.jabber.org/streams' to='localhost' "
		   "version='1.0'>"),
		 ERR_("unsupported-encoding")},
		{S("<stream:stream xmlns='jabber:client' to='localhost' version='1.0'>"),
		 ERR_("bad-namespace-prefix")},
		{S("<stream:stream xmlns='jabber:client' to='\xff\xfe' "
		   "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"),
		 ERR_("not-well-formed")},
		{S(CLIENT_HEADER "<message><body>x</body></message>"), ERR_("not-authorized")},
		{S(CLIENT_HEADER "<a xmlns='urn:x'>&undefined;</a>"), ERR_("restricted-xml")},
		{S(CLIENT_HEADER "<a></b>"), ERR_("not-well-formed")},
		{S(CLIENT_HEADER "<x:a/>"), ERR_("bad-namespace-prefix")},
		{S(CLIENT_HEADER "<a xmlns='urn:x' b='1' b='2'/>"), ERR_("not-well-formed")},
		{S(CLIENT_HEADER "<!-- -->"), ERR_("restricted-xml")},
		{S(CLIENT_HEADER "text"), ERR_("not-well-formed")},
		{S(CLIENT_HEADER CLIENT_HEADER), ERR_("restricted-xml")},
		{{big, sizeof(big)}, ERR_("policy-violation")},
		{S(CLIENT_HEADER "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
				 "<message><body>injected</body></message>"),
		 "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"},
	};

	(void)state;
	memset(big, 'a', sizeof(big));
	memcpy(big, "<stream:stream a='", 18);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client c;

		client_open(&c);
		client_say_bytes(&c, cases[i].bytes.data, cases[i].bytes.len);
		if (!client_wait(&c, cases[i].error) || !strstr(c.in.data, "</stream:stream>"))
			fail_msg("case %zu: %s", i, c.in.data);
		assert_memory_equal(c.in.data, "<?xml version='1.0'?><stream:stream ", 36);
		assert_false(client_wait(&c, NULL));
		assert_true(c.eof);
		client_close(&c);
	}
	an_ordinary_client_still_works();
}

static void hostile_stanzas_get_their_error(void **state)
{
	static char deep[800], big[300000];
	const struct {
		const char *bytes;
		const char *error;
	} cases[] = {
		{"<message from='romeo@localhost'/>", ERR_("invalid-from")},
		{"<message to='romeo@localhost'><body>&lol;</body></message>",
		 ERR_("restricted-xml")},
		{"<message><!-- x --></message>", ERR_("restricted-xml")},
		{"<message><?x?></message>", ERR_("restricted-xml")},
		{"<message><![CDATA[x]]></message", NULL},
		{"<message><body>\xc0\x80</body></message>", ERR_("not-well-formed")},
		{"<message><y:body/></message>", ERR_("bad-namespace-prefix")},
		{"<foo/>", ERR_("unsupported-stanza-type")},
		{"</stream:streams>", ERR_("not-well-formed")},
		{"</message>", ERR_("not-well-formed")},
		{"<message xmlns='urn:other'/>", ERR_("unsupported-stanza-type")},
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
		 ERR_("unsupported-stanza-type")},
		{deep, ERR_("policy-violation")},
		{big, ERR_("policy-violation")},
	};

	(void)state;
	for (int i = 0; i < 200; i++)
		memcpy(deep + 3 * i, "<a>", 3);
	memset(big, 'a', sizeof(big) - 1);
	memcpy(big, "<message><body>", 15);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client c;

		client_open(&c);
		assert_true(client_login(&c));
		str_reset(&c.in);
		client_say(&c, cases[i].bytes);
		if (!cases[i].error) {
			client_close(&c);
			continue;
		}
		if (!client_wait(&c, cases[i].error) || !strstr(c.in.data, "</stream:stream>"))
			fail_msg("case %zu: %s", i, c.in.data);
		assert_false(client_wait(&c, NULL));
		assert_true(c.eof);
		client_close(&c);
	}
	an_ordinary_client_still_works();
}

static void stanzas_in_other_forms_arrive_in_one_form(void **state)
{
	static const struct {
		const char *bytes;
		const char *inner;
	} cases[] = {
		{"<c:message xmlns:c='jabber:client'><c:body>1</c:body></c:message>",
		 "inner=<body>1</body>"},
		{"<message xmlns='jabber:client'><body "
		 "xmlns='jabber:client'>echo2</body></message>",
		 "inner=<body>echo2</body>"},
		{"<message><body><![CDATA[<3>]]></body></message>", "3"},
	};
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		client_say(&c, cases[i].bytes);
		assert_true(client_expect(&c, "<message><body>echo</body></message>", "echo<"));
	}
	client_close(&c);
}

static void wrong_passwords_end_after_three(void **state)
{
	static const char wrong[] = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
				    "mechanism='PLAIN'>AGp1bGlldAB3cm9uZw==</auth>";
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_tls(&c));
	assert_true(client_expect(&c, CLIENT_HEADER, "</stream:features>"));
	for (int i = 0; i < 3; i++)
		assert_true(client_expect(&c, wrong, "<not-authorized/>"));
	assert_true(client_wait(&c, ERR_("policy-violation")));
	client_close(&c);
}

static void the_router_can_close_a_stream(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	rig_do(RIG_CLOSE);
	assert_true(client_wait(&c, ERR_("conflict")));
	assert_non_null(strstr(c.in.data, "replaced"));
	assert_false(client_wait(&c, NULL));
	rig_wait(is_unbound, "UNBIND");
	assert_string_equal(rig.unbound, "closed");
	client_close(&c);
	an_ordinary_client_still_works();
}

static void a_stop_says_system_shutdown_and_ends(void **state)
{
	struct client a, b;

	(void)state;
	client_open(&a);
	assert_true(client_login(&a));
	client_open(&b);
	assert_true(client_expect(&b, CLIENT_HEADER, "</stream:features>"));
	rig_do(RIG_DRAIN);
	assert_true(client_wait(&a, ERR_("system-shutdown")));
	assert_true(client_wait(&b, ERR_("system-shutdown")));
	client_close(&a);
	client_close(&b);
	pthread_join(rig.thread, NULL);
	assert_true(rig.proc.drained);
	assert_string_equal(rig.unbound, "system-shutdown");
	check(pthread_create(&rig.thread, NULL, rig_thread, NULL) == 0);
	rig.proc.drained = false;
}

static void strangers_are_limited_per_address(void **state)
{
	struct client c[4];

	(void)state;
	for (int i = 0; i < 3; i++) {
		client_open(&c[i]);
		assert_true(client_expect(&c[i], CLIENT_HEADER, "</stream:features>"));
	}
	client_open(&c[3]);
	assert_true(client_wait(&c[3], ERR_("policy-violation")));
	assert_non_null(strstr(c[3].in.data, "too many connections of your address"));
	for (int i = 0; i < 4; i++)
		client_close(&c[i]);
	usleep(50000);
	an_ordinary_client_still_works();
}

static void who_does_not_start_tls_in_time_is_closed(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_wait(&c, ERR_("connection-timeout")));
	assert_false(client_wait(&c, NULL));
	client_close(&c);
}

static void who_is_silent_too_long_is_closed(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	for (int i = 0; i < 4; i++) { /* white space is a sign of life */
		usleep(400000);
		client_say(&c, " ");
	}
	assert_true(client_expect(&c, "<message><body>echo</body></message>", "echo"));
	assert_true(client_wait(&c, ERR_("connection-timeout")));
	client_close(&c);
}

static void a_silent_client_is_sent_a_space(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	str_reset(&c.in);
	assert_true(client_wait(&c, "  "));
	assert_string_equal(c.in.data, "  ");
	client_close(&c);
}

static bool all_have_come(void)
{
	return rig.stanzas == 400;
}

static void a_client_is_read_no_further_than_its_share(void **state)
{
	struct client c;
	char stanza[1200];
	unsigned int seen;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	pthread_mutex_lock(&rig.lock);
	rig.settles = false;
	pthread_mutex_unlock(&rig.lock);
	memset(stanza, 0, sizeof(stanza));
	snprintf(stanza, sizeof(stanza), "<message to='a@localhost'><body>%01000d</body></message>",
		 1);
	for (int i = 0; i < 400; i++)
		client_say(&c, stanza);
	usleep(300000);
	pthread_mutex_lock(&rig.lock);
	seen = rig.stanzas;
	pthread_mutex_unlock(&rig.lock);
	assert_in_range(seen, 15, 17);
	rig_do(RIG_SETTLE);
	rig_wait(all_have_come, "the rest of the stanzas");
	assert_non_null(strstr(rig.last, "n=400 "));
	client_close(&c);
}

static int start_with_little_room(void **state)
{
	struct config *cfg = config_defaults();

	(void)state;
	cfg->limit_unsettled = 32768; /* of all clients of the process */
	rig_start(cfg);
	return 0;
}

static bool all_of_both_have_come(void)
{
	return rig.stanzas == 41;
}

static void all_clients_together_are_read_no_further_than_their_share(void **state)
{
	struct client other, c;
	char stanza[1200];
	unsigned int seen;

	(void)state;
	client_open(&other);
	assert_true(client_login(&other));
	client_open(&c);
	assert_true(client_login(&c));
	pthread_mutex_lock(&rig.lock);
	rig.settles = false;
	pthread_mutex_unlock(&rig.lock);
	snprintf(stanza, sizeof(stanza), "<message to='a@localhost'><body>%01000d</body></message>",
		 1);
	for (int i = 0; i < 40; i++)
		client_say(&c, stanza);
	usleep(200000);
	client_say(&other, "<presence/>");
	usleep(200000);
	pthread_mutex_lock(&rig.lock);
	seen = rig.stanzas;
	pthread_mutex_unlock(&rig.lock);
	assert_in_range(seen, 29, 32); /* the last of them reaches the limit; none of the other */
	rig_do(RIG_SETTLE);
	rig_wait(all_of_both_have_come, "the rest of the stanzas");
	client_close(&c);
	client_close(&other);
}

static void a_client_that_does_not_read_is_closed(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	rig_do(RIG_FLOOD);
	rig_wait(is_unbound, "UNBIND");
	assert_string_equal(rig.unbound, "policy-violation");
	assert_true(rig.delivered_q < 200);
	client_close(&c);
	an_ordinary_client_still_works();
}

int main(void)
{
#define D(f) cmocka_unit_test_setup_teardown(f, start_default, stop)
#define T(f) cmocka_unit_test_setup_teardown(f, start_strict, stop)
	const struct CMUnitTest tests[] = {
		D(stanzas_pass_with_their_envelope_and_delivery_is_reported),
		D(direct_tls_works_on_the_same_port),
		D(bytes_may_come_one_at_a_time),
		D(a_client_may_send_ahead_after_tls),
		D(hostile_bytes_before_tls_get_their_error),
		D(hostile_stanzas_get_their_error),
		D(stanzas_in_other_forms_arrive_in_one_form),
		D(wrong_passwords_end_after_three),
		D(the_router_can_close_a_stream),
		D(a_stop_says_system_shutdown_and_ends),
		T(strangers_are_limited_per_address),
		T(who_does_not_start_tls_in_time_is_closed),
		T(who_is_silent_too_long_is_closed),
		cmocka_unit_test_setup_teardown(a_silent_client_is_sent_a_space,
						start_with_keepalive, stop),
		T(a_client_is_read_no_further_than_its_share),
		cmocka_unit_test_setup_teardown(
			all_clients_together_are_read_no_further_than_their_share,
			start_with_little_room, stop),
		T(a_client_that_does_not_read_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
