/*
 * conn against a real peer: the other end of a socketpair, plain or an OpenSSL client in the same
 * thread. run_until() turns the loop until a condition holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include <cmocka.h>

#include "base/check.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/tls.h"
#include "tests/unit/net/certs.h"

struct rig {
	struct loop *loop;
	struct loop_timer *tick;
	struct conn_set *set;
	struct conn *conn;
	struct tls_ctx *tls;
	int peer;
	SSL_CTX *client_ctx;
	SSL *client;
	struct str got;	 /* by the conn */
	struct str back; /* by the peer */
	uint64_t written;
	unsigned int secured;
	unsigned int reads;
	unsigned int turns;
	char closed[80];
	bool peer_eof;
	bool free_on_bytes;
	bool (*until)(struct rig *r);
};

static void on_bytes(void *arg, const char *data, size_t len)
{
	struct rig *r = arg;

	r->reads++;
	str_add(&r->got, data, len);
	if (r->free_on_bytes)
		conn_free(&r->conn);
}

static void on_secure(void *arg)
{
	struct rig *r = arg;

	r->secured++;
}

static void on_written(void *arg, uint64_t total)
{
	struct rig *r = arg;

	r->written = total;
}

static void on_closed(void *arg, const char *reason)
{
	struct rig *r = arg;

	assert_string_equal(r->closed, ""); /* told once */
	snprintf(r->closed, sizeof(r->closed), "%s", reason);
}

static const struct conn_events events = {on_bytes, on_secure, on_written, on_closed};

/* The peer's turn: handshake, then read what is there. */
static void peer_turn(struct rig *r)
{
	char buf[4096];
	ssize_t n;

	if (r->client && !SSL_is_init_finished(r->client)) {
		SSL_connect(r->client);
		return;
	}
	n = r->client ? SSL_read(r->client, buf, sizeof(buf)) : read(r->peer, buf, sizeof(buf));
	if (n > 0)
		str_add(&r->back, buf, (size_t)n);
	else if (r->client ? SSL_get_error(r->client, (int)n) == SSL_ERROR_ZERO_RETURN : n == 0)
		r->peer_eof = true;
}

static void on_tick(void *arg)
{
	struct rig *r = arg;

	peer_turn(r);
	if (r->until(r) || ++r->turns > 3000)
		loop_stop(r->loop);
}

static void run_until(struct rig *r, bool (*until)(struct rig *r))
{
	r->until = until;
	r->turns = 0;
	loop_timer_set(r->tick, 1, 1);
	loop_run(r->loop);
	if (r->turns > 3000)
		fail_msg("nothing came: got %zu, back %zu, closed '%s'", r->got.len, r->back.len,
			 r->closed);
}

static bool some_turns(struct rig *r)
{
	return r->turns >= 20;
}

static bool any_turn(struct rig *r)
{
	return r->turns > 0;
}

static bool is_secure(struct rig *r)
{
	return r->secured && SSL_is_init_finished(r->client);
}

static bool has_got(struct rig *r)
{
	return r->got.len >= 5;
}

static bool has_back(struct rig *r)
{
	return r->back.len >= 5;
}

static bool has_closed(struct rig *r)
{
	return r->closed[0];
}

static bool has_eof(struct rig *r)
{
	return r->peer_eof;
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct cert_files c = cert_files_new("localhost", 30);
	struct tls_pair pair = {
		.cert_fd = c.cert, .key_fd = c.key, .cert_path = "c", .key_path = "k"};
	struct tls_config cfg = {.pairs = &pair, .npairs = 1, .alpn = "xmpp-client"};
	struct str why = STR_INIT;
	int fds[2];

	r->loop = loop_new();
	r->tick = loop_timer_new(r->loop, on_tick, r);
	r->set = conn_set_new(r->loop);
	str_init(&r->got);
	str_init(&r->back);
	check(tls_ctx_new(&r->tls, &cfg, &why) == ERR_OK);
	cert_files_close(&c);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	r->peer = fds[1];
	r->conn = conn_new(r->set, fds[0], NULL, &events, r);
	r->client_ctx = SSL_CTX_new(TLS_client_method());
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	conn_free(&r->conn);
	SSL_free(r->client);
	SSL_CTX_free(r->client_ctx);
	close(r->peer);
	tls_ctx_unref(&r->tls);
	conn_set_free(&r->set);
	loop_timer_free(&r->tick);
	loop_free(&r->loop);
	str_clear(&r->got);
	str_clear(&r->back);
	free(r);
	return 0;
}

static void client_tls(struct rig *r)
{
	r->client = SSL_new(r->client_ctx);
	SSL_set_fd(r->client, r->peer);
	SSL_set_connect_state(r->client);
}

static void say(struct rig *r, const void *data, size_t len)
{
	check(write(r->peer, data, len) == (ssize_t)len);
}

static void plain_bytes_pass_both_ways(void **state)
{
	struct rig *r = *state;

	conn_detect_tls(r->conn, r->tls);
	say(r, "<a/> ", 5);
	run_until(r, has_got);
	assert_string_equal(r->got.data, "<a/> ");
	conn_write(r->conn, "<b", 2);
	conn_write(r->conn, "/> ", 3);
	assert_int_equal(conn_queued(r->conn), 5);
	assert_int_equal(conn_written(r->conn), 0);
	run_until(r, has_back);
	assert_string_equal(r->back.data, "<b/> ");
	assert_int_equal(r->written, 5);
	assert_int_equal(conn_backlog(r->conn), 0);
	assert_false(conn_is_secure(r->conn));
}

static void a_first_byte_of_22_is_direct_tls(void **state)
{
	struct rig *r = *state;
	size_t len;

	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	SSL_set_alpn_protos(r->client, (const unsigned char *)"\2h2\13xmpp-client", 15);
	run_until(r, is_secure);
	assert_true(conn_was_direct(r->conn));
	assert_string_equal(conn_tls_version(r->conn), "TLSv1.3");
	assert_memory_equal(conn_alpn(r->conn, &len), "xmpp-client", 11);
	assert_int_equal(len, 11);
	assert_int_equal(SSL_write(r->client, "hello", 5), 5);
	run_until(r, has_got);
	assert_string_equal(r->got.data, "hello");
	conn_write(r->conn, "world", 5);
	run_until(r, has_back);
	assert_string_equal(r->back.data, "world");
}

static void a_client_of_another_protocol_is_refused_by_alpn(void **state)
{
	struct rig *r = *state;

	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	SSL_set_alpn_protos(r->client, (const unsigned char *)"\2h2", 3);
	run_until(r, has_closed);
	assert_int_equal(r->secured, 0);
}

static void starttls_follows_what_was_written_before(void **state)
{
	struct rig *r = *state;

	conn_write(r->conn, "<ok/>", 5);
	conn_start_tls(r->conn, r->tls, slice_str(""));
	while (!has_back(r))
		peer_turn(r);
	assert_string_equal(r->back.data, "<ok/>");
	client_tls(r);
	run_until(r, is_secure);
	assert_false(conn_was_direct(r->conn));
	assert_int_equal(SSL_write(r->client, "hello", 5), 5);
	run_until(r, has_got);
}

static void plain_bytes_instead_of_a_handshake_end_it(void **state)
{
	struct rig *r = *state;

	conn_start_tls(r->conn, r->tls, slice_str(""));
	say(r, "<message/>", 10);
	run_until(r, has_closed);
	assert_int_equal(r->got.len, 0);
	assert_int_equal(r->secured, 0);
}

/* The first record says that the ClientHello has 128 KB, 15 more bring some of it. */
static void a_client_hello_above_16_kb_is_not_waited_for(void **state)
{
	struct rig *r = *state;
	unsigned char record[5 + 2048] = {0x16, 3, 1, 2048 >> 8, 0, 1, 1, 0xff, 0};

	conn_start_tls(r->conn, r->tls, slice_str(""));
	for (int i = 0; i < 16; i++) {
		say(r, record, sizeof(record));
		memset(record + 5, 0, 4);
		run_until(r, i < 7 ? some_turns : i < 15 ? any_turn : has_closed);
		assert_true(i >= 7 || !r->closed[0]);
	}
	assert_string_equal(r->closed, "the ClientHello is larger than 16384 bytes");
}

static void a_client_hello_in_several_records_is_taken(void **state)
{
	struct rig *r = *state;
	unsigned char protocols[1212];

	/* A hundred others before ours. */
	for (size_t i = 0; i < 1200; i += 12)
		memcpy(protocols + i, "\13not-for-you", 12);
	memcpy(protocols + 1200, "\13xmpp-client", 12);
	conn_start_tls(r->conn, r->tls, slice_str(""));
	client_tls(r);
	assert_int_equal(SSL_set_alpn_protos(r->client, protocols, sizeof(protocols)), 0);
	assert_int_equal(SSL_set_max_send_fragment(r->client, 512), 1);
	run_until(r, is_secure);
}

static void channel_bindings_are_those_of_the_client(void **state)
{
	struct rig *r = *state;
	unsigned char here[CONN_BINDING_MAX], there[CONN_BINDING_MAX];
	size_t len;

	assert_int_equal(conn_binding_exporter(r->conn, here), 0);
	assert_int_equal(conn_binding_unique(r->conn, here), 0);
	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	run_until(r, is_secure);
	SSL_export_keying_material(r->client, there, 32, "EXPORTER-Channel-Binding", 24,
				   (const unsigned char *)"", 0, 1);
	assert_int_equal(conn_binding_exporter(r->conn, here), 32);
	assert_memory_equal(here, there, 32);
	len = SSL_get_finished(r->client, there, sizeof(there));
	assert_int_equal(conn_binding_unique(r->conn, here), len);
	assert_memory_equal(here, there, len);
}

/* RFC 5929 4.1: certs.h signs with SHA-256. */
static void the_end_point_binding_is_the_digest_of_the_certificate_shown(void **state)
{
	struct rig *r = *state;
	unsigned char here[CONN_BINDING_MAX], there[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	X509 *cert;

	assert_int_equal(conn_binding_end_point(r->conn, here), 0);
	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	run_until(r, is_secure);
	cert = SSL_get1_peer_certificate(r->client);
	assert_int_equal(X509_digest(cert, EVP_sha256(), there, &len), 1);
	X509_free(cert);
	assert_int_equal(conn_binding_end_point(r->conn, here), len);
	assert_memory_equal(here, there, len);
}

static void tls_1_2_has_both_bindings(void **state)
{
	struct rig *r = *state;
	unsigned char here[CONN_BINDING_MAX], there[CONN_BINDING_MAX];
	size_t len;

	SSL_CTX_set_max_proto_version(r->client_ctx, TLS1_2_VERSION);
	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	run_until(r, is_secure);
	assert_string_equal(conn_tls_version(r->conn), "TLSv1.2");
	len = SSL_get_finished(r->client, there, sizeof(there));
	assert_true(len > 0);
	assert_int_equal(conn_binding_unique(r->conn, here), len);
	assert_memory_equal(here, there, len);
	assert_int_equal(conn_binding_exporter(r->conn, here), 32);
}

static void tls_1_1_is_refused(void **state)
{
	struct rig *r = *state;

	SSL_CTX_set_min_proto_version(r->client_ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(r->client_ctx, TLS1_1_VERSION);
	SSL_CTX_set_security_level(r->client_ctx, 0);
	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	run_until(r, has_closed);
	assert_int_equal(r->secured, 0);
}

static void much_output_is_written_in_order_as_the_peer_reads(void **state)
{
	struct rig *r = *state;
	size_t total = 3 * 1024 * 1024;
	char *data = malloc(total);
	int small = 8192;

	for (size_t i = 0; i < total; i++)
		data[i] = (char)(i * 7919 >> 5);
	setsockopt(r->peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	run_until(r, is_secure);
	conn_write(r->conn, data, total);
	run_until(r, some_turns);
	assert_true(r->written > 0 && r->written < total);
	assert_int_equal(conn_backlog(r->conn), total - r->written);
	while (r->back.len < total) {
		size_t before = r->back.len;

		for (int i = 0; i < 8; i++)
			peer_turn(r);
		if (r->back.len == before)
			run_until(r, some_turns);
	}
	assert_memory_equal(r->back.data, data, total);
	run_until(r, some_turns);
	assert_int_equal(r->written, total);
	free(data);
}

static void a_paused_connection_leaves_the_bytes_where_they_are(void **state)
{
	struct rig *r = *state;

	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	run_until(r, is_secure);
	conn_pause(r->conn, true);
	assert_int_equal(SSL_write(r->client, "first", 5), 5);
	assert_int_equal(SSL_write(r->client, "again", 5), 5);
	run_until(r, some_turns);
	assert_int_equal(r->got.len, 0);
	conn_pause(r->conn, false);
	run_until(r, some_turns);
	assert_string_equal(r->got.data, "firstagain");
}

static void pause_inside_a_read(void *arg, const char *data, size_t len)
{
	struct rig *r = arg;

	on_bytes(arg, data, len);
	conn_pause(r->conn, true);
}

static void records_read_ahead_are_not_forgotten_by_a_pause(void **state)
{
	static const struct conn_events pausing = {pause_inside_a_read, on_secure, on_written,
						   on_closed};
	struct rig *r = *state;
	int fds[2];

	conn_free(&r->conn);
	close(r->peer);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	r->peer = fds[1];
	r->conn = conn_new(r->set, fds[0], NULL, &pausing, r);
	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	run_until(r, is_secure);
	for (int i = 0; i < 3; i++)
		assert_int_equal(SSL_write(r->client, "block", 5), 5);
	for (size_t i = 1; i <= 3; i++) {
		run_until(r, some_turns);
		assert_int_equal(r->got.len, 5 * i); /* one record for each time it may read */
		conn_pause(r->conn, false);
	}
}

static void closing_lets_the_last_bytes_through(void **state)
{
	struct rig *r = *state;

	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	run_until(r, is_secure);
	assert_int_equal(SSL_write(r->client, "still talking", 13), 13);
	conn_write(r->conn, "<end/>", 6);
	conn_close(r->conn);
	conn_write(r->conn, "too late", 8);
	run_until(r, has_eof); /* close_notify, not just FIN */
	assert_string_equal(r->back.data, "<end/>");
	assert_string_equal(r->closed, "");
	assert_int_equal(r->got.len, 0);
	assert_int_equal(r->written, 6);
	SSL_shutdown(r->client);
	shutdown(r->peer, SHUT_WR);
	run_until(r, has_closed);
	assert_string_equal(r->closed, "closed");
}

static void closing_before_the_handshake_says_nothing_in_the_clear(void **state)
{
	struct rig *r = *state;
	char byte = 0x16;

	conn_detect_tls(r->conn, r->tls);
	say(r, &byte, 1);
	run_until(r, some_turns);
	conn_write(r->conn, "secret", 6);
	conn_close(r->conn);
	run_until(r, has_eof);
	assert_int_equal(r->back.len, 0);
}

static void the_peers_end_is_told_once_with_its_reason(void **state)
{
	struct rig *r = *state;

	say(r, "hello", 5);
	shutdown(r->peer, SHUT_WR);
	run_until(r, has_closed);
	assert_string_equal(r->got.data, "hello");
	assert_string_equal(r->closed, "closed by the peer");
}

static void a_connection_may_be_freed_in_its_own_callback(void **state)
{
	struct rig *r = *state;

	r->free_on_bytes = true;
	conn_detect_tls(r->conn, r->tls);
	client_tls(r);
	run_until(r, is_secure);
	SSL_write(r->client, "hello", 5);
	run_until(r, has_got);
	assert_null(r->conn);
	run_until(r, some_turns);
}

static void addresses_are_told_as_text(void **state)
{
	struct rig *r = *state;

	assert_string_equal(conn_addr(r->conn), "local");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(plain_bytes_pass_both_ways),
		T(a_first_byte_of_22_is_direct_tls),
		T(a_client_of_another_protocol_is_refused_by_alpn),
		T(starttls_follows_what_was_written_before),
		T(plain_bytes_instead_of_a_handshake_end_it),
		T(a_client_hello_above_16_kb_is_not_waited_for),
		T(a_client_hello_in_several_records_is_taken),
		T(channel_bindings_are_those_of_the_client),
		T(the_end_point_binding_is_the_digest_of_the_certificate_shown),
		T(tls_1_2_has_both_bindings),
		T(tls_1_1_is_refused),
		T(much_output_is_written_in_order_as_the_peer_reads),
		T(a_paused_connection_leaves_the_bytes_where_they_are),
		T(records_read_ahead_are_not_forgotten_by_a_pause),
		T(closing_lets_the_last_bytes_through),
		T(closing_before_the_handshake_says_nothing_in_the_clear),
		T(the_peers_end_is_told_once_with_its_reason),
		T(a_connection_may_be_freed_in_its_own_callback),
		T(addresses_are_told_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
