#include "datastore/service.h"

static const struct proc_program program = {
	.service = "datastore",
	.help = "Keeps everything durable: accounts and rosters, in SQLite (data/roundhouse.db).",
	.init = service_init,
	.deinit = service_deinit,
	.on_reload = service_reload,
	.drain = service_drain,
};

int main(int argc, char **argv)
{
	return proc_main(argc, argv, &program);
}
