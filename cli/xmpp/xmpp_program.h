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
};

extern const struct command_program xmpp_program;

#endif
