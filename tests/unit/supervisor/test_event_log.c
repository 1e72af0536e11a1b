/* The event log on real files in a directory of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "supervisor/event_log.h"

#define ROTATE 4096

struct rig {
	char dir[40];
	int home;
	struct event_log *log;
	struct monotime now;
};

static int setup(void **state)
{
	struct rig *g = xcalloc(1, sizeof(*g));

	g->home = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(g->dir, sizeof(g->dir), "/tmp/eventlog-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	assert_int_equal(chdir(g->dir), 0);
	mkdir("log", 0700);
	g->log = event_log_new(ROTATE, 3);
	g->now = monotime_now();
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	struct rig *g = *state;
	char *rm = xasprintf("rm -rf %s", g->dir);

	event_log_free(&g->log);
	assert_int_equal(fchdir(g->home), 0);
	close(g->home);
	assert_int_equal(system(rm), 0);
	free(rm);
	free(g);
	return 0;
}

/* Each of a kind of its own, so that none is collapsed. */
static void take(struct rig *g, int n)
{
	struct str line = STR_INIT;

	str_addf(&line, "2026-11-21T05:16:17.804123Z warn  router[1] - event=kind_%d\n", n);
	event_log_take(g->log, str_slice(&line), g->now);
	str_clear(&line);
}

static void slurp(const char *path, struct str *out)
{
	char buf[65536];
	FILE *f = fopen(path, "re");
	size_t n;

	str_reset(out);
	while (f && (n = fread(buf, 1, sizeof(buf), f)) > 0)
		str_add(out, buf, n);
	if (f)
		fclose(f);
}

static void what_enters_is_in_the_file_at_once(void **state)
{
	struct rig *g = *state;
	struct str text = STR_INIT;

	event_log_take(g->log,
		       slice_str("2026-11-21T05:16:17.804123Z warn  router[1] - event=one\n"
				 "2026-11-21T05:16:17.804123Z info  router[1] - event=two\n"
				 "2026-11-21T05:16:18.000123Z error router[1] - event=three\n"),
		       g->now);
	slurp("log/events.log", &text);
	assert_string_equal(text.data, "2026-11-21 05:16:17.804 Warning router event=one\n"
				       "2026-11-21 05:16:18.000 Error   router event=three\n");
	str_clear(&text);
}

static void the_log_is_bounded_by_rotation(void **state)
{
	struct rig *g = *state;
	struct stat st;

	for (int i = 0; i < 2000; i++)
		take(g, i);
	assert_int_equal(stat("log/events.log.3", &st), 0);
	assert_int_not_equal(stat("log/events.log.4", &st), 0);
	for (int k = 1; k <= 3; k++) {
		char path[32];

		snprintf(path, sizeof(path), "log/events.log.%d", k);
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_size < ROTATE + 200);
	}
}

static void clear_leaves_one_line_with_the_count_of_all_files(void **state)
{
	struct rig *g = *state;
	struct str text = STR_INIT, why = STR_INIT;
	uint64_t count = 0;
	struct stat st;

	for (int i = 0; i < 150; i++) /* more than one file */
		take(g, i);
	assert_int_equal(stat("log/events.log.1", &st), 0);
	assert_int_equal(event_log_clear(g->log, "admin", 1000, &count, &why), ERR_OK);
	assert_int_equal(count, 150);
	assert_int_not_equal(stat("log/events.log.1", &st), 0);
	slurp("log/events.log", &text);
	assert_string_equal(text.data,
			    "1970-01-01 00:00:01.000 Info    supervisor 150 log messages "
			    "cleared by \"admin\"\n");
	take(g, 1);
	slurp("log/events.log", &text);
	assert_non_null(strstr(text.data, "event=kind_1\n"));
	str_clear(&text);
	str_clear(&why);
}

static void clear_counts_what_it_left_before(void **state)
{
	struct rig *g = *state;
	struct str why = STR_INIT, text = STR_INIT;
	uint64_t count = 9;

	assert_int_equal(event_log_clear(g->log, "a", 1000, &count, &why), ERR_OK);
	assert_int_equal(count, 0);
	assert_int_equal(event_log_clear(g->log, "b", 1000, &count, &why), ERR_OK);
	assert_int_equal(count, 1);
	slurp("log/events.log", &text);
	assert_non_null(strstr(text.data, " 1 log message cleared by \"b\"\n"));
	str_clear(&text);
	str_clear(&why);
}

static void a_clear_that_cannot_be_written_leaves_all_as_it_was(void **state)
{
	struct rig *g = *state;
	struct str why = STR_INIT, before = STR_INIT, after = STR_INIT;
	uint64_t count;

	take(g, 1);
	slurp("log/events.log", &before);
	mkdir("log/events.log.new", 0700); /* in the way */
	assert_int_not_equal(event_log_clear(g->log, "a", 1000, &count, &why), ERR_OK);
	assert_true(why.len > 0);
	slurp("log/events.log", &after);
	assert_string_equal(before.data, after.data);
	str_clear(&before);
	str_clear(&after);
	str_clear(&why);
}

static void what_could_not_be_written_comes_later(void **state)
{
	struct rig *g = *state;
	struct str text = STR_INIT;

	assert_int_equal(rename("log", "away"), 0);
	take(g, 1);
	assert_int_equal(rename("away", "log"), 0);
	event_log_tick(g->log, g->now);
	slurp("log/events.log", &text);
	assert_non_null(strstr(text.data, "event=kind_1\n"));
	str_clear(&text);
}

static void what_has_no_room_to_wait_is_counted(void **state)
{
	struct rig *g = *state;
	struct str text = STR_INIT;

	assert_int_equal(rename("log", "away"), 0);
	for (int i = 0; i < 20000; i++)
		take(g, i);
	assert_int_equal(rename("away", "log"), 0);
	event_log_limits(g->log, 1 << 24, 3);
	event_log_tick(g->log, g->now);
	slurp("log/events.log", &text);
	assert_true(text.len < 300 * 1024);
	assert_non_null(strstr(text.data, "event=events_lost count="));
	str_clear(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_enters_is_in_the_file_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_log_is_bounded_by_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(clear_leaves_one_line_with_the_count_of_all_files,
						setup, teardown),
		cmocka_unit_test_setup_teardown(clear_counts_what_it_left_before, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clear_that_cannot_be_written_leaves_all_as_it_was,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_could_not_be_written_comes_later, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_has_no_room_to_wait_is_counted, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
