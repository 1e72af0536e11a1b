#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/common/table.h"

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	struct str out = STR_INIT;
	struct table t;

	(void)state;
	table_init(&t, 2);
	table_add(&t, slice_str("JID"));
	table_add(&t, slice_str("SINCE"));
	table_add(&t, slice_str("ren\xc3\xa9@x")); /* 6 characters, 7 bytes */
	table_addf(&t, "%d", 7);
	table_add(&t, slice_str("al@x"));
	table_add(&t, slice_str("long"));
	table_write(&t, &out);
	assert_string_equal(out.data, "JID     SINCE\n"
				      "ren\xc3\xa9@x  7\n"
				      "al@x    long\n");
	table_clear(&t);
	str_clear(&out);
}

static void nothing_that_is_shown_can_steer_the_terminal(void **state)
{
	struct str out = STR_INIT;
	struct table t;

	(void)state;
	table_init(&t, 1);
	table_add(&t, slice_of("a\x1b[2J\nb\0c\x7f\xc2\x9b"
			       "d\xc2\xa0\xc2",
			       16));
	table_write(&t, &out);
	assert_string_equal(out.data, "a\\x1b[2J\\x0ab\\x00c\\x7f\\x9bd\xc2\xa0\\xc2\n");
	table_clear(&t);
	str_clear(&out);
}

static void a_label_takes_24_columns_and_nothing_is_none(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	table_label(&out, "Created", slice_str("now"));
	table_label(&out, "Sessions", SLICE_NONE);
	assert_string_equal(out.data, "Created                 : now\n"
				      "Sessions                : none\n");
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(nothing_that_is_shown_can_steer_the_terminal),
		cmocka_unit_test(a_label_takes_24_columns_and_nothing_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
