/* The real datastore against a scripted router: a hub of our own that sends it requests, kills it,
 * and compares what comes back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"
#include "ipc/hub.h"
#include "net/loop.h"

#define TOKEN	"0123456789abcdef0123456789abcdef"
#define WAIT_MS 30000
#define S(text) slice_str(text)

struct answer {
	bool given;
	enum err status;
	uint64_t version;
};

struct rig {
	char dir[128];
	char bin[PATH_MAX];
	char preload[160]; /* "" = none */
	struct loop *loop;
	struct loop_timer *guard;
	struct hub *hub;
	struct hub_peer *peer; /* NULL = it is not up */
	pid_t pid;
	unsigned int ups; /* fresh ones */
	bool timed_out;
	bool (*enough)(struct rig *r);
	uint64_t wanted;
	/* Answers by op_n. */
	struct answer *answers;
	uint64_t count; /* room in answers */
	uint64_t given;
	struct str last_body;
	struct str last_text;
};

static void stop_if_enough(struct rig *r)
{
	if (r->enough && r->enough(r))
		loop_stop(r->loop);
}

static void on_peer_up(void *arg, struct hub_peer *p, bool fresh)
{
	struct rig *r = arg;

	assert_string_equal(hub_peer_service(p), "datastore");
	r->peer = p;
	r->ups += fresh;
	stop_if_enough(r);
}

static void on_peer_dead(void *arg, struct hub_peer *p)
{
	struct rig *r = arg;

	if (r->peer == p)
		r->peer = NULL;
}

static uint64_t version_in(struct slice record)
{
	struct msg_db_roster_changed changed;
	struct slice body;
	uint16_t type;

	if (codec_next(&record, &type, &body) != ERR_OK || type != MSG_DB_ROSTER_CHANGED ||
	    msg_db_roster_changed_get(body, &changed) != ERR_OK)
		return 0;
	return changed.version;
}

/* The first answer is noted; every later one must say the same. */
static void on_record(void *arg, struct hub_peer *p, uint16_t type, struct slice body)
{
	struct rig *r = arg;
	struct msg_stored m;
	struct answer *a;

	(void)p;
	if (type != MSG_STORED)
		return;
	assert_int_equal(msg_stored_get(body, &m), ERR_OK);
	assert_true(m.op_n < r->count);
	a = &r->answers[m.op_n];
	str_reset(&r->last_body);
	str_reset(&r->last_text);
	str_add_slice(&r->last_body, m.body);
	str_add_slice(&r->last_text, m.text);
	if (a->given && m.op_n > 0) {
		if (a->status != (enum err)m.status || a->version != version_in(m.body))
			fail_msg("op %llu: first %s %llu, then %s %llu", (unsigned long long)m.op_n,
				 err_name(a->status), (unsigned long long)a->version,
				 err_name((enum err)m.status),
				 (unsigned long long)version_in(m.body));
		return;
	}
	*a = (struct answer){true, (enum err)m.status, version_in(m.body)};
	r->given++;
	stop_if_enough(r);
}

static void on_guard(void *arg)
{
	struct rig *r = arg;

	r->timed_out = true;
	loop_stop(r->loop);
}

/* Turns the loop until enough() says so. */
static void turn(struct rig *r, bool (*enough)(struct rig *r))
{
	r->enough = enough;
	r->timed_out = false;
	if (enough(r))
		return;
	loop_timer_set(r->guard, WAIT_MS, 0);
	loop_run(r->loop);
	loop_timer_stop(r->guard);
	r->enough = NULL;
	if (r->timed_out)
		fail_msg("nothing happened for %d s; see %s/log.txt", WAIT_MS / 1000, r->dir);
}

static bool is_up(struct rig *r)
{
	return r->peer && r->ups >= r->wanted;
}

static bool has_given(struct rig *r)
{
	return r->given >= r->wanted;
}

static pid_t spawn(struct rig *r)
{
	pid_t pid = fork();

	if (pid == 0) {
		char log[160];
		int fd;

		snprintf(log, sizeof(log), "%s/log.txt", r->dir);
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(fd, STDERR_FILENO);
		if (r->preload[0])
			setenv("LD_PRELOAD", r->preload, 1);
		execl(r->bin, r->bin, "-C", r->dir, "-i", "datastore", "--standalone", "--token",
		      TOKEN, (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

static void start(struct rig *r)
{
	r->wanted = r->ups + 1;
	r->pid = spawn(r);
	turn(r, is_up);
}

/* Ends the process; returns its wait status. */
static int end(struct rig *r, int signum)
{
	int status;

	assert_int_equal(kill(r->pid, signum), 0);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	r->pid = 0;
	return status;
}

static void make_dirs(struct rig *r)
{
	static const char *const dirs[] = {"conf", "data", "run", "run/bus", "log"};
	char path[200];
	int fd;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", r->dir, dirs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	snprintf(path, sizeof(path), "%s/conf/roundhouse.conf", r->dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void find_binary(struct rig *r)
{
	const char *bin = getenv("BIN");
	char self[PATH_MAX] = "";

	if (bin) {
		snprintf(r->bin, sizeof(r->bin), "%s/datastore", bin);
		return;
	}
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(r->bin, sizeof(r->bin), "%.2000s/../../bin/datastore", dirname(self));
}

static int setup(void **state)
{
	static const struct hub_events events = {on_peer_up, on_peer_dead, on_record};
	struct rig *r = xcalloc(1, sizeof(*r));
	const char *tmp = getenv("TMPDIR");
	char path[200];

	snprintf(r->dir, sizeof(r->dir), "%s/rh-ds-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(r->dir));
	make_dirs(r);
	find_binary(r);
	str_init(&r->last_body);
	str_init(&r->last_text);
	r->count = 20000;
	r->answers = xcalloc(r->count, sizeof(*r->answers));
	r->loop = loop_new();
	r->guard = loop_timer_new(r->loop, on_guard, r);
	snprintf(path, sizeof(path), "%s/run/bus/router", r->dir);
	r->hub = hub_open(r->loop, path, &events, r);
	hub_expect(r->hub, "datastore", "datastore", TOKEN);
	*state = r;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct rig *r = *state;

	if (r->pid)
		end(r, SIGKILL);
	hub_close(&r->hub);
	loop_timer_free(&r->guard);
	loop_free(&r->loop);
	nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	str_clear(&r->last_body);
	str_clear(&r->last_text);
	free(r->answers);
	free(r);
	return 0;
}

static void send_take(struct rig *r, uint64_t n, struct str record)
{
	link_put_store(hub_peer_link(r->peer),
		       &(struct msg_store){.op_boot = 42, .op_n = n, .body = str_slice(&record)});
	str_clear(&record);
}

static enum err ask_take(struct rig *r, uint64_t n, struct str record)
{
	if (r->answers[n].given) {
		r->answers[n].given = false;
		r->given--;
	}
	send_take(r, n, record);
	r->wanted = r->given + 1;
	turn(r, has_given);
	return r->answers[n].status;
}

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

static char *read_log(struct rig *r)
{
	static char text[65536];
	char path[160];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/log.txt", r->dir);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
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

#define WITH_RIG(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

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
