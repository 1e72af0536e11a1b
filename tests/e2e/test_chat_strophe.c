/*
 * Two libstrophe clients log in with STARTTLS, verify the certificate against the instance's CA and
 * chat in both directions; again after stop and start; wrong passwords and another CA are refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <unistd.h>

#include "base/monotime.h"
#include "base/str.h"
#include "base/xmem.h"
#include "tests/support/instance.h"

#define LIMIT_MS 60000

enum outcome { PENDING, ONLINE, REFUSED };

struct client {
	xmpp_conn_t *conn;
	enum outcome outcome;
	bool secured;
	char *from; /* of the last message */
	char *body;
	const char *wanted; /* only this one is counted: see send_chat() */
	unsigned int messages;
};

static struct instance *instance;
static xmpp_ctx_t *ctx;

static bool wait_until(bool (*done)(const struct client *c), const struct client *c)
{
	struct monotime end = monotime_add_ms(monotime_now(), LIMIT_MS);

	while (!done(c) && monotime_before(monotime_now(), end))
		xmpp_run_once(ctx, 10);
	return done(c);
}

static void on_conn(xmpp_conn_t *conn, xmpp_conn_event_t event, int error,
		    xmpp_stream_error_t *stream_error, void *arg)
{
	struct client *c = arg;

	(void)error;
	(void)stream_error;
	if (event == XMPP_CONN_CONNECT) {
		xmpp_stanza_t *presence = xmpp_presence_new(ctx);

		c->outcome = ONLINE;
		c->secured = xmpp_conn_is_secured(conn);
		xmpp_send(conn, presence);
		xmpp_stanza_release(presence);
	} else {
		c->outcome = REFUSED;
	}
}

static int on_message(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
	struct client *c = arg;
	char *body = xmpp_message_get_body(stanza);

	(void)conn;
	if (!body || !c->wanted || strcmp(body, c->wanted) != 0) {
		xmpp_free(ctx, body);
		return 1;
	}
	free(c->from);
	free(c->body);
	c->from = xstrdup(xmpp_stanza_get_from(stanza));
	c->body = xstrdup(body);
	xmpp_free(ctx, body);
	c->messages++;
	return 1;
}

static int on_bad_certificate(const xmpp_tlscert_t *cert, const char *why)
{
	(void)cert;
	(void)why;
	return 0;
}

static void open_client(struct client *c, const char *jid, const char *password, const char *ca,
			long flags)
{
	*c = (struct client){.conn = xmpp_conn_new(ctx)};
	xmpp_conn_set_jid(c->conn, jid);
	xmpp_conn_set_pass(c->conn, password);
	xmpp_conn_set_flags(c->conn, flags);
	xmpp_conn_set_cafile(c->conn, ca);
	xmpp_conn_set_certfail_handler(c->conn, on_bad_certificate);
	xmpp_handler_add(c->conn, on_message, NULL, "message", NULL, c);
	assert_int_equal(
		xmpp_connect_client(c->conn, "127.0.0.1", instance_port(instance), on_conn, c),
		XMPP_EOK);
}

static bool is_settled(const struct client *c)
{
	return c->outcome != PENDING;
}

static bool is_refused(const struct client *c)
{
	return c->outcome == REFUSED;
}

static void log_in(struct client *c, const char *jid, const char *password)
{
	open_client(c, jid, password, instance_ca(instance), XMPP_CONN_FLAG_MANDATORY_TLS);
	assert_true(wait_until(is_settled, c));
	assert_int_equal(c->outcome, ONLINE);
	assert_true(c->secured);
}

static void close_client(struct client *c)
{
	if (c->outcome != REFUSED) {
		xmpp_disconnect(c->conn);
		assert_true(wait_until(is_refused, c));
	}
	xmpp_conn_release(c->conn);
	free(c->from);
	free(c->body);
}

static bool has_message(const struct client *c)
{
	return c->messages > 0;
}

static void send_chat(struct client *from, struct client *to, const char *body)
{
	static unsigned int sent;
	xmpp_stanza_t *message =
		xmpp_message_new(ctx, "chat", xmpp_conn_get_bound_jid(to->conn), NULL);
	char text[128];

	/* libstrophe closes its stream without a last <a/>: what it had not acknowledged comes
	 * again at the next login (XEP-0198), so each message has a number. */
	snprintf(text, sizeof(text), "%s %u", body, ++sent);
	to->messages = 0;
	to->wanted = text;
	xmpp_message_set_body(message, text);
	xmpp_send(from->conn, message);
	xmpp_stanza_release(message);
	assert_true(wait_until(has_message, to));
	assert_int_equal(to->messages, 1);
	assert_string_equal(to->body, text);
	to->wanted = NULL;
	assert_string_equal(to->from, xmpp_conn_get_bound_jid(from->conn));
}

static void chat_both_ways(void)
{
	struct client juliet, romeo;

	log_in(&juliet, "juliet@localhost/balcony", "capulet");
	log_in(&romeo, "romeo@localhost/orchard", "montague");
	assert_string_equal(xmpp_conn_get_bound_jid(juliet.conn), "juliet@localhost/balcony");
	for (int i = 0; i < 20; i++) {
		send_chat(&juliet, &romeo, "art thou not <Romeo> & a Montague? \xc3\xa9");
		send_chat(&romeo, &juliet, "neither, fair maid, if either thee dislike");
	}
	close_client(&juliet);
	close_client(&romeo);
}

static void two_clients_chat_in_both_directions(void **state)
{
	(void)state;
	chat_both_ways();
}

static void they_chat_again_after_stop_and_start(void **state)
{
	(void)state;
	assert_int_equal(instance_stop(instance), 0);
	assert_int_equal(instance_start(instance), 0);
	chat_both_ways();
}

static void expect_refused(const char *password, const char *ca)
{
	struct client c;

	open_client(&c, "juliet@localhost/balcony", password, ca, XMPP_CONN_FLAG_MANDATORY_TLS);
	assert_true(wait_until(is_settled, &c));
	if (c.outcome == ONLINE) {
		close_client(&c);
		fail_msg("logged in");
	}
	close_client(&c);
}

static void a_wrong_password_is_refused(void **state)
{
	(void)state;
	expect_refused("montague", instance_ca(instance));
	expect_refused("", instance_ca(instance));
}

static void a_client_that_trusts_another_ca_does_not_log_in(void **state)
{
	char *ca = xasprintf("%s/other.pem", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	struct str command = STR_INIT;

	(void)state;
	str_addf(&command,
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
		 "-subj '/CN=other CA' -keyout /dev/null -out '%s' 2>/dev/null",
		 ca);
	assert_int_equal(system(command.data), 0);
	expect_refused("capulet", ca);
	unlink(ca);
	str_clear(&command);
	free(ca);
}

static void a_client_without_tls_is_refused(void **state)
{
	struct client c;

	(void)state;
	open_client(&c, "juliet@localhost/balcony", "capulet", instance_ca(instance),
		    XMPP_CONN_FLAG_DISABLE_TLS);
	assert_true(wait_until(is_settled, &c));
	assert_int_equal(c.outcome, REFUSED);
	close_client(&c);
}

static void direct_tls_on_the_same_port_works(void **state)
{
	struct client juliet;

	(void)state;
	open_client(&juliet, "juliet@localhost/direct", "capulet", instance_ca(instance),
		    XMPP_CONN_FLAG_LEGACY_SSL);
	assert_true(wait_until(is_settled, &juliet));
	assert_int_equal(juliet.outcome, ONLINE);
	send_chat(&juliet, &juliet, "to myself");
	close_client(&juliet);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	xmpp_initialize();
	ctx = xmpp_ctx_new(NULL, NULL);
	instance = instance_new();
	if (!instance || instance_add_user(instance, "juliet@localhost", "capulet") != 0 ||
	    instance_add_user(instance, "romeo@localhost", "montague") != 0)
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	instance_free(&instance);
	xmpp_ctx_free(ctx);
	xmpp_shutdown();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_clients_chat_in_both_directions),
		cmocka_unit_test(they_chat_again_after_stop_and_start),
		cmocka_unit_test(a_wrong_password_is_refused),
		cmocka_unit_test(a_client_that_trusts_another_ca_does_not_log_in),
		cmocka_unit_test(a_client_without_tls_is_refused),
		cmocka_unit_test(direct_tls_on_the_same_port_works),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
