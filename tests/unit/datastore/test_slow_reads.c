/* Reads that wait for their turn. */
#include "fixture.h"

#include "datastore/slow_reads.h"

static bool put(struct slow_reads *q, uint64_t n, const char *body)
{
	struct msg_store m = {.op_boot = 1, .op_n = n, .body = slice_str(body)};

	return slow_reads_put(q, &m, slice_of(m.body.data, 1));
}

/* The number of the next one, 0 = none. */
static uint64_t take(struct slow_reads *q)
{
	struct slow_read *r = slow_reads_take(q);
	uint64_t n = r ? slow_read_request(r)->op_n : 0;

	if (r)
		slow_read_free(&r);
	return n;
}

static void users_take_turns_and_each_is_served_in_order(void **state)
{
	static const uint64_t order[] = {1, 4, 2, 5, 3, 0};
	struct slow_reads *q = slow_reads_new();

	(void)state;
	put(q, 1, "a one");
	put(q, 2, "a two");
	put(q, 3, "a three");
	put(q, 4, "b one");
	put(q, 5, "c one");
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		assert_int_equal(take(q), order[i]);
	assert_true(slow_reads_empty(q));
	slow_reads_free(&q);
}

static void what_waits_is_bounded(void **state)
{
	struct slow_reads *q = slow_reads_new();
	uint64_t n = 0;

	(void)state;
	while (put(q, n + 1, "a"))
		n++;
	assert_int_equal(n, SLOW_READS_MAX);
	assert_int_equal(take(q), 1);
	assert_true(put(q, 7, "a"));
	slow_reads_free(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_take_turns_and_each_is_served_in_order),
		cmocka_unit_test(what_waits_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
