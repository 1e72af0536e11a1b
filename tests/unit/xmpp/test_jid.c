/* lib/xmpp/jid.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "xmpp/jid.h"

#define TEXT(s)                    \
	{                          \
		(s), sizeof(s) - 1 \
	}

static char *repeat(const char *piece, size_t times, const char *tail)
{
	size_t n = strlen(piece);
	char *s = malloc(n * times + strlen(tail) + 1);

	for (size_t i = 0; i < times; i++)
		memcpy(s + n * i, piece, n);
	memcpy(s + n * times, tail, strlen(tail) + 1);
	return s;
}

static void jids_are_normalised(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"example.com", "example.com"},
		{"juliet@example.com", "juliet@example.com"},
		{"Juliet@EXAMPLE.com/Balcony", "juliet@example.com/Balcony"},
		{"example.com/foo@bar/baz", "example.com/foo@bar/baz"},
		{"a@example.com/ with spaces ", "a@example.com/ with spaces "},
		{"example.com.", "example.com"},
		{"a@example.com./r", "a@example.com/r"},
		{"a!#$%()*+,-.;=?[\\]^_`{|}~@b", "a!#$%()*+,-.;=?[\\]^_`{|}~@b"},
		{"a@127.0.0.1", "a@127.0.0.1"},
		{"a@[::1]/r", "a@[::1]/r"},
		{"a@[0:0:0:0:0:0:0:1]", "a@[::1]"},
		{"a@[2001:DB8::A]", "a@[2001:db8::a]"},
		{"a@my_host", "a@my_host"},
		/* nodeprep folds and composes: "E" + combining acute = "é" */
		{"E\xcc\x81lan@example.com", "\xc3\xa9lan@example.com"},
		{"Stra\xc3\x9f"
		 "e@example.com",
		 "strasse@example.com"},
		{"\xe2\x99\x9a@example.com", "\xe2\x99\x9a@example.com"},
		{"a@M\xc3\x9cnchen.example", "a@m\xc3\xbcnchen.example"},
		{"a@xn--mnchen-3ya.example", "a@m\xc3\xbcnchen.example"},
		{"a@XN--MNCHEN-3YA.example", "a@m\xc3\xbcnchen.example"},
		{"a@example\xe3\x80\x82"
		 "com",
		 "a@example.com"},				  /* ideographic full stop */
		{"a@b/\xf0\x9f\x93\xb1", "a@b/\xf0\x9f\x93\xb1"}, /* newer than Unicode 3.2 */
		{"a@b/\xc2\xb2", "a@b/2"}, /* resourceprep: compatibility form */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct jid j;

		if (jid_parse(&j, slice_str(cases[i].in)))
			fail_msg("%s is refused", cases[i].in);
		assert_string_equal(j.text, cases[i].out);
		assert_int_equal(jid_full(&j).len, strlen(cases[i].out));
		jid_clear(&j);
		assert_null(j.text);
	}
}

static void what_is_no_jid_is_refused(void **state)
{
	static const struct slice cases[] = {
		TEXT(""),
		TEXT("@"),
		TEXT("/"),
		TEXT("@example.com"),
		TEXT("a@"),
		TEXT("a@/r"),
		TEXT("/r"),
		TEXT("a@example.com/"),
		TEXT("example.com/"),
		TEXT("a b@example.com"),
		TEXT("a\"b@example.com"),
		TEXT("a&b@example.com"),
		TEXT("a'b@example.com"),
		TEXT("a:b@example.com"),
		TEXT("<a>@example.com"),
		TEXT("a@b@example.com"),
		TEXT("a@exa mple.com"),
		TEXT("a@-example.com"),
		TEXT("a@example-.com"),
		TEXT("a@example..com"),
		TEXT("a@.example.com"),
		TEXT("a@."),
		TEXT("a@example.com.."),
		TEXT("a@[::1"),
		TEXT("a@[]"),
		TEXT("a@[::g]"),
		TEXT("a@[127.0.0.1]"),
		TEXT("a@[::1]x"),
		TEXT("a@example.com/\x01"),
		TEXT("a@example.com/\x7f"),
		TEXT("a\0b@example.com"),
		TEXT("a@example.com\0"),
		TEXT("a@[::1\0]"),
		TEXT("a@b/\0"),
		TEXT("\xc3@example.com"),	  /* cut UTF-8 */
		TEXT("\xc0\xaf@example.com"),	  /* overlong */
		TEXT("\xed\xa0\x80@example.com"), /* surrogate */
		TEXT("\xf5\x80\x80\x80@a"),	  /* above U+10FFFF */
		TEXT("a@b/\xff"),		  /* not UTF-8 */
		TEXT("a@b\xff"),		  /* not UTF-8 */
		TEXT("a\xc2\xa0"
		     "b@example.com"),	      /* no-break space */
		TEXT("\xc2\xad@example.com"), /* soft hyphen: nothing is left */
		TEXT("a\xef\xbc\xa0"
		     "b@a"), /* full-width @ becomes @ */
		TEXT("a@b\xef\xbc\x8f"
		     "c"),			/* full-width / becomes / */
		TEXT("a@b/\xee\x80\x80"),	/* private use */
		TEXT("a@xn--\xc3\xbc.example"), /* not an A-label and not a U-label */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct jid j;
		enum err e = jid_parse(&j, cases[i]);

		if (e != ERR_FORMAT)
			fail_msg("case %zu (%s): %s", i, cases[i].data, err_name(e));
		assert_null(j.text);
	}
}

static void a_part_has_at_most_1023_bytes(void **state)
{
	static const struct {
		const char *piece;
		size_t times;
		const char *tail;
		enum err err;
	} cases[] = {
		{"a", 1023, "@b", ERR_OK},
		{"a", 1024, "@b", ERR_TOOBIG},
		{"a", 1024, "", ERR_TOOBIG},
		{"abcdefg.", 127, "abcdefg", ERR_OK},
		{"abcdefg.", 127, "abcdefgh", ERR_TOOBIG},
		{"a", 63, "", ERR_OK},
		{"a", 64, "", ERR_FORMAT}, /* one label */
		{"\xc3\xa9", 511, "@b", ERR_OK},
		{"\xc3\xa9", 512, "@b", ERR_TOOBIG},
		/* U+33C2 becomes "a.m.": too long only once it is prepared */
		{"\xe3\x8f\x82", 255, "@b", ERR_OK},
		{"\xe3\x8f\x82", 256, "@b", ERR_TOOBIG},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = repeat(cases[i].piece, cases[i].times, cases[i].tail);
		char *resource = repeat(cases[i].piece, cases[i].times, "");
		struct jid j;
		char out[JID_PART_MAX + 1];

		if (jid_parse(&j, slice_str(text)) != cases[i].err)
			fail_msg("case %zu", i);
		jid_clear(&j);
		if (cases[i].err == ERR_TOOBIG && i != 4)
			assert_int_equal(jid_prepare_resource(out, slice_str(resource)),
					 ERR_TOOBIG);
		free(text);
		free(resource);
	}
}

static void the_longest_jid_keeps_its_parts(void **state)
{
	char *local = repeat("L", 1023, "@");
	char *domain = repeat("Abcdefg.", 127, "abcdefg/");
	char *resource = repeat("R", 1023, "");
	char text[3 * 1023 + 3];
	struct jid j;

	(void)state;
	snprintf(text, sizeof(text), "%s%s%s", local, domain, resource);
	assert_int_equal(jid_parse(&j, slice_str(text)), ERR_OK);
	assert_int_equal(j.local.len, 1023);
	assert_int_equal(j.domain.len, 1023);
	assert_int_equal(j.resource.len, 1023);
	assert_int_equal(strlen(j.text), 3 * 1023 + 2);
	assert_int_equal(jid_bare(&j).len, 2 * 1023 + 1);
	jid_clear(&j);
	free(local);
	free(domain);
	free(resource);
}

static void parts_are_told_apart(void **state)
{
	static const struct {
		const char *text, *local, *domain, *resource, *bare;
	} cases[] = {
		{"a@b/c", "a", "b", "c", "a@b"},
		{"a@b", "a", "b", "", "a@b"},
		{"b", "", "b", "", "b"},
		{"b/c@d/e", "", "b", "c@d/e", "b"},
		{"a@b/c@d/e", "a", "b", "c@d/e", "a@b"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice text = slice_str(cases[i].text);
		struct jid j;

		assert_int_equal(jid_parse(&j, text), ERR_OK);
		assert_true(slice_is(j.local, cases[i].local));
		assert_true(slice_is(j.domain, cases[i].domain));
		assert_true(slice_is(j.resource, cases[i].resource));
		assert_true(slice_is(jid_bare(&j), cases[i].bare));
		assert_true(slice_is(jid_full(&j), cases[i].text));
		assert_true(slice_is(jid_text_local(text), cases[i].local));
		assert_true(slice_is(jid_text_domain(text), cases[i].domain));
		assert_true(slice_is(jid_text_resource(text), cases[i].resource));
		assert_true(slice_is(jid_text_bare(text), cases[i].bare));
		jid_clear(&j);
	}
}

static void an_absent_jid_has_no_parts(void **state)
{
	struct jid j = JID_NONE;

	(void)state;
	assert_int_equal(jid_full(&j).len, 0);
	assert_int_equal(jid_bare(&j).len, 0);
	assert_int_equal(jid_text_bare(SLICE_NONE).len, 0);
	assert_int_equal(jid_text_resource(SLICE_NONE).len, 0);
	jid_clear(&j);
	jid_clear(&j);
}

static void single_parts_are_prepared_alone(void **state)
{
	char out[JID_PART_MAX + 1];

	(void)state;
	assert_int_equal(jid_prepare_local(out, slice_str("JULIET")), ERR_OK);
	assert_string_equal(out, "juliet");
	assert_int_equal(jid_prepare_local(out, slice_str("a/b")), ERR_FORMAT);
	assert_int_equal(jid_prepare_resource(out, slice_str("A/b@c")), ERR_OK);
	assert_string_equal(out, "A/b@c");
	assert_int_equal(jid_prepare_domain(out, slice_str("Example.COM.")), ERR_OK);
	assert_string_equal(out, "example.com");
	assert_int_equal(jid_prepare_domain(out, slice_str("a@b")), ERR_FORMAT);
	assert_int_equal(jid_prepare_domain(out, slice_str("")), ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jids_are_normalised),
		cmocka_unit_test(what_is_no_jid_is_refused),
		cmocka_unit_test(a_part_has_at_most_1023_bytes),
		cmocka_unit_test(the_longest_jid_keeps_its_parts),
		cmocka_unit_test(parts_are_told_apart),
		cmocka_unit_test(an_absent_jid_has_no_parts),
		cmocka_unit_test(single_parts_are_prepared_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
