#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/xmpp/report.h"

static void rows_have_the_columns_of_all_lines(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	assert_int_equal(report_rows(slice_str("{\"jid\":\"a@b/c\",\"show\":\"\"}\n"
					       "{\"jid\":\"d@e/f\",\"priority\":5}\n"),
				     &out),
			 2);
	assert_string_equal(out.data, "JID    SHOW  PRIORITY\n"
				      "a@b/c  -     -\n"
				      "d@e/f  -     5\n");
	str_clear(&out);
}

static void a_line_that_is_no_object_is_shown_as_it_is_but_safely(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	assert_int_equal(report_rows(slice_str("odd\x1b\n{\"a\":1}\n"), &out), 1);
	assert_string_equal(out.data, "odd\\x1b\nA\n1\n");
	str_reset(&out);
	assert_int_equal(report_rows(SLICE_NONE, &out), 0);
	assert_int_equal(out.len, 0);
	str_clear(&out);
}

static const char stats[] =
	"{\"process\":\"cm-client-1\",\"streams\":2}\n"
	"{\"process\":\"router\",\"accepted\":10,\"announced\":1,\"generated\":4,"
	"\"delivered\":5,\"stored\":2,\"bounced\":3,\"consumed\":1,\"discarded\":1,\"held\":2}\n";

static void stats_are_a_table_and_the_books(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	report_stats(slice_of(stats, strlen(stats)), &out);
	assert_non_null(strstr(out.data, "PROCESS      KEY        VALUE\n"
					 "cm-client-1  streams    2\n"
					 "router       accepted   10\n"));
	assert_non_null(strstr(out.data,
			       "\nbooks: accepted=10 announced=1 generated=4 delivered=5 stored=2 "
			       "bounced=3 consumed=1 discarded=1 held=2 difference=1\n"));
	str_clear(&out);
}

static void the_difference_is_what_is_not_accounted_for(void **state)
{
	struct report_books b;
	struct str out = STR_INIT;

	(void)state;
	assert_true(report_books(slice_str(stats), &b));
	assert_int_equal(b.difference, 10 + 1 + 4 - 5 - 2 - 3 - 1 - 1 - 2);
	report_books_json(&b, &out);
	assert_string_equal(
		out.data, "{\"process\":\"books\",\"accepted\":10,\"announced\":1,\"generated\":4,"
			  "\"delivered\":5,\"stored\":2,\"bounced\":3,\"consumed\":1,"
			  "\"discarded\":1,\"held\":2,\"difference\":1}\n");
	assert_true(report_books(slice_str("{\"accepted\":3,\"delivered\":3}"), &b));
	assert_int_equal(b.difference, 0);
	assert_false(report_books(slice_str("{\"process\":\"router\"}\nx\n"), &b));
	str_clear(&out);
}

static void numbers_are_added_up_and_the_rest_is_left_out(void **state)
{
	(void)state;
	assert_int_equal(
		report_sum(slice_str("{\"kicked\":2}\n{\"kicked\":\"x\"}\n{\"kicked\":40}"),
			   "kicked"),
		42);
	assert_int_equal(report_sum(SLICE_NONE, "kicked"), 0);
	assert_int_equal(report_count(slice_str("{}\n\n{}\n")), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_have_the_columns_of_all_lines),
		cmocka_unit_test(a_line_that_is_no_object_is_shown_as_it_is_but_safely),
		cmocka_unit_test(stats_are_a_table_and_the_books),
		cmocka_unit_test(the_difference_is_what_is_not_accounted_for),
		cmocka_unit_test(numbers_are_added_up_and_the_rest_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
