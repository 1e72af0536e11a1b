#include "fixture.h"

static void codes_are_judged_by_what_they_mean_for_the_disk(void **state)
{
	static const struct {
		int code, sys_errno;
		enum disk_state want;
		enum err err;
	} cases[] = {
		{SQLITE_CONSTRAINT_UNIQUE, 0, DISK_OK, ERR_OK},
		{SQLITE_TOOBIG, 0, DISK_OK, ERR_OK},
		{SQLITE_FULL, 0, DISK_FULL, ERR_NOSPACE},
		{SQLITE_IOERR_WRITE, ENOSPC, DISK_FULL, ERR_NOSPACE},
		{SQLITE_IOERR_WRITE, EDQUOT, DISK_FULL, ERR_NOSPACE},
		{SQLITE_IOERR_SHMSIZE, ENOSPC, DISK_FULL, ERR_NOSPACE},
		{SQLITE_CANTOPEN, EROFS, DISK_READONLY, ERR_IO},
		{SQLITE_READONLY_DIRECTORY, 0, DISK_READONLY, ERR_IO},
		{SQLITE_IOERR_READ, EIO, DISK_IO, ERR_IO},
		{SQLITE_BUSY, 0, DISK_BUSY, ERR_AGAIN},
		{SQLITE_CORRUPT_INDEX, 0, DISK_DAMAGED, ERR_CORRUPT},
		{SQLITE_NOTADB, 0, DISK_DAMAGED, ERR_CORRUPT},
		{SQLITE_IOERR_FSYNC, ENOSPC, DISK_FSYNC, ERR_IO},
		{SQLITE_IOERR_DIR_FSYNC, EIO, DISK_FSYNC, ERR_IO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum disk_state got = disk_judge(cases[i].code, cases[i].sys_errno);

		if (got != cases[i].want || disk_err(got) != cases[i].err)
			fail_msg("case %zu: %s", i, disk_name(got));
	}
}

static void every_trouble_says_what_to_do(void **state)
{
	(void)state;
	for (int s = DISK_LOW; s <= DISK_FSYNC; s++) {
		assert_true(strlen(disk_text((enum disk_state)s)) > 30);
		assert_true(disk_err((enum disk_state)s) != ERR_OK);
	}
}

static void the_watermark_does_not_flap(void **state)
{
	(void)state;
	assert_false(disk_is_low(1000, 1000, false));
	assert_true(disk_is_low(999, 1000, false));
	assert_true(disk_is_low(1249, 1000, true));
	assert_false(disk_is_low(1250, 1000, true));
	assert_false(disk_is_low(0, 0, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_are_judged_by_what_they_mean_for_the_disk),
		cmocka_unit_test(every_trouble_says_what_to_do),
		cmocka_unit_test(the_watermark_does_not_flap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
