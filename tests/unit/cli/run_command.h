/*
 * run_command - runs a program's table in a child process with its input and output redirected, as
 * a shell would.
 */
#ifndef TESTS_UNIT_CLI_RUN_COMMAND_H
#define TESTS_UNIT_CLI_RUN_COMMAND_H

#include "cli/common/command.h"
#include "fake_server.h"

struct fake_run {
	int code;
	char out[4096], err[4096];
};

static inline void fake_redirect(int fd, const char *name, int flags)
{
	char *path = xasprintf("%s/%s", fake_dir, name);
	int file = open(path, flags | O_CLOEXEC, 0600);

	check(file >= 0 && dup2(file, fd) == fd);
	close(file);
	free(path);
}

static inline void fake_slurp(char *out, size_t size, const char *name)
{
	char *path = xasprintf("%s/%s", fake_dir, name);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	out[fread(out, 1, size - 1, f)] = '\0';
	fclose(f);
	free(path);
}

static inline struct fake_run fake_run(const struct command_program *p, size_t values_size,
				       const char *const *args, const char *input)
{
	char *argv[32] = {(char *)(uintptr_t)p->name, (char *)(uintptr_t) "-C", fake_dir};
	char *path = xasprintf("%s/in", fake_dir);
	FILE *f = fopen(path, "w");
	struct fake_run r;
	int argc = 3, status;
	pid_t pid;

	assert_non_null(f);
	fputs(input, f);
	fclose(f);
	free(path);
	for (int i = 0; args[i]; i++)
		argv[argc++] = (char *)(uintptr_t)args[i];
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		void *values = xcalloc(1, values_size);
		int code;

		setsid();
		fake_redirect(STDIN_FILENO, "in", O_RDONLY);
		fake_redirect(STDOUT_FILENO, "out", O_WRONLY | O_CREAT | O_TRUNC);
		fake_redirect(STDERR_FILENO, "err", O_WRONLY | O_CREAT | O_TRUNC);
		code = command_main(p, argc, argv, values);
		free(values);
		fflush(stdout);
		_exit(code);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	r.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	fake_slurp(r.out, sizeof(r.out), "out");
	fake_slurp(r.err, sizeof(r.err), "err");
	return r;
}

#endif
