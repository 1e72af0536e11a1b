#include "proc/proc.h"
#include "router/router.h"

int main(int argc, char **argv)
{
	static const struct proc_program program = {
		.service = "router",
		.help = "Routes stanzas between the services of one instance and keeps its "
			"sessions.",
		.init = router_init,
		.deinit = router_deinit,
		.drain = router_drain,
		.on_reload = router_reload,
		.on_instance = router_on_instance,
		.on_instances = router_on_instances,
	};

	return proc_main(argc, argv, &program);
}
