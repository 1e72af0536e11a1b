#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/dns_wire.h"

static void names_are_made_ready_for_a_question(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} cases[] = {
		{"Example.ORG", "example.org"},
		{"example.org.", "example.org"},
		{"_xmpp-server._tcp.example.org", "_xmpp-server._tcp.example.org"},
		{"b\xc3\xbc"
		 "cher.example",
		 "xn--bcher-kva.example"},
		{"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
		{".", ""},
		{"", ""},
		{"..", NULL},
		{"a..b", NULL},
		{".a", NULL},
		{"a b", NULL},
		{"a\tb", NULL},
		{"a\"b", NULL},
		{"a\\b", NULL},
		{"a\x7f", NULL},
		{"\xff\xfe", NULL},
	};
	char out[DNS_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err e = dns_name_parse(out, cases[i].in);

		assert_int_equal(e, cases[i].out ? ERR_OK : ERR_FORMAT);
		if (cases[i].out)
			assert_string_equal(out, cases[i].out);
	}
}

#define BYTES(s) (const unsigned char *)(s), sizeof(s) - 1

static void records_are_taken_apart_or_refused(void **state)
{
	struct srv_record srv;
	struct dns_address a;
	struct dns_tlsa tlsa;

	(void)state;
	assert_true(dns_srv_unpack(&srv, BYTES("\0\12\0\62\x14\x66\3cb1\7example\0")));
	assert_int_equal(srv.priority, 10);
	assert_int_equal(srv.weight, 50);
	assert_int_equal(srv.port, 5222);
	assert_string_equal(srv.target, "cb1.example");
	assert_true(dns_srv_unpack(&srv, BYTES("\0\0\0\0\0\0\0")));
	assert_string_equal(srv.target, "");
	/* too short, not ended, bytes behind, a pointer, a space, a dot in a label */
	assert_false(dns_srv_unpack(&srv, BYTES("\0\0\0\0\0\0")));
	assert_false(dns_srv_unpack(&srv, BYTES("\0\0\0\0\0\0\1a")));
	assert_false(dns_srv_unpack(&srv, BYTES("\0\0\0\0\0\0\5a\0")));
	assert_false(dns_srv_unpack(&srv, BYTES("\0\0\0\0\0\0\1a\0x")));
	assert_false(dns_srv_unpack(&srv, BYTES("\0\0\0\0\0\0\xc0\x0c")));
	assert_false(dns_srv_unpack(&srv, BYTES("\0\0\0\0\0\0\1 \0")));
	assert_false(dns_srv_unpack(&srv, BYTES("\0\0\0\0\0\0\3a.b\0")));
	assert_true(dns_address_unpack(&a, DNS_A, BYTES("\177\0\0\1")));
	assert_int_equal(a.family, AF_INET);
	assert_false(dns_address_unpack(&a, DNS_AAAA, BYTES("\177\0\0\1")));
	assert_false(dns_address_unpack(&a, DNS_A, BYTES("\177\0\0\1\0")));
	assert_true(dns_tlsa_unpack(&tlsa, BYTES("\3\1\1\xab\xcd")));
	assert_int_equal(tlsa.len, 2);
	assert_false(dns_tlsa_unpack(&tlsa, BYTES("\3\1\1")));
}

static void a_name_of_253_bytes_fits_and_no_longer_one(void **state)
{
	unsigned char wire[300];
	char out[DNS_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(wire); i++)
		wire[i] = i % 64 ? 'a' : 63;
	wire[192] = 61;
	wire[192 + 62] = 0; /* 63+1+63+1+63+1+61 = 253 */
	assert_int_equal(dns_name_unpack(out, wire, sizeof(wire)), 255);
	assert_int_equal(strlen(out), 253);
	wire[192] = 62;
	wire[192 + 62] = 'a';
	wire[192 + 63] = 0;
	assert_int_equal(dns_name_unpack(out, wire, sizeof(wire)), 0);
}

static void any_bytes_are_survived(void **state)
{
	unsigned char data[600], question[DNS_QUESTION_MAX];
	size_t question_len = dns_question_pack(question, 0x1234, "a.example", DNS_A);
	char out[DNS_NAME_MAX];
	unsigned int rcode;
	bool truncated;

	(void)state;
	srandom(1);
	for (int i = 0; i < 200000; i++) {
		size_t len = (size_t)random() % sizeof(data);
		unsigned char *exact = malloc(len ? len : 1); /* so that ASan sees its end */

		for (size_t k = 0; k < len; k++)
			exact[k] = (unsigned char)(random() % (i % 2 ? 70 : 256));
		dns_name_unpack(out, exact, len);
		if (len > 2)
			memcpy(exact, question,
			       i % 3		    ? 2
			       : len < question_len ? len
						    : question_len);
		dns_answer_matches(exact, len, question, question_len, &rcode, &truncated);
		free(exact);
		i += 20;
	}
}

static void an_answer_has_the_id_and_the_question_of_the_question(void **state)
{
	unsigned char q[DNS_QUESTION_MAX], a[DNS_QUESTION_MAX];
	size_t len = dns_question_pack(q, 0x1234, "a.example", DNS_SRV);
	unsigned int rcode;
	bool truncated;

	(void)state;
	assert_int_equal(len, 12 + 11 + 4);
	memcpy(a, q, len);
	assert_false(dns_answer_matches(a, len, q, len, &rcode, &truncated)); /* no answer */
	a[2] |= 0x82;
	a[3] = 5;
	a[13] = 'A';
	assert_true(dns_answer_matches(a, len, q, len, &rcode, &truncated));
	assert_string_equal(dns_rcode_name(rcode), "REFUSED");
	assert_true(truncated);
	a[13] = 'b';
	assert_false(dns_answer_matches(a, len, q, len, &rcode, &truncated));
	a[13] = 'a';
	a[1] ^= 1;
	assert_false(dns_answer_matches(a, len, q, len, &rcode, &truncated));
	a[1] ^= 1;
	assert_false(dns_answer_matches(a, len - 1, q, len, &rcode, &truncated));
	a[5] = 0; /* without the question */
	assert_true(dns_answer_matches(a, 12, q, len, &rcode, &truncated));
	assert_false(dns_answer_matches(a, 11, q, len, &rcode, &truncated));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_made_ready_for_a_question),
		cmocka_unit_test(records_are_taken_apart_or_refused),
		cmocka_unit_test(a_name_of_253_bytes_fits_and_no_longer_one),
		cmocka_unit_test(any_bytes_are_survived),
		cmocka_unit_test(an_answer_has_the_id_and_the_question_of_the_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
