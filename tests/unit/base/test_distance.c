#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/distance.h"

static void distances_count_slips(void **state)
{
	static const struct {
		const char *a, *b;
		size_t distance;
	} rows[] = {
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"sesions", "sessions", 1},
		{"status", "stauts", 2},
		{"kitten", "sitting", 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(distance_of(rows[i].a, rows[i].b), rows[i].distance);
}

static void long_names_are_far_away(void **state)
{
	char name[DISTANCE_FAR + 1];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[DISTANCE_FAR] = '\0';
	assert_int_equal(distance_of(name, name), DISTANCE_FAR);
	name[DISTANCE_FAR - 1] = '\0';
	assert_int_equal(distance_of(name, name), 0);
}

static void near_is_two_slips_and_in_a_short_name_one(void **state)
{
	(void)state;
	assert_true(distance_is_near("stauts", "status"));
	assert_false(distance_is_near("stat", "restart"));
	assert_true(distance_is_near("pk", "pki"));
	assert_false(distance_is_near("pi", "dns"));
	assert_false(distance_is_near("ip", "pki"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances_count_slips),
		cmocka_unit_test(long_names_are_far_away),
		cmocka_unit_test(near_is_two_slips_and_in_a_short_name_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
