/*
 * Rates in virtual time: what passes at once, what passes in the long run, and that nothing is
 * forgotten in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cm/cm_rate.h"

#define SECOND 1000000ULL

static const struct cm_rate slow = {.units = 1000, .per_us = SECOND, .burst = 5000};

static struct monotime at(uint64_t us)
{
	return (struct monotime){100 * SECOND + us};
}

static void the_burst_passes_at_once_and_one_byte_more_does_not(void **state)
{
	uint64_t paid = 0;

	(void)state;
	assert_false(cm_rate_take(&paid, &slow, 4999, at(0)));
	assert_false(cm_rate_take(&paid, &slow, 1, at(0)));
	assert_true(cm_rate_take(&paid, &slow, 1, at(0)));
	assert_true(cm_rate_is_over(paid, &slow, at(999)));
	assert_false(cm_rate_is_over(paid, &slow, at(1000)));
}

static void who_keeps_to_the_rate_never_waits(void **state)
{
	uint64_t paid = 0;

	(void)state;
	for (uint64_t ms = 0; ms < 3600 * 1000; ms += 100)
		assert_false(cm_rate_take(&paid, &slow, 100, at(ms * 1000)));
}

/* A client that always sends is read 32 KiB at a time whenever it may: what is read too much is
 * owed, so that the sum is the burst and the rate. */
static void in_the_long_run_it_is_the_rate(void **state)
{
	static const struct cm_rate rates[] = {
		{.units = 1000, .per_us = SECOND, .burst = 5000},
		{.units = 1048576, .per_us = SECOND, .burst = 4194304},
		{.units = 4294967296, .per_us = SECOND, .burst = 4294967296},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		const struct cm_rate *r = &rates[i];
		uint64_t paid = 0, bytes = 0, allowed;
		uint64_t most = r->units * 1000;

		for (uint64_t ms = 0; ms < 1000 * 1000; ms += 50)
			while (!cm_rate_is_over(paid, r, at(ms * 1000)) && bytes < 2 * most) {
				uint64_t n = r->units > 100 << 20 ? 32 << 20 : 32768;

				cm_rate_take(&paid, r, n, at(ms * 1000));
				bytes += n;
			}
		allowed = most + r->burst;
		assert_in_range(bytes, allowed - allowed / 100, allowed + (32 << 20));
		if (r->units < 100 << 20)
			assert_in_range(bytes, allowed - allowed / 100, allowed + 32768);
	}
}

static void silence_saves_up_no_more_than_the_burst(void **state)
{
	uint64_t paid = 0;

	(void)state;
	cm_rate_take(&paid, &slow, 5000, at(0));
	assert_false(cm_rate_is_idle(paid, at(4999999)));
	assert_true(cm_rate_is_idle(paid, at(5000000)));
	assert_false(cm_rate_take(&paid, &slow, 5000, at(3600 * SECOND)));
	assert_true(cm_rate_take(&paid, &slow, 1, at(3600 * SECOND)));
}

static void no_rate_is_no_limit(void **state)
{
	static const struct cm_rate off = {.units = 0, .per_us = SECOND, .burst = 1};
	uint64_t paid = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_false(cm_rate_take(&paid, &off, UINT32_MAX, at(0)));
	assert_int_equal(paid, 0);
}

/* A reload may set another rate while somebody waits. */
static void a_debt_stays_a_time_when_the_rate_changes(void **state)
{
	static const struct cm_rate fast = {.units = 1000000, .per_us = SECOND, .burst = 1000000};
	uint64_t paid = 0;

	(void)state;
	assert_true(cm_rate_take(&paid, &slow, 10000, at(0)));
	assert_true(cm_rate_is_over(paid, &fast, at(8999999)));
	assert_false(cm_rate_is_over(paid, &fast, at(9000000)));
	assert_false(cm_rate_is_over(paid, &(struct cm_rate){0}, at(0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_burst_passes_at_once_and_one_byte_more_does_not),
		cmocka_unit_test(who_keeps_to_the_rate_never_waits),
		cmocka_unit_test(in_the_long_run_it_is_the_rate),
		cmocka_unit_test(silence_saves_up_no_more_than_the_burst),
		cmocka_unit_test(no_rate_is_no_limit),
		cmocka_unit_test(a_debt_stays_a_time_when_the_rate_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
