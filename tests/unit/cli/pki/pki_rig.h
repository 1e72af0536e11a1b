/*
 * pki_rig - runs the real `pki`, and openssl, on an instance directory of its own.
 */
#ifndef TESTS_UNIT_CLI_PKI_PKI_RIG_H
#define TESTS_UNIT_CLI_PKI_PKI_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/xmem.h"

static char dir[256];	   /* the instance */
static char output[16384]; /* of the last RUN() */

static inline const char *pki(void)
{
	static char path[PATH_MAX + 16];
	char self[PATH_MAX] = "";
	const char *bin = getenv("BIN");

	if (bin) {
		snprintf(path, sizeof(path), "%s/pki", bin);
	} else if (readlink("/proc/self/exe", self, sizeof(self) - 1) > 0) {
		*strstr(self, "/tests/unit/") = '\0';
		snprintf(path, sizeof(path), "%.*s/bin/pki", PATH_MAX - 1, self);
	}
	return path;
}

/* Runs argv without a shell; stdout and stderr go to output. */
static inline int run(const char *const *argv)
{
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fds[1]);
	while ((n = read(fds[0], output + len, sizeof(output) - 1 - len)) > 0)
		len += (size_t)n;
	output[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static inline char *in_dir(const char *name)
{
	static char ring[4][512];
	static unsigned int next;
	char *path = ring[next++ % 4];

	snprintf(path, sizeof(ring[0]), "%s/%s", dir, name);
	return path;
}

static inline int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%s/pki-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline int teardown(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The caller frees. */
static inline char *slurp(const char *name)
{
	char *text = xcalloc(1, 8192);
	FILE *f = fopen(in_dir(name), "r");

	assert_non_null(f);
	assert_true(fread(text, 1, 8191, f) > 0);
	fclose(f);
	return text;
}

#endif
