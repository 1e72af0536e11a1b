/*
 * callbridge - a program behind one component connection (XEP-0114): the command, and the service
 * that the supervisor runs.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "callbridge/bridge_program.h"
#include "callbridge/bridge_service.h"
#include "proc/inherit.h"
#include "proc/proc.h"

/* The supervisor starts it with its own environment; -n and --standalone are for tests. */
static bool is_service(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-n") == 0 || strcmp(argv[i], "--standalone") == 0)
			return true;
	return getenv(INHERIT_ENV) != NULL;
}

int main(int argc, char **argv)
{
	static const struct proc_program service = {
		.service = "callbridge",
		.help = "Keeps a component connection to a server, for a program.",
		.init = bridge_service_init,
		.deinit = bridge_service_deinit,
		.check = bridge_service_check,
		.on_reload = bridge_service_reload,
		.drain = bridge_service_drain,
	};
	struct bridge_values values = {0};

	if (is_service(argc, argv))
		return proc_main(argc, argv, &service);
	log_open("callbridge", STDERR_FILENO, LOG_LEVEL_ERROR, false);
	return command_main(&bridge_program, argc, argv, &values);
}
