/*
 * What a connection knows of bytes that have left the machine (SIOCOUTQ): a TCP peer that reads
 * when the test wants it to, in clear and inside TLS.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
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

#define SMALL 4096 /* the peer's receive buffer */
#define LARGE 200000

struct rig {
	struct loop *loop;
	struct loop_timer *tick;
	struct conn_set *set;
	struct conn *conn;
	struct tls_ctx *tls;
	int peer;
	SSL_CTX *client_ctx;
	SSL *client;
	bool reads;
	size_t got;
	uint64_t written; /* of on_written, and what conn_sent() was then */
	uint64_t sent;
	bool closed;
	unsigned int turns;
	bool (*until)(struct rig *r);
};

static void on_bytes(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
}

static void on_secure(void *arg)
{
	(void)arg;
}

static void on_written(void *arg, uint64_t total)
{
	struct rig *r = arg;

	r->written = total;
	r->sent = conn_sent(r->conn);
}

static void on_closed(void *arg, const char *reason)
{
	struct rig *r = arg;

	(void)reason;
	r->closed = true;
}

static const struct conn_events events = {on_bytes, on_secure, on_written, on_closed};

static void peer_turn(struct rig *r)
{
	char buf[65536];
	ssize_t n;

	if (r->client && !SSL_is_init_finished(r->client)) {
		SSL_connect(r->client);
		return;
	}
	while (r->reads) {
		n = r->client ? SSL_read(r->client, buf, sizeof(buf))
			      : recv(r->peer, buf, sizeof(buf), MSG_DONTWAIT);
		if (n <= 0)
			return;
		r->got += (size_t)n;
	}
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
	loop_timer_stop(r->tick);
	if (r->turns > 3000)
		fail_msg("in vain: got %zu, written %llu, sent %llu, left %llu", r->got,
			 (unsigned long long)r->written, (unsigned long long)conn_sent(r->conn),
			 (unsigned long long)conn_left(r->conn));
}

static int connect_pair(int *peer)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int small = SMALL, fd, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);

	check(bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(listener, 1) == 0);
	check(getsockname(listener, (struct sockaddr *)&a, &len) == 0);
	*peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(setsockopt(*peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
	check(connect(*peer, (struct sockaddr *)&a, sizeof(a)) == 0);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	check(fd >= 0);
	close(listener);
	return fd;
}

static bool is_secure(struct rig *r)
{
	return conn_is_secure(r->conn) && SSL_is_init_finished(r->client);
}

static void rig_open(struct rig *r, bool tls)
{
	int fd;

	*r = (struct rig){.loop = loop_new()};
	r->tick = loop_timer_new(r->loop, on_tick, r);
	r->set = conn_set_new(r->loop);
	fd = connect_pair(&r->peer);
	r->conn = conn_new(r->set, fd, NULL, &events, r);
	if (!tls)
		return;
	struct cert_files files = cert_files_new("localhost", 30);
	struct tls_pair pair = {
		.cert_fd = files.cert, .key_fd = files.key, .cert_path = "c", .key_path = "k"};
	struct tls_config cfg = {.pairs = &pair, .npairs = 1};
	struct str why = STR_INIT;

	check(tls_ctx_new(&r->tls, &cfg, &why) == ERR_OK);
	cert_files_close(&files);
	str_clear(&why);
	conn_detect_tls(r->conn, r->tls);
	r->client_ctx = SSL_CTX_new(TLS_client_method());
	r->client = SSL_new(r->client_ctx);
	SSL_set_fd(r->client, r->peer);
	check(fcntl(r->peer, F_SETFL, O_NONBLOCK) == 0);
	run_until(r, is_secure);
}

static void rig_close(struct rig *r)
{
	SSL_free(r->client);
	SSL_CTX_free(r->client_ctx);
	close(r->peer);
	conn_free(&r->conn);
	conn_set_free(&r->set);
	tls_ctx_unref(&r->tls);
	loop_timer_free(&r->tick);
	loop_free(&r->loop);
}

static void write_large(struct rig *r)
{
	char *bytes = calloc(1, LARGE);

	check(bytes);
	memset(bytes, 'x', LARGE);
	conn_write(r->conn, bytes, LARGE);
	free(bytes);
}

static bool all_written(struct rig *r)
{
	return r->written == conn_queued(r->conn);
}

static bool all_left(struct rig *r)
{
	return conn_left(r->conn) >= r->sent;
}

static bool some_ticks(struct rig *r)
{
	return r->turns >= 30;
}

static void check_left(bool tls)
{
	struct rig r;
	uint64_t before;

	rig_open(&r, tls);
	before = conn_sent(r.conn);
	write_large(&r);
	run_until(&r, all_written);
	assert_true(conn_sent(r.conn) >= before + LARGE);
	assert_true(tls ? conn_sent(r.conn) > before + LARGE : conn_sent(r.conn) == LARGE);
	run_until(&r, some_ticks);
	assert_true(conn_left(r.conn) < r.sent); /* the peer's buffer is small and full */
	r.reads = true;
	run_until(&r, all_left);
	assert_int_equal(r.got, LARGE);
	rig_close(&r);
}

static void in_clear_bytes_have_left_when_the_peer_has_taken_them(void **state)
{
	(void)state;
	check_left(false);
}

static void inside_tls_raw_bytes_are_counted(void **state)
{
	(void)state;
	check_left(true);
}

/* The peer's kernel answers data at once and a FIN as well; but who has closed in between resets,
 * and then the FIN is never acknowledged: it must not hold back the bytes before it. */
static void the_fin_is_no_byte_of_ours(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, false);
	conn_write(r.conn, "last words", 10);
	conn_close(r.conn);
	assert_int_equal(r.written, 10);
	run_until(&r, all_left);
	assert_int_equal(conn_left(r.conn), 10);
	assert_int_equal(conn_sent(r.conn), 10);
	rig_close(&r);
}

/* With a full window the FIN waits behind the data: SIOCOUTQ then has one byte more. */
static void a_fin_that_waits_is_not_counted_either(void **state)
{
	struct rig r;
	uint64_t left;

	(void)state;
	rig_open(&r, false);
	write_large(&r);
	run_until(&r, all_written);
	run_until(&r, some_ticks);
	left = conn_left(r.conn);
	conn_close(r.conn);
	assert_int_equal(conn_left(r.conn), left);
	rig_close(&r);
}

static bool is_closed(struct rig *r)
{
	return r->closed;
}

static void a_reset_connection_still_says_what_had_left(void **state)
{
	struct linger reset = {.l_onoff = 1};
	struct rig r;
	uint64_t left;

	(void)state;
	rig_open(&r, false);
	write_large(&r);
	run_until(&r, all_written);
	run_until(&r, some_ticks);
	left = conn_left(r.conn);
	assert_true(left > 0 && left < LARGE);
	check(setsockopt(r.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
	close(r.peer);
	r.peer = socket(AF_INET, SOCK_STREAM, 0);
	run_until(&r, is_closed);
	assert_int_equal(conn_left(r.conn), left);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_clear_bytes_have_left_when_the_peer_has_taken_them),
		cmocka_unit_test(inside_tls_raw_bytes_are_counted),
		cmocka_unit_test(the_fin_is_no_byte_of_ours),
		cmocka_unit_test(a_fin_that_waits_is_not_counted_either),
		cmocka_unit_test(a_reset_connection_still_says_what_had_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
