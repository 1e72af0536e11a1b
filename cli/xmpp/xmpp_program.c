#include "cli/xmpp/xmpp_program.h"

#include "cli/xmpp/admin.h"
#include "cli/xmpp/user.h"

#define NEW_PASSWORD                                                                             \
	"The password is asked for twice without echo, or read from standard input (one line)\n" \
	"with --password-stdin. Only SCRAM-SHA-1 and SCRAM-SHA-256 keys leave this program."

static const struct command commands[] = {
	{"user add", "JID", 1, 1, user_add, .help = "adds an account\n\n" NEW_PASSWORD},
	{"user del", "JID", 1, 1, user_del,
	 .help = "removes an account with everything of it and ends its sessions"},
	{"user passwd", "JID", 1, 1, user_passwd,
	 .help = "changes a password\n\n" NEW_PASSWORD
		 "\nOpen sessions stay; 'xmpp kick JID' ends them."},
	{"user list", "[DOMAIN]", 0, 1, user_list,
	 .help = "lists the accounts of a domain, or all"},
	{"user show", "JID", 1, 1, user_show, .help = "shows one account and its sessions"},
	{"sessions", "[JID]", 0, 1, admin_sessions,
	 .help = "lists who is online: all, or one user"},
	{"kick", "JID", 1, 1, admin_kick,
	 .help = "ends sessions: all of a bare JID, or the one of a full JID\n\n"
		 "The clients are told <policy-violation/>, but may log in again: 'xmpp user "
		 "passwd' or\n"
		 "'xmpp user del' keeps them out."},
	{"stats", "", 0, 0, admin_stats,
	 .help = "counters of every process, and the books of stanzas\n\n"
		 "The last line is the balance: accepted + announced + generated = delivered + "
		 "stored +\n"
		 "bounced + consumed + discarded + held. The difference is 0 when the server is "
		 "idle."},
};

static const struct command_option options[] = {
	{"--password-stdin", COMMAND_FLAG, offsetof(struct xmpp_values, password_stdin), NULL,
	 "user add|user passwd", "read the password from standard input"},
	{"--iterations", COMMAND_NUMBER, offsetof(struct xmpp_values, iterations), "N",
	 "user add|user passwd", "PBKDF2 iterations of the keys, 4096 (default) to 1000000"},
};

const struct command_program xmpp_program = {
	.name = "xmpp",
	.summary = "accounts, sessions and counters of a Roundhouse server",
	.commands = commands,
	.ncommands = sizeof(commands) / sizeof(commands[0]),
	.options = options,
	.noptions = sizeof(options) / sizeof(options[0]),
	.footer = "examples\n"
		  "  xmpp -C ./instance user add juliet@localhost\n"
		  "  echo secret | xmpp user add romeo@localhost --password-stdin\n"
		  "  xmpp sessions --json\n",
};
