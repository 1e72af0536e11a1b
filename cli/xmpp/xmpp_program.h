/*
 * xmpp_program - the commands and options of `xmpp`, and what they were given.
 */
#ifndef CLI_XMPP_XMPP_PROGRAM_H
#define CLI_XMPP_XMPP_PROGRAM_H

#include "cli/common/command.h"

struct xmpp_values {
	struct command_common common;
	bool password_stdin;
	long iterations;
	const char *duration;		/* trace --for */
	const char *with, *start, *end; /* archive show */
	long limit;
	bool bodies;
	const char *domain;	      /* export, callbridge add, component add */
	bool replace, merge, dry_run; /* import */
	/* callbridge, component */
	bool fingerprints, with_secret, ask_secret, new_secret, hidden, visible;
	const char *jid, *secret_file, *mode, *max_connections, *bytes_per_second;
	/* log, faults, shell */
	const char *level, *service, *since;
	long lines;
	bool follow, force, keep_going;
};

extern const struct command_program xmpp_program;

#endif
