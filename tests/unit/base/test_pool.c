/* pool: what is freed is used again, by size; under sanitizers malloc() sees everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/pool.h"

static void what_was_freed_is_used_again_for_the_same_size(void **state)
{
	void *first = pool_alloc(200), *other, *again;

	(void)state;
	memset(first, 1, 200);
	pool_free(first, 200);
	other = pool_alloc(900);
	again = pool_alloc(250); /* of the same class as 200 */
#ifndef ROUNDHOUSE_SANITIZED
	assert_ptr_equal(again, first);
#endif
	assert_ptr_not_equal(other, again);
	memset(again, 2, 250);
	pool_free(other, 900);
	pool_free(again, 250);
}

static void rooms_that_are_used_never_overlap(void **state)
{
	static const size_t sizes[] = {0, 1, 63, 64, 65, 128, 1023, 1024, 1025, 70000};
	char *p[sizeof(sizes) / sizeof(sizes[0])][8];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			for (int k = 0; k < 8; k++) {
				p[i][k] = pool_alloc(sizes[i]);
				memset(p[i][k], (int)(i * 8 + (size_t)k), sizes[i]);
			}
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			for (int k = 0; k < 8; k++) {
				for (size_t at = 0; at < sizes[i]; at++)
					assert_int_equal((uint8_t)p[i][k][at],
							 (uint8_t)(i * 8 + (size_t)k));
				pool_free(p[i][k], sizes[i]);
			}
	}
}

static void a_great_many_go_back_to_malloc(void **state)
{
	static void *p[100000];

	(void)state;
	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++)
		p[i] = pool_alloc(64);
	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++)
		pool_free(p[i], 64);
	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++)
		p[i] = pool_alloc(64);
	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++)
		pool_free(p[i], 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_freed_is_used_again_for_the_same_size),
		cmocka_unit_test(rooms_that_are_used_never_overlap),
		cmocka_unit_test(a_great_many_go_back_to_malloc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
