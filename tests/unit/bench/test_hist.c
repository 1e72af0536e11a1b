#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "bench/hist.h"

static void percentiles_are_right_within_two_percent(void **state)
{
	static struct hist h;

	(void)state;
	assert_int_equal(hist_percentile(&h, 0.5), 0);
	for (uint64_t us = 1; us <= 1000000; us++)
		hist_add(&h, us);
	assert_int_equal(h.count, 1000000);
	assert_in_range(hist_percentile(&h, 0.5), 500000, 508000);
	assert_in_range(hist_percentile(&h, 0.99), 990000, 1000000);
	assert_int_equal(hist_percentile(&h, 1), 1000000);
	assert_int_equal(hist_percentile(&h, 0), 1);
	assert_int_equal(hist_percentile(&h, 0.000050), 50);
}

static void values_beyond_the_last_step_are_counted(void **state)
{
	static struct hist h;

	(void)state;
	hist_add(&h, UINT64_MAX);
	hist_add(&h, 3);
	assert_int_equal(hist_percentile(&h, 0.5), 3);
	assert_int_equal(h.max, UINT64_MAX);
	assert_true(hist_percentile(&h, 1) > (uint64_t)1 << 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_right_within_two_percent),
		cmocka_unit_test(values_beyond_the_last_step_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
