#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"
#include "net/tls.h"
#include "tests/unit/net/certs.h"

static struct tls_config config(int cert, int key)
{
	return (struct tls_config){.cert_fd = cert,
				   .key_fd = key,
				   .cert_path = "pki/server.crt",
				   .key_path = "pki/server.key",
				   .alpn = "xmpp-client"};
}

static void a_certificate_is_described_with_serial_and_expiry(void **state)
{
	struct cert_files c = cert_files_new("localhost", 30);
	struct tls_config cfg = config(c.cert, c.key);
	struct str why = STR_INIT;
	struct tls_ctx *t;

	(void)state;
	assert_int_equal(tls_ctx_new(&t, &cfg, &why), ERR_OK);
	assert_non_null(strstr(tls_ctx_text(t), "serial=1234ABCD subject=\"/CN=localhost\" "
						"expires=20"));
	assert_int_equal(tls_ctx_days_left(t), 30);
	tls_ctx_unref(&t);
	cert_files_close(&c);
	str_clear(&why);
}

static void files_can_be_read_again_after_a_reload(void **state)
{
	struct cert_files c = cert_files_new("localhost", -3);
	struct tls_config cfg = config(c.cert, c.key);
	struct str why = STR_INIT;
	struct tls_ctx *t;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tls_ctx_new(&t, &cfg, &why), ERR_OK);
		assert_int_equal(tls_ctx_days_left(t), -3);
		tls_ctx_unref(&t);
	}
	cert_files_close(&c);
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
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_config cfg = config(cases[i].cert, cases[i].key);
		struct str why = STR_INIT;
		struct tls_ctx *t = (void *)1;

		assert_int_equal(tls_ctx_new(&t, &cfg, &why), cases[i].expected);
		assert_null(t);
		if (!strstr(why.data, cases[i].says))
			fail_msg("case %zu says: %s", i, why.data);
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
	struct str why = STR_INIT;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct cert_files *c = i == 3 ? &b : &a;
		struct tls_config cfg = config(c->cert, c->key);
		struct tls_ctx *t;

		assert_int_equal(tls_ctx_new(&t, &cfg, &why), ERR_OK);
		tls_ctx_secret(t, i == 2 ? "other" : "label", s[i]);
		tls_ctx_unref(&t);
	}
	assert_memory_equal(s[0], s[1], 32);
	assert_memory_not_equal(s[0], s[2], 32);
	assert_memory_not_equal(s[0], s[3], 32);
	cert_files_close(&a);
	cert_files_close(&b);
	str_clear(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_is_described_with_serial_and_expiry),
		cmocka_unit_test(files_can_be_read_again_after_a_reload),
		cmocka_unit_test(bad_files_are_refused_with_file_and_reason),
		cmocka_unit_test(a_secret_follows_the_key_and_the_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
