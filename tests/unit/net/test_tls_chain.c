/*
 * The judge of bundles, on a tree of four: root, "Int A" under it, "Int B" under that, the server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/xmem.h"
#include "net/tls_chain.h"
#include "net/tls_name.h"
#include "net/tls_pem.h"
#include "tests/unit/net/made_cert.h"

enum {
	ROOT,
	INT_A,
	INT_B,
	LEAF,
	OLD_A,	  /* Int A, expired */
	OLD_ROOT, /* the root with its key, expired */
	CROSS,	  /* the root's name and key, signed by OTHER */
	OTHER,	  /* another root */
	OTHER_INT,
	IMPOSTOR, /* Int B's name, another key */
	STRAIGHT, /* a leaf of the root itself */
	SELF,	  /* self-signed leaf */
	EXPIRED,  /* leaf of Int B */
	EARLY,	  /* not yet valid */
	CLIENT,	  /* a leaf for clients only */
	NO_CA,	  /* "Int N", which may not sign, under the root */
	UNDER_NO_CA,
	SHORT,	   /* "Int S", path length 0 */
	SHORT_SUB, /* a CA under it */
	UNDER_SHORT,
	SHA1_LEAF,
	NAME_ONLY, /* leaf of Int B that tells it by its name alone */
	COUNT
};

static struct made c[COUNT];

static int make_all(void **state)
{
	(void)state;
	c[ROOT] = MADE_CA(.cn = "Root");
	c[INT_A] = MADE_CA(.cn = "Int A", .issuer = &c[ROOT]);
	c[INT_B] = MADE_CA(.cn = "Int B", .issuer = &c[INT_A]);
	c[LEAF] = MADE(.cn = "chat.test", .issuer = &c[INT_B]);
	c[OLD_A] = MADE_CA(.cn = "Int A", .issuer = &c[ROOT], .same_key = &c[INT_A], .ends = -2);
	c[OLD_ROOT] = MADE_CA(.cn = "Root", .same_key = &c[ROOT], .ends = -2);
	c[OTHER] = MADE_CA(.cn = "Other root");
	c[CROSS] = MADE_CA(.cn = "Root", .issuer = &c[OTHER], .same_key = &c[ROOT]);
	c[OTHER_INT] = MADE_CA(.cn = "Other int", .issuer = &c[OTHER]);
	c[IMPOSTOR] = MADE_CA(.cn = "Int B", .issuer = &c[OTHER]);
	c[STRAIGHT] = MADE(.cn = "chat.test", .issuer = &c[ROOT]);
	c[SELF] = MADE(.cn = "chat.test");
	c[EXPIRED] = MADE(.cn = "chat.test", .issuer = &c[INT_B], .ends = -3);
	c[EARLY] = MADE(.cn = "chat.test", .issuer = &c[INT_B], .begins = 5, .ends = 50);
	c[CLIENT] = MADE(.cn = "chat.test", .issuer = &c[INT_B], .usage = "clientAuth");
	c[NO_CA] = MADE(.cn = "Int N", .issuer = &c[ROOT]);
	c[UNDER_NO_CA] = MADE(.cn = "chat.test", .issuer = &c[NO_CA]);
	c[SHORT] = MADE(.cn = "Int S", .issuer = &c[ROOT], .basic = "CA:TRUE,pathlen:0");
	c[SHORT_SUB] = MADE_CA(.cn = "Int SS", .issuer = &c[SHORT]);
	c[UNDER_SHORT] = MADE(.cn = "chat.test", .issuer = &c[SHORT_SUB]);
	c[NAME_ONLY] = MADE(.cn = "chat.test", .issuer = &c[INT_B], .no_akid = true);
	c[SHA1_LEAF] = MADE(.cn = "chat.test", .issuer = &c[INT_B], .sha1 = true);
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		made_free(&c[i]);
	return 0;
}

/* A file's content: which certificates, ended by -1. */
#define NONE	     -1
#define FILE_OF(...) ((const int[]){__VA_ARGS__, NONE})

static void fill(struct str *out, const int *which)
{
	for (; which && *which != NONE; which++)
		made_pem(out, &c[*which]);
}

static enum err build(struct tls_chain *out, const int *cert, const int *bundle, int key,
		      struct str *why)
{
	struct str cert_text = STR_INIT, bundle_text = STR_INIT;
	struct tls_chain_files f = {.cert_path = "s.crt",
				    .bundle_path = bundle ? "b.pem" : NULL,
				    .key_path = "s.key",
				    .key = c[key].key};
	enum err e;

	fill(&cert_text, cert);
	fill(&bundle_text, bundle);
	f.cert = str_slice(&cert_text);
	f.bundle = str_slice(&bundle_text);
	e = tls_chain_build(out, &f, why);
	str_clear(&cert_text);
	str_clear(&bundle_text);
	return e;
}

/* "Int B, Int A | Root": what is sent behind the leaf, and the root. */
static void assert_chain(const struct tls_chain *chain, const char *expected)
{
	struct str text = STR_INIT;

	for (int i = 0; i < sk_X509_num(chain->send); i++) {
		str_adds(&text, i ? " " : "");
		tls_name_subject(&text, sk_X509_value(chain->send, i));
	}
	if (chain->root) {
		str_adds(&text, " | ");
		tls_name_subject(&text, chain->root);
	}
	assert_string_equal(text.data, expected);
	str_clear(&text);
}

#define WHOLE "\"Int B\" \"Int A\" | \"Root\""

static void good_chains_are_sent_in_order_without_the_root_and_oddities_are_warned_of(void **state)
{
	const struct {
		const char *name;
		const int *cert, *bundle;
		int key;
		const char *chain;
		const char *warns; /* NULL: nothing */
		const char *refused;
	} cases[] = {
		{"in order, root last", FILE_OF(LEAF), FILE_OF(INT_B, INT_A, ROOT), LEAF, WHOLE,
		 NULL, NULL},
		{"root not included", FILE_OF(LEAF), FILE_OF(INT_B, INT_A), LEAF,
		 "\"Int B\" \"Int A\"", NULL, NULL},
		{"nothing but the leaf", FILE_OF(LEAF), NULL, LEAF, "", NULL, NULL},
		{"self-signed", FILE_OF(SELF), NULL, SELF, "", NULL, NULL},
		{"the root's own leaf", FILE_OF(STRAIGHT), FILE_OF(ROOT), STRAIGHT, " | \"Root\"",
		 NULL, NULL},
		{"all in the certificate's file", FILE_OF(LEAF, INT_B, INT_A, ROOT), NULL, LEAF,
		 WHOLE, NULL, NULL},
		{"one in the certificate's file", FILE_OF(LEAF, INT_B), FILE_OF(INT_A, ROOT), LEAF,
		 WHOLE, NULL, NULL},
		{"root first", FILE_OF(LEAF), FILE_OF(ROOT, INT_A, INT_B), LEAF, WHOLE,
		 "b.pem: not in order (each one's issuer behind it, the root last); used in this "
		 "one: \"Int B\", \"Int A\", \"Root\"\n",
		 NULL},
		{"two exchanged", FILE_OF(LEAF), FILE_OF(INT_A, INT_B, ROOT), LEAF, WHOLE,
		 "b.pem: not in order", NULL},
		{"shuffled in the certificate's file", FILE_OF(LEAF, ROOT, INT_A, INT_B), NULL,
		 LEAF, WHOLE, "s.crt: not in order", NULL},
		{"the server's own behind its CA", FILE_OF(INT_B, LEAF), FILE_OF(INT_A), LEAF,
		 "\"Int B\" \"Int A\"", "s.crt: the server's own certificate is number 2 and",
		 NULL},
		{"a namesake of the issuer before it", FILE_OF(NAME_ONLY),
		 FILE_OF(IMPOSTOR, INT_B, INT_A, ROOT), NAME_ONLY, WHOLE,
		 "b.pem: certificate 1, \"Int B\", is no part of the chain", NULL},
		{"one twice", FILE_OF(LEAF), FILE_OF(INT_B, INT_A, INT_A, ROOT), LEAF, WHOLE,
		 "b.pem: certificate 3, \"Int A\", stands there twice; one is left out\n", NULL},
		{"the leaf in the bundle", FILE_OF(LEAF), FILE_OF(LEAF, INT_B, INT_A), LEAF,
		 "\"Int B\" \"Int A\"",
		 "b.pem: certificate 1, \"chat.test\", stands there twice (the server's own", NULL},
		{"the self-signed one as its bundle", FILE_OF(SELF), FILE_OF(SELF), SELF, "",
		 "stands there twice", NULL},
		{"a whole chain and one of another", FILE_OF(LEAF),
		 FILE_OF(INT_B, INT_A, ROOT, OTHER_INT), LEAF, WHOLE,
		 "b.pem: certificate 4, \"Other int\", is no part of the chain and is not used\n",
		 NULL},
		{"an expired one beside the new one", FILE_OF(LEAF),
		 FILE_OF(INT_B, OLD_A, INT_A, ROOT), LEAF, WHOLE,
		 "b.pem: certificate 2, \"Int A\", is no part of the chain", NULL},
		{"cross-signed, its order decides", FILE_OF(LEAF),
		 FILE_OF(INT_B, INT_A, CROSS, ROOT), LEAF, "\"Int B\" \"Int A\" \"Root\"",
		 "b.pem: certificate 4, \"Root\", is no part", NULL},
		{"root expired", FILE_OF(LEAF), FILE_OF(INT_B, INT_A, OLD_ROOT), LEAF, WHOLE,
		 "b.pem: the root \"Root\" has expired; it is not sent", NULL},
		{"intermediate expired", FILE_OF(LEAF), FILE_OF(INT_B, OLD_A, ROOT), LEAF, WHOLE,
		 NULL,
		 "b.pem: the CA's certificate \"Int A\" has expired: clients refuse the chain; "
		 "get the CA's new bundle\n"},
		{"leaf expired", FILE_OF(EXPIRED), FILE_OF(INT_B, INT_A, ROOT), EXPIRED, WHOLE,
		 NULL, "s.crt: has expired: clients refuse it; renew it\n"},
		{"leaf not yet valid", FILE_OF(EARLY), FILE_OF(INT_B, INT_A, ROOT), EARLY, WHOLE,
		 NULL, "s.crt: the certificate is not valid yet"},
		{"leaf for clients", FILE_OF(CLIENT), FILE_OF(INT_B, INT_A, ROOT), CLIENT, WHOLE,
		 NULL, "s.crt: clients refuse \"chat.test\": "},
		{"issuer that is no CA", FILE_OF(UNDER_NO_CA), FILE_OF(NO_CA, ROOT), UNDER_NO_CA,
		 "\"Int N\" | \"Root\"", NULL, "s.crt: clients refuse \"Int N\": invalid CA"},
		{"path too long", FILE_OF(UNDER_SHORT), FILE_OF(SHORT_SUB, SHORT, ROOT),
		 UNDER_SHORT, "\"Int SS\" \"Int S\" | \"Root\"", NULL,
		 "s.crt: clients refuse \"Int S\": path length"},
		{"SHA-1", FILE_OF(SHA1_LEAF), FILE_OF(INT_B, INT_A, ROOT), SHA1_LEAF, WHOLE, NULL,
		 "s.crt: clients refuse \"chat.test\": CA signature digest algorithm too weak"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str why = STR_INIT;
		struct tls_chain chain;

		if (build(&chain, cases[i].cert, cases[i].bundle, cases[i].key, &why) != ERR_OK)
			fail_msg("%s: refused: %s", cases[i].name, why.data);
		assert_chain(&chain, cases[i].chain);
		if (!strstr(chain.warnings.data, cases[i].warns ? cases[i].warns : "") ||
		    (!cases[i].warns && chain.warnings.len))
			fail_msg("%s warns: %s", cases[i].name, chain.warnings.data);
		if (!strstr(chain.refused.data, cases[i].refused ? cases[i].refused : "") ||
		    (!cases[i].refused && chain.refused.len))
			fail_msg("%s refuses: %s", cases[i].name, chain.refused.data);
		tls_chain_clear(&chain);
		str_clear(&why);
	}
}

static void bad_chains_are_refused_each_with_its_own_reason(void **state)
{
	const struct {
		const int *cert, *bundle;
		int key;
		enum err e;
		const char *says;
	} cases[] = {
		{FILE_OF(LEAF), FILE_OF(INT_B, INT_A), STRAIGHT, ERR_CONFLICT,
		 "s.key: is not the key of the certificate in s.crt; name the two files"},
		{FILE_OF(INT_B), FILE_OF(LEAF, INT_A), LEAF, ERR_CONFLICT,
		 "(its certificate stands in b.pem)"},
		{FILE_OF(LEAF), FILE_OF(OTHER_INT, OTHER), LEAF, ERR_CONFLICT,
		 "b.pem: does not belong to s.crt, which was issued by \"Int B\"; it has \"Other "
		 "int\" instead; get the bundle of \"Int B\""},
		{FILE_OF(LEAF), FILE_OF(INT_A, ROOT), LEAF, ERR_CONFLICT,
		 "b.pem: does not belong to s.crt, which was issued by \"Int B\""},
		{FILE_OF(LEAF), FILE_OF(IMPOSTOR, OTHER), LEAF, ERR_CONFLICT,
		 "its \"Int B\" has the name of the issuer but is not the one that signed"},
		{FILE_OF(NAME_ONLY), FILE_OF(IMPOSTOR, OTHER), NAME_ONLY, ERR_CONFLICT,
		 "its \"Int B\" has the name of the issuer but is not the one that signed"},
		{FILE_OF(SELF), FILE_OF(INT_B, INT_A, ROOT), SELF, ERR_CONFLICT,
		 "b.pem: does not belong to s.crt, which is self-signed and needs no bundle"},
		{FILE_OF(LEAF), FILE_OF(INT_B, ROOT), LEAF, ERR_NOTFOUND,
		 "b.pem: a link is missing: \"Int B\" was issued by \"Int A\", which is not there; "
		 "add its certificate, or take \"Root\" out"},
		{FILE_OF(LEAF), FILE_OF(INT_B, OTHER_INT), LEAF, ERR_NOTFOUND,
		 "b.pem: a link is missing: \"Int B\" was issued by \"Int A\""},
		{FILE_OF(LEAF, INT_B, ROOT), NULL, LEAF, ERR_NOTFOUND, "s.crt: a link is missing"},
		{FILE_OF(NONE), FILE_OF(INT_B), LEAF, ERR_FORMAT, "s.crt: holds no certificate"},
		{FILE_OF(LEAF), FILE_OF(NONE), LEAF, ERR_FORMAT, "b.pem: holds no certificate"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str why = STR_INIT;
		struct tls_chain chain;
		enum err e = build(&chain, cases[i].cert, cases[i].bundle, cases[i].key, &why);

		if (e != cases[i].e || !strstr(why.data, cases[i].says))
			fail_msg("case %zu: %d %s", i, e, why.data);
		assert_null(chain.leaf);
		str_clear(&why);
	}
}

static void the_first_to_expire_of_what_is_sent_is_known(void **state)
{
	struct made soon =
		MADE_CA(.cn = "Int A", .issuer = &c[ROOT], .same_key = &c[INT_A], .ends = 9);
	struct str cert = STR_INIT, bundle = STR_INIT, why = STR_INIT;
	struct tls_chain chain;
	struct tls_chain_files f = {.cert_path = "s.crt", .bundle_path = "b.pem"};

	(void)state;
	made_pem(&cert, &c[LEAF]);
	made_pem(&bundle, &c[INT_B]);
	made_pem(&bundle, &soon);
	f.cert = str_slice(&cert);
	f.bundle = str_slice(&bundle);
	assert_int_equal(tls_chain_build(&chain, &f, &why), ERR_OK);
	assert_int_equal(X509_cmp(chain.first, soon.x), 0);
	tls_chain_clear(&chain);
	made_free(&soon);
	str_clear(&cert);
	str_clear(&bundle);
	str_clear(&why);
}

static void keys_of_every_kind_make_a_chain(void **state)
{
	static const char *const kinds[] = {"RSA", "ED25519", "EC"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct made root = MADE_CA(.cn = "R", .key = kinds[i]);
		struct made ca = MADE_CA(.cn = "I", .issuer = &root, .key = kinds[(i + 1) % 3]);
		struct made leaf = MADE(.cn = "chat.test", .issuer = &ca, .key = kinds[i]);
		struct str cert = STR_INIT, bundle = STR_INIT, why = STR_INIT;
		struct tls_chain_files f = {.cert_path = "s.crt",
					    .bundle_path = "b.pem",
					    .key_path = "s.key",
					    .key = leaf.key};
		struct tls_chain chain;

		made_pem(&cert, &leaf);
		made_pem(&bundle, &root);
		made_pem(&bundle, &ca);
		f.cert = str_slice(&cert);
		f.bundle = str_slice(&bundle);
		if (tls_chain_build(&chain, &f, &why) != ERR_OK)
			fail_msg("%s: %s", kinds[i], why.data);
		assert_chain(&chain, "\"I\" | \"R\"");
		assert_string_equal(chain.refused.data, "");
		tls_chain_clear(&chain);
		made_free(&root);
		made_free(&ca);
		made_free(&leaf);
		str_clear(&cert);
		str_clear(&bundle);
		str_clear(&why);
	}
}

static void der_bom_and_carriage_returns_are_read(void **state)
{
	struct str pem = STR_INIT, der = STR_INIT, dos = STR_INIT, why = STR_INIT;
	const struct {
		const struct str *bytes;
		int count;
	} cases[] = {{&pem, 2}, {&der, 1}, {&dos, 2}};

	(void)state;
	made_pem(&pem, &c[INT_B]);
	str_adds(&pem, "\nsubject=/CN=Int A\n   text between\n");
	made_pem(&pem, &c[INT_A]);
	made_der(&der, &c[INT_B]);
	str_adds(&dos, "\xef\xbb\xbf");
	for (const char *p = pem.data; *p; p++)
		*p == '\n' ? str_adds(&dos, "\r\n") : str_addc(&dos, *p);
	for (size_t i = 0; i < 3; i++) {
		STACK_OF(X509) * certs;

		if (tls_pem_certs(&certs, str_slice(cases[i].bytes), "f", NULL, &why) != ERR_OK)
			fail_msg("case %zu: %s", i, why.data);
		assert_int_equal(sk_X509_num(certs), cases[i].count);
		sk_X509_pop_free(certs, X509_free);
	}
	str_clear(&pem);
	str_clear(&der);
	str_clear(&dos);
}

static void a_file_that_is_cut_off_anywhere_is_refused_or_lacks_whole_certificates(void **state)
{
	struct str pem = STR_INIT, der = STR_INIT, why = STR_INIT;
	STACK_OF(X509) * certs;
	size_t first;

	(void)state;
	made_pem(&pem, &c[INT_B]);
	first = pem.len;
	made_pem(&pem, &c[INT_A]);
	made_der(&der, &c[INT_B]);
	for (size_t len = 1; len < pem.len - 1; len++) {
		if (len >= first - 1 && len < first + 5)
			continue; /* a dash or none of the second is there: nothing tells */
		str_reset(&why);
		assert_int_equal(tls_pem_certs(&certs, slice_of(pem.data, len), "f", NULL, &why),
				 ERR_FORMAT);
		assert_null(certs);
		assert_non_null(strstr(why.data, len < first ? "f: holds no certificate"
							     : "f: a certificate behind"));
	}
	for (size_t len = 0; len < der.len; len++)
		assert_int_equal(tls_pem_certs(&certs, slice_of(der.data, len), "f", NULL, &why),
				 ERR_FORMAT);
	str_addc(&der, 'x');
	assert_int_equal(tls_pem_certs(&certs, str_slice(&der), "f", NULL, &why), ERR_FORMAT);
	str_clear(&pem);
	str_clear(&der);
	str_clear(&why);
}

static char *request_pem(void)
{
	X509_REQ *req = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	struct str out = STR_INIT;

	X509_REQ_set_pubkey(req, c[LEAF].key);
	check(X509_REQ_sign(req, c[LEAF].key, EVP_sha256()) > 0);
	check(PEM_write_bio_X509_REQ(bio, req) == 1);
	made_add_bio(&out, bio);
	X509_REQ_free(req);
	return str_detach(&out);
}

static void what_is_no_certificate_is_called_by_its_name(void **state)
{
	struct str key = STR_INIT, two = STR_INIT, why = STR_INIT;
	char *request = request_pem();
	STACK_OF(X509) * certs;
	const struct {
		const char *text, *says;
	} cases[] = {
		{"", "f: holds no certificate (neither PEM nor DER, or cut off)"},
		{"hello\n", "f: holds no certificate ("},
		{request, "f: holds no certificate (but a request for one); have the CA sign it"},
		{key.data, "?"},
		{"-----BEGIN CERTIFICATE-----\nrubbish\n", "line 1 does not end"},
		{"-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n",
		 "f: holds no certificate ("},
		{"-----END CERTIFICATE-----\n", "line 1 is no BEGIN line"},
		{"-----BEGIN CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n",
		 "line 2 is no END line for what begins in line 1"},
		{"-----BEGIN CERTIFICATE-----\n-----END X509 CRL-----\n", "line 2 is no END line"},
		{"-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n", "unpack it: openssl pkcs7"},
	};

	(void)state;
	made_key_pem(&key, &c[LEAF]);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_key = *cases[i].says == '?';
		const char *says = is_key ? "but a private key" : cases[i].says;

		str_reset(&why);
		assert_int_equal(tls_pem_certs(&certs, slice_str(is_key ? key.data : cases[i].text),
					       "f", NULL, &why),
				 ERR_FORMAT);
		if (!strstr(why.data, says))
			fail_msg("case %zu: %s", i, why.data);
	}
	for (int i = 0; i <= TLS_PEM_CERTS_MAX; i++)
		made_pem(&two, &c[LEAF]);
	assert_int_equal(tls_pem_certs(&certs, str_slice(&two), "f", NULL, &why), ERR_TOOBIG);
	free(request);
	str_clear(&key);
	str_clear(&two);
	str_clear(&why);
}

static void a_key_with_a_pass_phrase_is_told_from_one_that_is_broken(void **state)
{
	struct str locked = STR_INIT, key = STR_INIT, why = STR_INIT;
	BIO *bio = BIO_new(BIO_s_mem());
	EVP_PKEY *out;

	(void)state;
	check(PEM_write_bio_PKCS8PrivateKey(bio, c[LEAF].key, EVP_aes_128_cbc(), "secret", 6, NULL,
					    NULL));
	made_add_bio(&locked, bio);
	assert_int_equal(tls_pem_key(&out, str_slice(&locked), "f", &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "it has a pass phrase); take it off: pki unlock"));
	str_reset(&why);
	made_key_pem(&key, &c[LEAF]);
	assert_int_equal(tls_pem_key(&out, slice_of(key.data, key.len / 2), "f", &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "f: holds no usable private key"));
	assert_int_equal(tls_pem_key(&out, str_slice(&key), "f", &why), ERR_OK);
	assert_int_equal(EVP_PKEY_eq(out, c[LEAF].key), 1);
	EVP_PKEY_free(out);
	str_clear(&locked);
	str_clear(&key);
	str_clear(&why);
}

static void a_chain_reaches_a_root_or_the_missing_link_is_named(void **state)
{
	const struct {
		const int *cert, *bundle;
		int key, root;
		const char *says; /* NULL: it does */
	} cases[] = {
		{FILE_OF(LEAF), FILE_OF(INT_B, INT_A, ROOT), LEAF, ROOT, NULL},
		{FILE_OF(LEAF), FILE_OF(INT_B, INT_A), LEAF, ROOT, NULL},
		{FILE_OF(STRAIGHT), NULL, STRAIGHT, ROOT, NULL},
		{FILE_OF(SELF), NULL, SELF, SELF, NULL},
		{FILE_OF(LEAF), FILE_OF(INT_B), LEAF, ROOT,
		 "a link is missing: \"Int B\" was issued by \"Int A\""},
		{FILE_OF(LEAF), NULL, LEAF, ROOT,
		 "a link is missing: \"chat.test\" was issued by \"Int B\""},
		{FILE_OF(LEAF), FILE_OF(INT_B, INT_A), LEAF, OTHER,
		 "a link is missing: \"Int A\" was issued by \"Root\", which is neither in the "
		 "bundle nor in r.pem"},
		{FILE_OF(EXPIRED), FILE_OF(INT_B, INT_A), EXPIRED, ROOT,
		 "\"chat.test\" is refused: certificate has expired"},
		{FILE_OF(SELF), NULL, SELF, ROOT, "r.pem: the chain ends in \"chat.test\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		STACK_OF(X509) *roots = sk_X509_new_null();
		struct str why = STR_INIT;
		struct tls_chain chain;
		bool ok;

		sk_X509_push(roots, c[cases[i].root].x);
		assert_int_equal(build(&chain, cases[i].cert, cases[i].bundle, cases[i].key, &why),
				 ERR_OK);
		ok = tls_chain_reaches(&chain, roots, "r.pem", &why);
		if (ok != !cases[i].says || !strstr(why.data, cases[i].says ? cases[i].says : ""))
			fail_msg("case %zu: %s", i, why.data);
		sk_X509_free(roots);
		tls_chain_clear(&chain);
		str_clear(&why);
	}
}

/* ---- files */

static char dir[64];

static const char *put(const char *name, const struct str *text)
{
	static char ring[8][128];
	static unsigned int next;
	char *path = ring[next++ % 8];
	FILE *f;

	snprintf(path, sizeof(ring[0]), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text->data, 1, text->len, f), text->len);
	fclose(f);
	return path;
}

static void files_are_judged_and_what_clients_refuse_is_refused(void **state)
{
	struct str leaf = STR_INIT, expired = STR_INIT, key = STR_INIT, old_key = STR_INIT,
		   bundle = STR_INIT, why = STR_INIT, warnings = STR_INIT;
	const char *k, *o, *l, *x, *b;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/chain.XXXXXX");
	assert_non_null(mkdtemp(dir));
	made_pem(&leaf, &c[LEAF]);
	made_pem(&expired, &c[EXPIRED]);
	made_key_pem(&key, &c[LEAF]);
	made_key_pem(&old_key, &c[EXPIRED]);
	fill(&bundle, FILE_OF(ROOT, INT_B, INT_A));
	k = put("k", &key), o = put("o", &old_key), l = put("l", &leaf), x = put("x", &expired),
	b = put("b", &bundle);

	assert_int_equal(tls_chain_judge(k, l, NULL, &warnings, &why), ERR_OK);
	assert_string_equal(warnings.data, "");
	assert_int_equal(tls_chain_judge(k, l, b, &warnings, &why), ERR_OK);
	assert_non_null(strstr(warnings.data, "not in order"));
	assert_int_equal(tls_chain_judge(o, l, b, &warnings, &why), ERR_CONFLICT);
	str_reset(&why);
	assert_int_equal(tls_chain_judge(o, x, b, &warnings, &why), ERR_RANGE);
	assert_non_null(strstr(why.data, "x: has expired: clients refuse it; renew it"));
	assert_null(strchr(why.data, '\n'));
	str_reset(&why);
	assert_int_equal(tls_chain_judge(k, l, "/nowhere/b.pem", &warnings, &why), ERR_NOTFOUND);
	assert_non_null(strstr(why.data, "/nowhere/b.pem: No such file"));
	unlink(k), unlink(o), unlink(l), unlink(x), unlink(b);
	assert_int_equal(rmdir(dir), 0);
	str_clear(&leaf);
	str_clear(&expired);
	str_clear(&key);
	str_clear(&old_key);
	str_clear(&bundle);
	str_clear(&why);
	str_clear(&warnings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			good_chains_are_sent_in_order_without_the_root_and_oddities_are_warned_of),
		cmocka_unit_test(bad_chains_are_refused_each_with_its_own_reason),
		cmocka_unit_test(the_first_to_expire_of_what_is_sent_is_known),
		cmocka_unit_test(keys_of_every_kind_make_a_chain),
		cmocka_unit_test(der_bom_and_carriage_returns_are_read),
		cmocka_unit_test(
			a_file_that_is_cut_off_anywhere_is_refused_or_lacks_whole_certificates),
		cmocka_unit_test(what_is_no_certificate_is_called_by_its_name),
		cmocka_unit_test(a_key_with_a_pass_phrase_is_told_from_one_that_is_broken),
		cmocka_unit_test(a_chain_reaches_a_root_or_the_missing_link_is_named),
		cmocka_unit_test(files_are_judged_and_what_clients_refuse_is_refused),
	};

	return cmocka_run_group_tests(tests, make_all, free_all);
}
