/*
 * bridge_program - the `callbridge` command: its table, its options and what its commands share.
 */
#ifndef CALLBRIDGE_BRIDGE_PROGRAM_H
#define CALLBRIDGE_BRIDGE_PROGRAM_H

#include "cli/common/command.h"

struct bridge_values {
	struct command_common common;
	const char *name, *domain, *server, *jid;
	const char *secret_file, *tls, *ca;
	const char *exec;
	struct command_list dns;
	long dns_retry, retry_max;
	bool echo, no_verify, verbose;
	bool secret_stdin;
};

extern const struct command_program bridge_program;

/* The commands: values is a struct bridge_values; the result an enum command_exit. */
int bridge_run(const void *values, int argc, char **argv);
int bridge_show_status(const void *values, int argc, char **argv);
int bridge_show_settings(const void *values, int argc, char **argv);
int bridge_set_secret(const void *values, int argc, char **argv);
int bridge_enable(const void *values, int argc, char **argv);
int bridge_disable(const void *values, int argc, char **argv);

/* The instance becomes the working directory. */
int bridge_enter(const struct bridge_values *v);

/* "none" stands for an empty server address: DNS. */
const char *bridge_server_of(const char *text);

#endif
