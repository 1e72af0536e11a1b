/* The real datastore, asked, killed and harmed. */
#include "datastore_rig.h"

static struct str make_add(const char *user)
{
	struct str keys = STR_INIT, s = STR_INIT;
	char bytes[20];

	memset(bytes, 'k', sizeof(bytes));
	db_scram_put(&keys,
		     &(struct db_scram){S("SHA-1"), 4096, S("salt"), slice_of(bytes, sizeof(bytes)),
					slice_of(bytes, sizeof(bytes))});
	msg_db_account_add_put(
		&s, &(struct msg_db_account_add){S(user), S("localhost"), str_slice(&keys)});
	str_clear(&keys);
	return s;
}

static struct str make_get(const char *user)
{
	struct str s = STR_INIT;

	msg_db_account_get_put(
		&s, &(struct msg_db_account_get){S(user), S("localhost"), S("SCRAM-SHA-1")});
	return s;
}

/* Operation n puts contact n into juliet's roster. */
static struct str make_contact(uint64_t n)
{
	struct db_roster_item item = {.subscription = 3};
	struct str packed = STR_INIT, s = STR_INIT;
	char jid[64];

	snprintf(jid, sizeof(jid), "contact%llu@localhost", (unsigned long long)n);
	item.jid = S(jid);
	db_roster_item_put(&packed, &item);
	msg_db_roster_set_put(
		&s, &(struct msg_db_roster_set){S("juliet"), S("localhost"), str_slice(&packed)});
	str_clear(&packed);
	return s;
}

static bool has_pong(struct rig *r)
{
	struct slice stats = hub_peer_stats(r->peer);

	return stats.len && memmem(stats.data, stats.len, "store_ops=3", 11);
}

static void it_answers_on_the_bus_and_stops_when_told(void **state)
{
	struct rig *r = *state;
	struct stat st;
	char path[200];
	int status;

	start(r);
	assert_int_equal(ask_take(r, 1, make_get("juliet")), ERR_NOTFOUND);
	assert_int_equal(ask_take(r, 2, make_add("juliet")), ERR_OK);
	assert_int_equal(ask_take(r, 3, make_get("juliet")), ERR_OK);
	snprintf(path, sizeof(path), "%s/data/roundhouse.db", r->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	loop_timer_set(r->guard, WAIT_MS, 0);
	for (int i = 0; i < 200 && !has_pong(r); i++) {
		loop_timer_set(r->guard, 50, 0);
		loop_run(r->loop);
	}
	assert_true(has_pong(r));
	status = end(r, SIGTERM);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_non_null(strstr(read_log(r), "event=account_added user=\"juliet\""));
	assert_non_null(strstr(read_log(r), "event=stopped"));
}

static void told_to_stop_it_finishes_what_it_took(void **state)
{
	struct rig *r = *state;
	uint64_t done = 0;
	int status;

	start(r);
	assert_int_equal(ask_take(r, 1, make_add("juliet")), ERR_OK);
	for (uint64_t n = 2; n < 402; n++)
		send_take(r, n, make_contact(n));
	r->wanted = r->given + 1;
	turn(r, has_given);
	status = end(r, SIGTERM);
	assert_int_equal(WEXITSTATUS(status), 0);
	for (uint64_t n = 2; n < 402; n++)
		done += r->answers[n].given;
	start(r);
	for (uint64_t n = 2; n < 402; n++)
		send_take(r, n, make_contact(n));
	r->wanted = 401;
	turn(r, has_given);
	/* Whatever had been answered said the same again (on_record), the rest is done now. */
	for (uint64_t n = 2; n < 402; n++)
		assert_int_equal(r->answers[n].status, ERR_OK);
	assert_true(done >= 1);
}

/* Puts everything in flight that is not answered, and some of what is. */
static void send_window(struct rig *r, uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n < to; n++)
		if (!r->answers[n].given || random_u64() % 8 == 0)
			send_take(r, n, make_contact(n));
}

static void check_roster(struct rig *r, uint64_t first, uint64_t end_n)
{
	struct msg_db_roster roster;
	struct db_roster_item item;
	struct str s = STR_INIT;
	struct slice in, body;
	uint16_t type;

	msg_db_roster_get_put(&s, &(struct msg_db_roster_get){S("juliet"), S("localhost")});
	assert_int_equal(ask_take(r, 0, s), ERR_OK);
	in = str_slice(&r->last_body);
	assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
	assert_int_equal(msg_db_roster_get(body, &roster), ERR_OK);
	assert_int_equal(roster.count, end_n - first);
	/* Each was done once: versions are as many as contacts. */
	for (uint64_t n = first; n < end_n; n++)
		assert_in_range(r->answers[n].version, roster.version - (end_n - first) + 1,
				roster.version);
	for (; roster.list.len; roster.count--)
		assert_true(db_roster_item_get(&roster.list, &item));
	assert_int_equal(roster.count, 0);
}

static void killed_in_the_middle_nothing_answered_is_lost_or_done_twice(void **state)
{
	const uint64_t first = 2, per_round = 90, rounds = 15;
	struct rig *r = *state;
	int status;

	start(r);
	assert_int_equal(ask_take(r, 1, make_add("juliet")), ERR_OK);
	for (uint64_t round = 0; round < rounds; round++) {
		uint64_t end_n = first + (round + 1) * per_round;

		send_window(r, first, end_n);
		r->wanted = r->given + 1 + random_u64() % (per_round - 10);
		turn(r, has_given);
		status = end(r, SIGKILL);
		assert_true(WIFSIGNALED(status));
		start(r);
	}
	send_window(r, first, first + rounds * per_round);
	r->wanted = 1 + rounds * per_round;
	turn(r, has_given);
	for (uint64_t n = 1; n < first + rounds * per_round; n++)
		assert_int_equal(r->answers[n].status, ERR_OK);
	assert_int_equal(ask_take(r, 1, make_add("juliet")), ERR_OK); /* a repeat */
	check_roster(r, first, first + rounds * per_round);
	status = end(r, SIGTERM);
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_damaged_file_is_refused_and_left_alone(void **state)
{
	static const char letter[] = "Dear Juliet, this file was the database once.\n";
	struct rig *r = *state;
	char path[200], after[sizeof(letter) + 1];
	int fd, status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/data/roundhouse.db", r->dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, letter, sizeof(letter)), sizeof(letter));
	pid = spawn(r);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 78);
	assert_non_null(strstr(
		read_log(r),
		"event=store_refused status=CORRUPT text=\"data/roundhouse.db is damaged (file is "
		"not a database); nothing was changed. Keep a copy of it with its -wal and -shm, "
		"then put a backup in its place, or save what can be read: sqlite3 "
		"data/roundhouse.db .recover | sqlite3 NEW.db\""));
	assert_int_equal(pread(fd, after, sizeof(after), 0), sizeof(letter));
	assert_memory_equal(after, letter, sizeof(letter));
	close(fd);
}

#ifndef ROUNDHOUSE_SANITIZED
/* A library that makes syncs of files fail while ./fail-sync exists. */
static void make_preload(struct rig *r)
{
	static const char source[] =
		"#include <errno.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n"
		"static int failing(void)\n"
		"{ return access(\"fail-sync\", F_OK) == 0 && (errno = EIO); }\n"
		"int fsync(int fd)\n"
		"{ return failing() ? -1 : (int)syscall(SYS_fsync, fd); }\n"
		"int fdatasync(int fd)\n"
		"{ return failing() ? -1 : (int)syscall(SYS_fdatasync, fd); }\n";
	char path[160], command[512];
	int fd;

	snprintf(path, sizeof(path), "%s/fail.c", r->dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, source, sizeof(source) - 1), sizeof(source) - 1);
	close(fd);
	snprintf(r->preload, sizeof(r->preload), "%s/fail.so", r->dir);
	snprintf(command, sizeof(command), "cc -shared -fPIC -o '%s' '%s'", r->preload, path);
	assert_int_equal(system(command), 0);
}

static void after_a_failed_sync_it_ends_and_the_next_one_answers(void **state)
{
	struct rig *r = *state;
	char flag[160];
	int fd, status;

	make_preload(r);
	start(r);
	assert_int_equal(ask_take(r, 1, make_add("juliet")), ERR_OK);
	snprintf(flag, sizeof(flag), "%s/fail-sync", r->dir);
	fd = open(flag, O_WRONLY | O_CREAT, 0600);
	close(fd);
	send_take(r, 2, make_contact(2));
	while (waitpid(r->pid, &status, WNOHANG) == 0) {
		loop_timer_set(r->guard, 20, 0);
		loop_run(r->loop);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 74); /* EX_IOERR */
	assert_false(r->answers[2].given);
	assert_non_null(strstr(read_log(r), "event=exit reason=fsync_failed code=74 text=\"a sync "
					    "of data/roundhouse.db failed, what is on the disk is "
					    "unknown; the datastore restarts from what the disk "
					    "kept; check the disk\""));
	/* Still failing at the next start: refused there too, before anything is answered. */
	r->pid = spawn(r);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	assert_int_equal(WEXITSTATUS(status), 78);
	unlink(flag);
	start(r);
	assert_int_equal(ask_take(r, 2, make_contact(2)), ERR_OK);
	check_roster(r, 2, 3);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(it_answers_on_the_bus_and_stops_when_told),
		WITH_RIG(told_to_stop_it_finishes_what_it_took),
		WITH_RIG(killed_in_the_middle_nothing_answered_is_lost_or_done_twice),
		WITH_RIG(a_damaged_file_is_refused_and_left_alone),
#ifndef ROUNDHOUSE_SANITIZED /* sanitizers want to be preloaded first */
		WITH_RIG(after_a_failed_sync_it_ends_and_the_next_one_answers),
#endif
	};

	log_set_level(LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
