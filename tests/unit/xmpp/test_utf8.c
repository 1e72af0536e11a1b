/* lib/xmpp/utf8.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "xmpp/utf8.h"

#define TEXT(s)                    \
	{                          \
		(s), sizeof(s) - 1 \
	}

/* At every place of a word and at the end of the text. */
static bool ok_everywhere(struct slice piece, bool expected)
{
	for (size_t before = 0; before < 17; before++) {
		for (size_t after = 0; after < 17; after += 4) {
			char buf[64];

			memset(buf, 'x', sizeof(buf));
			memcpy(buf + before, piece.data, piece.len);
			if (utf8_ok(slice_of(buf, before + piece.len + after)) != expected)
				return false;
		}
	}
	return true;
}

static void legal_sequences_pass_at_any_place(void **state)
{
	static const struct slice cases[] = {
		TEXT(""),
		TEXT("a"),
		TEXT("\x01"),
		TEXT("\x7f"),
		TEXT("\xc2\x80"),
		TEXT("\xdf\xbf"),
		TEXT("\xe0\xa0\x80"),
		TEXT("\xed\x9f\xbf"),
		TEXT("\xee\x80\x80"),
		TEXT("\xef\xbf\xbf"),
		TEXT("\xf0\x90\x80\x80"),
		TEXT("\xf4\x8f\xbf\xbf"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!ok_everywhere(cases[i], true))
			fail_msg("case %zu", i);
}

static void illegal_sequences_fail_at_any_place(void **state)
{
	static const struct slice cases[] = {
		TEXT("\0"),
		TEXT("\x80"), /* no beginning */
		TEXT("\xbf"),
		TEXT("\xc1\xb9"), /* overlong */
		TEXT("\xc0\x80"),
		TEXT("\xe0\x9f\xbf"), /* overlong */
		TEXT("\xf0\x8f\xbf\xbf"),
		TEXT("\xed\xa0\x80"), /* surrogate */
		TEXT("\xed\xbf\xbf"),
		TEXT("\xf4\x90\x80\x80"),
		TEXT("\xf8\x88\x80\x80\x80"),
		TEXT("\xff"),
		TEXT("\xc3"),
		TEXT("\xe2\x82"),
		TEXT("\xf0\x9f\x93"),
		TEXT("\xc3\xc3"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!ok_everywhere(cases[i], false))
			fail_msg("case %zu", i);
}

static void a_wrong_byte_is_found_wherever_it_stands(void **state)
{
	char text[100];

	(void)state;
	for (size_t len = 1; len <= sizeof(text); len++) {
		memset(text, 'a', sizeof(text));
		assert_true(utf8_ok(slice_of(text, len)));
		for (size_t at = 0; at < len; at++) {
			text[at] = '\xff';
			assert_false(utf8_ok(slice_of(text, len)));
			text[at] = '\0';
			assert_false(utf8_ok(slice_of(text, len)));
			text[at] = 'a';
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(legal_sequences_pass_at_any_place),
		cmocka_unit_test(illegal_sequences_fail_at_any_place),
		cmocka_unit_test(a_wrong_byte_is_found_wherever_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
