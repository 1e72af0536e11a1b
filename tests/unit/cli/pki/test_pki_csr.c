/*
 * Requests, self-signed certificates, and what `pki` says of files: the real program, with openssl
 * as judge.
 */
#include "tests/unit/cli/pki/pki_rig.h"

#define CSR(...) RUN(pki(), "-C", dir, "csr", __VA_ARGS__)

static void assert_says(const char *text)
{
	if (!strstr(output, text))
		fail_msg("no '%s' in: %s", text, output);
}

static void put(const char *name, const char *bytes, size_t len, mode_t mode)
{
	FILE *f = fopen(in_dir(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(in_dir(name), mode), 0);
}

static void rsa_and_ecdsa_requests_are_what_openssl_reads(void **state)
{
	static const struct {
		const char *type, *bits, *key;
	} cases[] = {
		{"ecdsa", NULL, "Public-Key: (256 bit)"},
		{"RSA", NULL, "Public-Key: (2048 bit)"},
		{"rsa", "3072", "Public-Key: (3072 bit)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(CSR("a", "CN:a.org", "subjectAltName:b.org,::1", "--force",
				     "--type", cases[i].type, cases[i].bits ? "--bits" : NULL,
				     cases[i].bits),
				 0);
		assert_int_equal(RUN("openssl", "req", "-verify", "-noout", "-text", "-in",
				     in_dir("pki/a.csr")),
				 0);
		assert_says(cases[i].key);
		assert_says("Subject: CN = a.org");
		assert_says("DNS:a.org, DNS:b.org, IP Address:0:0:0:0:0:0:0:1\n");
		assert_int_equal(
			RUN("openssl", "pkey", "-check", "-noout", "-in", in_dir("pki/a.key")), 0);
		assert_int_equal(RUN(pki(), "-C", dir, "match", "a.key", "a.csr"), 0);
	}
}

static void what_is_there_is_never_overwritten_without_force(void **state)
{
	static const struct {
		const char *command, *there, *other;
	} cases[] = {
		{"csr", "pki/a.key", "pki/a.csr"},
		{"csr", "pki/a.csr", "pki/a.key"},
		{"selfsigned", "pki/a.key", "pki/a.crt"},
		{"selfsigned", "pki/a.crt", "pki/a.key"},
	};

	(void)state;
	assert_int_equal(mkdir(in_dir("pki"), 0755), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text;

		put(cases[i].there, "precious", 8, 0600);
		assert_int_equal(RUN(pki(), "-C", dir, cases[i].command, "a", "CN:a.org"), 1);
		assert_says(cases[i].there);
		assert_says("is there already and was left alone; --force replaces");
		text = slurp(cases[i].there);
		assert_string_equal(text, "precious");
		free(text);
		assert_int_equal(access(in_dir(cases[i].other), F_OK), -1);
		assert_int_equal(
			RUN(pki(), "-C", dir, cases[i].command, "a", "CN:a.org", "--force"), 0);
		assert_int_equal(RUN(pki(), "-C", dir, "match", strrchr(cases[i].there, '/') + 1,
				     strrchr(cases[i].other, '/') + 1),
				 0);
		assert_int_equal(unlink(in_dir(cases[i].there)), 0);
		assert_int_equal(unlink(in_dir(cases[i].other)), 0);
		assert_int_equal(rmdir(in_dir("pki")), 0); /* nothing else was left */
		assert_int_equal(mkdir(in_dir("pki"), 0755), 0);
	}
}

/* ulimit -f counts 512 bytes in dash, which sh is: the key fits, the request does not. */
static void without_room_for_both_there_is_neither(void **state)
{
	static const char script[] =
		"trap '' XFSZ; ulimit -f 1; exec \"$0\" -C \"$1\" csr a CN:a.org "
		"subjectAltName:$(printf 'long-host-name-%s.example.org,' 1 2 3 4 5 6 7 8)end.org";

	(void)state;
	assert_int_equal(RUN("dash", "-c", script, pki(), dir), 1);
	assert_says("pki/a.csr: File too large");
	assert_int_equal(rmdir(in_dir("pki")), 0); /* nothing is in it */
	assert_int_equal(CSR("a", "CN:a.org"), 0);
}

static void what_root_makes_belongs_to_the_instances_owner(void **state)
{
	static const char *const files[] = {"pki/a.key", "pki/a.csr", "pki/b.key", "pki/b.crt"};
	struct stat st;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give files away\n");
		skip();
	}
	assert_int_equal(chown(dir, 65534, 65534), 0);
	assert_int_equal(CSR("a", "CN:a.org"), 0);
	assert_int_equal(RUN(pki(), "-C", dir, "selfsigned", "b", "CN:b.org"), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(stat(in_dir(files[i]), &st), 0);
		assert_int_equal(st.st_uid, 65534);
		assert_int_equal(st.st_gid, 65534);
		assert_int_equal(st.st_mode & 07777, i % 2 ? 0644 : 0600);
	}
	assert_int_equal(stat(in_dir("pki"), &st), 0);
	assert_int_equal(st.st_uid, 65534);
}

static void a_self_signed_certificate_verifies_for_its_names_and_can_sign_nothing(void **state)
{
	(void)state;
	assert_int_equal(
		RUN(pki(), "-C", dir, "selfsigned", "a", "CN:a.org", "subjectAltName:b.org"), 0);
	assert_says("Created key file a.key and certificate a.crt\n");
	assert_says("WARNING: self-signed: for laboratories only.");
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(RUN("openssl", "verify", "-purpose", "sslserver", "-CAfile",
				     in_dir("pki/a.crt"), "-verify_hostname",
				     ((const char *[]){"a.org", "b.org", "c.org"})[i],
				     in_dir("pki/a.crt")) == 0,
				 i < 2);
	assert_int_equal(RUN(pki(), "-C", dir, "inspect", "a.crt"), 0);
	assert_says("Type                    : certificate\n");
	assert_int_equal(RUN(pki(), "-C", dir, "selfsigned", "c"), 2); /* no CN, no instance */
	assert_says("which name? give CN:VALUE");
}

static void without_operands_a_self_signed_one_is_for_the_served_domains(void **state)
{
	static const char conf[] = "domains = [ \"x.org\", \"y.org\" ];\n";

	(void)state;
	assert_int_equal(mkdir(in_dir("conf"), 0755), 0);
	put("conf/roundhouse.conf", conf, sizeof(conf) - 1, 0644);
	assert_int_equal(RUN(pki(), "-C", dir, "selfsigned", "a"), 0);
	assert_int_equal(RUN(pki(), "-C", dir, "inspect", "a.crt"), 0);
	assert_says("Subject                 : CN=x.org\n");
	assert_says("DNS:x.org, DNS:*.x.org, XmppAddr:x.org, DNS:y.org, DNS:*.y.org");
	assert_int_equal(CSR("b", "CN:x.org"), 0);
	assert_says("WARNING: the domain y.org, served here, is not among its names");
	assert_int_equal(CSR("c", "CN:x.org", "subjectAltName:y.org"), 0);
	assert_null(strstr(output, "WARNING"));
	assert_int_equal(CSR("server", "CN:x.org", "subjectAltName:y.org"), 0);
	assert_says("WARNING: pki/server.key is the key in use (tls.key)");
}

static void match_takes_keys_certificates_and_requests_in_pem_and_der(void **state)
{
	static const char *const a[] = {"a.key", "a.csr", "a.crt", "a.der", "akey.der", "acsr.der"};

	(void)state;
	assert_int_equal(CSR("a", "CN:a.org"), 0);
	assert_int_equal(CSR("b", "CN:a.org"), 0);
	assert_int_equal(RUN("openssl", "x509", "-req", "-in", in_dir("pki/a.csr"), "-signkey",
			     in_dir("pki/a.key"), "-out", in_dir("pki/a.crt")),
			 0);
	assert_int_equal(RUN("openssl", "x509", "-in", in_dir("pki/a.crt"), "-outform", "DER",
			     "-out", in_dir("pki/a.der")),
			 0);
	assert_int_equal(RUN("openssl", "pkey", "-in", in_dir("pki/a.key"), "-outform", "DER",
			     "-out", in_dir("pki/akey.der")),
			 0);
	assert_int_equal(RUN("openssl", "req", "-in", in_dir("pki/a.csr"), "-outform", "DER",
			     "-out", in_dir("pki/acsr.der")),
			 0);
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++) {
		assert_int_equal(RUN(pki(), "-C", dir, "match", "a.key", a[i]), 0);
		assert_int_equal(RUN(pki(), "-C", dir, "match", "b.key", a[i]), 1);
		assert_says("FAILURE: ");
		assert_says("are of different keys");
		assert_int_equal(RUN(pki(), "-C", dir, "match", a[i], a[i], "--json"), 0);
		assert_string_equal(output, "{\"match\":true}\n");
	}
	put("pki/junk", "junk", 4, 0600);
	assert_int_equal(RUN(pki(), "-C", dir, "match", "a.key", "junk"), 1);
	assert_says("pki/junk: holds neither a key nor a certificate nor a request");
	assert_int_equal(RUN(pki(), "-C", dir, "match", "none", "a.key"), 1);
	assert_says("pki/none: No such file or directory; name a readable file");
}

static void list_names_each_file_with_its_kind_and_what_is_to_be_done(void **state)
{
	char *pem;

	(void)state;
	assert_int_equal(RUN(pki(), "-C", dir, "list"), 1);
	assert_says("pki: No such file or directory; name the instance's directory with -C DIR");
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--domain", "a.org"), 0);
	pem = slurp("pki/server.crt");
	put("pki/cut.pem", pem, strlen(pem) - 40, 0644);
	free(pem);
	pem = slurp("pki/server.key");
	put("pki/open.key", pem, strlen(pem), 0640);
	free(pem);
	put("pki/.hidden", "x", 1, 0600);
	put("pki/\x1b[2Jname", "x", 1, 0600);
	assert_int_equal(mkdir(in_dir("pki/folder"), 0755), 0);
	assert_int_equal(symlink("nowhere", in_dir("pki/link")), 0);
	assert_int_equal(mkfifo(in_dir("pki/fifo"), 0600), 0);
	assert_int_equal(RUN(pki(), "-C", dir, "list"), 0);
	assert_says("server.crt   bundle of 2       20");
	assert_says("server.key   key, ECDSA P-256  -");
	assert_says("ca.pem       CA certificate    20");
	assert_says("\\x1b[2Jname");
	assert_says("WARNING: cut.pem: the file is cut off or was edited: what begins in line");
	assert_says("WARNING: open.key: others can read the key: chmod 600\n");
	assert_says("WARNING: link: No such file or directory\n");
	assert_says("WARNING: fifo: Invalid argument\n");
	assert_null(strstr(output, "hidden"));
	assert_null(strstr(output, "folder"));
	assert_int_equal(RUN(pki(), "-C", dir, "list", "--json"), 0);
	assert_says("{\"name\":\"server.key\",\"kind\":\"key\",\"text\":\"key, ECDSA P-256\"}\n");
}

static void inspect_numbers_the_elements_and_tells_of_a_cut(void **state)
{
	char *pem;

	(void)state;
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--domain", "a.org"), 0);
	assert_int_equal(RUN(pki(), "-C", dir, "inspect", "server.crt"), 0);
	assert_says("Element                 : 1 of 2\nType                    : certificate\n");
	assert_says("Element                 : 2 of 2\nType                    : CA certificate\n");
	pem = slurp("pki/server.crt");
	put("pki/cut.pem", pem, strlen(pem) - 40, 0644);
	free(pem);
	assert_int_equal(RUN(pki(), "-C", dir, "inspect", "cut.pem"), 1);
	assert_says("Type                    : certificate\n");
	assert_says("pki/cut.pem: the file is cut off or was edited");
}

static void unlock_takes_the_pass_phrase_off_and_nothing_but_the_right_one_does(void **state)
{
	static const char with[] = "printf '%s\\n' \"$2\" | \"$0\" -C \"$1\" unlock a.key "
				   "--passphrase-stdin";
	char *before, *after;
	struct stat st;

	(void)state;
	assert_int_equal(CSR("a", "CN:a.org"), 0);
	before = slurp("pki/a.key");
	assert_int_equal(RUN("openssl", "pkey", "-in", in_dir("pki/a.key"), "-aes256", "-passout",
			     "pass:right one", "-out", in_dir("pki/locked")),
			 0);
	assert_int_equal(rename(in_dir("pki/locked"), in_dir("pki/a.key")), 0);
	assert_int_equal(RUN("sh", "-c", with, pki(), dir, "wrong"), 1);
	assert_says("pki/a.key: that is not its pass phrase; nothing was changed");
	assert_int_equal(RUN("sh", "-c", with, pki(), dir, "right one"), 0);
	assert_says("SUCCESS: ");
	after = slurp("pki/a.key");
	assert_string_equal(before, after);
	assert_int_equal(stat(in_dir("pki/a.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(RUN("sh", "-c", with, pki(), dir, "right one"), 1);
	assert_says("has no pass phrase: services can use it as it is");
	assert_int_equal(access(in_dir("pki/a.key.new"), F_OK), -1);
	free(before);
	free(after);
}

static void usage_shows_each_certificate_with_its_bundle_and_whether_it_fits(void **state)
{
	static const char conf[] = "domains = [ \"a.org\", \"b.org\" ];\n"
				   "tls = { bundle = \"pki/ca.pem\"; extra = [ \"pki/b.org.crt "
				   "pki/server.key\" ]; };\n";

	(void)state;
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--domain", "a.org"), 0);
	assert_int_equal(RUN(pki(), "-C", dir, "lab", "--add", "--domain", "b.org"), 0);
	assert_int_equal(mkdir(in_dir("conf"), 0755), 0);
	put("conf/roundhouse.conf", conf, sizeof(conf) - 1, 0644);
	assert_int_equal(RUN(pki(), "-C", dir), 0);
	assert_says("Key file                : pki/server.key\n"
		    "Certificate file        : pki/server.crt\n"
		    "CA Bundle file          : pki/ca.pem\n"
		    "Pair match              : yes\n");
	assert_says("Certificate file        : pki/b.org.crt\n"
		    "CA Bundle file          : none\n"
		    "Pair match              : ");
	assert_says("pki/server.key: is not the key of the certificate in ");
	assert_int_equal(RUN(pki(), "-C", dir, "--json"), 0);
	assert_says("{\"used_by\":\"cm-client, cm-component\",\"key\":\"pki/server.key\","
		    "\"certificate\":\"pki/server.crt\",\"bundle\":\"pki/ca.pem\","
		    "\"result\":\"yes\"");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rsa_and_ecdsa_requests_are_what_openssl_reads),
		TEST(what_is_there_is_never_overwritten_without_force),
		TEST(without_room_for_both_there_is_neither),
		TEST(what_root_makes_belongs_to_the_instances_owner),
		TEST(a_self_signed_certificate_verifies_for_its_names_and_can_sign_nothing),
		TEST(without_operands_a_self_signed_one_is_for_the_served_domains),
		TEST(match_takes_keys_certificates_and_requests_in_pem_and_der),
		TEST(list_names_each_file_with_its_kind_and_what_is_to_be_done),
		TEST(inspect_numbers_the_elements_and_tells_of_a_cut),
		TEST(unlock_takes_the_pass_phrase_off_and_nothing_but_the_right_one_does),
		TEST(usage_shows_each_certificate_with_its_bundle_and_whether_it_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
