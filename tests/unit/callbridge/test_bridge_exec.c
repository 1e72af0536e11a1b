/* bridge_exec: what a program is fed, what counts as handled, and programs that do not behave. */
#include "tests/support/cmocka_first.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "callbridge/bridge_exec.h"
#include "net/loop.h"

#define LIMIT_MS 10000

struct rig {
	struct loop *loop;
	struct loop_timer *limit;
	struct bridge_exec *exec;
	struct str said;     /* its lines, each with LF */
	const char *until;   /* stop when said has this */
	size_t handled, all; /* stop when so many lines are handled; 0 = do not */
	bool stopped, late;
};

static void on_line(void *arg, struct slice line)
{
	struct rig *r = arg;

	str_add_slice(&r->said, line);
	str_addc(&r->said, '\n');
	if (r->until && strstr(r->said.data, r->until))
		loop_stop(r->loop);
}

static void on_too_long(void *arg)
{
	on_line(arg, slice_str("(too long)"));
}

static void on_handled(void *arg, size_t lines)
{
	struct rig *r = arg;

	r->handled += lines;
	if (r->all && r->handled >= r->all)
		loop_stop(r->loop);
}

static void on_stopped(void *arg)
{
	struct rig *r = arg;

	r->stopped = true;
	loop_stop(r->loop);
}

static void on_limit(void *arg)
{
	struct rig *r = arg;

	r->late = true;
	loop_stop(r->loop);
}

static const struct bridge_exec_events events = {
	.on_line = on_line,
	.on_too_long = on_too_long,
	.on_handled = on_handled,
	.on_stopped = on_stopped,
};

static void begin(struct rig *r, const char *command)
{
	static const char *const env[] = {"CALLBRIDGE_NAME=cb1", NULL};
	struct bridge_exec_config cfg = {command, env, -1, 1000};

	signal(SIGPIPE, SIG_IGN); /* as conn_set_new() does */
	*r = (struct rig){.loop = loop_new(), .said = STR_INIT};
	r->limit = loop_timer_new(r->loop, on_limit, r);
	r->exec = bridge_exec_new(r->loop, &cfg, &events, r);
}

static void end(struct rig *r)
{
	bridge_exec_free(&r->exec);
	loop_timer_free(&r->limit);
	loop_free(&r->loop);
	str_clear(&r->said);
}

/* Until what the rig waits for; false: it took too long. */
static bool run(struct rig *r)
{
	r->late = false;
	loop_timer_set(r->limit, LIMIT_MS, 0);
	loop_run(r->loop);
	return !r->late;
}

static void run_for(struct rig *r, unsigned int ms)
{
	loop_timer_set(r->limit, ms, 0);
	loop_run(r->loop);
}

static void feed(struct rig *r, const char *line)
{
	bridge_exec_add(r->exec, slice_str(line));
	bridge_exec_flush(r->exec);
}

static void an_empty_line_is_handled_in_its_turn_and_the_program_sees_nothing(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, "exec cat");
	feed(&r, "");
	feed(&r, "one\n");
	feed(&r, "");
	assert_int_equal(bridge_exec_lines(r.exec), 3);
	assert_int_equal(r.handled, 0);
	r.all = 3;
	assert_true(run(&r));
	r.all = 0;
	feed(&r, "two\n");
	r.until = "two";
	assert_true(run(&r));
	assert_string_equal(r.said.data, "one\ntwo\n");
	assert_int_equal(r.handled, 4);
	assert_int_equal(bridge_exec_waiting(r.exec), 0);
	end(&r);
}

static void empty_lines_that_wait_take_room_too(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, "exec cat");
	for (int i = 0; i < 1000; i++)
		bridge_exec_add(r.exec, SLICE_NONE);
	assert_true(bridge_exec_waiting(r.exec) >= 8000);
	end(&r);
}

static void what_is_to_be_kept_is_not_forgotten(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, "exec cat");
	feed(&r, "kept\n");
	feed(&r, "kept too\n");
	feed(&r, "forgotten\n");
	assert_false(bridge_exec_forget(r.exec, 2));
	assert_int_equal(bridge_exec_lines(r.exec), 2);
	feed(&r, "last\n");
	r.until = "last";
	assert_true(run(&r));
	assert_string_equal(r.said.data, "kept\nkept too\nlast\n");
	end(&r);
}

static void a_program_that_reads_no_more_and_does_not_go_is_killed_and_started_again(void **state)
{
	struct rig r;
	int first;

	(void)state;
	begin(&r, "trap '' TERM; exec 0<&-; echo ready; while :; do sleep 0.05; done");
	r.until = "ready";
	assert_true(run(&r));
	first = bridge_exec_pid(r.exec);
	feed(&r, "one\n");
	r.until = "ready\nready";
	assert_true(run(&r));
	assert_int_not_equal(bridge_exec_pid(r.exec), first);
	assert_int_equal(bridge_exec_starts(r.exec), 2);
	end(&r);
}

static void a_program_that_floods_its_standard_error_does_not_flood_the_log(void **state)
{
	char path[] = "/tmp/test_bridge_exec.XXXXXX", text[65536];
	int fd = mkstemp(path);
	size_t lines = 0;
	struct rig r;
	ssize_t n;

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	log_open("test", fd, LOG_LEVEL_INFO, false);
	begin(&r, "seq -f 'line %.0f' 100000 >&2; echo done; exec cat");
	r.until = "done";
	assert_true(run(&r));
	run_for(&r, 1200);
	bridge_exec_stop(r.exec);
	assert_true(run(&r));
	assert_true(r.stopped);
	end(&r);
	log_open("test", STDERR_FILENO, LOG_LEVEL_ERROR, false);
	n = pread(fd, text, sizeof(text) - 1, 0);
	assert_in_range(n, 1000, sizeof(text) - 2);
	text[n] = '\0';
	for (const char *p = text; (p = strstr(p, "event=program_said ")); p++)
		lines++;
	assert_in_range(lines, 100, 300);
	assert_non_null(strstr(text, "text=\"line 1\""));
	assert_non_null(strstr(text, "event=program_says_much lines_not_logged="));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_line_is_handled_in_its_turn_and_the_program_sees_nothing),
		cmocka_unit_test(empty_lines_that_wait_take_room_too),
		cmocka_unit_test(what_is_to_be_kept_is_not_forgotten),
		cmocka_unit_test(
			a_program_that_reads_no_more_and_does_not_go_is_killed_and_started_again),
		cmocka_unit_test(a_program_that_floods_its_standard_error_does_not_flood_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
