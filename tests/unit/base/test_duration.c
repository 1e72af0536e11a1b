#include "tests/support/cmocka_first.h"

#include "base/duration.h"

static void a_duration_reads_as_in_the_guides(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} cases[] = {
		{0, "0 seconds"},
		{1, "1 second"},
		{28, "28 seconds"},
		{59, "59 seconds"},
		{60, "1 minute"},
		{61, "1 minute, 1 second"},
		{62, "1 minute, 2 seconds"},
		{24 * 60 + 26, "24 minutes, 26 seconds"},
		{3600, "1 hour"},
		{3601, "1 hour, 1 second"},
		{2 * 3600 + 3 * 60 + 4, "2 hours, 3 minutes, 4 seconds"},
		{86399, "23 hours, 59 minutes, 59 seconds"},
		{86400, "1 day"},
		{86400 + 17 * 3600 + 41 * 60, "1 day, 17 hours, 41 minutes"},
		{86400 + 17 * 3600 + 41 * 60 + 59, "1 day, 17 hours, 41 minutes"},
		{86400 + 59, "1 day"},
		{2 * 86400 + 60, "2 days, 1 minute"},
		{1000 * 86400ULL + 3600, "1000 days, 1 hour"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;

		duration_write(&out, cases[i].seconds);
		assert_string_equal(out.data, cases[i].text);
		str_clear(&out);
	}
}

static void a_duration_is_appended(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	str_adds(&out, "for ");
	duration_write(&out, 62);
	str_adds(&out, "!");
	assert_string_equal(out.data, "for 1 minute, 2 seconds!");
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_duration_reads_as_in_the_guides),
		cmocka_unit_test(a_duration_is_appended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
