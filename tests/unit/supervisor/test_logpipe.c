/* logpipe and logfile on real FIFOs and files in a directory of their own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "supervisor/logfile.h"
#include "supervisor/logpipe.h"

struct rig {
	char dir[32];
	int home;
	struct loop *loop;
	struct loop_timer *stop;
	struct logfile *file;
	struct logpipe *pipe;
	int writer;
};

static void on_stop(void *arg)
{
	loop_stop(arg);
}

static void run_for(struct rig *r, uint64_t ms)
{
	loop_timer_set(r->stop, ms, 0);
	loop_run(r->loop);
}

static int setup(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	struct str why = STR_INIT;

	r->home = open(".", O_PATH | O_DIRECTORY);
	snprintf(r->dir, sizeof(r->dir), "/tmp/logpipe-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	assert_int_equal(chdir(r->dir), 0);
	mkdir("run", 0700);
	mkdir("run/log", 0700);
	mkdir("log", 0700);
	r->loop = loop_new();
	r->stop = loop_timer_new(r->loop, on_stop, r->loop);
	r->file = logfile_new("svc", 1 << 20, 3);
	r->pipe = logpipe_open(r->loop, "svc-1", r->file, &why);
	assert_non_null(r->pipe);
	r->writer = logpipe_writer(r->pipe);
	assert_true(r->writer >= 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	char *rm = xasprintf("rm -rf %s", r->dir);

	close(r->writer);
	logpipe_close(&r->pipe);
	logfile_free(&r->file);
	loop_timer_free(&r->stop);
	loop_free(&r->loop);
	assert_int_equal(fchdir(r->home), 0);
	close(r->home);
	assert_int_equal(system(rm), 0);
	free(rm);
	free(r);
	return 0;
}

static char *slurp(const char *path)
{
	struct str s = STR_INIT;
	char buf[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		str_add(&s, buf, (size_t)n);
	if (fd >= 0)
		close(fd);
	return str_detach(&s);
}

static void assert_file(const char *path, const char *want)
{
	char *got = slurp(path);

	assert_string_equal(got, want);
	free(got);
}

static void say(const struct rig *r, const char *text)
{
	assert_int_equal(write(r->writer, text, strlen(text)), (ssize_t)strlen(text));
}

static void lines_go_to_the_file_whole(void **state)
{
	struct rig *r = *state;

	say(r, "one\ntwo\nthr");
	run_for(r, 30);
	assert_file("log/svc.log", "one\ntwo\n");
	say(r, "ee\n");
	run_for(r, 100);
	assert_file("log/svc.log", "one\ntwo\nthree\n");
}

static void half_a_line_that_never_ends_is_written_after_a_while(void **state)
{
	struct rig *r = *state;

	say(r, "prompt> ");
	run_for(r, 1000);
	assert_file("log/svc.log", "prompt> \n");
}

static void the_last_words_of_the_dead_are_kept(void **state)
{
	struct rig *r = *state;

	say(r, "last line\nlast wor");
	close(r->writer);
	logpipe_drain(r->pipe);
	assert_file("log/svc.log", "last line\nlast wor\n");
	r->writer = logpipe_writer(r->pipe);
}

static void a_new_reader_finds_what_no_reader_took(void **state)
{
	struct rig *r = *state;
	struct str why = STR_INIT;

	logpipe_close(
		&r->pipe); /* the supervisor is killed; the service lives and holds the FIFO */
	say(r, "in between\n");
	r->pipe = logpipe_open(r->loop, "svc-1", r->file, &why);
	run_for(r, 50);
	assert_file("log/svc.log", "in between\n");
}

static void while_the_file_cannot_be_written_lines_wait(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rename("log", "log.away"), 0);
	say(r, "patient\n");
	run_for(r, 100);
	assert_true(logpipe_is_stuck(r->pipe));
	assert_int_equal(rename("log.away", "log"), 0);
	run_for(r, 1500);
	assert_false(logpipe_is_stuck(r->pipe));
	assert_file("log/svc.log", "patient\n");
}

static void much_arrives_complete_and_in_order(void **state)
{
	struct rig *r = *state;
	struct str want = STR_INIT;

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 500; i++) {
			char line[64];

			snprintf(line, sizeof(line), "round %d line %d of many\n", round, i);
			say(r, line);
			str_adds(&want, line);
		}
		run_for(r, 10);
	}
	run_for(r, 100);
	assert_file("log/svc.log", want.data);
	str_clear(&want);
}

static void files_rotate_by_size_and_the_oldest_goes(void **state)
{
	struct rig *r = *state;

	logfile_limits(r->file, 10, 2);
	for (char c = 'a'; c <= 'e'; c++) {
		char line[12];

		memset(line, c, 10);
		line[10] = '\n';
		assert_int_equal(logfile_write(r->file, line, 11), ERR_OK);
	}
	assert_file("log/svc.log", "eeeeeeeeee\n");
	assert_file("log/svc.log.1", "dddddddddd\n");
	assert_file("log/svc.log.2", "cccccccccc\n");
	assert_int_equal(access("log/svc.log.3", F_OK), -1);
}

static void a_file_that_was_taken_away_is_made_anew(void **state)
{
	struct rig *r = *state;

	assert_int_equal(logfile_write(r->file, "a\n", 2), ERR_OK);
	assert_int_equal(unlink("log/svc.log"), 0);
	assert_int_equal(logfile_write(r->file, "b\n", 2), ERR_OK);
	assert_file("log/svc.log", "b\n");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(lines_go_to_the_file_whole),
		CASE(half_a_line_that_never_ends_is_written_after_a_while),
		CASE(the_last_words_of_the_dead_are_kept),
		CASE(a_new_reader_finds_what_no_reader_took),
		CASE(while_the_file_cannot_be_written_lines_wait),
		CASE(much_arrives_complete_and_in_order),
		CASE(files_rotate_by_size_and_the_oldest_goes),
		CASE(a_file_that_was_taken_away_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
