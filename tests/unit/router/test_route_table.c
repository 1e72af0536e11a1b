#include "router/route_table.h"
#include "tests/support/cmocka_first.h"

static void bind_refuses_a_domain_held_by_another_session(void **state)
{
	struct route_table *t = route_table_new();

	(void)state;
	assert_int_equal(route_table_bind(t, slice_str("a.test"), 1), ERR_OK);
	assert_int_equal(route_table_bind(t, slice_str("a.test"), 1), ERR_OK);
	assert_int_equal(route_table_bind(t, slice_str("a.test"), 2), ERR_CONFLICT);
	assert_int_equal(route_table_find(t, slice_str("a.test")), 1);
	assert_int_equal(route_table_find(t, slice_str("b.test")), 0);
	route_table_free(&t);
}

static void unbind_takes_out_every_domain_of_a_session_and_no_other(void **state)
{
	struct route_table *t = route_table_new();

	(void)state;
	route_table_bind(t, slice_str("a.test"), 1);
	route_table_bind(t, slice_str("b.test"), 1);
	route_table_bind(t, slice_str("c.test"), 2);
	route_table_unbind(t, 1);
	assert_int_equal(route_table_find(t, slice_str("a.test")), 0);
	assert_int_equal(route_table_find(t, slice_str("b.test")), 0);
	assert_int_equal(route_table_find(t, slice_str("c.test")), 2);
	assert_int_equal(route_table_bind(t, slice_str("a.test"), 3), ERR_OK);
	route_table_free(&t);
	route_table_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bind_refuses_a_domain_held_by_another_session),
		cmocka_unit_test(unbind_takes_out_every_domain_of_a_session_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
