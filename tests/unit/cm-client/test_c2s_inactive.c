/*
 * The whole service between a real socket and a scripted router: inactive clients (XEP-0352), bytes
 * a second, registration (XEP-0077).
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/monotime.h"
#include "tests/unit/cm-client/rig.h"

#define SM(element)  "<" element " xmlns='urn:xmpp:sm:3'/>"
#define CSI(element) "<" element " xmlns='urn:xmpp:csi:0'/>"
#define ECHO	     "<message to='romeo@localhost'><body>echo</body></message>"
#define ECHOED	     "<message from='romeo@localhost/y'><body>echo</body></message>"
#define PRESENCE     "<presence from='romeo@localhost/y'><show>away</show></presence>"

static int start(struct config *cfg)
{
	cfg->client_csi_stanzas = 5;
	rig_start(cfg);
	return 0;
}

static int start_default(void **state)
{
	(void)state;
	return start(config_defaults());
}

static int start_impatient(void **state)
{
	struct config *cfg = config_defaults();

	(void)state;
	cfg->client_csi_s = 1;
	cfg->client_ack_timeout_s = 1;
	return start(cfg);
}

static int start_slow(void **state)
{
	struct config *cfg = config_defaults();

	(void)state;
	cfg->limit_bytes_per_second = 200000;
	cfg->limit_bytes_burst = 16384;
	return start(cfg);
}

static int start_open(void **state)
{
	struct config *cfg = config_defaults();

	(void)state;
	cfg->registration_enabled = true;
	cfg->registration_per_hour = 3;
	return start(cfg);
}

static int stop(void **state)
{
	(void)state;
	rig_stop();
	return 0;
}

static void presences(unsigned int n)
{
	pthread_mutex_lock(&rig.lock);
	rig.presences = n;
	pthread_mutex_unlock(&rig.lock);
	rig_do(RIG_PRESENCES);
}

static unsigned int count(const struct client *c, const char *what)
{
	unsigned int n = 0;

	for (const char *p = c->in.data; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static uint64_t delivered(void)
{
	uint64_t q;

	pthread_mutex_lock(&rig.lock);
	q = rig.delivered_q;
	pthread_mutex_unlock(&rig.lock);
	return q;
}

/* A round trip: what was said before has been seen. "round" is answered by an element of the
 * stream, not by a delivery, which would be important. */
static void settle(struct client *c)
{
	assert_true(client_expect(c, SM("enable"), SM("enabled")));
}

static void inactive(struct client *c)
{
	client_open(c);
	assert_true(client_login(c));
	client_say(c, CSI("inactive"));
}

static void an_inactive_client_hears_of_presence_when_it_is_active(void **state)
{
	struct client c;

	(void)state;
	inactive(&c);
	presences(3);
	usleep(100000);
	assert_int_equal(delivered(), 0);
	str_reset(&c.in);
	client_say(&c, CSI("active"));
	assert_true(client_wait(&c, PRESENCE PRESENCE PRESENCE));
	assert_int_equal(count(&c, "<"), 3 * 4);
	for (int i = 0; i < 1000 && delivered() < 3; i++)
		usleep(5000);
	assert_int_equal(delivered(), 3);
	presences(1); /* at once */
	assert_true(client_wait(&c, PRESENCE PRESENCE PRESENCE PRESENCE));
	client_close(&c);
}

static void something_important_takes_what_waits_with_it_in_order(void **state)
{
	struct client c;

	(void)state;
	inactive(&c);
	presences(2);
	usleep(50000);
	str_reset(&c.in);
	client_say(&c, ECHO);
	assert_true(client_wait(&c, ECHOED));
	assert_string_equal(c.in.data, PRESENCE PRESENCE ECHOED);
	str_reset(&c.in);
	presences(1); /* it is inactive still */
	usleep(100000);
	client_say(&c, ECHO);
	assert_true(client_wait(&c, ECHOED));
	assert_string_equal(c.in.data, PRESENCE ECHOED);
	client_close(&c);
}

static void as_many_as_the_limit_are_written(void **state)
{
	struct client c;

	(void)state;
	inactive(&c);
	presences(4);
	usleep(100000);
	assert_int_equal(delivered(), 0);
	str_reset(&c.in);
	presences(1);
	assert_true(client_wait(&c, PRESENCE PRESENCE PRESENCE PRESENCE PRESENCE));
	client_close(&c);
}

static void they_do_not_wait_longer_than_the_limit(void **state)
{
	struct monotime begin;
	struct client c;

	(void)state;
	inactive(&c);
	begin = monotime_now();
	str_reset(&c.in);
	presences(2);
	assert_true(client_wait(&c, PRESENCE PRESENCE));
	assert_true(monotime_ms_between(begin, monotime_now()) >= 900);
	client_close(&c);
}

static void what_waits_before_enabled_is_not_counted(void **state)
{
	struct client c;

	(void)state;
	inactive(&c);
	presences(2);
	usleep(50000);
	settle(&c);
	assert_non_null(strstr(c.in.data, PRESENCE PRESENCE SM("enabled")));
	client_close(&c);
}

/* Not sent is not unacknowledged: no <r/> wakes the client, none is missed. */
static void r_is_not_asked_for_what_waits(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	settle(&c);
	client_say(&c, CSI("inactive"));
	assert_true(client_expect(&c, ECHO, SM("r")));
	str_reset(&c.in);
	presences(2);
	usleep(50000);
	client_say(&c, SM("a h='1'"));
	usleep(1500000); /* more than the time for an answer, and than the two wait */
	assert_true(client_wait(&c, PRESENCE PRESENCE SM("r")));
	assert_string_equal(c.in.data, PRESENCE PRESENCE SM("r"));
	client_say(&c, SM("a h='3'"));
	for (int i = 0; i < 1000 && delivered() < 3; i++)
		usleep(5000);
	assert_int_equal(delivered(), 3);
	assert_true(client_expect(&c, ECHO, SM("r")));
	client_close(&c);
}

static void what_waits_cannot_be_acknowledged(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_login(&c));
	settle(&c);
	client_say(&c, CSI("inactive"));
	assert_true(client_expect(&c, ECHO, SM("r")));
	presences(2);
	usleep(50000);
	assert_true(client_expect(&c, SM("a h='2'"), "</stream:stream>"));
	assert_non_null(strstr(c.in.data, "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='2' "
					  "send-count='1'/>"));
	client_close(&c);
}

/* Half of what a sender may have unsettled: here less than two presences. */
static void a_sender_is_not_held_up_by_inactive_receivers(void **state)
{
	struct client c;

	(void)state;
	inactive(&c);
	pthread_mutex_lock(&rig.lock);
	rig.sender = 42;
	pthread_mutex_unlock(&rig.lock);
	presences(1);
	usleep(50000);
	assert_int_equal(delivered(), 0);
	str_reset(&c.in);
	presences(1);
	assert_true(client_wait(&c, PRESENCE PRESENCE));
	client_close(&c);
}

static int start_with_little_room(void **state)
{
	struct config *cfg = config_defaults();

	(void)state;
	cfg->limit_unsettled = 4000; /* a quarter of it may wait: six presences */
	return start(cfg);
}

static void when_too_much_waits_in_all_the_oldest_is_written(void **state)
{
	struct client oldest, other;

	(void)state;
	inactive(&oldest);
	usleep(50000);
	presences(3);
	usleep(50000);
	inactive(&other);
	usleep(50000);
	presences(3);
	usleep(100000);
	assert_null(strstr(oldest.in.data, PRESENCE));
	presences(1); /* to the other one */
	assert_true(client_wait(&oldest, PRESENCE PRESENCE PRESENCE));
	str_reset(&other.in);
	client_say(&other, CSI("active"));
	assert_true(client_wait(&other, PRESENCE PRESENCE PRESENCE PRESENCE));
	assert_int_equal(count(&other, "<presence"), 4);
	client_close(&oldest);
	client_close(&other);
}

static int start_narrow(void **state)
{
	struct config *cfg = config_defaults();

	(void)state;
	cfg->limit_session_unsettled = 600; /* below what a file may say: two presences */
	return start(cfg);
}

static void resuming_makes_it_active_again(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	assert_true(client_authenticate(&c));
	assert_true(client_expect(&c, "<resume xmlns='urn:xmpp:sm:3' previd='rid' h='7'/>",
				  "kept</body></message>"));
	client_say(&c, CSI("inactive"));
	usleep(50000);
	presences(1);
	usleep(50000);
	assert_null(strstr(c.in.data, PRESENCE));
	client_close(&c); /* without a word */
	client_open(&c);
	assert_true(client_authenticate(&c));
	client_say(&c, CSI("inactive")); /* of the stream before it is resumed */
	assert_true(client_expect(&c, "<resume xmlns='urn:xmpp:sm:3' previd='rid' h='7'/>",
				  "kept</body></message>"));
	presences(1);
	assert_true(client_wait(&c, PRESENCE));
	client_close(&c);
}

static bool all_have_come(void)
{
	return rig.stanzas >= 400;
}

static void who_sends_too_fast_is_read_slowly_and_loses_nothing(void **state)
{
	struct client fast, other;
	char stanza[1200] = "";
	struct monotime begin = monotime_now();

	(void)state;
	client_open(&fast);
	assert_true(client_login(&fast));
	client_open(&other);
	assert_true(client_login(&other));
	snprintf(stanza, sizeof(stanza), "<message to='a@localhost'><body>%01000d</body></message>",
		 1);
	for (int i = 0; i < 399; i++)
		client_say(&fast, stanza);
	str_reset(&other.in);
	assert_true(client_expect(&other, ECHO, ECHOED)); /* served meanwhile */
	assert_true(rig.stanzas < 400);
	rig_wait(all_have_come, "the rest of the stanzas");
	/* 418 KB, of which 16 KB may come at once and at most 128 KB are owed at the end. */
	assert_true(monotime_ms_between(begin, monotime_now()) >= 1300);
	client_close(&fast);
	client_close(&other);
}

#define REGISTER(user, password)                                                  \
	"<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>" user \
	"</username><password>" password "</password></query></iq>"

static void secure(struct client *c)
{
	client_open(c);
	assert_true(client_expect(c, CLIENT_HEADER, "</stream:features>"));
	assert_null(strstr(c->in.data, "iq-register"));
	assert_true(client_expect(c, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
				  "<proceed"));
	assert_true(client_tls(c));
	assert_true(client_expect(c, CLIENT_HEADER, "</stream:features>"));
	assert_non_null(strstr(c->in.data, "<register xmlns='http://jabber.org/features/"
					   "iq-register'/>"));
}

static void set_status(enum err e)
{
	pthread_mutex_lock(&rig.lock);
	rig.account_status = e;
	pthread_mutex_unlock(&rig.lock);
}

static void an_account_is_registered_with_a_prepared_name_and_password(void **state)
{
	struct client c;

	(void)state;
	secure(&c);
	/* SASLprep (RFC 4013): soft hyphen goes, the ligature and the ordinal become letters. */
	assert_true(client_expect(&c, REGISTER("JULIET", "I\xc2\xadX\xc2\xaa"), "</iq>"));
	assert_string_equal(c.in.data, "<iq type='result' id='r' from='localhost'></iq>");
	assert_string_equal(rig.account, "juliet localhost IXa 1");
	client_close(&c);
}

static void what_the_store_says_is_told_and_attempts_of_an_address_are_limited(void **state)
{
	struct client c;

	(void)state;
	secure(&c);
	assert_true(client_expect(&c, REGISTER("a", "\xc2\xad"), "</iq>"));
	assert_non_null(strstr(c.in.data, "<not-acceptable "));
	set_status(ERR_CONFLICT);
	assert_true(client_expect(&c, REGISTER("a", "b"), "</iq>"));
	assert_non_null(strstr(c.in.data, "<error code='409' type='cancel'><conflict "));
	client_close(&c);
	secure(&c);
	set_status(ERR_NOSPACE);
	assert_true(client_expect(&c, REGISTER("a", "b"), "</iq>"));
	assert_non_null(strstr(c.in.data, "<error code='500' type='wait'><resource-constraint "));
	client_close(&c);
	secure(&c); /* the fourth, of three */
	set_status(ERR_OK);
	assert_true(client_expect(&c, REGISTER("a", "b"), "</iq>"));
	assert_non_null(strstr(c.in.data, "try again in an hour"));
	assert_true(client_expect(&c,
				  "<iq type='get' id='g'><query xmlns='jabber:iq:register'/>"
				  "</iq>",
				  "<password/></query></iq>"));
	client_close(&c);
}

static void who_goes_while_the_store_is_asked_does_no_harm(void **state)
{
	struct client c;

	(void)state;
	set_status(ERR_AGAIN); /* no answer */
	secure(&c);
	client_say(&c, REGISTER("a", "b"));
	usleep(50000);
	client_close(&c);
	set_status(ERR_OK);
	secure(&c);
	assert_true(client_expect(&c, REGISTER("c", "d"), "</iq>"));
	assert_string_equal(rig.account, "c localhost d 1");
	client_close(&c);
}

int main(void)
{
#define D(f, start) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		D(an_inactive_client_hears_of_presence_when_it_is_active, start_default),
		D(something_important_takes_what_waits_with_it_in_order, start_default),
		D(as_many_as_the_limit_are_written, start_default),
		D(they_do_not_wait_longer_than_the_limit, start_impatient),
		D(what_waits_before_enabled_is_not_counted, start_default),
		D(r_is_not_asked_for_what_waits, start_impatient),
		D(what_waits_cannot_be_acknowledged, start_default),
		D(a_sender_is_not_held_up_by_inactive_receivers, start_narrow),
		D(when_too_much_waits_in_all_the_oldest_is_written, start_with_little_room),
		D(resuming_makes_it_active_again, start_default),
		D(who_sends_too_fast_is_read_slowly_and_loses_nothing, start_slow),
		D(an_account_is_registered_with_a_prepared_name_and_password, start_open),
		D(what_the_store_says_is_told_and_attempts_of_an_address_are_limited, start_open),
		D(who_goes_while_the_store_is_asked_does_no_harm, start_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
