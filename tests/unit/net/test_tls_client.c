/*
 * Two conns of ours on a socketpair: one a TLS server, one a TLS client that judges its
 * certificate.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "base/log.h"
#include "base/xmem.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/tls.h"
#include "net/tls_client.h"
#include "tests/unit/net/made_cert.h"

struct end {
	struct rig *rig;
	struct conn *conn;
	struct str got;
	unsigned int secured;
	char closed[256];
	bool cert_refused;
};

struct rig {
	struct loop *loop;
	struct loop_timer *guard;
	struct conn_set *set;
	struct end server, client;
	char ca_path[64];
	struct made ca, other_ca;
	bool echo;
	unsigned int events, wanted;
};

static void count(struct rig *r)
{
	if (++r->events == r->wanted)
		loop_stop(r->loop);
}

static void on_bytes(void *arg, const char *data, size_t len)
{
	struct end *e = arg;

	str_add(&e->got, data, len);
	if (e == &e->rig->server && e->rig->echo)
		conn_write(e->conn, data, len);
	if (e == &e->rig->client && e->got.len >= 5)
		count(e->rig);
}

static void on_secure(void *arg)
{
	struct end *e = arg;

	e->secured++;
	if (e == &e->rig->server && !e->rig->echo)
		conn_write(e->conn, "hello", 5);
	if (e == &e->rig->client && e->rig->echo)
		conn_write(e->conn, "hello", 5);
}

static void on_closed(void *arg, const char *reason)
{
	struct end *e = arg;

	snprintf(e->closed, sizeof(e->closed), "%s", reason);
	e->cert_refused = conn_cert_refused(e->conn);
	if (e == &e->rig->client)
		count(e->rig);
	else
		conn_free(&e->conn); /* so that the client hears of it */
}

static const struct conn_events events = {on_bytes, on_secure, NULL, on_closed};

static void on_guard(void *arg)
{
	(void)arg;
	fprintf(stderr, "nothing within 20 s\n");
	abort();
}

static int setup(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	struct str pem = STR_INIT;
	int fd;

	r->loop = loop_new();
	r->guard = loop_timer_new(r->loop, on_guard, r);
	r->set = conn_set_new(r->loop);
	r->server.rig = r->client.rig = r;
	str_init(&r->server.got);
	str_init(&r->client.got);
	r->ca = MADE_CA(.cn = "Test CA");
	r->other_ca = MADE_CA(.cn = "Other CA");
	snprintf(r->ca_path, sizeof(r->ca_path), "%s/rh-ca-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	fd = mkstemp(r->ca_path);
	made_pem(&pem, &r->ca);
	check(fd >= 0 && write(fd, pem.data, pem.len) == (ssize_t)pem.len);
	close(fd);
	str_clear(&pem);
	*state = r;
	return 0;
}

static void hang_up(struct rig *r)
{
	conn_free(&r->server.conn);
	conn_free(&r->client.conn);
	str_clear(&r->server.got);
	str_clear(&r->client.got);
	r->server = r->client = (struct end){.rig = r, .got = STR_INIT};
	r->events = 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	hang_up(r);
	conn_set_free(&r->set);
	loop_timer_free(&r->guard);
	loop_free(&r->loop);
	made_free(&r->ca);
	made_free(&r->other_ca);
	unlink(r->ca_path);
	free(r);
	return 0;
}

static int memory_file(const struct str *s)
{
	int fd = memfd_create("pem", MFD_CLOEXEC);

	check(fd >= 0 && write(fd, s->data, s->len) == (ssize_t)s->len);
	return fd;
}

static struct tls_ctx *server_ctx(const struct made *leaf, const struct made *chain)
{
	struct str cert = STR_INIT, key = STR_INIT, why = STR_INIT;
	struct tls_pair pair = {.cert_path = "c", .key_path = "k"};
	struct tls_config cfg = {.pairs = &pair, .npairs = 1, .alpn = "xmpp-server"};
	struct tls_ctx *t = NULL;

	made_pem(&cert, leaf);
	if (chain)
		made_pem(&cert, chain);
	made_key_pem(&key, leaf);
	pair.cert_fd = memory_file(&cert);
	pair.key_fd = memory_file(&key);
	if (tls_ctx_new(&t, &cfg, &why) != ERR_OK)
		fail_msg("%s", why.data);
	close(pair.cert_fd);
	close(pair.key_fd);
	str_clear(&cert);
	str_clear(&key);
	str_clear(&why);
	return t;
}

static struct tls_client *client_ctx(struct rig *r, bool verify)
{
	struct tls_client_config cfg = {.ca_file = r->ca_path, .no_verify = !verify};
	struct str why = STR_INIT;
	struct tls_client *t;

	assert_int_equal(tls_client_new(&t, &cfg, &why), ERR_OK);
	str_clear(&why);
	return t;
}

static void pair_of_conns(struct rig *r)
{
	int fds[2];

	hang_up(r);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	r->server.conn = conn_new(r->set, fds[0], NULL, &events, &r->server);
	r->client.conn = conn_new(r->set, fds[1], NULL, &events, &r->client);
}

static void run(struct rig *r, unsigned int wanted)
{
	r->wanted = r->events + wanted;
	loop_timer_set(r->guard, 20000, 0);
	loop_run(r->loop);
	loop_timer_stop(r->guard);
}

/* One connection for peer; true when bytes came through. */
static bool try(struct rig *r, const struct made *leaf, const struct tls_peer *peer, bool verify)
{
	struct tls_ctx *s = server_ctx(leaf, NULL);
	struct tls_client *c = client_ctx(r, verify);

	pair_of_conns(r);
	conn_detect_tls(r->server.conn, s);
	conn_start_tls_client(r->client.conn, c, peer);
	tls_ctx_unref(&s);
	tls_client_unref(&c);
	run(r, 1);
	return r->client.got.len == 5;
}

#define PEER(...)                                                                          \
	&(struct tls_peer)                                                                 \
	{                                                                                  \
		.server_name = "example.org", .names = (const char *const[]){__VA_ARGS__}, \
		.nnames = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)      \
	}

/* ---- */

static void bytes_pass_after_a_good_certificate(void **state)
{
	struct rig *r = *state;
	struct made leaf = MADE(.cn = "example.org", .issuer = &r->ca);

	for (int echo = 0; echo < 2; echo++) {
		r->echo = echo; /* else the server speaks first, with its last handshake bytes */
		assert_true(try(r, &leaf, PEER("example.org"), true));
		assert_string_equal(r->client.got.data, "hello");
		assert_int_equal(r->client.secured, 1);
		assert_true(conn_is_secure(r->client.conn));
		assert_true(conn_was_direct(r->client.conn));
		assert_string_equal(conn_tls_version(r->client.conn), "TLSv1.3");
		assert_false(conn_cert_refused(r->client.conn));
	}
	made_free(&leaf);
}

static void the_names_in_the_certificate_decide(void **state)
{
	static const struct {
		const char *san, *wanted, *service;
		bool good;
	} cases[] = {
		{"DNS:example.org", "example.org", NULL, true},
		{"DNS:EXAMPLE.org", "Example.ORG", NULL, true},
		{"DNS:a.example,DNS:example.org", "example.org", NULL, true},
		{"DNS:*.example.org", "im.example.org", NULL, true},
		{"DNS:*.example.org", "example.org", NULL, false},
		{"DNS:*.example.org", "a.b.example.org", NULL, false},
		{"DNS:i*.example.org", "im.example.org", NULL, false},
		{"DNS:*.org", "example.com", NULL, false},
		{"DNS:example.org.evil.example", "example.org", NULL, false},
		{"DNS:other.example", "example.org", NULL, false}, /* CN is example.org */
		{"IP:127.0.0.1", "127.0.0.1", NULL, true},
		{"DNS:127.0.0.1", "127.0.0.1", NULL, false},
		{"IP:::1", "::1", NULL, true},
		{"otherName:1.3.6.1.5.5.7.8.5;UTF8:example.org", "example.org", NULL, true},
		{"otherName:1.3.6.1.5.5.7.8.5;UTF8:example.com", "example.org", NULL, false},
		/* Names of DNS are in ASCII, that of XMPP is not. */
		{"DNS:xn--bcher-kva.example", "b\u00fccher.example", NULL, true},
		{"DNS:*.xn--bcher-kva.example", "im.B\u00fccher.example", NULL, true},
		{"DNS:bcher.example", "b\u00fccher.example", NULL, false},
		/* OpenSSL reads this as Latin-1. */
		{"otherName:1.3.6.1.5.5.7.8.5;UTF8:b\xfc"
		 "cher.example",
		 "b\u00fccher.example", NULL, true},
		{"otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-server.xn--bcher-kva.example",
		 "b\u00fccher.example", "_xmpp-server", true},
		{"otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-server.example.org", "example.org",
		 "_xmpp-server", true},
		{"otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-server.example.org", "example.org",
		 "_xmpp-client", false},
		{"otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-server.example.org", "example.org", NULL,
		 false},
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct made leaf = MADE(.cn = "example.org", .issuer = &r->ca, .san = cases[i].san);
		const char *const names[] = {cases[i].wanted};
		const struct tls_peer peer = {.server_name = "example.org",
					      .names = names,
					      .nnames = 1,
					      .service = cases[i].service};

		if (try(r, &leaf, &peer, true) != cases[i].good)
			fail_msg("%s for %s: %s", cases[i].san, cases[i].wanted, r->client.closed);
		assert_int_equal(r->client.cert_refused, !cases[i].good);
		if (!cases[i].good) {
			assert_non_null(strstr(r->client.closed, "is not for "));
			assert_non_null(strstr(r->client.closed, cases[i].wanted));
			assert_int_equal(r->client.secured, 0);
			assert_int_equal(r->server.got.len, 0);
		}
		made_free(&leaf);
	}
}

static void the_server_name_goes_out_in_ascii(void **state)
{
	static const struct {
		const char *name, *sent;
	} cases[] = {
		{"b\u00fccher.example", "xn--bcher-kva.example"},
		{"Example.org", "example.org"},
		{"::1", NULL},
		{NULL, NULL},
	};
	struct rig *r = *state;
	struct tls_client *c = client_ctx(r, true);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_peer peer = *PEER("example.org");
		SSL *ssl;
		const char *sent;

		peer.server_name = cases[i].name;
		ssl = tls_client_ssl(c, &peer);
		sent = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
		assert_int_equal(!sent, !cases[i].sent);
		if (sent)
			assert_string_equal(sent, cases[i].sent);
		SSL_free(ssl);
	}
	tls_client_unref(&c);
}

static void any_of_the_reference_names_will_do(void **state)
{
	struct rig *r = *state;
	struct made leaf = MADE(.cn = "cb1.hosting.example", .issuer = &r->ca);

	assert_false(try(r, &leaf, PEER("example.org"), true));
	assert_non_null(strstr(r->client.closed, "but for cb1.hosting.example"));
	assert_true(try(r, &leaf, PEER("example.org", "cb1.hosting.example"), true));
	made_free(&leaf);
}

static void a_bad_chain_is_refused_and_the_reason_said(void **state)
{
	struct rig *r = *state;
	struct made expired = MADE(.cn = "example.org", .issuer = &r->ca, .ends = -2);
	struct made early = MADE(.cn = "example.org", .issuer = &r->ca, .begins = 5, .ends = 50);
	struct made self = MADE(.cn = "example.org");
	struct made other = MADE(.cn = "example.org", .issuer = &r->other_ca);
	struct made usage = MADE(.cn = "example.org", .issuer = &r->ca, .usage = "clientAuth");
	const struct {
		const struct made *leaf;
		const char *says;
	} cases[] = {
		{&expired, "has expired on 20"},	 {&early, "is not valid before 20"},
		{&self, "is self-signed and not among"}, {&other, "unknown issuer: /CN=Other CA"},
		{&usage, "refused: unsuitable"},
	};

	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(try(r, cases[i].leaf, PEER("example.org"), true));
		assert_true(r->client.cert_refused);
		if (!strstr(r->client.closed, cases[i].says))
			fail_msg("%s", r->client.closed);
		assert_true(try(r, cases[i].leaf, PEER("example.org"), false));
		assert_false(conn_cert_refused(r->client.conn));
	}
	made_free(&expired);
	made_free(&early);
	made_free(&self);
	made_free(&other);
	made_free(&usage);
}

static void alpn_is_offered_when_asked_for(void **state)
{
	struct rig *r = *state;
	struct made leaf = MADE(.cn = "example.org", .issuer = &r->ca);
	struct tls_peer peer = *PEER("example.org");
	size_t len;

	assert_true(try(r, &leaf, &peer, true));
	assert_null(conn_alpn(r->client.conn, &len));
	peer.alpn = "xmpp-server";
	assert_true(try(r, &leaf, &peer, true));
	assert_memory_equal(conn_alpn(r->client.conn, &len), "xmpp-server", 11);
	peer.alpn = "xmpp-client"; /* not what the server speaks */
	assert_false(try(r, &leaf, &peer, true));
	assert_false(r->client.cert_refused);
	made_free(&leaf);
}

static void starttls_begins_after_what_was_queued(void **state)
{
	struct rig *r = *state;
	struct made leaf = MADE(.cn = "example.org", .issuer = &r->ca);
	struct tls_ctx *s = server_ctx(&leaf, NULL);
	struct tls_client *c = client_ctx(r, true);

	pair_of_conns(r);
	r->echo = true;
	conn_write(r->server.conn, "<proceed/>", 10);
	run(r, 1);
	assert_string_equal(r->client.got.data, "<proceed/>");
	str_reset(&r->client.got);
	conn_start_tls(r->server.conn, s, SLICE_NONE);
	conn_write(r->client.conn, "last", 4);
	conn_start_tls_client(r->client.conn, c, PEER("example.org"));
	assert_false(conn_was_direct(r->client.conn));
	run(r, 1);
	/* What was written in the clear is garbage to the server's TLS: the order was kept. */
	assert_int_equal(r->client.secured, 0);

	pair_of_conns(r);
	conn_write(r->server.conn, "<proceed/>", 10);
	run(r, 1);
	str_reset(&r->client.got);
	conn_start_tls(r->server.conn, s, SLICE_NONE);
	conn_start_tls_client(r->client.conn, c, PEER("example.org"));
	run(r, 1);
	assert_string_equal(r->client.got.data, "hello");
	tls_ctx_unref(&s);
	tls_client_unref(&c);
	made_free(&leaf);
}

static void a_server_without_tls_is_named_so(void **state)
{
	struct rig *r = *state;
	struct tls_client *c = client_ctx(r, true);

	pair_of_conns(r);
	conn_start_tls_client(r->client.conn, c, PEER("example.org"));
	conn_write(r->server.conn, "<?xml version='1.0'?><stream:stream>", 36);
	run(r, 1);
	assert_string_equal(r->client.closed, "the server does not speak TLS there");
	assert_false(r->client.cert_refused);
	tls_client_unref(&c);
}

static void a_client_may_go_at_any_moment(void **state)
{
	struct rig *r = *state;
	struct made leaf = MADE(.cn = "example.org", .issuer = &r->ca);
	struct tls_client *c = client_ctx(r, true);

	pair_of_conns(r);
	conn_start_tls_client(r->client.conn, c, PEER("example.org"));
	conn_close(r->client.conn);
	pair_of_conns(r);
	conn_start_tls_client(r->client.conn, c, PEER("example.org"));
	tls_client_unref(&c);
	hang_up(r);
	made_free(&leaf);
}

static void channel_bindings_are_the_same_at_both_ends(void **state)
{
	struct rig *r = *state;
	struct made leaf = MADE(.cn = "example.org", .issuer = &r->ca);
	unsigned char a[CONN_BINDING_MAX], b[CONN_BINDING_MAX];
	size_t len;

	assert_true(try(r, &leaf, PEER("example.org"), true));
	assert_int_equal(conn_binding_exporter(r->client.conn, a), 32);
	assert_int_equal(conn_binding_exporter(r->server.conn, b), 32);
	assert_memory_equal(a, b, 32);
	len = conn_binding_unique(r->client.conn, a);
	assert_true(len > 0);
	assert_int_equal(conn_binding_unique(r->server.conn, b), len);
	assert_memory_equal(a, b, len);
	len = conn_binding_end_point(r->client.conn, a);
	assert_int_equal(len, 32);
	assert_int_equal(conn_binding_end_point(r->server.conn, b), len);
	assert_memory_equal(a, b, len);
	made_free(&leaf);
}

static void a_bad_ca_file_is_refused_with_what_to_do(void **state)
{
	struct rig *r = *state;
	struct tls_client_config cfg = {.ca_file = "/nonexistent/ca.pem"};
	struct str why = STR_INIT;
	struct tls_client *t;

	assert_int_equal(tls_client_new(&t, &cfg, &why), ERR_NOTFOUND);
	assert_null(t);
	assert_non_null(strstr(why.data, "/nonexistent/ca.pem"));
	str_reset(&why);
	cfg.ca_file = "/dev/null";
	assert_int_equal(tls_client_new(&t, &cfg, &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "no certificates"));
	str_reset(&why);
	cfg.no_verify = true; /* then it is not read */
	assert_int_equal(tls_client_new(&t, &cfg, &why), ERR_OK);
	tls_client_unref(&t);
	cfg = (struct tls_client_config){.ca_file = ""}; /* the system's */
	assert_int_equal(tls_client_new(&t, &cfg, &why), ERR_OK);
	tls_client_unref(&t);
	str_clear(&why);
	(void)r;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bytes_pass_after_a_good_certificate),
		T(the_names_in_the_certificate_decide),
		T(the_server_name_goes_out_in_ascii),
		T(any_of_the_reference_names_will_do),
		T(a_bad_chain_is_refused_and_the_reason_said),
		T(alpn_is_offered_when_asked_for),
		T(starttls_begins_after_what_was_queued),
		T(a_server_without_tls_is_named_so),
		T(a_client_may_go_at_any_moment),
		T(channel_bindings_are_the_same_at_both_ends),
		T(a_bad_ca_file_is_refused_with_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
