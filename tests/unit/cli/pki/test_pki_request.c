#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/pki/pki_request.h"

#define WORDS 8

static int count(const char *const *words)
{
	int n = 0;

	while (n < WORDS && words[n])
		n++;
	return n;
}

static enum err parse(struct pki_request *r, const char *const *words, struct str *why)
{
	return pki_request_parse(r, count(words), (char *const *)(uintptr_t)words, why);
}

static void attributes_names_and_addresses_are_taken_as_given(void **state)
{
	static const struct {
		const char *words[WORDS];
		const char *cn, *o, *names; /* names: joined by blanks */
	} cases[] = {
		{{"abhiall", "CN:tptac9.com",
		  "subAltName:cb1.tptac9.com,cb2.tptac9.com,cb3.tptac9."
		  "com"},
		 "tptac9.com",
		 NULL,
		 "cb1.tptac9.com cb2.tptac9.com cb3.tptac9.com"},
		{{"a", "cn:a.org", "subjectaltname:*.a.org,192.0.2.1,::1,2001:db8::5"},
		 "a.org",
		 NULL,
		 "*.a.org 192.0.2.1 ::1 2001:db8::5"},
		{{"A-b_9", "subjectAltName:DNS:a.org,IP:192.0.2.1,IP:::1", "CN:a.org"},
		 "a.org",
		 NULL,
		 "a.org 192.0.2.1 ::1"},
		{{"a", "CN:a.org", "O:Ex\xc3\xa4mple, Ltd: \"x\"=y/z"},
		 "a.org",
		 "Ex\xc3\xa4mple, Ltd: \"x\"=y/z",
		 ""},
		{{"a", "CN:192.0.2.1"}, "192.0.2.1", NULL, ""},
		{{"a"}, NULL, NULL, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str why = STR_INIT, names = STR_INIT;
		struct pki_request r;

		if (parse(&r, cases[i].words, &why) != ERR_OK)
			fail_msg("case %zu: %s", i, why.data);
		for (size_t k = 0; k < r.nnames; k++)
			str_addf(&names, "%s%s", k ? " " : "", r.names[k]);
		assert_string_equal(r.basename, cases[i].words[0]);
		assert_string_equal(r.value[PKI_CN] ? r.value[PKI_CN] : "-",
				    cases[i].cn ? cases[i].cn : "-");
		assert_string_equal(r.value[PKI_O] ? r.value[PKI_O] : "-",
				    cases[i].o ? cases[i].o : "-");
		assert_string_equal(names.data, cases[i].names);
		pki_request_clear(&r);
		str_clear(&names);
		str_clear(&why);
	}
}

#define A10    "aaaaaaaaaa"
#define A63    A10 A10 A10 A10 A10 A10 "aaa"
#define UMLAUT "\xc3\xa4"
#define U8     UMLAUT UMLAUT UMLAUT UMLAUT UMLAUT UMLAUT UMLAUT UMLAUT
#define U64    U8 U8 U8 U8 U8 U8 U8 U8

static void lengths_are_those_of_x520_in_characters(void **state)
{
	static const struct {
		const char *words[WORDS];
		enum err e;
	} cases[] = {
		{{"a", "O:" U64}, ERR_OK},
		{{"a", "O:" U64 "x"}, ERR_FORMAT},
		{{"a", "L:" U64 U64}, ERR_OK},
		{{"a", "L:" U64 U64 "x"}, ERR_FORMAT},
		{{"a", "CN:" A63}, ERR_OK},
		{{"a", "CN:" A63 ".a"}, ERR_FORMAT},
		{{"a", "CN:" A63 "a"}, ERR_FORMAT},
		{{"a", "subjectAltName:" A63 "." A63 "." A63 "." A10}, ERR_OK},
		{{"a", "subjectAltName:" A63 "." A63 "." A63 "." A63}, ERR_FORMAT},
		{{A63 "a"}, ERR_OK},
		{{A63 "aa"}, ERR_FORMAT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str why = STR_INIT;
		struct pki_request r;

		if (parse(&r, cases[i].words, &why) != cases[i].e)
			fail_msg("case %zu: %s", i, why.data);
		pki_request_clear(&r);
		str_clear(&why);
	}
}

static void what_is_wrong_is_said_and_nothing_is_kept(void **state)
{
	static const struct {
		const char *words[WORDS];
		const char *says;
	} cases[] = {
		{{"a/b"}, "the basename 'a/b'"},
		{{"a.key"}, "without a suffix"},
		{{"a b"}, "the basename 'a b'"},
		{{".."}, "the basename"},
		{{"-a"}, "the basename"},
		{{"\xc3\xa4"}, "the basename"},
		{{"CN:a.org"}, "the basename 'CN:a.org'"},
		{{"a", "CN"}, "'CN': write ATTRIBUTE:VALUE"},
		{{"a", "CN=a.org"}, "'CN=a.org': write ATTRIBUTE:VALUE"},
		{{"a", "X:y"}, "'X:y': write ATTRIBUTE:VALUE"},
		{{"a", ":y"}, "write ATTRIBUTE:VALUE"},
		{{"a", "CN:a b"}, "CN:a b: give the domain or host name"},
		{{"a", "CN:a..b"}, "give the domain or host name"},
		{{"a", "CN:-a.org"}, "give the domain or host name"},
		{{"a", "CN:\xc3\xa4.org"}, "xn-- form"},
		{{"a", "CN:a", "cn:b"}, "CN is given twice"},
		{{"a", "C:G"}, "the country, two letters"},
		{{"a", "C:G1"}, "the country, two letters"},
		{{"a", "C:GBR"}, "the country, two letters"},
		{{"a", "O:"}, "give the organization, at most 64"},
		{{"a", "O:a\nb"}, "give the organization"},
		{{"a", "O:\xff"}, "give the organization"},
		{{"a", "subjectAltName:"}, "an empty name"},
		{{"a", "subjectAltName:a.org,"}, "an empty name"},
		{{"a", "subjectAltName:,a.org"}, "an empty name"},
		{{"a", "subjectAltName:a.org,,b.org"}, "an empty name"},
		{{"a", "subjectAltName:a.org, b.org"}, "a space in the list"},
		{{"a", "subjectAltName:a.org\tb.org"}, "a space in the list"},
		{{"a", "subjectAltName:a.org", "subAltName:b.org"}, "given twice"},
		{{"a", "subjectAltName:a.org;b.org"}, "'a.org;b.org' is neither"},
		{{"a", "subjectAltName:DNS:"}, "neither a DNS name nor"},
		{{"a", "subjectAltName:*.*.org"}, "neither a DNS name nor"},
		{{"a", "subjectAltName:a.org:5222"}, "neither a DNS name nor"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str why = STR_INIT;
		struct pki_request r;

		assert_int_equal(parse(&r, cases[i].words, &why), ERR_FORMAT);
		if (!strstr(why.data, cases[i].says))
			fail_msg("case %zu: %s", i, why.data);
		assert_int_equal(r.nnames, 0);
		assert_null(r.value[PKI_CN]);
		str_clear(&why);
	}
}

static void a_hundred_names_are_taken_and_no_more(void **state)
{
	struct str list = STR_INIT, why = STR_INIT;
	struct pki_request r;

	(void)state;
	str_adds(&list, "subjectAltName:a0.org");
	for (int i = 1; i < PKI_REQUEST_NAMES_MAX; i++)
		str_addf(&list, ",a%d.org", i);
	assert_int_equal(parse(&r, (const char *[WORDS]){"a", list.data}, &why), ERR_OK);
	assert_int_equal(r.nnames, PKI_REQUEST_NAMES_MAX);
	pki_request_clear(&r);
	str_adds(&list, ",more.org");
	assert_int_equal(parse(&r, (const char *[WORDS]){"a", list.data}, &why), ERR_TOOBIG);
	str_clear(&list);
	str_clear(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_names_and_addresses_are_taken_as_given),
		cmocka_unit_test(lengths_are_those_of_x520_in_characters),
		cmocka_unit_test(what_is_wrong_is_said_and_nothing_is_kept),
		cmocka_unit_test(a_hundred_names_are_taken_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
