/*
 * fake_server - a server for commands to talk to: a supervisor that gives identities, and a router
 * in a child process that answers by a script. The bus between them is the real one.
 *
 * Include in one test program only: it defines sup_client's functions.
 */
#ifndef TESTS_UNIT_CLI_FAKE_SERVER_H
#define TESTS_UNIT_CLI_FAKE_SERVER_H

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/log.h"
#include "base/xmem.h"
#include "ipc/hub.h"
#include "net/loop.h"
#include "proc/sup_client.h"

#define FAKE_TOKEN "0123456789abcdef"

/* What sup_client_open() and sup_client_token() shall say. */
static enum err fake_open_result, fake_token_result;
static int fake_token_again; /* how often "the router is not up" comes first */

enum err sup_client_open(struct sup_client **out, const char *dir)
{
	(void)dir;
	*out = NULL;
	return fake_open_result;
}

void sup_client_close(struct sup_client **cp)
{
	*cp = NULL;
}

enum err sup_client_token(struct sup_client *c, const char **instance, const char **token)
{
	(void)c;
	*instance = "cli-1";
	*token = FAKE_TOKEN;
	if (fake_token_again > 0) {
		fake_token_again--;
		return ERR_AGAIN;
	}
	return fake_token_result;
}

enum err sup_client_request(struct sup_client *c, const char *request, struct str *out,
			    void (*on_line)(void *arg, const char *line), void *arg)
{
	(void)c, (void)request, (void)out, (void)on_line, (void)arg;
	return ERR_CLOSED;
}

/* Answers one record of a command; l leads back to it. */
typedef void fake_answer(struct link *l, uint16_t type, struct slice body);

struct fake_router {
	struct hub *hub;
	fake_answer *answer;
};

static inline void fake_up(void *arg, struct hub_peer *p, bool fresh)
{
	(void)arg, (void)p, (void)fresh;
}

static inline void fake_dead(void *arg, struct hub_peer *p)
{
	(void)arg, (void)p;
}

static inline void fake_record(void *arg, struct hub_peer *p, uint16_t type, struct slice body)
{
	struct fake_router *r = arg;

	r->answer(hub_peer_link(p), type, body);
}

static int fake_home;
static char fake_dir[256];

/* The router's whole life; it is killed by its parent. */
static inline void fake_router_run(fake_answer *answer)
{
	static const struct hub_events events = {
		.on_peer_up = fake_up, .on_peer_dead = fake_dead, .on_record = fake_record};
	struct fake_router r = {.answer = answer};
	struct loop *loop = loop_new();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	check(chdir(fake_dir) == 0);
	log_open("fake-router", STDERR_FILENO, LOG_LEVEL_ERROR, false);
	r.hub = hub_open(loop, "run/bus/router", &events, &r);
	hub_expect(r.hub, "cli-1", "cli", FAKE_TOKEN);
	loop_run(loop);
	_exit(0);
}

static inline pid_t fake_router_start(fake_answer *answer)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		fake_router_run(answer);
	return pid;
}

static inline void fake_router_stop(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

/* setup and teardown of each test: an empty instance, and the working directory back after it. */
static inline int fake_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	static const char *const dirs[] = {"conf", "run", "run/bus"};

	(void)state;
	fake_open_result = fake_token_result = ERR_OK;
	fake_token_again = 0;
	snprintf(fake_dir, sizeof(fake_dir), "%s/cli-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(fake_dir));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *path = xasprintf("%s/%s", fake_dir, dirs[i]);

		assert_int_equal(mkdir(path, 0700), 0);
		free(path);
	}
	fake_home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	log_open("test", STDERR_FILENO, LOG_LEVEL_ERROR, false);
	return 0;
}

static inline int fake_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline int fake_teardown(void **state)
{
	(void)state;
	assert_int_equal(fchdir(fake_home), 0);
	close(fake_home);
	return nftw(fake_dir, fake_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
