/*
 * cm-component - streams of components: XEP-0114, plain, STARTTLS or direct TLS on one port.
 */
#include "cm-component/comp.h"
#include "proc/proc.h"

int main(int argc, char **argv)
{
	static const struct proc_program program = {
		.service = "cm-component",
		.help = "Owns the streams of components: handshake, stanzas, XEP-0198.",
		.init = comp_init,
		.deinit = comp_deinit,
		.check = comp_check,
		.on_reload = comp_on_reload,
		.on_files = comp_on_files,
		.drain = comp_drain,
	};

	return proc_main(argc, argv, &program);
}
