/*
 * Two libstrophe clients with its own XEP-0198 talk to each other while services are restarted:
 * after `supervisor restart cm-client` both resume by themselves, nothing comes twice or overtakes
 * and neither sees the other leave; `supervisor restart router` closes no connection and nothing is
 * missing.
 *
 * What may be missing after a resume is the client's own loss: libstrophe 0.12.2 also counts <r/>
 * and <a/> when it numbers its queue, so <resumed h/> makes it drop stanzas that were never taken
 * (libstrophe issue 222). test_restart.py and the ledger count with clients that can.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <unistd.h>

#include "base/monotime.h"
#include "base/str.h"
#include "base/xmem.h"
#include "tests/support/instance.h"

#define LIMIT_MS 20000
#define RESTARTS 3
#define TALK_MS	 400 /* between restarts */
#define PACE_MS	 5   /* between two messages of one */
#define FLAGS	 XMPP_CONN_FLAG_MANDATORY_TLS
#define JULIET	 "juliet@localhost"
#define ROMEO	 "romeo@localhost"

struct client {
	xmpp_conn_t *conn;
	struct client *other;
	bool online, leaving;
	unsigned int connects;	  /* sessions begun or resumed */
	unsigned int closes;	  /* connections that ended */
	unsigned int sent;	  /* messages, numbered */
	unsigned int got;	  /* the next number to come */
	unsigned int missing;	  /* numbers left out */
	unsigned int wrong;	  /* messages that came twice, or behind later ones, or as errors */
	unsigned int unavailable; /* times the other was seen to leave */
	unsigned int available;
	char *bound;
};

static struct instance *instance;
static xmpp_ctx_t *ctx;

static void dial(struct client *c);

static void on_conn(xmpp_conn_t *conn, xmpp_conn_event_t event, int error,
		    xmpp_stream_error_t *stream_error, void *arg)
{
	struct client *c = arg;

	(void)error;
	(void)stream_error;
	if (event != XMPP_CONN_CONNECT) {
		if (c->online)
			c->closes++;
		c->online = false;
		if (!c->leaving)
			dial(c);
		return;
	}
	if (c->connects++ == 0)
		c->bound = xstrdup(xmpp_conn_get_bound_jid(conn));
	else
		c->online = true;
}

/* libstrophe 0.12 says that it is connected before <enabled/> is there and does not count what it
 * sends until then, which the server does (XEP-0198 section 4): a resume would lose a message. */
static int on_enabled(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
	struct client *c = arg;
	xmpp_stanza_t *presence = xmpp_presence_new(ctx);

	(void)stanza;
	c->online = true;
	xmpp_send(conn, presence);
	xmpp_stanza_release(presence);
	return 1;
}

static void dial(struct client *c)
{
	assert_int_equal(
		xmpp_connect_client(c->conn, "127.0.0.1", instance_port(instance), on_conn, c),
		XMPP_EOK);
}

static int on_message(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
	struct client *c = arg;
	char *body = xmpp_message_get_body(stanza);
	const char *type = xmpp_stanza_get_type(stanza);
	unsigned int number = body ? (unsigned int)strtoul(body, NULL, 10) : 0;

	(void)conn;
	if (!body || strcmp(type ? type : "", "chat") != 0 || number < c->got) {
		c->wrong++;
	} else {
		c->missing += number - c->got;
		c->got = number + 1;
	}
	if (body)
		xmpp_free(ctx, body);
	return 1;
}

static int on_presence(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
	struct client *c = arg;
	const char *type = xmpp_stanza_get_type(stanza);
	const char *from = xmpp_stanza_get_from(stanza);

	(void)conn;
	if (!from || !c->other->bound || strcmp(from, c->other->bound) != 0)
		return 1;
	if (!type)
		c->available++;
	else if (strcmp(type, "unavailable") == 0)
		c->unavailable++;
	return 1;
}

static void open_client(struct client *c, struct client *other, const char *jid)
{
	*c = (struct client){.conn = xmpp_conn_new(ctx), .other = other};
	xmpp_conn_set_jid(c->conn, jid);
	xmpp_conn_set_pass(c->conn, "secret");
	xmpp_conn_set_flags(c->conn, FLAGS);
	xmpp_conn_set_cafile(c->conn, instance_ca(instance));
	xmpp_handler_add(c->conn, on_enabled, "urn:xmpp:sm:3", "enabled", NULL, c);
	xmpp_handler_add(c->conn, on_message, NULL, "message", NULL, c);
	xmpp_handler_add(c->conn, on_presence, NULL, "presence", NULL, c);
	dial(c);
}

static bool both_online(const struct client *pair)
{
	return pair[0].online && pair[1].online;
}

/* Two resources of one account see each other's presence without any subscription. */
static bool both_seen(const struct client *pair)
{
	return pair[0].available && pair[1].available;
}

static bool both_have_all(const struct client *pair)
{
	return pair[0].got >= pair[1].sent && pair[1].got >= pair[0].sent;
}

static bool both_gone(const struct client *pair)
{
	return !pair[0].online && !pair[1].online;
}

static bool wait_until(bool (*done)(const struct client *pair), const struct client *pair)
{
	struct monotime end = monotime_add_ms(monotime_now(), LIMIT_MS);

	while (!done(pair) && monotime_before(monotime_now(), end))
		xmpp_run_once(ctx, 5);
	return done(pair);
}

static void say(struct client *c)
{
	xmpp_stanza_t *message = xmpp_message_new(ctx, "chat", c->other->bound, NULL);
	struct str body = STR_INIT;

	str_addf(&body, "%u", c->sent++);
	xmpp_message_set_body(message, body.data);
	xmpp_send(c->conn, message);
	xmpp_stanza_release(message);
	str_clear(&body);
}

struct restart {
	const char *service;
	int code;
	atomic_bool done;
};

static void *run_restart(void *arg)
{
	struct restart *r = arg;
	const char *args[] = {"restart", r->service, NULL};

	r->code = instance_run(instance, "supervisor", args, NULL);
	r->done = true;
	return NULL;
}

/* Both talk, while they are online, for so long and until *done (may be NULL). */
static void talk(struct client *pair, unsigned int ms, const atomic_bool *done)
{
	struct monotime end = monotime_add_ms(monotime_now(), ms);
	struct monotime next = monotime_now();

	while (monotime_before(monotime_now(), end) || (done && !*done)) {
		if (!monotime_before(monotime_now(), next)) {
			next = monotime_add_ms(monotime_now(), PACE_MS);
			for (int i = 0; i < 2; i++)
				if (pair[i].online)
					say(&pair[i]);
		}
		xmpp_run_once(ctx, 2);
	}
}

static void restart_while_they_talk(struct client *pair, const char *service)
{
	struct restart r = {.service = service};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run_restart, &r), 0);
	talk(pair, TALK_MS, &r.done);
	pthread_join(thread, NULL);
	assert_int_equal(r.code, 0);
}

static void close_both(struct client *pair)
{
	for (int i = 0; i < 2; i++) {
		pair[i].leaving = true;
		xmpp_disconnect(pair[i].conn);
	}
	assert_true(wait_until(both_gone, pair));
	for (int i = 0; i < 2; i++) {
		xmpp_conn_release(pair[i].conn);
		free(pair[i].bound);
	}
}

/* Each with an account of its own: what a client leaves unacknowledged waits for its next login. */
static void restarts_of(const char *service, const char *account, unsigned int closes)
{
	struct client pair[2];
	char jid[64];

	snprintf(jid, sizeof(jid), "%s/balcony", account);
	open_client(&pair[0], &pair[1], jid);
	snprintf(jid, sizeof(jid), "%s/orchard", account);
	open_client(&pair[1], &pair[0], jid);
	assert_true(wait_until(both_online, pair));
	assert_true(wait_until(both_seen, pair));
	talk(pair, TALK_MS, NULL);
	for (int i = 0; i < RESTARTS; i++) {
		restart_while_they_talk(pair, service);
		assert_true(wait_until(both_online, pair));
	}
	talk(pair, TALK_MS, NULL);
	if (!wait_until(both_have_all, pair))
		fail_msg("came %u of %u and %u of %u", pair[0].got, pair[1].sent, pair[1].got,
			 pair[0].sent);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pair[i].wrong, 0);
		if (closes == 0)
			assert_int_equal(pair[i].missing, 0);
		else if (pair[i].missing)
			print_message("libstrophe dropped %u of its messages\n", pair[i].missing);
		assert_int_equal(pair[i].got, pair[1 - i].sent);
		assert_int_equal(pair[i].closes, closes);
		assert_int_equal(pair[i].connects, closes + 1);
		assert_int_equal(pair[i].unavailable, 0);
		assert_true(pair[i].sent > 100);
	}
	close_both(pair);
}

static void libstrophe_resumes_by_itself_when_cm_client_is_restarted(void **state)
{
	(void)state;
	restarts_of("cm-client", JULIET, RESTARTS);
}

static void libstrophe_notices_nothing_when_the_router_is_restarted(void **state)
{
	(void)state;
	restarts_of("router", ROMEO, 0);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	xmpp_initialize();
	ctx = xmpp_ctx_new(NULL,
			   xmpp_get_default_logger(getenv("STROPHE_DEBUG") ? XMPP_LEVEL_DEBUG
									   : XMPP_LEVEL_ERROR));
	instance = instance_new();
	if (!instance || instance_add_user(instance, JULIET, "secret") != 0 ||
	    instance_add_user(instance, ROMEO, "secret") != 0)
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
		cmocka_unit_test(libstrophe_resumes_by_itself_when_cm_client_is_restarted),
		cmocka_unit_test(libstrophe_notices_nothing_when_the_router_is_restarted),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
