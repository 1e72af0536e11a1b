#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cm/cm_certs.h"

static void the_sharpest_threshold_that_has_been_crossed_is_told(void **state)
{
	static char d60[] = "60", d30[] = "30", d14[] = "14", d7[] = "7", d1[] = "1";
	static char *const days[] = {d30, d14, d7, d1, NULL};
	static char *const unsorted[] = {d7, d60, NULL};
	static char *const none[] = {NULL};
	static const struct {
		char *const *days;
		int64_t left, threshold;
	} cases[] = {
		{days, 31, -1},	    {days, 30, 30},   {days, 15, 30},  {days, 14, 14},
		{days, 8, 14},	    {days, 7, 7},     {days, 2, 7},    {days, 1, 1},
		{days, 0, 1},	    {days, -1, 0},    {days, -900, 0}, {unsorted, 61, -1},
		{unsorted, 60, 60}, {unsorted, 5, 7}, {none, 0, -1},   {none, -1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(cm_certs_threshold(cases[i].days, cases[i].left),
				 cases[i].threshold);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sharpest_threshold_that_has_been_crossed_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
