#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/srv.h"

/* The same numbers in every run. */
static uint32_t xorshift(void *arg, uint32_t bound)
{
	uint64_t *s = arg;

	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (uint32_t)(*s % bound);
}

static uint32_t lowest(void *arg, uint32_t bound)
{
	(void)arg, (void)bound;
	return 0;
}

static uint32_t highest(void *arg, uint32_t bound)
{
	(void)arg;
	return bound - 1;
}

static struct srv_record rec(uint16_t priority, uint16_t weight, const char *target, uint16_t port)
{
	struct srv_record r = {.priority = priority, .weight = weight, .port = port};

	snprintf(r.target, sizeof(r.target), "%s", target);
	return r;
}

static void lower_priorities_come_first_whatever_their_weight(void **state)
{
	const struct srv_record in[] = {rec(30, 65535, "c", 1), rec(10, 0, "a", 1),
					rec(20, 65535, "b", 1), rec(10, 5, "a2", 1)};
	struct srv_record out[SRV_TARGETS_MAX];
	uint64_t seed = 88172645463325252u;

	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_int_equal(srv_order(in, 4, xorshift, &seed, out), 4);
		assert_int_equal(out[0].target[0], 'a');
		assert_int_equal(out[1].target[0], 'a');
		assert_string_equal(out[2].target, "b");
		assert_string_equal(out[3].target, "c");
	}
}

static void weights_decide_in_proportion(void **state)
{
	static const unsigned int weights[] = {10, 20, 30, 40};
	struct srv_record in[4], out[SRV_TARGETS_MAX];
	unsigned int first[4] = {0}, last[4] = {0};
	uint64_t seed = 88172645463325252u;
	const int rounds = 100000;

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		in[i] = rec(5, (uint16_t)weights[i], (const char[]){(char)('a' + i), 0}, 1);
	for (int i = 0; i < rounds; i++) {
		assert_int_equal(srv_order(in, 4, xorshift, &seed, out), 4);
		first[out[0].target[0] - 'a']++;
		last[out[3].target[0] - 'a']++;
	}
	/* Of 0..100 (both included) the record takes as many numbers as its weight, the first in
	 * the list one more: 1 % of the whole. */
	for (unsigned int i = 0; i < 4; i++)
		assert_in_range(first[i], rounds / 100 * weights[i] - 800,
				rounds / 100 * weights[i] + 1800);
	assert_true(last[0] > last[1] && last[1] > last[2] && last[2] > last[3]);
}

static void weight_zero_has_a_small_chance(void **state)
{
	const struct srv_record in[] = {rec(1, 99, "heavy", 1), rec(1, 0, "zero", 1)};
	struct srv_record out[SRV_TARGETS_MAX];
	uint64_t seed = 88172645463325252u;
	unsigned int zero = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		srv_order(in, 2, xorshift, &seed, out);
		zero += strcmp(out[0].target, "zero") == 0;
	}
	assert_in_range(zero, 800, 1200); /* 1 of 0..99 */
}

static void weights_of_zero_only_are_all_the_same(void **state)
{
	const struct srv_record in[] = {rec(0, 0, "a", 5269), rec(0, 0, "b", 5269)};
	struct srv_record out[SRV_TARGETS_MAX];

	(void)state;
	assert_int_equal(srv_order(in, 2, lowest, NULL, out), 2);
	assert_int_equal(srv_order(in, 2, highest, NULL, out), 2);
	assert_string_not_equal(out[0].target, out[1].target);
}

static void a_target_named_twice_is_tried_once(void **state)
{
	struct srv_record in[] = {rec(20, 9, "A.example", 5222), rec(10, 1, "a.Example", 5222),
				  rec(10, 7, "a.example", 5222), rec(10, 1, "a.example", 5223),
				  rec(10, 1, "a.example", 5222)};
	struct srv_record out[SRV_TARGETS_MAX];

	(void)state;
	in[4].tag = 1;
	assert_int_equal(srv_order(in, 5, lowest, NULL, out), 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(out[i].priority, 10);
		if (out[i].port == 5222 && out[i].tag == 0)
			assert_int_equal(out[i].weight, 7);
	}
}

static void of_sixty_targets_the_first_32_are_used(void **state)
{
	struct srv_record in[60], out[SRV_TARGETS_MAX];
	char name[16];

	(void)state;
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "t%02d", i);
		in[i] = rec((uint16_t)(59 - i), 65535, name, 1);
	}
	assert_int_equal(srv_order(in, 60, highest, NULL, out), SRV_TARGETS_MAX);
	for (int i = 0; i < SRV_TARGETS_MAX; i++)
		assert_int_equal(out[i].priority, i);
	for (int i = 0; i < 60; i++)
		in[i].priority = 0;
	assert_int_equal(srv_order(in, 60, highest, NULL, out), SRV_TARGETS_MAX);
}

static void no_records_give_no_targets(void **state)
{
	struct srv_record out[SRV_TARGETS_MAX];

	(void)state;
	assert_int_equal(srv_order(NULL, 0, lowest, NULL, out), 0);
}

static void the_kernels_numbers_stay_below_their_bound(void **state)
{
	unsigned int seen = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint32_t n = srv_random_system(NULL, 3);

		assert_in_range(n, 0, 2);
		seen |= 1u << n;
	}
	assert_int_equal(seen, 7);
	assert_int_equal(srv_random_system(NULL, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lower_priorities_come_first_whatever_their_weight),
		cmocka_unit_test(weights_decide_in_proportion),
		cmocka_unit_test(weight_zero_has_a_small_chance),
		cmocka_unit_test(weights_of_zero_only_are_all_the_same),
		cmocka_unit_test(a_target_named_twice_is_tried_once),
		cmocka_unit_test(of_sixty_targets_the_first_32_are_used),
		cmocka_unit_test(no_records_give_no_targets),
		cmocka_unit_test(the_kernels_numbers_stay_below_their_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
