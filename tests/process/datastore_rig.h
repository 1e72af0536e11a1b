/*
 * datastore_rig - the real datastore against a scripted router: a hub of our own that sends it
 * requests, kills it, and compares what comes back.
 */
#ifndef TESTS_DATASTORE_RIG_H
#define TESTS_DATASTORE_RIG_H

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

static inline void stop_if_enough(struct rig *r)
{
	if (r->enough && r->enough(r))
		loop_stop(r->loop);
}

static inline void on_peer_up(void *arg, struct hub_peer *p, bool fresh)
{
	struct rig *r = arg;

	assert_string_equal(hub_peer_service(p), "datastore");
	r->peer = p;
	r->ups += fresh;
	stop_if_enough(r);
}

static inline void on_peer_dead(void *arg, struct hub_peer *p)
{
	struct rig *r = arg;

	if (r->peer == p)
		r->peer = NULL;
}

static inline uint64_t version_in(struct slice record)
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
static inline void on_record(void *arg, struct hub_peer *p, uint16_t type, struct slice body)
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

static inline void on_guard(void *arg)
{
	struct rig *r = arg;

	r->timed_out = true;
	loop_stop(r->loop);
}

/* Turns the loop until enough() says so. */
static inline void turn(struct rig *r, bool (*enough)(struct rig *r))
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

static inline bool is_up(struct rig *r)
{
	return r->peer && r->ups >= r->wanted;
}

static inline bool has_given(struct rig *r)
{
	return r->given >= r->wanted;
}

static inline pid_t spawn(struct rig *r)
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

static inline void start(struct rig *r)
{
	r->wanted = r->ups + 1;
	r->pid = spawn(r);
	turn(r, is_up);
}

/* Ends the process; returns its wait status. */
static inline int end(struct rig *r, int signum)
{
	int status;

	assert_int_equal(kill(r->pid, signum), 0);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	r->pid = 0;
	return status;
}

static inline void make_dirs(struct rig *r)
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

static inline void find_binary(struct rig *r)
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

static inline int setup(void **state)
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

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int teardown(void **state)
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

static inline void send_take(struct rig *r, uint64_t n, struct str record)
{
	link_put_store(hub_peer_link(r->peer),
		       &(struct msg_store){.op_boot = 42, .op_n = n, .body = str_slice(&record)});
	str_clear(&record);
}

static inline enum err ask_take(struct rig *r, uint64_t n, struct str record)
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

static inline char *read_log(struct rig *r)
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

#define WITH_RIG(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

#endif
