#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/str.h"
#include "net/tls.h"
#include "tests/unit/net/certs.h"
#include "tests/unit/net/made_cert.h"

#define DAY 86400

static struct tls_pair pair_of(int cert, int key)
{
	return (struct tls_pair){.cert_fd = cert,
				 .key_fd = key,
				 .cert_path = "pki/server.crt",
				 .key_path = "pki/server.key"};
}

static enum err make(struct tls_ctx **t, const struct tls_pair *pairs, size_t n, struct str *why)
{
	struct tls_config cfg = {.pairs = pairs, .npairs = n, .alpn = "xmpp-client"};

	return tls_ctx_new(t, &cfg, why);
}

static struct tls_ctx *make_one(const struct cert_files *c)
{
	struct tls_pair pair = pair_of(c->cert, c->key);
	struct str why = STR_INIT;
	struct tls_ctx *t;

	if (make(&t, &pair, 1, &why) != ERR_OK)
		fail_msg("%s", why.data);
	return t;
}

static void a_certificate_is_described_with_serial_names_and_expiry(void **state)
{
	struct cert_files c = cert_files_named("localhost", "DNS:Localhost,DNS:*.localhost", 30);
	struct tls_ctx *t = make_one(&c);

	(void)state;
	assert_non_null(strstr(tls_ctx_text(t, 0), "serial=1234ABCD subject=\"/CN=localhost\" "
						   "names=\"localhost,*.localhost\" not_after=20"));
	assert_string_equal(tls_ctx_path(t, 0), "pki/server.crt");
	tls_ctx_unref(&t);
	cert_files_close(&c);
}

static void days_left_are_whole_days_and_negative_once_it_has_expired(void **state)
{
	struct cert_files c = cert_files_new("localhost", 30);
	struct tls_ctx *t = make_one(&c);
	int64_t now = time(NULL);
	const struct {
		int64_t after, days;
	} cases[] = {{0, 30}, {29 * DAY, 1}, {30 * DAY, 0}, {30 * DAY + 120, -1}, {32 * DAY, -2}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(tls_ctx_days_left(t, 0, now + cases[i].after), cases[i].days);
	assert_string_equal(tls_ctx_expires_text(t, 0), "the certificate pki/server.crt");
	tls_ctx_unref(&t);
	cert_files_close(&c);
}

static void files_can_be_read_again_after_a_reload(void **state)
{
	struct cert_files c = cert_files_new("localhost", -3);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct tls_ctx *t = make_one(&c);

		assert_int_equal(tls_ctx_days_left(t, 0, time(NULL)), -3);
		tls_ctx_unref(&t);
	}
	cert_files_close(&c);
}

/* As a full disk leaves it, or somebody who reads while it is written. */
static void a_chain_that_is_cut_off_is_refused(void **state)
{
	struct made root = MADE_CA(.cn = "root"), ca = MADE_CA(.cn = "ca", .issuer = &root);
	struct made leaf = MADE(.cn = "a", .issuer = &ca);
	struct tls_pair pair =
		pair_of(memfd_create("chain", MFD_CLOEXEC), cert_pem(NULL, leaf.key));
	struct str pem = STR_INIT, why = STR_INIT;
	struct tls_ctx *t;
	size_t first;

	(void)state;
	made_pem(&pem, &leaf);
	first = pem.len;
	made_pem(&pem, &ca);
	assert_int_equal(write(pair.cert_fd, pem.data, pem.len), pem.len);
	assert_int_equal(make(&t, &pair, 1, &why), ERR_OK);
	tls_ctx_unref(&t);
	for (size_t len = pem.len - 40; len > first + 8; len -= 97) {
		str_reset(&why);
		assert_int_equal(ftruncate(pair.cert_fd, (off_t)len), 0);
		if (make(&t, &pair, 1, &why) != ERR_FORMAT)
			fail_msg("%zu bytes of the second are taken", len - first);
		assert_non_null(strstr(why.data, "pki/server.crt: a certificate behind"));
		if (len - first < 97)
			break;
	}
	close(pair.cert_fd);
	close(pair.key_fd);
	made_free(&leaf);
	made_free(&ca);
	made_free(&root);
	str_clear(&pem);
	str_clear(&why);
}

static int pem_file(const struct made *list, size_t n)
{
	int fd = memfd_create("pem", MFD_CLOEXEC);
	struct str pem = STR_INIT;

	for (size_t i = 0; i < n; i++)
		made_pem(&pem, &list[i]);
	assert_int_equal(write(fd, pem.data, pem.len), pem.len);
	str_clear(&pem);
	return fd;
}

/* What a client sees is test_conn's and the acceptance tests'; here: what is told of it. */
static void a_bundle_of_its_own_is_put_in_order_and_told_of(void **state)
{
	struct made root = MADE_CA(.cn = "root"), a, b, leaf;
	struct tls_pair pair = pair_of(-1, -1);
	struct str why = STR_INIT;
	struct tls_ctx *t;

	(void)state;
	a = MADE_CA(.cn = "Int A", .issuer = &root, .ends = 20);
	b = MADE_CA(.cn = "Int B", .issuer = &a);
	leaf = MADE(.cn = "chat.test", .issuer = &b);
	pair.cert_fd = pem_file(&leaf, 1);
	pair.key_fd = cert_pem(NULL, leaf.key);
	pair.bundle_path = "pki/ca.pem";
	pair.bundle_fd = pem_file((struct made[]){root, a, b}, 3);
	if (make(&t, &pair, 1, &why) != ERR_OK)
		fail_msg("%s", why.data);
	assert_non_null(strstr(tls_ctx_text(t, 0), " chain=\"Int B,Int A\""));
	assert_non_null(strstr(tls_ctx_warnings(t, 0), "pki/ca.pem: not in order"));
	assert_string_equal(tls_ctx_expires_text(t, 0),
			    "the CA's certificate \"Int A\" in pki/ca.pem");
	assert_int_equal(tls_ctx_days_left(t, 0, time(NULL)), 20);
	tls_ctx_unref(&t);

	close(pair.bundle_fd);
	pair.bundle_fd = pem_file((struct made[]){root, b}, 2);
	assert_int_equal(make(&t, &pair, 1, &why), ERR_NOTFOUND);
	assert_non_null(strstr(why.data, "pki/ca.pem: a link is missing: \"Int B\" was issued by"));
	close(pair.bundle_fd);
	close(pair.cert_fd);
	close(pair.key_fd);
	made_free(&root);
	made_free(&a);
	made_free(&b);
	made_free(&leaf);
	str_clear(&why);
}

static void bad_files_are_refused_with_file_and_reason(void **state)
{
	struct cert_files a = cert_files_new("a", 30), b = cert_files_new("b", 30);
	int empty = memfd_create("empty", MFD_CLOEXEC);
	const struct {
		int cert, key;
		enum err expected;
		const char *says;
	} cases[] = {
		{a.cert, b.key, ERR_CONFLICT,
		 "pki/server.key: is not the key of the certificate in pki/server.crt"},
		{empty, a.key, ERR_FORMAT, "pki/server.crt: holds no certificate"},
		{a.key, a.key, ERR_FORMAT, "pki/server.crt: holds no certificate"},
		{a.cert, empty, ERR_FORMAT, "pki/server.key: holds no usable private key"},
		{-1, a.key, ERR_NOTFOUND, "pki/server.crt: No such file"},
	};

	(void)state;
	/* Alone, and as the second: then the first must not leak. */
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		size_t k = i / 2, n = 1 + i % 2;
		struct tls_pair pairs[2] = {pair_of(a.cert, a.key), pair_of(a.cert, a.key)};
		struct str why = STR_INIT;
		struct tls_ctx *t = (void *)1;

		pairs[n - 1] = pair_of(cases[k].cert, cases[k].key);
		assert_int_equal(make(&t, pairs, n, &why), cases[k].expected);
		assert_null(t);
		if (!strstr(why.data, cases[k].says))
			fail_msg("case %zu says: %s", k, why.data);
		str_clear(&why);
	}
	cert_files_close(&a);
	cert_files_close(&b);
	close(empty);
}

static void a_secret_follows_the_key_and_the_label(void **state)
{
	struct cert_files a = cert_files_new("a", 30), b = cert_files_new("b", 30);
	unsigned char s[4][32];

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct tls_ctx *t = make_one(i == 3 ? &b : &a);

		tls_ctx_secret(t, i == 2 ? "other" : "label", s[i]);
		tls_ctx_unref(&t);
	}
	assert_memory_equal(s[0], s[1], 32);
	assert_memory_not_equal(s[0], s[2], 32);
	assert_memory_not_equal(s[0], s[3], 32);
	cert_files_close(&a);
	cert_files_close(&b);
}

/* ---- several certificates */

/* default: a.example; then b.example with everything below it; then x.b.example, and one in which
 * the name is an xmppAddr and the service's SRVName. */
struct several {
	struct cert_files files[4];
	struct tls_ctx *t;
};

static int setup_several(void **state)
{
	static const char *const san[4] = {
		"DNS:a.example",
		"DNS:b.example,DNS:*.b.example",
		"DNS:x.b.example",
		"otherName:1.3.6.1.5.5.7.8.5;UTF8:addr.example,"
		"otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-client.srv.example,"
		"otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-server.not.example",
	};
	static const char *const name[4] = {"A", "B", "XB", "OTHER"};
	struct several *s = calloc(1, sizeof(*s));
	struct tls_pair pairs[4];
	struct str why = STR_INIT;

	for (int i = 0; i < 4; i++) {
		s->files[i] = cert_files_named(name[i], san[i], 30);
		pairs[i] = pair_of(s->files[i].cert, s->files[i].key);
	}
	if (make(&s->t, pairs, 4, &why) != ERR_OK)
		fail_msg("%s", why.data);
	*state = s;
	return 0;
}

static int teardown_several(void **state)
{
	struct several *s = *state;

	tls_ctx_unref(&s->t);
	for (int i = 0; i < 4; i++)
		cert_files_close(&s->files[i]);
	free(s);
	return 0;
}

static const struct {
	const char *name;
	size_t found;
} choices[] = {
	{"a.example", 0},
	{"A.Example.", 0},
	{"b.example", 1},
	{"y.b.example", 1},
	{"x.b.example", 2},	     /* exact before wildcard */
	{"z.y.b.example", SIZE_MAX}, /* RFC 6125 6.4.3: the star is one label */
	{"x.a.example", SIZE_MAX},
	{"addr.example", 3},
	{"srv.example", 3},
	{"not.example", SIZE_MAX}, /* the other service's */
	{"*.b.example", 1},
	{"nobody.example", SIZE_MAX},
	{"", SIZE_MAX},
	{".", SIZE_MAX},
	{"example", SIZE_MAX},
};

static void a_certificate_is_found_by_exact_name_then_by_wildcard(void **state)
{
	struct several *s = *state;

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (tls_ctx_find(s->t, slice_str(choices[i].name)) != choices[i].found)
			fail_msg("%s: %zu", choices[i].name,
				 tls_ctx_find(s->t, slice_str(choices[i].name)));
	assert_true(tls_ctx_covers(s->t, 1, slice_str("x.b.example")));
	assert_false(tls_ctx_covers(s->t, 1, slice_str("a.example")));
}

struct handshake {
	const char *sni;
	const char *alpn; /* in its wire form */
	int max_version;
	size_t begin_with;
	char cn[64]; /* of the certificate that the client saw */
	char selected[32];
	int alert; /* what the client was told */
	bool done;
};

static SSL *client_of(SSL_CTX *ctx, const struct handshake *h)
{
	SSL *c = SSL_new(ctx);

	if (h->max_version)
		SSL_set_max_proto_version(c, h->max_version);
	if (h->sni)
		SSL_set_tlsext_host_name(c, h->sni);
	if (h->alpn)
		SSL_set_alpn_protos(c, (const unsigned char *)h->alpn,
				    (unsigned int)strlen(h->alpn));
	SSL_set_connect_state(c);
	return c;
}

static void see(struct handshake *h, SSL *c)
{
	X509 *cert = SSL_get1_peer_certificate(c);
	const unsigned char *alpn;
	unsigned int len;

	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, h->cn,
				  sizeof(h->cn));
	X509_free(cert);
	SSL_get0_alpn_selected(c, &alpn, &len);
	snprintf(h->selected, sizeof(h->selected), "%.*s", (int)len, (const char *)alpn);
}

/* drop: the owner forgets its tls_ctx while the handshake is under way, as a reload does. */
static void shake(struct handshake *h, struct tls_ctx *t, bool drop)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *c = client_of(ctx, h), *s = tls_ctx_server(t, h->begin_with);
	BIO *a, *b;

	if (drop)
		tls_ctx_unref(&t);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(c, a, a);
	SSL_set_bio(s, b, b);
	for (int i = 0; i < 10 && !h->done; i++) {
		int r = SSL_do_handshake(c), q = SSL_do_handshake(s);

		h->done = r == 1 && q == 1;
		if (r != 1 && SSL_get_error(c, r) == SSL_ERROR_SSL)
			h->alert = ERR_GET_REASON(ERR_peek_last_error()) - SSL_AD_REASON_OFFSET;
	}
	if (h->done)
		see(h, c);
	ERR_clear_error();
	SSL_free(c);
	SSL_free(s);
	SSL_CTX_free(ctx);
}

static void a_client_sees_the_certificate_of_its_sni(void **state)
{
	static const struct {
		const char *sni, *cn;
		size_t begin_with;
	} cases[] = {
		{"a.example", "A", SIZE_MAX},
		{"b.example", "B", SIZE_MAX},
		{"y.b.example", "B", SIZE_MAX},
		{"x.b.example", "XB", SIZE_MAX},
		{"nobody.example", "A", SIZE_MAX},
		{NULL, "A", SIZE_MAX},
		/* STARTTLS: without SNI, or with an unknown one, what the stream was opened to. */
		{NULL, "B", 1},
		{"nobody.example", "XB", 2},
		{"a.example", "A", 1},
		{"b.example", "B", 2},
		{"a.example", "A", 0},
	};
	struct several *s = *state;

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct handshake h = {.sni = cases[i / 2].sni,
				      .begin_with = cases[i / 2].begin_with,
				      .max_version = i % 2 ? TLS1_2_VERSION : 0};

		shake(&h, s->t, false);
		assert_true(h.done);
		if (strcmp(h.cn, cases[i / 2].cn) != 0)
			fail_msg("case %zu: %s saw %s", i / 2, h.sni ? h.sni : "-", h.cn);
	}
}

static void a_handshake_outlives_the_set_that_it_began_with(void **state)
{
	struct several *s = *state;
	struct handshake h = {.sni = "b.example", .begin_with = SIZE_MAX};

	shake(&h, s->t, true);
	s->t = NULL;
	assert_true(h.done);
	assert_string_equal(h.cn, "B");
}

/* XEP-0368 5: ALPN "xmpp-client"; RFC 7301 3.2: the alert. */
static void alpn_selects_xmpp_client_and_refuses_clients_of_other_protocols(void **state)
{
	static const struct {
		const char *alpn, *selected;
		bool done;
	} cases[] = {
		{"\13xmpp-client", "xmpp-client", true},
		{"\2h2\13xmpp-client", "xmpp-client", true},
		{NULL, "", true},
		{"\2h2", "", false},
		{"\13xmpp-server", "", false},
		{"\12xmpp-clien", "", false},
	};
	struct several *s = *state;

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		/* Also with a certificate that is not the default one. */
		struct handshake h = {.alpn = cases[i / 2].alpn,
				      .sni = i % 2 ? "b.example" : NULL,
				      .begin_with = SIZE_MAX};

		shake(&h, s->t, false);
		assert_int_equal(h.done, cases[i / 2].done);
		assert_string_equal(h.selected, cases[i / 2].selected);
		if (!h.done)
			assert_int_equal(h.alert, SSL_AD_NO_APPLICATION_PROTOCOL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_is_described_with_serial_names_and_expiry),
		cmocka_unit_test(days_left_are_whole_days_and_negative_once_it_has_expired),
		cmocka_unit_test(files_can_be_read_again_after_a_reload),
		cmocka_unit_test(a_chain_that_is_cut_off_is_refused),
		cmocka_unit_test(a_bundle_of_its_own_is_put_in_order_and_told_of),
		cmocka_unit_test(bad_files_are_refused_with_file_and_reason),
		cmocka_unit_test(a_secret_follows_the_key_and_the_label),
		cmocka_unit_test_setup_teardown(
			a_certificate_is_found_by_exact_name_then_by_wildcard, setup_several,
			teardown_several),
		cmocka_unit_test_setup_teardown(a_client_sees_the_certificate_of_its_sni,
						setup_several, teardown_several),
		cmocka_unit_test_setup_teardown(a_handshake_outlives_the_set_that_it_began_with,
						setup_several, teardown_several),
		cmocka_unit_test_setup_teardown(
			alpn_selects_xmpp_client_and_refuses_clients_of_other_protocols,
			setup_several, teardown_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
