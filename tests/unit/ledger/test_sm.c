/* The client's side of XEP-0198: what h covers, across the wrap of the counter. */
#include "tests/support/cmocka_first.h"

#include "tests/ledger/judge.h"
#include "tests/ledger/sm.h"

static void push(struct sm *s, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		sm_push(s, i, slice_str("<message/>"));
}

static void what_is_acknowledged_leaves_in_order(void **state)
{
	struct sm s;
	uint32_t next = 0;

	(void)state;
	sm_init(&s);
	for (uint32_t round = 0; round < 50; round++) {
		push(&s, round * 7, round * 7 + 7);
		for (int i = 0; i < 5; i++) {
			assert_int_equal(sm_oldest(&s)->entry, next++);
			sm_pop(&s);
		}
	}
	assert_int_equal(s.len, 100);
	assert_int_equal(sm_at(&s, 99)->entry, 349);
	sm_clear(&s);
	assert_null(sm_oldest(&s));
}

static void h_is_judged_against_what_was_sent(void **state)
{
	static const struct {
		uint32_t acked, h;
		uint32_t sent;
		bool ok;
		size_t count;
	} cases[] = {
		{0, 0, 0, true, 0},
		{0, 3, 3, true, 3},
		{5, 7, 3, true, 2},
		{0, 4, 3, false, 0},
		{5, 4, 3, false, 0},
		{UINT32_MAX - 1, 1, 3, true, 3},
		{UINT32_MAX, UINT32_MAX - 1, 3, false, 0},
		{UINT32_MAX, 5, 3, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sm s;
		size_t count = 0;

		sm_init(&s);
		push(&s, 0, cases[i].sent);
		s.acked = cases[i].acked;
		assert_int_equal(sm_covers(&s, cases[i].h, &count), cases[i].ok);
		assert_int_equal(count, cases[i].count);
		sm_clear(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_acknowledged_leaves_in_order),
		cmocka_unit_test(h_is_judged_against_what_was_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
