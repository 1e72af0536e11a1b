/* `supervisor start`: one supervisor an instance, in the foreground or detached. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proc/config.h"
#include "proc/sup_client.h"
#include "supervisor/command.h"
#include "supervisor/sup.h"
#include "supervisor/sup_loop.h"

/* Is the one that holds the lock well? -1: it does not answer (starting, or just dying). */
static int ask_running(const struct command_env *env)
{
	struct sup_client *c;
	struct str out = STR_INIT;
	enum err e;

	if (sup_client_open(&c, "."))
		return -1;
	e = sup_client_request(c, "status", &out, NULL, NULL);
	sup_client_close(&c);
	if (!e)
		printf("a supervisor runs in %s already and all is well\n%s", env->dir, out.data);
	else
		fprintf(stderr,
			"a supervisor runs in %s already, but not all is ready; see supervisor "
			"-C %s status\n%s",
			env->dir, env->dir, out.data);
	str_clear(&out);
	return e ? COMMAND_FAILED : COMMAND_OK;
}

/* The lock's descriptor, or -1 with the exit code in *rc: another supervisor has it. */
static int take_lock(const struct command_env *env, int *rc)
{
	struct timespec pause = {.tv_nsec = 50000000};
	int fd;

	*rc = COMMAND_FAILED;
	if (mkdir("run", 0700) < 0 && errno != EEXIST) {
		fprintf(stderr, "supervisor: %s/run: %s\n", env->dir, strerror(errno));
		return -1;
	}
	fd = open(SUP_PID_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		fprintf(stderr, "supervisor: %s/%s: %s; start it as its owner\n", env->dir,
			SUP_PID_FILE, strerror(errno));
		return -1;
	}
	/* For 5 s: one that was just killed leaves the lock to a child on its way to exec. */
	for (int i = 0; i < 100; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		*rc = ask_running(env);
		if (*rc >= 0)
			break;
		nanosleep(&pause, NULL);
	}
	if (*rc < 0) {
		fprintf(stderr, "supervisor: %s/%s is locked, but its holder does not answer\n",
			env->dir, SUP_PID_FILE);
		*rc = COMMAND_FAILED;
	}
	close(fd);
	return -1;
}

/* Passes the detached one's words on until "=CODE". */
static int listen_to(int fd, const struct command_env *env)
{
	FILE *in = fdopen(fd, "re");
	char line[4096];
	int rc = -1;

	while (rc < 0 && in && fgets(line, sizeof(line), in)) {
		if (line[0] == '=')
			rc = atoi(line + 1);
		else
			fputs(line, stdout);
		fflush(stdout);
	}
	if (in)
		fclose(in);
	if (rc >= 0)
		return rc;
	fprintf(stderr, "supervisor: it ended before it was ready; see %s/log/supervisor.log\n",
		env->dir);
	return COMMAND_FAILED;
}

static int detach(struct sup_options *o, const struct command_env *env)
{
	int words[2], null;
	pid_t pid;

	if (pipe2(words, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		fprintf(stderr, "supervisor: cannot start: %s\n", strerror(errno));
		return COMMAND_FAILED;
	}
	if (pid > 0) {
		close(words[1]);
		close(o->pid_fd);
		return listen_to(words[0], env);
	}
	close(words[0]);
	setsid();
	null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
	o->report = words[1];
	o->detached = true;
	return sup_run(o);
}

int command_start(const struct command_env *env, int argc, char **argv)
{
	bool foreground = argc == 2 && strcmp(argv[1], "-f") == 0;
	struct sup_options o = {.bin = env->bin,
				.shown_bin = env->shown,
				.shown_dir = env->dir,
				.report = STDOUT_FILENO};
	int rc;

	if (argc != 1 && !foreground) {
		fprintf(stderr, "supervisor: wrong arguments; see supervisor start --help\n");
		return COMMAND_USAGE;
	}
	if (access(CONFIG_PATH, F_OK) < 0) {
		fprintf(stderr,
			"supervisor: %s/" CONFIG_PATH ": %s; make an instance with: "
			"%s/supervisor -C %s init\n",
			env->dir, strerror(errno), env->shown, env->dir);
		return COMMAND_FAILED;
	}
	o.pid_fd = take_lock(env, &rc);
	if (o.pid_fd < 0)
		return rc;
	rc = foreground ? sup_run(&o) : detach(&o, env);
	return rc;
}
