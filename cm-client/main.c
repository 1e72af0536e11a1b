/*
 * cm-client - client streams: TCP with STARTTLS or direct TLS on one port (RFC 6120, XEP-0368).
 */
#include "cm-client/c2s.h"
#include "cm/cm_certs.h"
#include "proc/proc.h"

int main(int argc, char **argv)
{
	static const struct proc_program program = {
		.service = "cm-client",
		.help = "Owns the streams of clients: TLS, login, resource binding, stanzas.",
		.init = c2s_init,
		.deinit = c2s_deinit,
		.check = c2s_check,
		.check_files = cm_certs_check,
		.on_reload = c2s_on_reload,
		.on_files = c2s_on_files,
		.drain = c2s_drain,
	};

	return proc_main(argc, argv, &program);
}
