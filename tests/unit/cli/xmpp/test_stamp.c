/* cli/xmpp/stamp.c and base64.c */
#include "tests/support/cmocka_first.h"

#include "cli/xmpp/base64.h"
#include "cli/xmpp/stamp.h"

static void stamps_are_written_as_xep_0082_says(void **state)
{
	char out[STAMP_SIZE];

	(void)state;
	assert_string_equal(stamp_format(out, 0), "1970-01-01T00:00:00Z");
	assert_string_equal(stamp_format(out, 1795280214123), "2026-11-21T16:56:54.123Z");
	assert_string_equal(stamp_format(out, 1795280214007), "2026-11-21T16:56:54.007Z");
	assert_string_equal(stamp_format(out, 1795280214000), "2026-11-21T16:56:54Z");
}

static void stamps_are_read_in_all_their_forms(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t ms;
	} cases[] = {
		{"2026-11-21T16:56:54.123Z", true, 1795280214123},
		{"2026-11-21T16:56:54Z", true, 1795280214000},
		{"2026-11-21T16:56:54.1Z", true, 1795280214100},
		{"2026-11-21T16:56:54.123456Z", true, 1795280214123},
		{"2026-11-21T17:56:54+01:00", true, 1795280214000},
		{"2026-11-21T11:26:54-05:30", true, 1795280214000},
		{"2026-11-21", true, 1795219200000},
		{"20261121T16:56:54", true, 1795280214000}, /* XEP-0091 */
		{"1970-01-01T00:00:00Z", true, 0},
		{"1969-12-31", false, 0},
		{"1970-01-01T00:00:00+01:00", false, 0},
		{"", false, 0},
		{"yesterday", false, 0},
		{"2026-11-21T", false, 0},
		{"2026-11-21Z16", false, 0},
		{"2026-11-21T16:56:54Zx", false, 0},
		{"2026-11-21T16:56:54+1", false, 0},
		{"2026-13-21", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ms = 0;

		if (stamp_parse(cases[i].text, &ms) != cases[i].ok)
			fail_msg("%s", cases[i].text);
		if (cases[i].ok)
			assert_int_equal(ms, cases[i].ms);
	}
}

static void base64_is_read_back(void **state)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {{"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe\xfd", "//79"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str text = STR_INIT, bytes = STR_INIT;

		base64_write(&text, slice_str(cases[i].bytes));
		assert_string_equal(text.data, cases[i].text);
		assert_true(base64_read(&bytes, str_slice(&text)));
		assert_string_equal(bytes.data, cases[i].bytes);
		str_clear(&text);
		str_clear(&bytes);
	}
}

static void base64_may_be_folded_and_must_be_base64(void **state)
{
	static const char *const bad[] = {"", "Zg", "Zg=", "Z===", "Zg==x", "Z-9v", "====", " "};
	struct str out = STR_INIT;

	(void)state;
	assert_true(base64_read(&out, slice_str("\n Zm9v\n Zm8=\n")));
	assert_string_equal(out.data, "foofo");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		str_reset(&out);
		if (base64_read(&out, slice_str(bad[i])))
			fail_msg("'%s'", bad[i]);
		assert_int_equal(out.len, 0);
	}
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stamps_are_written_as_xep_0082_says),
		cmocka_unit_test(stamps_are_read_in_all_their_forms),
		cmocka_unit_test(base64_is_read_back),
		cmocka_unit_test(base64_may_be_folded_and_must_be_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
