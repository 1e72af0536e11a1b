#include "fixture.h"

#include "datastore/ops.h"

static enum err find(struct db *d, uint64_t boot, uint64_t n)
{
	struct str text = STR_INIT, body = STR_INIT;
	enum err result = ERR_INTERNAL, e = ops_find(d, boot, n, &result, &text, &body);

	str_clear(&text);
	str_clear(&body);
	return e;
}

static void the_first_result_is_found_again(void **state)
{
	struct db *d = fixture_open(*state);
	struct str text = STR_INIT, body = STR_INIT;
	enum err result = ERR_OK;
	uint64_t boot = UINT64_MAX - 5; /* does not fit SQLite's signed numbers as such */

	assert_int_equal(find(d, boot, 1), ERR_NOTFOUND);
	assert_int_equal(ops_add(d, boot, 1, ERR_CONFLICT, S("it exists"), slice_of("b\0y", 3), 10),
			 ERR_OK);
	assert_int_equal(ops_find(d, boot, 1, &result, &text, &body), ERR_OK);
	assert_int_equal(result, ERR_CONFLICT);
	assert_string_equal(text.data, "it exists");
	assert_int_equal(body.len, 3);
	assert_memory_equal(body.data, "b\0y", 3);
	assert_int_equal(find(d, boot, 2), ERR_NOTFOUND);
	assert_int_equal(find(d, boot - 1, 1), ERR_NOTFOUND);
	assert_int_equal(ops_add(d, boot, 1, ERR_OK, S(""), S(""), 10), ERR_CONFLICT);
	str_clear(&text);
	str_clear(&body);
	db_close(&d);
}

static void the_old_and_the_too_many_are_forgotten(void **state)
{
	struct db *d = fixture_open(*state);

	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(ops_add(d, 7, i, ERR_OK, S(""), S(""), i * 100), ERR_OK);
	assert_int_equal(ops_prune(d, 301, 100, 2), ERR_OK); /* two at a time */
	assert_int_equal(find(d, 7, 2), ERR_NOTFOUND);
	assert_int_equal(find(d, 7, 3), ERR_OK);
	assert_int_equal(ops_prune(d, 301, 100, 100), ERR_OK);
	assert_int_equal(find(d, 7, 3), ERR_NOTFOUND);
	assert_int_equal(find(d, 7, 4), ERR_OK);
	assert_int_equal(ops_prune(d, 0, 4, 100), ERR_OK);
	assert_int_equal(find(d, 7, 6), ERR_NOTFOUND);
	assert_int_equal(find(d, 7, 7), ERR_OK);
	db_close(&d);
}

static void the_probe_writes_one_row_for_ever(void **state)
{
	struct db *d = fixture_open(*state);

	assert_int_equal(ops_probe(d, 1), ERR_OK);
	assert_int_equal(ops_probe(d, 2), ERR_OK);
	assert_int_equal(find(d, 0, 0), ERR_OK);
	db_close(&d);
}

#define WITH_DIR(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(the_first_result_is_found_again),
		WITH_DIR(the_old_and_the_too_many_are_forgotten),
		WITH_DIR(the_probe_writes_one_row_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
