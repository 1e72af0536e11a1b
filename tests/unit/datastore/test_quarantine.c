/* Files of records that killed a process again and again. */
#include "store_rig.h"

#include <dirent.h>

#include "datastore/quarantine.h"

#define NOW 1763732125000 /* 2025-11-21 13:35:25 UTC */

static struct quarantine *q;
static struct str why;
static char dir[200];

static int setup(void **state)
{
	struct fixture *f;

	fixture_setup(state);
	f = *state;
	str_init(&why);
	snprintf(dir, sizeof(dir), "%s/quarantine", f->dir);
	q = quarantine_new(dir);
	return 0;
}

static int teardown(void **state)
{
	quarantine_free(&q);
	str_clear(&why);
	return fixture_teardown(state);
}

static enum err put(const char *about, const char *bytes, uint64_t now_ms)
{
	str_reset(&why);
	return quarantine_put(q, S(about), S(bytes), now_ms, &why);
}

/* The name that comes first or last of all in the folder; the number of files. */
static uint32_t look(bool last, char name[256])
{
	DIR *d = opendir(dir);
	struct dirent *e;
	uint32_t count = 0;

	name[0] = '\0';
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (count++ == 0 || (strcmp(e->d_name, name) > 0) == last)
			snprintf(name, 256, "%s", e->d_name);
	}
	if (d)
		closedir(d);
	return count;
}

static void expect_content(const char *name, const char *want)
{
	char path[600], *got;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	got = fixture_read_file(path, &len);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(got, want, len);
	free(got);
}

static void a_record_becomes_a_private_file_that_says_what_it_is(void **state)
{
	char name[256], path[600];
	struct stat st;

	(void)state;
	assert_int_equal(quarantine_count(q), 0);
	assert_int_equal(access(dir, F_OK), -1); /* not before it is needed */
	assert_int_equal(put("stanza 7/3 from juliet", "<body>\n\001", NOW), ERR_OK);
	assert_int_equal(quarantine_count(q), 1);
	assert_int_equal(look(false, name), 1);
	assert_string_equal(name, "20251121T133525Z-000001.bin");
	expect_content(name, "stanza 7/3 from juliet\n<body>\n\001");
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void what_it_is_stays_one_line(void **state)
{
	struct str about = STR_INIT;
	char name[256], *got;
	char path[600];
	size_t len;

	(void)state;
	assert_int_equal(put("a\nb\x1b[2J\xc3\xa4\x7f", "x", NOW), ERR_OK);
	look(true, name);
	expect_content(name, "a\\x0Ab\\x1B[2J\\xC3\\xA4\\x7F\nx");
	while (about.len < 65000)
		str_addc(&about, '\n');
	assert_int_equal(quarantine_put(q, str_slice(&about), S("end"), NOW, &why), ERR_OK);
	look(true, name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	got = fixture_read_file(path, &len);
	assert_in_range(len, 4000, 4100);
	assert_memory_equal(got + len - 4, "\nend", 4);
	free(got);
	str_clear(&about);
}

static void files_of_one_second_and_of_another_process_stand_beside_each_other(void **state)
{
	char name[256];

	(void)state;
	assert_int_equal(put("a", "1", NOW), ERR_OK);
	assert_int_equal(put("b", "2", NOW), ERR_OK);
	quarantine_free(&q);
	q = quarantine_new(dir);
	assert_int_equal(quarantine_count(q), 2);
	assert_int_equal(put("c", "3", NOW), ERR_OK);
	assert_int_equal(look(true, name), 3);
	expect_content(name, "c\n3");
}

static void beyond_a_hundred_the_oldest_goes(void **state)
{
	char name[256], bytes[16];

	(void)state;
	for (unsigned int i = 0; i < QUARANTINE_FILES + 5; i++) {
		snprintf(bytes, sizeof(bytes), "%u", i);
		assert_int_equal(put("a", bytes, NOW + i / 10 * 1000), ERR_OK);
	}
	assert_int_equal(quarantine_count(q), QUARANTINE_FILES);
	assert_int_equal(look(false, name), QUARANTINE_FILES);
	expect_content(name, "a\n5");
	look(true, name);
	expect_content(name, "a\n104");
}

static void beyond_64_MiB_the_oldest_goes(void **state)
{
	struct str big = STR_INIT;
	char name[256];

	(void)state;
	str_reserve(&big, 15u << 20);
	while (big.len < 15u << 20)
		str_adds(&big, "0123456789abcdef");
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(quarantine_put(q, S("big"), str_slice(&big), NOW + 1000 * i, &why),
				 ERR_OK);
	assert_int_equal(put("small", "x", NOW + 5000), ERR_OK);
	assert_int_equal(look(true, name), 5);
	assert_int_equal(quarantine_put(q, S("big"), str_slice(&big), NOW + 6000, &why), ERR_OK);
	assert_int_equal(look(false, name), 5);
	assert_memory_equal(name, "20251121T133526Z", 16);
	str_clear(&big);
}

static void what_people_delete_is_not_counted(void **state)
{
	char name[256], path[600];

	(void)state;
	assert_int_equal(put("a", "1", NOW), ERR_OK);
	look(true, name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
	quarantine_look(q);
	assert_int_equal(quarantine_count(q), 0);
	rmdir(dir);
	quarantine_look(q);
	assert_int_equal(quarantine_count(q), 0);
	assert_int_equal(put("a", "1", NOW), ERR_OK);
	assert_int_equal(quarantine_count(q), 1);
}

static void a_folder_that_cannot_be_is_told(void **state)
{
	(void)state;
	fixture_write_file(dir, "in the way", 10);
	assert_int_equal(put("a", "1", NOW), ERR_IO);
	assert_non_null(strstr(why.data, "quarantine takes no file: Not a directory; check"));
	assert_int_equal(quarantine_count(q), 0);
}

static struct str request(const char *about, const char *bytes)
{
	struct str s = STR_INIT;

	msg_db_quarantine_put(&s, &(struct msg_db_quarantine){S(about), S(bytes)});
	return s;
}

static void expect_stats(struct store_rig *r, const char *want)
{
	struct str stats = STR_INIT;

	store_add_stats(r->store, &stats);
	if (!strstr(stats.data, want))
		fail_msg("%s", stats.data);
	str_clear(&stats);
}

static void a_request_makes_a_file_and_raises_the_alarm_until_it_is_gone(void **state)
{
	struct store_rig *r = *state;
	char name[256], path[600];
	struct str garbage = request("a", "b");

	snprintf(dir, sizeof(dir), "%s/quarantine", r->f.dir);
	expect_stats(r, "store_quarantine=0");
	assert_null(r->alarm);
	assert_int_equal(rig_ask_take(r, 1, request("stanza 1", "<x/>")), ERR_OK);
	rig_body(r, MSG_DB_DONE);
	assert_string_equal(r->alarm, QUARANTINE_TEXT);
	expect_stats(r, "store_quarantine=1");
	assert_int_equal(rig_ask_take(r, 1, request("stanza 1", "<x/>")), ERR_OK); /* a repeat */
	assert_int_equal(look(false, name), 1);
	expect_content(name, "stanza 1\n<x/>");
	garbage.data[6]++; /* the length of about */
	assert_int_equal(rig_ask_take(r, 2, garbage), ERR_FORMAT);
	assert_int_equal(rig_ask_take(r, 3, request("stanza 2", "<y/>")), ERR_OK);
	expect_stats(r, "store_quarantine=2");
	/* A new process tells it too. */
	store_close(&r->store);
	free(r->alarm);
	r->alarm = NULL;
	rig_start(r);
	rig_turn(r, 0, 1500);
	assert_string_equal(r->alarm, QUARANTINE_TEXT);
	while (look(false, name)) {
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		assert_int_equal(unlink(path), 0);
	}
	rig_turn(r, 0, 1500);
	assert_null(r->alarm);
	expect_stats(r, "store_quarantine=0");
}

#define WITH_DIR(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(a_record_becomes_a_private_file_that_says_what_it_is),
		WITH_DIR(what_it_is_stays_one_line),
		WITH_DIR(files_of_one_second_and_of_another_process_stand_beside_each_other),
		WITH_DIR(beyond_a_hundred_the_oldest_goes),
		WITH_DIR(beyond_64_MiB_the_oldest_goes),
		WITH_DIR(what_people_delete_is_not_counted),
		WITH_DIR(a_folder_that_cannot_be_is_told),
		cmocka_unit_test_setup_teardown(
			a_request_makes_a_file_and_raises_the_alarm_until_it_is_gone, rig_setup,
			rig_teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
