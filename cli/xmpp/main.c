/*
 * xmpp - the operator's command: accounts, sessions, counters.
 */
#include <unistd.h>

#include "base/log.h"
#include "cli/xmpp/xmpp_program.h"

int main(int argc, char **argv)
{
	struct xmpp_values values = {0};

	/* What the bus has to say about itself is not for the person at the terminal. */
	log_open("xmpp", STDERR_FILENO, LOG_LEVEL_ERROR, false);
	return command_main(&xmpp_program, argc, argv, &values);
}
