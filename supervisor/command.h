/*
 * command - what `supervisor WORD ...` does. Each returns the exit code of the program:
 * 0 done, 1 failed or refused, 2 wrong command line, 3 no supervisor is running, 4 status: it runs,
 * but not all is ready.
 */
#ifndef SUPERVISOR_COMMAND_H
#define SUPERVISOR_COMMAND_H

enum {
	COMMAND_OK = 0,
	COMMAND_FAILED = 1,
	COMMAND_USAGE = 2,
	COMMAND_NOT_RUNNING = 3,
	COMMAND_NOT_READY = 4,
};

struct command_env {
	const char *dir;   /* as typed, for messages; the working directory is already there */
	const char *bin;   /* where the services' programs are */
	const char *shown; /* the same as the user would type it */
};

int command_init(const struct command_env *env, int argc, char **argv); /* cwd not changed */
int command_start(const struct command_env *env, int argc, char **argv);
int command_stop(const struct command_env *env, int argc, char **argv);
int command_status(const struct command_env *env, int argc, char **argv);
int command_restart(const struct command_env *env, int argc, char **argv);
int command_reload(const struct command_env *env, int argc, char **argv);
int command_check(const struct command_env *env, int argc, char **argv);
int command_logs(const struct command_env *env, int argc, char **argv);
int command_log_level(const struct command_env *env, int argc, char **argv);

#endif
