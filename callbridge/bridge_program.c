#include "callbridge/bridge_program.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SET "settings"

static const struct command commands[] = {
	{"run", "", 0, 0, bridge_run,
	 .help = "keeps one connection to a server as a component, in the foreground\n\n"
		 "Settings are those of the instance's callbridge section, or all of them are "
		 "options: it\n"
		 "works without an instance and with any server that speaks XEP-0114. The shared "
		 "secret is\n"
		 "read from --secret-file, or asked for. Without a server address DNS is asked for "
		 "SRV\n"
		 "_xmpp-component._tcp.DOMAIN. Ends with Ctrl-C.\n\n"
		 "--exec CMD: each stanza is a line on CMD's standard input, each line that it "
		 "writes is sent:\n"
		 "  <message from='juliet@example.org/x' to='cb1.example.org' type='chat'>"
		 "<body>hi</body></message>\n"
		 "No xmlns stands on what belongs to the stanza itself, line ends in text are "
		 "&#10;; 'from' may\n"
		 "be left out, 'to' may not. CMD is started again when it ends. CALLBRIDGE_NAME, "
		 "_DOMAIN and\n"
		 "_JID are in its environment; what it says on standard error is logged.",
	 .anywhere = true},
	{"status", "[NAME]", 0, 1, bridge_show_status,
	 .help = "says whether it is connected, since when, or why not\n\n"
		 "Of the service and of each `callbridge run` in this instance, or of the one "
		 "NAMEd. Exit 3:\n"
		 "none runs."},
	{"settings", "", 0, 0, bridge_show_settings,
	 .help = "shows or sets: unique name, domain, server address\n\n"
		 "--server none: DNS. The shared secret is set with `callbridge secret`, and never "
		 "shown."},
	{"secret", "", 0, 0, bridge_set_secret,
	 .help = "sets the shared secret\n\nAsked for twice without echo, or one line of standard "
		 "input with --secret-stdin."},
	{"enable", "", 0, 0, bridge_enable,
	 .help = "checks the settings and has the supervisor run the call bridge"},
	{"disable", "", 0, 0, bridge_disable, .help = "stops it"},
};

#define OFFSET(member) offsetof(struct bridge_values, member)

static const struct command_option options[] = {
	{"--name", COMMAND_TEXT, OFFSET(name), "NAME", "run|" SET,
	 "Unique Call Bridge name, without a domain part: cb1"},
	{"--domain", COMMAND_TEXT, OFFSET(domain), "DOMAIN", "run|" SET, "the XMPP domain"},
	{"--server", COMMAND_TEXT, OFFSET(server), "HOST[:PORT]", "run|" SET,
	 "this server and no other (port 5223); none: DNS"},
	{"--jid", COMMAND_TEXT, OFFSET(jid), "JID", "run|" SET,
	 "its address, where that is not NAME.DOMAIN"},
	{"--secret-file", COMMAND_TEXT, OFFSET(secret_file), "FILE", "run",
	 "the shared secret is its first line"},
	{"--secret-stdin", COMMAND_FLAG, OFFSET(secret_stdin), NULL, "run|secret",
	 "read the shared secret from standard input"},
	{"--tls", COMMAND_TEXT, OFFSET(tls), "MODE", "run|" SET,
	 "required (default), optional, direct or none"},
	{"--ca", COMMAND_TEXT, OFFSET(ca), "FILE", "run|" SET,
	 "PEM file: whose certificates are trusted"},
	{"--no-verify", COMMAND_FLAG, OFFSET(no_verify), NULL, "run",
	 "take any certificate: for laboratories"},
	{"--exec", COMMAND_TEXT, OFFSET(exec), "CMD", "run|" SET, "the program, for /bin/sh"},
	{"--echo", COMMAND_FLAG, OFFSET(echo), NULL, "run|" SET,
	 "instead of a program: send messages back, answer pings"},
	{"--dns", COMMAND_TEXTS, OFFSET(dns), "ADDRESS[@PORT]", "run",
	 "this DNS server; may be given again"},
	{"--dns-retry", COMMAND_NUMBER, OFFSET(dns_retry), "SECONDS", "run",
	 "until DNS is asked again after a failure (64)"},
	{"--retry-max", COMMAND_NUMBER, OFFSET(retry_max), "MS", "run",
	 "the longest delay after other failures (60000)"},
	{"--verbose", COMMAND_FLAG, OFFSET(verbose), NULL, "run", "log more"},
};

const struct command_program bridge_program = {
	.name = "callbridge",
	.summary = "a program behind one component connection (XEP-0114)",
	.commands = commands,
	.ncommands = sizeof(commands) / sizeof(commands[0]),
	.options = options,
	.noptions = sizeof(options) / sizeof(options[0]),
	.footer =
		"Examples:\n"
		"  callbridge run --name cb1 --domain example.org --secret-file cb1.secret "
		"--exec ./echo.py\n"
		"  callbridge -C /srv/chat settings --name cb1 --domain example.org --server none\n"
		"  callbridge -C /srv/chat status\n",
};

int bridge_enter(const struct bridge_values *v)
{
	if (chdir(v->common.dir) == 0)
		return COMMAND_OK;
	return command_fail("callbridge", COMMAND_REFUSED,
			    "%s: %s; -C names the instance directory", v->common.dir,
			    strerror(errno));
}

const char *bridge_server_of(const char *text)
{
	return strcmp(text, "none") == 0 ? "" : text;
}
