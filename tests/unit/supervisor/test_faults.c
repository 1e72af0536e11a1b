#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "supervisor/faults.h"

static void expect(const struct faults *f, const char *text)
{
	struct str out = STR_INIT;

	faults_format(f, &out);
	assert_string_equal(out.data, text);
	str_clear(&out);
}

static void a_fault_keeps_the_time_it_began(void **state)
{
	struct faults f = {0};

	(void)state;
	faults_begin(&f);
	faults_stand(&f, "callbridge", "XMPP connection to \"\" failed", 1000);
	assert_true(faults_end(&f, false));
	faults_begin(&f);
	faults_stand(&f, "callbridge", "XMPP connection to \"\" failed", 2000);
	assert_false(faults_end(&f, false));
	expect(&f, "1000 callbridge XMPP connection to \"\" failed\n");
	faults_clear(&f);
}

static void a_fault_that_is_over_goes(void **state)
{
	struct faults f = {0};

	(void)state;
	faults_begin(&f);
	faults_stand(&f, "a", "one", 1000);
	faults_stand(&f, "b", "two", 1000);
	faults_end(&f, false);
	faults_begin(&f);
	faults_stand(&f, "b", "two", 1000);
	assert_true(faults_end(&f, false));
	expect(&f, "1000 b two\n");
	faults_begin(&f);
	assert_true(faults_end(&f, false));
	expect(&f, "");
	faults_clear(&f);
}

static void numbers_may_change_words_may_not(void **state)
{
	struct faults f = {0};

	(void)state;
	faults_begin(&f);
	faults_stand(&f, "cm-client-1", "expires in 10 days", 1000);
	faults_stand(&f, "cm-client-1", "disk full", 1000);
	faults_end(&f, false);
	faults_begin(&f);
	faults_stand(&f, "cm-client-1", "expires in 9 days", 2000);
	faults_stand(&f, "cm-client-1", "disk fuller", 2000);
	faults_stand(&f, "cm-client-2", "expires in 9 days", 2000);
	faults_end(&f, false);
	expect(&f, "1000 cm-client-1 expires in 9 days\n2000 cm-client-1 disk fuller\n"
		   "2000 cm-client-2 expires in 9 days\n");
	faults_clear(&f);
}

static void times_survive_the_supervisor(void **state)
{
	struct faults f = {0}, next = {0};
	struct str saved = STR_INIT;

	(void)state;
	faults_begin(&f);
	faults_stand(&f, "callbridge", "XMPP connection to \"\" failed", 1000);
	faults_stand(&f, "router", "two\nlines", 1000);
	faults_end(&f, false);
	faults_format(&f, &saved);
	faults_parse(&next, str_slice(&saved));
	/* While services are being adopted nothing is dropped. */
	faults_begin(&next);
	assert_false(faults_end(&next, true));
	faults_begin(&next);
	faults_stand(&next, "callbridge", "XMPP connection to \"\" failed", 5000);
	faults_end(&next, false);
	expect(&next, "1000 callbridge XMPP connection to \"\" failed\n");
	faults_clear(&f);
	faults_clear(&next);
	str_clear(&saved);
}

static void damaged_lines_are_left_out(void **state)
{
	struct faults f = {0};

	(void)state;
	faults_parse(&f, slice_str("\nx\n12\n12 \n12 a\n0 a b\n x y\n12  y\n13 a b c\n14 a d"));
	expect(&f, "13 a b c\n14 a d\n");
	faults_clear(&f);
}

static void the_list_is_bounded(void **state)
{
	static struct faults f;

	(void)state;
	faults_begin(&f);
	for (int i = 0; i < FAULTS_MAX + 10; i++) {
		char source[16];

		snprintf(source, sizeof(source), "cm-%d", i);
		faults_stand(&f, source, "x", 1);
	}
	faults_end(&f, false);
	assert_int_equal(f.count, FAULTS_MAX);
	faults_clear(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_keeps_the_time_it_began),
		cmocka_unit_test(a_fault_that_is_over_goes),
		cmocka_unit_test(numbers_may_change_words_may_not),
		cmocka_unit_test(times_survive_the_supervisor),
		cmocka_unit_test(damaged_lines_are_left_out),
		cmocka_unit_test(the_list_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
