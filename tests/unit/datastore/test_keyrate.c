#include "fixture.h"

#include "datastore/keyrate.h"

static int takes(struct keyrate *k, const char *user, uint32_t per_minute, uint64_t at_ms,
		 int tries)
{
	int got = 0;

	for (int i = 0; i < tries; i++)
		got += keyrate_take(k, S(user), S("localhost"), per_minute,
				    (struct monotime){at_ms * 1000});
	return got;
}

static void a_user_gets_its_share_and_more_with_time(void **state)
{
	struct keyrate *k = keyrate_new();

	(void)state;
	assert_int_equal(takes(k, "juliet", 60, 1000000, 100), 60);
	assert_int_equal(takes(k, "juliet", 60, 1000999, 5), 0);
	assert_int_equal(takes(k, "juliet", 60, 1001000, 5), 1);
	assert_int_equal(takes(k, "juliet", 60, 1004000, 100), 3);
	assert_int_equal(takes(k, "juliet", 60, 9000000, 100), 60);
	keyrate_free(&k);
}

static void another_user_is_not_touched(void **state)
{
	struct keyrate *k = keyrate_new();
	int got = 0;

	(void)state;
	assert_int_equal(takes(k, "juliet", 5, 5000, 50), 5);
	/* One name may share a bucket by chance, not all of them. */
	for (int i = 0; i < 8; i++) {
		char name[16];

		snprintf(name, sizeof(name), "u%d", i);
		got += takes(k, name, 5, 5000, 1);
	}
	assert_true(got >= 7);
	keyrate_free(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_gets_its_share_and_more_with_time),
		cmocka_unit_test(another_user_is_not_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
