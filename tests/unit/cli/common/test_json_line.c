#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/common/json_line.h"

static void a_flat_object_gives_its_members_in_order(void **state)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice v;

	(void)state;
	assert_int_equal(json_line_parse(&j, slice_str(" {\"a\":\"x\", \"n\" : -12.5e3 ,\"t\":true,"
						       "\"z\":null,\"e\":\"\"} ")),
			 ERR_OK);
	assert_int_equal(j.count, 5);
	assert_true(slice_is(j.members[0].key, "a"));
	assert_true(j.members[0].is_text);
	assert_false(j.members[1].is_text);
	assert_true(json_line_find(&j, "n", &v));
	assert_true(slice_is(v, "-12.5e3"));
	assert_true(json_line_find(&j, "z", &v));
	assert_true(slice_is(v, "null"));
	assert_true(json_line_find(&j, "e", &v));
	assert_int_equal(v.len, 0);
	assert_false(json_line_find(&j, "none", &v));
	assert_int_equal(json_line_parse(&j, slice_str("{}")), ERR_OK);
	assert_int_equal(j.count, 0);
	json_line_clear(&j);
}

static void escapes_become_what_they_stand_for(void **state)
{
	struct json_line j = JSON_LINE_INIT;

	(void)state;
	assert_int_equal(json_line_parse(&j, slice_str("{\"\\u0061\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t"
						       "\\u00e9\\u20AC\\ud83d\\ude00\"}")),
			 ERR_OK);
	assert_true(slice_is(j.members[0].key, "a"));
	assert_true(slice_is(j.members[0].value,
			     "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
	json_line_clear(&j);
}

static void what_is_not_a_flat_object_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"{",
		"x",
		"[]",
		"\"a\"",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{\"a\":1}x",
		"{\"a\":{}}",
		"{\"a\":[1]}",
		"{\"a\":\"x}",
		"{\"a\":\"\\x\"}",
		"{\"a\":\"\\u12\"}",
		"{\"a\":\"\\ud83d\"}",
		"{\"a\":\"\\ude00\"}",
		"{\"a\":\"\\ud83d\\u0041\"}",
		"{\"a\":\"\n\"}",
		"{a:1}",
		"{\"a\":1 \"b\":2}",
		"{\"a\":\"\\",
		"{\"a\":\"\\ud83d\\",
	};
	struct json_line j = JSON_LINE_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(json_line_parse(&j, slice_str(cases[i])), ERR_FORMAT);
		assert_int_equal(j.count, 0);
	}
	json_line_clear(&j);
}

static void more_members_than_there_is_room_for_are_refused(void **state)
{
	struct json_line j = JSON_LINE_INIT;
	struct str line = STR_INIT;

	(void)state;
	for (int i = 0; i < JSON_LINE_MAX; i++)
		str_addf(&line, "%s\"k%d\":%d", i ? "," : "{", i, i);
	str_addc(&line, '}');
	assert_int_equal(json_line_parse(&j, str_slice(&line)), ERR_OK);
	assert_int_equal(j.count, JSON_LINE_MAX);
	line.len--;
	str_adds(&line, ",\"more\":1}");
	assert_int_equal(json_line_parse(&j, str_slice(&line)), ERR_TOOBIG);
	assert_int_equal(j.count, 0);
	str_clear(&line);
	json_line_clear(&j);
}

static void written_text_reads_back_as_it_was(void **state)
{
	struct slice text = slice_of("q\" b\\ n\n z\0 d\x7f \xe2\x82\xac", 19);
	struct json_line j = JSON_LINE_INIT;
	struct str line = STR_INIT;

	(void)state;
	str_adds(&line, "{\"k\":");
	json_line_put_text(&line, text);
	str_adds(&line, "}");
	assert_null(memchr(line.data, '\n', line.len));
	assert_int_equal(json_line_parse(&j, str_slice(&line)), ERR_OK);
	assert_true(slice_eq(j.members[0].value, text));
	str_clear(&line);
	json_line_clear(&j);
}

static void lines_are_cut_and_empty_ones_skipped(void **state)
{
	struct slice in = slice_str("one\n\ntwo\nthree"), line;

	(void)state;
	assert_true(json_line_next(&in, &line) && slice_is(line, "one"));
	assert_true(json_line_next(&in, &line) && slice_is(line, "two"));
	assert_true(json_line_next(&in, &line) && slice_is(line, "three"));
	assert_false(json_line_next(&in, &line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flat_object_gives_its_members_in_order),
		cmocka_unit_test(escapes_become_what_they_stand_for),
		cmocka_unit_test(what_is_not_a_flat_object_is_refused),
		cmocka_unit_test(more_members_than_there_is_room_for_are_refused),
		cmocka_unit_test(written_text_reads_back_as_it_was),
		cmocka_unit_test(lines_are_cut_and_empty_ones_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
