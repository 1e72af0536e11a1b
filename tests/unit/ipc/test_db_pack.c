/* Lists inside of BYTES: what comes out is what went in, and nothing that is cut short is taken. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ipc/db_pack.h"

#define S(text) slice_str(text)

static void a_change_of_the_shelf_comes_back_as_it_was(void **state)
{
	static const struct db_shelf_change changes[] = {
		{.op = SHELF_PUT, .sid = UINT64_MAX, .kind = 255, .n = 1, .body = {"a\0b", 3}},
		{.op = SHELF_PUT, .sid = 1, .kind = 1, .n = UINT64_MAX},
		{.op = SHELF_DEL, .sid = 2, .kind = 3, .n = 4, .upto = UINT64_MAX - 1},
	};
	const size_t count = sizeof(changes) / sizeof(changes[0]);
	struct str s = STR_INIT;
	struct db_shelf_change c;
	struct slice in;

	(void)state;
	for (size_t i = 0; i < count; i++)
		db_shelf_change_put(&s, &changes[i]);
	in = str_slice(&s);
	for (size_t i = 0; i < count; i++) {
		assert_true(db_shelf_change_get(&in, &c));
		assert_int_equal(c.op, changes[i].op);
		assert_true(c.sid == changes[i].sid);
		assert_int_equal(c.kind, changes[i].kind);
		assert_true(c.n == changes[i].n);
		assert_true(c.upto == changes[i].upto);
		assert_true(slice_eq(c.body, changes[i].body));
	}
	assert_int_equal(in.len, 0);
	str_clear(&s);
}

static void a_row_of_the_shelf_comes_back_as_it_was(void **state)
{
	const struct db_shelf_row row = {
		.sid = UINT64_MAX - 1, .kind = 2, .n = UINT64_MAX, .body = S("body")};
	struct db_shelf_row got;
	struct str s = STR_INIT;
	struct slice in;

	(void)state;
	db_shelf_row_put(&s, &row);
	in = str_slice(&s);
	assert_true(db_shelf_row_get(&in, &got));
	assert_int_equal(in.len, 0);
	assert_true(got.sid == row.sid);
	assert_int_equal(got.kind, row.kind);
	assert_true(got.n == row.n);
	assert_true(slice_eq(got.body, row.body));
	str_clear(&s);
}

/* The datastore answers with rows in as large a record as it takes changes in. */
static void a_row_is_smaller_than_the_change_that_wrote_it(void **state)
{
	struct str change = STR_INIT, row = STR_INIT;

	(void)state;
	db_shelf_change_put(&change, &(struct db_shelf_change){.op = SHELF_PUT, .body = S("b")});
	db_shelf_row_put(&row, &(struct db_shelf_row){.body = S("b")});
	assert_true(row.len < change.len);
	str_clear(&change);
	str_clear(&row);
}

static void what_is_cut_short_is_not_taken(void **state)
{
	struct str change = STR_INIT, row = STR_INIT;
	struct db_shelf_change c;
	struct db_shelf_row r;
	struct slice in;

	(void)state;
	db_shelf_change_put(&change, &(struct db_shelf_change){.op = SHELF_PUT, .body = S("body")});
	db_shelf_row_put(&row, &(struct db_shelf_row){.n = 1, .body = S("body")});
	for (size_t cut = 0; cut < change.len; cut++) {
		in = slice_of(change.data, cut);
		assert_false(db_shelf_change_get(&in, &c));
	}
	for (size_t cut = 0; cut < row.len; cut++) {
		in = slice_of(row.data, cut);
		assert_false(db_shelf_row_get(&in, &r));
	}
	str_clear(&change);
	str_clear(&row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_of_the_shelf_comes_back_as_it_was),
		cmocka_unit_test(a_row_of_the_shelf_comes_back_as_it_was),
		cmocka_unit_test(a_row_is_smaller_than_the_change_that_wrote_it),
		cmocka_unit_test(what_is_cut_short_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
