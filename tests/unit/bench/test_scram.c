/*
 * The examples of RFC 5802 section 5 and RFC 7677 section 3, with their nonces.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/evp.h>

#include "bench/scram.h"

static const struct {
	bool sha256;
	const char *client_nonce;
	const char *challenge; /* decoded */
	const char *response;  /* decoded */
	const char *success;   /* decoded */
} examples[] = {
	{false, "fyko+d2lbbFgONRv9qkxdawL",
	 "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	 "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	 "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
	{true, "rOprNGfwEbeRWgbNEkqO",
	 "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	 "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	 "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	 "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
};

static void base64(struct str *out, const char *text)
{
	str_init(out);
	str_reserve(out, strlen(text) * 2 + 4);
	out->len = (size_t)EVP_EncodeBlock((unsigned char *)out->data, (const unsigned char *)text,
					   (int)strlen(text));
}

static void begin(struct scram *s, size_t i)
{
	scram_init(s, examples[i].sha256);
	str_adds(&s->nonce, examples[i].client_nonce);
	str_addf(&s->first_bare, "n=user,r=%s", examples[i].client_nonce);
}

static void the_examples_of_the_rfcs_come_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		struct str challenge, response, success, out = STR_INIT;
		struct scram s;

		begin(&s, i);
		base64(&challenge, examples[i].challenge);
		base64(&response, examples[i].response);
		base64(&success, examples[i].success);
		assert_true(scram_final(&s, "pencil", str_slice(&challenge), &out));
		assert_string_equal(out.data, response.data);
		assert_true(scram_verify(&s, str_slice(&success)));
		success.data[9] ^= 1;
		assert_false(scram_verify(&s, str_slice(&success)));
		str_clear(&challenge);
		str_clear(&response);
		str_clear(&success);
		str_clear(&out);
		scram_clear(&s);
	}
}

static void a_challenge_for_another_nonce_is_refused(void **state)
{
	static const char *const bad[] = {
		"r=other3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
		"r=fyko+d2lbbFgONRv9qkxdawL,s=QSXCR+Q6sek8bf92,i=4096",
		"r=fyko+d2lbbFgONRv9qkxdawL3rf,s=QSXCR+Q6sek8bf92,i=0",
		"r=fyko+d2lbbFgONRv9qkxdawL3rf,i=4096",
		"nonsense",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct str challenge, out = STR_INIT;
		struct scram s;

		begin(&s, 0);
		base64(&challenge, bad[i]);
		assert_false(scram_final(&s, "pencil", str_slice(&challenge), &out));
		assert_int_equal(out.len, 0);
		str_clear(&challenge);
		scram_clear(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_rfcs_come_out),
		cmocka_unit_test(a_challenge_for_another_nonce_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
