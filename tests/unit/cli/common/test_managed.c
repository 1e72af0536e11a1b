/*
 * cli/common/managed without a supervisor: a `supervisor` of ours judges. With a real one it is
 * driven by tests/acceptance/test_commands*.py.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/xmem.h"
#include "cli/common/managed.h"
#include "proc/config.h"

static char dir[] = "/tmp/managed-XXXXXX";

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static char *get(const char *path)
{
	struct str text = STR_INIT;
	FILE *f = fopen(path, "re");
	char bytes[4096];
	size_t n;

	while (f && (n = fread(bytes, 1, sizeof(bytes), f)) > 0)
		str_add(&text, bytes, n);
	if (f)
		fclose(f);
	return str_detach(&text);
}

/* What the next `supervisor check --candidate` does. */
static void judge_says(const char *script)
{
	char *text =
		xasprintf("#!/bin/sh\n[ \"$*\" = \"check --candidate\" ] || exit 9\n%s\n", script);

	put("bin/supervisor", text, 0755);
	free(text);
}

static int setup(void **state)
{
	(void)state;
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("conf", 0700) | mkdir("run", 0700) | mkdir("bin", 0700), 0);
	put("conf/roundhouse.conf", "router = { traces = 3; };\n", 0640);
	managed_use_programs("bin");
	judge_says("exit 0");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(chdir("/"), 0);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static enum err set_traces(int64_t n, struct str *why)
{
	struct managed *m;
	enum err e = managed_open(&m, why);

	if (e)
		return e;
	managed_set_number(m, "router.traces", n);
	e = managed_commit(m, why);
	managed_close(&m);
	return e;
}

static int64_t traces(void)
{
	struct str why = STR_INIT;
	struct config *cfg;
	int64_t n;

	assert_int_equal(config_load(&cfg, CONFIG_PATH, &why), ERR_OK);
	n = cfg->router_traces;
	config_free(&cfg);
	return n;
}

static void what_is_set_is_in_force_and_what_was_set_before_stays(void **state)
{
	struct str why = STR_INIT;
	struct managed *m;
	struct stat st;
	char *text;

	(void)state;
	assert_int_equal(set_traces(5, &why), ERR_OK);
	assert_int_equal(why.len, 0);
	assert_int_equal(managed_open(&m, &why), ERR_OK);
	assert_int_equal(managed_config(m)->router_traces, 5);
	managed_set_flag(m, "xmpp.enabled", false);
	assert_int_equal(managed_commit(m, &why), ERR_OK);
	managed_close(&m);
	text = get("conf/managed.conf");
	assert_non_null(strstr(text, "# Written by commands (test_managed, by "));
	assert_non_null(strstr(text, "traces = 5;"));
	assert_non_null(strstr(text, "enabled = false;"));
	free(text);
	assert_int_equal(stat("conf/managed.conf", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Root's services may read it, whatever an editor has made of the other file. */
	assert_int_equal(chmod("conf", 0750), 0);
	if (geteuid() == 0)
		assert_int_equal(chown("conf", 0, 65534), 0);
	assert_int_equal(managed_open(&m, &why), ERR_OK);
	managed_set_flag(m, "xmpp.enabled", true);
	assert_int_equal(managed_commit(m, &why), ERR_OK);
	managed_close(&m);
	assert_int_equal(stat("conf/managed.conf", &st), 0);
	assert_int_equal(st.st_mode & 0777, geteuid() == 0 ? 0640 : 0600);
	assert_true(geteuid() != 0 || st.st_gid == 65534);
	assert_int_equal(managed_open(&m, &why), ERR_OK);
	managed_unset(m, "router.traces");
	assert_int_equal(managed_commit(m, &why), ERR_OK);
	managed_close(&m);
	assert_int_equal(traces(), 3);
	str_clear(&why);
}

static void the_judge_sees_the_candidate_while_the_old_file_is_in_its_place(void **state)
{
	struct str why = STR_INIT;

	(void)state;
	assert_int_equal(set_traces(5, &why), ERR_OK);
	judge_says("grep -q 'traces = 6' conf/managed.conf.candidate && "
		   "grep -q 'traces = 5' conf/managed.conf");
	assert_int_equal(set_traces(6, &why), ERR_OK);
	assert_int_equal(traces(), 6);
	str_clear(&why);
}

static void what_is_refused_changes_nothing_and_says_why_with_the_files_own_name(void **state)
{
	struct str why = STR_INIT;
	char *before, *after;

	(void)state;
	assert_int_equal(set_traces(5, &why), ERR_OK);
	before = get("conf/managed.conf");
	judge_says("echo 'router: conf/managed.conf.candidate:4: no' >&2; exit 1");
	assert_int_equal(set_traces(6, &why), ERR_FORMAT);
	assert_string_equal(why.data, "router: conf/managed.conf:4: no");
	after = get("conf/managed.conf");
	assert_string_equal(before, after);
	assert_int_equal(access("conf/managed.conf.candidate", F_OK), -1);
	free(before);
	free(after);
	str_clear(&why);
}

static void a_judge_that_is_killed_or_missing_has_refused(void **state)
{
	struct str why = STR_INIT;

	(void)state;
	judge_says("kill -9 $$");
	assert_int_equal(set_traces(6, &why), ERR_FORMAT);
	assert_true(why.len > 0);
	str_reset(&why);
	unlink("bin/supervisor");
	assert_int_equal(set_traces(6, &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "No such file"));
	assert_int_equal(traces(), 3);
	str_clear(&why);
}

static void services_without_a_supervisor_are_not_left_behind(void **state)
{
	struct str why = STR_INIT;
	int fd;

	(void)state;
	put("run/router.lock", "", 0600);
	assert_int_equal(set_traces(5, &why), ERR_OK); /* nobody holds it */
	fd = open("run/router.lock", O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(set_traces(6, &why), ERR_AGAIN);
	assert_non_null(strstr(why.data, "supervisor start"));
	assert_int_equal(traces(), 5);
	close(fd);
	str_clear(&why);
}

/* One that starts would read the file of before; one that starts or ends is not there yet or any
 * more. */
static void no_supervisor_starts_meanwhile_and_one_that_does_is_waited_for(void **state)
{
	struct str why = STR_INIT;
	int status;

	(void)state;
	judge_says("! flock --nonblock run/supervisor.pid true");
	assert_int_equal(set_traces(5, &why), ERR_OK);
	judge_says("test -e let-go");
	if (fork() == 0) {
		int fd = open("run/supervisor.pid", O_RDWR | O_CLOEXEC);
		bool ok = fd >= 0 && flock(fd, LOCK_EX) == 0;

		put("locked", "", 0600);
		usleep(300000);
		put("let-go", "", 0600);
		_exit(ok ? 0 : 1); /* which lets go of it */
	}
	while (access("locked", F_OK) < 0)
		usleep(1000);
	assert_int_equal(set_traces(6, &why), ERR_OK);
	assert_int_equal(traces(), 6);
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	str_clear(&why);
}

static void commands_at_once_wait_for_each_other_and_all_count(void **state)
{
	static const char *const names[] = {"router.traces", "router.resume_timeout",
					    "router.presence_grace", "log.keep"};
	struct str why = STR_INIT;
	struct config *cfg;
	int status;

	(void)state;
	judge_says("sleep 0.1");
	for (size_t i = 0; i < 4; i++) {
		if (fork() == 0) {
			struct managed *m;
			bool ok = managed_open(&m, &why) == ERR_OK;

			if (ok)
				managed_set_number(m, names[i], 42);
			ok = ok && managed_commit(m, &why) == ERR_OK;
			_exit(ok ? 0 : 1);
		}
	}
	for (size_t i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(config_load(&cfg, CONFIG_PATH, &why), ERR_OK);
	assert_true(cfg->router_traces == 42 && cfg->router_resume_timeout == 42 &&
		    cfg->router_presence_grace == 42 && cfg->log_keep == 42);
	config_free(&cfg);
	str_clear(&why);
}

static void a_command_that_is_killed_while_it_is_judged_leaves_the_old_file(void **state)
{
	struct str why = STR_INIT;
	pid_t pid;

	(void)state;
	judge_says("kill -9 $PPID; exit 0");
	pid = fork();
	if (pid == 0)
		_exit(set_traces(6, &why) == ERR_OK ? 0 : 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(traces(), 3);
	/* And does not stand in the way of the next. */
	judge_says("exit 0");
	assert_int_equal(set_traces(7, &why), ERR_OK);
	assert_int_equal(traces(), 7);
	assert_int_equal(access("conf/managed.conf.candidate", F_OK), -1);
	str_clear(&why);
}

static void a_file_that_was_damaged_by_hand_is_told_with_its_line(void **state)
{
	struct str why = STR_INIT;

	(void)state;
	put("conf/managed.conf", "\nnonsense = 1;\n", 0600);
	assert_int_equal(set_traces(5, &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "conf/managed.conf:2: unknown key"));
	str_clear(&why);
}

static void who_cannot_write_conf_is_told_who_can(void **state)
{
	struct str why = STR_INIT;
	int status;

	(void)state;
	assert_int_equal(chmod("conf", 0555) | chmod(".", 0755), 0);
	if (fork() == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(2);
		_exit(set_traces(5, &why) == ERR_DENIED &&
				      strstr(why.data, "only the administrator of this instance")
			      ? 0
			      : 1);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	assert_int_equal(chmod("conf", 0700), 0);
}

static void root_leaves_another_users_instance_to_that_user(void **state)
{
	static const char *const paths[] = {".", "conf", "conf/roundhouse.conf"};
	struct str why = STR_INIT;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(chown(paths[i], 65534, 65534), 0);
	judge_says("[ $(id -u) = 65534 ]");
	assert_int_equal(chmod("bin", 0755), 0);
	assert_int_equal(set_traces(5, &why), ERR_OK);
	assert_int_equal(stat("conf/managed.conf", &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(stat("conf/managed.lock", &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(stat("run/supervisor.pid", &st), 0);
	assert_int_equal(st.st_uid, 65534);
	str_clear(&why);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_set_is_in_force_and_what_was_set_before_stays),
		TEST(the_judge_sees_the_candidate_while_the_old_file_is_in_its_place),
		TEST(what_is_refused_changes_nothing_and_says_why_with_the_files_own_name),
		TEST(a_judge_that_is_killed_or_missing_has_refused),
		TEST(services_without_a_supervisor_are_not_left_behind),
		TEST(no_supervisor_starts_meanwhile_and_one_that_does_is_waited_for),
		TEST(commands_at_once_wait_for_each_other_and_all_count),
		TEST(a_command_that_is_killed_while_it_is_judged_leaves_the_old_file),
		TEST(a_file_that_was_damaged_by_hand_is_told_with_its_line),
		TEST(who_cannot_write_conf_is_told_who_can),
		TEST(root_leaves_another_users_instance_to_that_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
