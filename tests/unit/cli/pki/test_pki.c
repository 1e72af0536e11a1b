/*
 * The real `pki` is run, and what it made is judged by OpenSSL's own library and command.
 */
#include "tests/unit/cli/pki/pki_rig.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static X509 *read_cert(const char *name, int index)
{
	FILE *f = fopen(in_dir(name), "r");
	X509 *x = NULL;

	assert_non_null(f);
	for (int i = 0; i <= index; i++) {
		X509_free(x);
		x = PEM_read_X509(f, NULL, NULL, NULL);
	}
	fclose(f);
	return x;
}

static EVP_PKEY *read_key(const char *name)
{
	FILE *f = fopen(in_dir(name), "r");
	EVP_PKEY *key;

	assert_non_null(f);
	key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(key);
	return key;
}

static void make_lab(void)
{
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--domain", "example.test", "--host",
			     "other.test", "--host", "::1", "--host", "127.0.0.1"),
			 0);
}

static void openssl_verifies_the_certificate_for_all_its_names_and_no_other(void **state)
{
	static const struct {
		const char *option, *name;
		bool good;
	} cases[] = {
		{"-verify_hostname", "example.test", true},
		{"-verify_hostname", "conference.example.test", true},
		{"-verify_hostname", "other.test", true},
		{"-verify_ip", "127.0.0.1", true},
		{"-verify_ip", "::1", true},
		{"-verify_hostname", "a.b.example.test", false},
		{"-verify_hostname", "elsewhere.test", false},
		{"-verify_ip", "127.0.0.2", false},
	};
	char host[HOST_NAME_MAX + 1] = "";

	(void)state;
	make_lab();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int code = RUN("openssl", "verify", "-x509_strict", "-purpose", "sslserver",
			       "-CAfile", in_dir("pki/ca.pem"), cases[i].option, cases[i].name,
			       in_dir("pki/server.crt"));

		assert_int_equal(code == 0, cases[i].good);
	}
	gethostname(host, sizeof(host) - 1);
	assert_int_equal(RUN("openssl", "verify", "-CAfile", in_dir("pki/ca.pem"),
			     "-verify_hostname", host, in_dir("pki/server.crt")),
			 0);
}

static int days_valid(const X509 *x)
{
	int days, seconds;

	assert_int_equal(
		ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(x), X509_get0_notAfter(x)), 1);
	assert_int_equal(seconds, 0);
	return days;
}

static bool has_xmpp_addr(const X509 *x, const char *domain)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(names, i);

		if (gn->type == GEN_OTHERNAME &&
		    OBJ_obj2nid(gn->d.otherName->type_id) == NID_XmppAddr &&
		    gn->d.otherName->value->type == V_ASN1_UTF8STRING)
			found = strcmp((char *)gn->d.otherName->value->value.utf8string->data,
				       domain) == 0;
	}
	GENERAL_NAMES_free(names);
	return found;
}

static void the_certificates_say_what_they_are_for(void **state)
{
	X509 *ca, *leaf, *second;
	char cn[64];

	(void)state;
	make_lab();
	ca = read_cert("pki/ca.pem", 0);
	leaf = read_cert("pki/server.crt", 0);
	second = read_cert("pki/server.crt", 1);

	assert_int_equal(X509_check_ca(ca), 1);
	assert_int_equal(X509_get_pathlen(ca), 0);
	assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(ca), NID_commonName, cn,
					      sizeof(cn)) > 0);
	assert_string_equal(cn, "Roundhouse lab CA");
	assert_int_equal(days_valid(ca), 3650);

	assert_int_equal(X509_check_ca(leaf), 0);
	assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER | XKU_SSL_CLIENT);
	assert_int_equal(days_valid(leaf), 825);
	assert_true(X509_cmp_current_time(X509_get0_notBefore(leaf)) < 0);
	assert_true(has_xmpp_addr(leaf, "example.test"));

	assert_int_equal(X509_cmp(second, ca), 0);
	assert_int_not_equal(
		ASN1_INTEGER_cmp(X509_get0_serialNumber(ca), X509_get0_serialNumber(leaf)), 0);
	X509_free(ca);
	X509_free(leaf);
	X509_free(second);
}

static void the_keys_are_p256_fit_their_certificates_and_are_for_the_owner_only(void **state)
{
	static const struct {
		const char *key, *cert;
	} pairs[] = {{"pki/ca.key", "pki/ca.pem"}, {"pki/server.key", "pki/server.crt"}};

	(void)state;
	make_lab();
	for (size_t i = 0; i < 2; i++) {
		EVP_PKEY *key = read_key(pairs[i].key);
		X509 *x = read_cert(pairs[i].cert, 0);
		char group[32];
		struct stat st;

		assert_int_equal(X509_check_private_key(x, key), 1);
		assert_int_equal(EVP_PKEY_get_group_name(key, group, sizeof(group), NULL), 1);
		assert_string_equal(group, "prime256v1");
		assert_int_equal(stat(in_dir(pairs[i].key), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(stat(in_dir(pairs[i].cert), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0644);
		EVP_PKEY_free(key);
		X509_free(x);
	}
}

static void what_is_there_is_never_overwritten_without_force(void **state)
{
	static const char *const files[] = {"pki/ca.pem", "pki/ca.key", "pki/server.crt",
					    "pki/server.key"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		FILE *f;
		char *text;

		mkdir(in_dir("pki"), 0700);
		f = fopen(in_dir(files[i]), "w");
		assert_non_null(f);
		fputs("precious", f);
		fclose(f);
		assert_int_equal(RUN(pki(), "-C", dir, "lab", "--domain", "example.test"), 1);
		assert_non_null(strstr(output, files[i]));
		assert_non_null(strstr(output, "is there already and was left alone; --force"));
		text = slurp(files[i]);
		assert_string_equal(text, "precious");
		free(text);
		for (size_t n = 0; n < 4; n++)
			assert_int_equal(access(in_dir(files[n]), F_OK) == 0, n == i);
		assert_int_equal(unlink(in_dir(files[i])), 0);
		assert_int_equal(rmdir(in_dir("pki")), 0); /* no temporary file is left */
	}
	mkdir(in_dir("pki"), 0700);
	assert_int_equal(symlink("/nowhere", in_dir("pki/ca.key")), 0);
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--domain", "example.test"), 1);
	assert_non_null(strstr(output, "pki/ca.key is there already"));
}

static void force_replaces_all_four(void **state)
{
	char *ca, *key, *new_ca, *new_key;

	(void)state;
	make_lab();
	ca = slurp("pki/ca.pem");
	key = slurp("pki/server.key");
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--domain", "b.test", "--force"), 0);
	new_ca = slurp("pki/ca.pem");
	new_key = slurp("pki/server.key");
	assert_string_not_equal(ca, new_ca);
	assert_string_not_equal(key, new_key);
	assert_int_equal(RUN("openssl", "verify", "-CAfile", in_dir("pki/ca.pem"),
			     "-verify_hostname", "b.test", in_dir("pki/server.crt")),
			 0);
	free(ca);
	free(key);
	free(new_ca);
	free(new_key);
}

static void add_signs_one_more_domain_with_the_ca_that_is_there(void **state)
{
	char *ca, *server, *now;

	(void)state;
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--add", "--domain", "more.test"), 1);
	assert_non_null(strstr(output, "no lab CA"));
	make_lab();
	ca = slurp("pki/ca.pem");
	server = slurp("pki/server.crt");
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--add", "--domain", "more.test"), 0);
	assert_non_null(strstr(output, "pki/more.test.crt pki/more.test.key"));
	assert_int_equal(RUN("openssl", "verify", "-CAfile", in_dir("pki/ca.pem"),
			     "-verify_hostname", "more.test", in_dir("pki/more.test.crt")),
			 0);
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--add", "--domain", "more.test"), 1);
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--add", "--force", "--domain", "more.test"),
			 0);
	now = slurp("pki/ca.pem");
	assert_string_equal(now, ca);
	free(now);
	now = slurp("pki/server.crt");
	assert_string_equal(now, server);
	free(now);
	free(ca);
	free(server);
}

static void names_that_are_none_are_refused_before_anything_is_made(void **state)
{
	static const struct {
		const char *option, *value, *says;
	} cases[] = {
		{"--domain", "a,DNS:evil.test", "--domain 'a,DNS:evil.test' is not a DNS name"},
		{"--domain", "two words", "is not a DNS name"},
		{"--domain", "-a.test", "is not a DNS name"},
		{"--domain", "a..test", "is not a DNS name"},
		{"--domain", "127.0.0.1", "is not a DNS name"},
		{"--domain",
		 "b\xc3\xbc"
		 "cher.test",
		 "xn-- form"},
		{"--host", "a/b", "--host 'a/b' is neither a DNS name nor an IP address"},
		{"--host", "*.*.test", "is neither"},
	};
	char label[80];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(RUN(pki(), "-C", dir, "lab", "--domain", "good.test",
				     cases[i].option, cases[i].value),
				 2);
		assert_non_null(strstr(output, cases[i].says));
	}
	memset(label, 'a', sizeof(label));
	label[64] = '\0';
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--domain", label), 2);
	assert_int_equal(access(in_dir("pki"), F_OK), -1);
	assert_int_equal(RUN(pki(), "-C", dir, "lab"), 2);
	assert_non_null(strstr(output, "which domain?"));
}

static void a_place_that_cannot_be_written_is_told_with_what_to_do(void **state)
{
	(void)state;
	assert_int_equal(RUN(pki(), "-C", in_dir("no/such"), "lab", "--domain", "a.test"), 1);
	assert_non_null(strstr(output, "no/such: No such file or directory; name an existing"));
	assert_int_equal(RUN(pki(), "-C", "/dev/null", "lab", "--domain", "a.test"), 1);
	assert_non_null(strstr(output, "/dev/null: Not a directory"));
}

static void a_long_domain_is_certified_by_its_alternative_name(void **state)
{
	static const char name[] = "a-label-of-a-good-length.another-label-of-a-good-length."
				   "and-a-third-one.example.test";

	(void)state;
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--domain", name), 0);
	assert_int_equal(RUN("openssl", "verify", "-x509_strict", "-CAfile", in_dir("pki/ca.pem"),
			     "-verify_hostname", name, in_dir("pki/server.crt")),
			 0);
}

/* ---- inspect ---- */

static void inspect_shows_every_certificate_of_a_bundle(void **state)
{
	const char *second;

	(void)state;
	make_lab();
	assert_int_equal(RUN(pki(), "-C", dir, "inspect", "server.crt"), 0);
	assert_non_null(strstr(output, "Type                    : certificate\n"
				       "Subject                 : CN=example.test\n"
				       "Issuer                  : CN=Roundhouse lab CA\n"
				       "Valid from              : 20"));
	assert_non_null(strstr(output, "Z (in 824 days)\n"
				       "Alternative names       : DNS:example.test, "
				       "DNS:*.example.test, "));
	assert_non_null(strstr(output, "IP:127.0.0.1"));
	assert_non_null(strstr(output, "XmppAddr:example.test\nSerial                  : "));
	second = strstr(output, "Type                    : CA certificate\n"
				"Subject                 : CN=Roundhouse lab CA\n");
	assert_non_null(second);
	assert_non_null(strstr(second, "Alternative names       : none\n"));
}

static void inspect_knows_keys_requests_der_and_json_and_shows_no_secret(void **state)
{
	(void)state;
	make_lab();
	assert_int_equal(RUN(pki(), "-C", dir, "inspect", "server.key"), 0);
	assert_string_equal(output, "Type                    : private key\n"
				    "Key                     : EC 256 bits (prime256v1)\n\n");
	assert_int_equal(RUN("openssl", "ec", "-in", in_dir("pki/server.key"), "-aes128",
			     "-passout", "pass:secret", "-out", in_dir("enc.key")),
			 0);
	assert_int_equal(RUN(pki(), "inspect", in_dir("enc.key")), 0);
	assert_string_equal(output, "Type                    : private key, encrypted\n\n");
	assert_int_equal(RUN("openssl", "req", "-new", "-key", in_dir("pki/server.key"), "-subj",
			     "/CN=r.test", "-addext", "subjectAltName=DNS:r.test", "-outform",
			     "DER", "-out", in_dir("r.csr")),
			 0);
	assert_int_equal(RUN(pki(), "inspect", "--json", in_dir("r.csr")), 0);
	assert_string_equal(output, "{\"Type\":\"certificate request\",\"Subject\":\"CN=r.test\","
				    "\"Alternative names\":\"DNS:r.test\","
				    "\"Public key\":\"EC 256 bits (prime256v1)\"}\n");
}

static void inspect_refuses_what_it_does_not_know_with_exit_code_1(void **state)
{
	(void)state;
	assert_int_equal(RUN(pki(), "inspect", "/dev/null"), 1);
	assert_non_null(strstr(output, "neither PEM nor DER"));
	assert_int_equal(RUN(pki(), "inspect", "/dev/zero"), 1);
	assert_non_null(strstr(output, "larger than 1 MiB"));
	assert_int_equal(RUN(pki(), "-C", dir, "inspect", "missing.pem"), 1);
	assert_non_null(strstr(output, "pki/missing.pem: No such file"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(openssl_verifies_the_certificate_for_all_its_names_and_no_other),
		TEST(the_certificates_say_what_they_are_for),
		TEST(the_keys_are_p256_fit_their_certificates_and_are_for_the_owner_only),
		TEST(what_is_there_is_never_overwritten_without_force),
		TEST(force_replaces_all_four),
		TEST(add_signs_one_more_domain_with_the_ca_that_is_there),
		TEST(names_that_are_none_are_refused_before_anything_is_made),
		TEST(a_place_that_cannot_be_written_is_told_with_what_to_do),
		TEST(a_long_domain_is_certified_by_its_alternative_name),
		TEST(inspect_shows_every_certificate_of_a_bundle),
		TEST(inspect_knows_keys_requests_der_and_json_and_shows_no_secret),
		TEST(inspect_refuses_what_it_does_not_know_with_exit_code_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
