/* Names of archived messages, and moments as text (XEP-0082). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/map.h"
#include "session/archive_id.h"
#include "session/stamp.h"

static void a_name_is_made_of_the_origin_and_of_nothing_else(void **state)
{
	char a[ARCHIVE_ID_TEXT], b[ARCHIVE_ID_TEXT];
	struct db_archive_id id, back;

	(void)state;
	archive_id_format(archive_id(0x123456789abcdef0, 5), a);
	/* Names stand in databases and clients: they must not change with a release. */
	assert_string_equal(a, "5807c8c8a2813b250639f673");
	archive_id_format(archive_id(0x123456789abcdef1, 5), b);
	assert_memory_not_equal(a, b, 16);
	id = archive_id(UINT64_MAX, 77);
	archive_id_format(id, a);
	assert_true(archive_id_parse(slice_str(a), &back));
	assert_true(db_archive_id_eq(id, back));
}

/* In each group all numbers differ, and only neighbours share one. */
static void no_two_messages_of_a_session_have_the_same_name(void **state)
{
	struct map seen;
	char text[ARCHIVE_ID_TEXT];

	(void)state;
	map_init(&seen);
	for (uint64_t n = 1; n <= 50000; n++) {
		archive_id_format(archive_id(42, n), text);
		assert_null(map_put(&seen, slice_str(text), text));
	}
	map_clear(&seen);
	assert_int_equal(archive_id(42, 128).group, archive_id(42, 255).group);
	assert_int_not_equal(archive_id(42, 127).group, archive_id(42, 128).group);
}

static void what_is_no_name_is_not_taken_for_one(void **state)
{
	static const char *const rows[] = {
		"",
		"x",
		"0123456789abcdef0123456",
		"0123456789abcdef012345678",
		"0123456789ABCDEF01234567",
		"0123456789abcdeg01234567",
		"0123456789abcdef 1234567",
	};
	struct db_archive_id id;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_false(archive_id_parse(slice_str(rows[i]), &id));
}

static void stamps_are_read_as_xep_0082_has_them(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t ms;
	} rows[] = {
		{"1970-01-01T00:00:00Z", true, 0},
		{"2002-09-10T23:08:25Z", true, 1031699305000},
		{"2002-09-10T23:08:25.120Z", true, 1031699305120},
		{"2002-09-10T23:08:25.1239999Z", true, 1031699305123},
		{"2002-09-11T01:08:25+02:00", true, 1031699305000},
		{"2002-09-10T17:38:25-05:30", true, 1031699305000},
		{"2000-02-29T00:00:00Z", true, 951782400000},
		{"9999-12-31T23:59:59Z", true, 253402300799000},
		{"1969-12-31T23:59:59Z", false, 0},
		{"1900-02-29T00:00:00Z", false, 0},
		{"2001-02-29T00:00:00Z", false, 0},
		{"2002-13-10T23:08:25Z", false, 0},
		{"2002-00-10T23:08:25Z", false, 0},
		{"2002-09-31T23:08:25Z", false, 0},
		{"2002-09-10T24:08:25Z", false, 0},
		{"2002-09-10T23:60:25Z", false, 0},
		{"2002-09-10T23:08:61Z", false, 0},
		{"2002-09-10T23:08:25", false, 0},
		{"2002-09-10T23:08:25.Z", false, 0},
		{"2002-09-10T23:08:25+2:00", false, 0},
		{"2002-09-10T23:08:25Zulu", false, 0},
		{"2002-09-10", false, 0},
		{"20020910T23:08:25", false, 0},
		{"", false, 0},
	};
	char text[STAMP_TEXT];
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ms = 0;
		assert_int_equal(stamp_parse(slice_str(rows[i].text), &ms), rows[i].ok);
		if (rows[i].ok)
			assert_int_equal(ms, rows[i].ms);
	}
	stamp_format(1031699305120, text);
	assert_string_equal(text, "2002-09-10T23:08:25.120Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_made_of_the_origin_and_of_nothing_else),
		cmocka_unit_test(no_two_messages_of_a_session_have_the_same_name),
		cmocka_unit_test(what_is_no_name_is_not_taken_for_one),
		cmocka_unit_test(stamps_are_read_as_xep_0082_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
