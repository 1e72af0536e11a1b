#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "scram/scram_keys.h"
#include "ipc/db_pack.h"

static int base64(unsigned char *out, const char *text)
{
	int len = EVP_DecodeBlock(out, (const unsigned char *)text, (int)strlen(text));

	for (size_t i = strlen(text); i && text[i - 1] == '='; i--)
		len--;
	return len;
}

/* The exchanges printed in RFC 5802 section 5 and RFC 7677 section 3: the keys must confirm the
 * client's proof and make the server's signature. */
static void the_keys_fit_the_exchanges_of_rfc_5802_and_rfc_7677(void **state)
{
	static const struct {
		const char *hash, *salt, *exchange, *proof, *signature;
	} cases[] = {
		{"SHA-1", "QSXCR+Q6sek8bf92",
		 "n=user,r=fyko+d2lbbFgONRv9qkxdawL,"
		 "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
		 "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
		 "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{"SHA-256", "W22ZaJ0SNY7soEsUEjb6gQ==",
		 "n=user,r=rOprNGfwEbeRWgbNEkqO,"
		 "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
		 "i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
		 "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		 "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const EVP_MD *md = i ? EVP_sha256() : EVP_sha1();
		const unsigned char *text = (const unsigned char *)cases[i].exchange;
		size_t len = strlen(cases[i].exchange);
		unsigned char salt[64], proof[64], signature[64], mac[64], stored[64];
		int salt_len = base64(salt, cases[i].salt);
		struct scram_keys k;

		assert_int_equal(scram_keys_derive(&k, cases[i].hash, slice_str("pencil"),
						   slice_of((char *)salt, (size_t)salt_len), 4096),
				 ERR_OK);
		assert_int_equal(k.len, base64(signature, cases[i].signature));
		HMAC(md, k.server_key, (int)k.len, text, len, mac, NULL);
		assert_memory_equal(mac, signature, k.len);

		assert_int_equal(k.len, base64(proof, cases[i].proof));
		HMAC(md, k.stored_key, (int)k.len, text, len, mac, NULL);
		for (size_t n = 0; n < k.len; n++)
			proof[n] ^= mac[n]; /* now the ClientKey */
		EVP_Digest(proof, k.len, stored, NULL, md, NULL);
		assert_memory_equal(stored, k.stored_key, k.len);
	}
}

static void an_unknown_hash_is_refused(void **state)
{
	struct scram_keys k;

	(void)state;
	assert_int_equal(scram_keys_derive(&k, "MD5", slice_str("p"), slice_str("salt"), 4096),
			 ERR_UNSUPPORTED);
}

static void passwords_are_prepared_as_rfc_4013_says(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"pencil", "pencil"},
		{"I\xc2\xadX", "IX"},	/* RFC 4013 3, 1: soft hyphen */
		{"USER", "USER"},	/* 3, 3: case is kept */
		{"\xc2\xaa", "a"},	/* 3, 4: NFKC */
		{"\xe2\x85\xa8", "IX"}, /* 3, 5: NFKC */
		{"a\xc2\xa0"
		 "b",
		 "a b"}, /* 2.1: other spaces */
		{"\xef\xb7\xba", "\xd8\xb5\xd9\x84\xd9\x89 \xd8\xa7\xd9\x84\xd9\x84\xd9\x87 "
				 "\xd8\xb9\xd9\x84\xd9\x8a\xd9\x87 \xd9\x88\xd8\xb3\xd9\x84\xd9"
				 "\x85"}, /* one character becomes eighteen */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT, why = STR_INIT;

		assert_int_equal(scram_keys_prepare(&out, cases[i].in, &why), ERR_OK);
		assert_string_equal(out.data, cases[i].out);
		assert_int_equal(why.len, 0);
		str_clear(&out);
	}
}

static void passwords_that_cannot_be_are_refused_with_the_reason(void **state)
{
	static const struct {
		const char *in, *says;
	} cases[] = {
		{"", "empty"},
		{"\xc2\xad", "empty"},	    /* nothing left */
		{"\x07", "cannot be used"}, /* RFC 4013 3, 6: control character */
		{"\xd8\xa7"
		 "1",
		 "cannot be used"},			  /* 3, 7: bidirectional check */
		{"\xff", "cannot be used"},		  /* not UTF-8 */
		{"\xf0\x9f\x98\x80", "such as an emoji"}, /* 2.5: unassigned */
	};
	char long_one[SCRAM_KEYS_PASSWORD_MAX + 2];
	struct str out = STR_INIT, why = STR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		str_reset(&why);
		assert_int_equal(scram_keys_prepare(&out, cases[i].in, &why), ERR_FORMAT);
		assert_non_null(strstr(why.data, cases[i].says));
		assert_int_equal(out.len, 0);
	}
	memset(long_one, 'x', sizeof(long_one));
	long_one[sizeof(long_one) - 1] = '\0';
	assert_int_equal(scram_keys_prepare(&out, long_one, &why), ERR_TOOBIG);
	long_one[sizeof(long_one) - 2] = '\0';
	assert_int_equal(scram_keys_prepare(&out, long_one, &why), ERR_OK);
	str_clear(&out);
	str_clear(&why);
}

static void both_hashes_are_packed_each_with_a_salt_of_its_own(void **state)
{
	struct str out = STR_INIT, why = STR_INIT;
	struct db_scram s[4];
	struct slice in;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(scram_keys_pack(&out, "I\xc2\xadX", 5000, &why), ERR_OK);
	in = str_slice(&out);
	for (int i = 0; i < 4; i++) {
		const char *hash = i % 2 ? "SHA-256" : "SHA-1";
		struct scram_keys k;

		assert_true(db_scram_get(&in, &s[i]));
		assert_true(slice_is(s[i].hash, hash));
		assert_int_equal(s[i].iterations, 5000);
		assert_int_equal(s[i].salt.len, 16);
		for (int n = 0; n < i; n++)
			assert_false(slice_eq(s[n].salt, s[i].salt));
		scram_keys_derive(&k, hash, slice_str("IX"), s[i].salt, 5000);
		assert_true(slice_eq(s[i].stored_key, slice_of((char *)k.stored_key, k.len)));
		assert_true(slice_eq(s[i].server_key, slice_of((char *)k.server_key, k.len)));
	}
	assert_int_equal(in.len, 0);
	str_clear(&out);
}

static void nothing_is_packed_for_a_refused_password(void **state)
{
	struct str out = STR_INIT, why = STR_INIT;

	(void)state;
	str_adds(&out, "before");
	assert_int_equal(scram_keys_pack(&out, "\x07", 4096, &why), ERR_FORMAT);
	assert_string_equal(out.data, "before");
	assert_true(why.len > 0);
	str_clear(&out);
	str_clear(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_keys_fit_the_exchanges_of_rfc_5802_and_rfc_7677),
		cmocka_unit_test(an_unknown_hash_is_refused),
		cmocka_unit_test(passwords_are_prepared_as_rfc_4013_says),
		cmocka_unit_test(passwords_that_cannot_be_are_refused_with_the_reason),
		cmocka_unit_test(both_hashes_are_packed_each_with_a_salt_of_its_own),
		cmocka_unit_test(nothing_is_packed_for_a_refused_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
