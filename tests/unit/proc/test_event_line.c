#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "proc/event_line.h"

static void a_line_that_was_written_is_read_back_the_same(void **state)
{
	static const struct event_line rows[] = {
		{1511414297804, EVENT_INFO, {"callbridge", 10}, {"No DNS A or AAAA records", 24}},
		{0, EVENT_WARNING, {"a", 1}, {"", 0}},
		{4102444799999, EVENT_ERROR, {"cm-client-12", 12}, {"event=x  two blanks ", 20}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str line = STR_INIT;
		struct event_line e = {0};

		event_line_format(&line, &rows[i]);
		assert_true(event_line_parse(slice_of(line.data, line.len - 1), &e));
		assert_int_equal(e.ms, rows[i].ms);
		assert_int_equal(e.level, rows[i].level);
		assert_true(slice_eq(e.service, rows[i].service));
		assert_true(slice_eq(e.text, rows[i].text));
		str_clear(&line);
	}
}

static void columns_are_date_time_with_milliseconds_level_service_message(void **state)
{
	struct str line = STR_INIT;

	(void)state;
	event_line_format(
		&line,
		&(struct event_line){1511414297004, EVENT_INFO, {"callbridge", 10}, {"x y", 3}});
	assert_string_equal(line.data, "2017-11-23 05:18:17.004 Info    callbridge x y\n");
	str_clear(&line);
}

static void damaged_lines_are_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"2017-11-23 05:18:17.004",
		"2017-11-23 05:18:17.004 ",
		"2017-11-23 05:18:17.004 Info",
		"2017-11-23 05:18:17.004 Loud    a b",
		"2017-11-23T25:18:17.004 Info    a b",
		"2017-11-32 05:18:17.004 Info    a b",
		"x017-11-23 05:18:17.004 Info    a b",
	};
	struct event_line e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (event_line_parse(slice_str(rows[i]), &e))
			fail_msg("accepted: %s", rows[i]);
}

static void times_are_read_in_parts(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms; /* UINT64_MAX = refused */
	} rows[] = {
		{"1970-01-02", 86400000},
		{"1970-01-01T00:01", 60000},
		{"1970-01-01 00:01:02", 62000},
		{"1970-01-01T00:00:00.5Z", 500},
		{"1970-01-01T00:00:00.123456Z", 123},
		{"1970-01-01T", UINT64_MAX},
		{"1970-01-01T00:0", UINT64_MAX},
		{"1970-1-1", UINT64_MAX},
		{"1972-02-29", 68169600000},
		{"1971-02-29", UINT64_MAX},
		{"1970-04-31", UINT64_MAX},
		{"1970-01-01T00:00:00+01:00", UINT64_MAX},
		{"1970-01-01x", UINT64_MAX},
		{"yesterday", UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t ms = UINT64_MAX;
		bool ok = event_line_parse_time(slice_str(rows[i].text), &ms);

		if (ok != (rows[i].ms != UINT64_MAX) || (ok && ms != rows[i].ms))
			fail_msg("%s: %llu", rows[i].text, (unsigned long long)ms);
	}
}

static void levels_are_known_in_any_case(void **state)
{
	enum event_level level;

	(void)state;
	assert_true(event_level_parse(slice_str("error"), &level) && level == EVENT_ERROR);
	assert_true(event_level_parse(slice_str("WARNING"), &level) && level == EVENT_WARNING);
	assert_true(event_level_parse(slice_str("warn"), &level) && level == EVENT_WARNING);
	assert_false(event_level_parse(slice_str("debug"), &level));
	assert_false(event_level_parse(slice_str("inform"), &level));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_that_was_written_is_read_back_the_same),
		cmocka_unit_test(columns_are_date_time_with_milliseconds_level_service_message),
		cmocka_unit_test(damaged_lines_are_refused),
		cmocka_unit_test(times_are_read_in_parts),
		cmocka_unit_test(levels_are_known_in_any_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
