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
	const char *domain;	      /* export */
	bool replace, merge, dry_run; /* import */
};

extern const struct command_program xmpp_program;

#endif
