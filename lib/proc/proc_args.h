/*
 * proc_args - the command line that all services share.
 */
#ifndef PROC_PROC_ARGS_H
#define PROC_PROC_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#define PROC_ARGS_MAX 32

struct proc_program;

struct proc_args {
	const char *dir;      /* -C, or NULL */
	const char *instance; /* -i; the service's name + "-1" (cm-*), or its name */
	const char *config;   /* -c, or NULL */
	bool check_only;      /* -n */
	bool standalone;
	const char *token;
	size_t nlisten;
	int listen[PROC_ARGS_MAX]; /* descriptors */
	size_t nexpect;
	const char *expect[PROC_ARGS_MAX]; /* INSTANCE:SERVICE:TOKEN */
	char default_instance[64];
};

/* --help, --version and mistakes are answered and end the process (0, or 64 = EX_USAGE). Strings
 * point into argv. */
void proc_args_parse(struct proc_args *a, int argc, char **argv, const struct proc_program *prog);

#endif
