/*
 * dns - how this instance asks DNS: shows it, tries it, changes it.
 */
#include "cli/dns/dns_program.h"

#define WORDS 32 /* of a record that stands there without quotes */

static const struct command commands[] = {
	{"", "", 0, 0, dns_show,
	 .help = "who is asked, which zones are asked elsewhere, which records are local",
	 .anywhere = true},
	{"lookup", "srv|a|aaaa NAME", 2, 2, dns_lookup,
	 .help = "asks as every program of this instance would, and prints an answer a line\n\n"
		 "SRV records come in the order in which they are used: lowest priority first.\n"
		 "Without an answer: NXDOMAIN (there is no such name), NODATA (it has no record of "
		 "this\n"
		 "type), NOSERVICE (SRV target \".\"), SERVFAIL (the server cannot say), TIMEOUT "
		 "(no "
		 "server\n"
		 "answers), BOGUS (DNSSEC), MALFORMED; and exit code 1. Without an instance the "
		 "servers\n"
		 "of /etc/resolv.conf are asked.",
	 .anywhere = true},
	{"add rr", "\"RECORD\"", 1, WORDS, dns_add_rr,
	 .help = "a local record, as in a zone file; nobody else is asked about its name then\n\n"
		 "  dns add rr \"_xmpp-component._tcp.example.com. 86400 IN SRV 0 0 5223 "
		 "cb1.example.com.\""},
	{"add forwardzone", "ZONE SERVER[@PORT]", 2, 2, dns_add_forwardzone,
	 .help = "asks this server about ZONE and the names below it; \".\" is everything"},
	{"add server", "ADDRESS[@PORT]", 1, 1, dns_add_server,
	 .help = "asks this server, instead of those of /etc/resolv.conf"},
	{"add trustanchor", "\"RECORD\"", 1, WORDS, dns_add_trustanchor,
	 .help = "requires DNSSEC at and below the name of this DS or DNSKEY record"},
	{"del rr", "RECORD|NAME [TYPE]", 1, WORDS, dns_del_rr,
	 .help = "deletes a local record, or all of a name"},
	{"del forwardzone", "ZONE SERVER[@PORT]", 2, 2, dns_del_forwardzone,
	 .help = "undoes `dns add forwardzone`"},
	{"del server", "ADDRESS[@PORT]", 1, 1, dns_del_server, .help = "undoes `dns add server`"},
	{"del trustanchor", "RECORD", 1, WORDS, dns_del_trustanchor,
	 .help = "undoes `dns add trustanchor`"},
	{"flush", "", 0, 0, dns_flush, .help = "says that there is nothing to flush here",
	 .anywhere = true},
};

static const struct command_option options[] = {
	{"--server", COMMAND_TEXTS, offsetof(struct dns_values, servers), "ADDRESS[@PORT]",
	 "lookup", "asks this server and no other; may be given again"},
};

static const struct command_program program = {
	.name = "dns",
	.summary = "how a Roundhouse instance asks DNS",
	.commands = commands,
	.ncommands = sizeof(commands) / sizeof(commands[0]),
	.options = options,
	.noptions = sizeof(options) / sizeof(options[0]),
};

int main(int argc, char **argv)
{
	struct dns_values values = {0};

	return command_main(&program, argc, argv, &values);
}
