#include "cli/xmpp/xmpp_program.h"

#include "cli/xmpp/admin.h"
#include "cli/xmpp/metrics_show.h"
#include "cli/xmpp/pie.h"
#include "cli/xmpp/show.h"
#include "cli/xmpp/trace.h"
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
	{"trace", "JID|ADDRESS|DOMAIN", 1, 1, trace_run,
	 .help = "shows live what happens to an account, session, client address or domain\n\n"
		 "Streams (connect, TLS, login, bind, resume, end, each with its reason) and "
		 "stanzas "
		 "in both\n"
		 "directions. What people wrote is shown as its length, <body>[12]</body>; secrets "
		 "never.\n"
		 "Ctrl-C ends it. A restart of the router is said and bridged."},
	{"roster show", "JID", 1, 1, show_roster, .help = "shows the contacts of an account"},
	{"offline show", "JID", 1, 1, show_offline,
	 .help = "shows the messages that wait for an account"},
	{"archive show", "JID", 1, 1, show_archive,
	 .help = "shows the message archive of an account, oldest first"},
	{"blocklist show", "JID", 1, 1, show_blocklist,
	 .help = "shows whom an account has blocked"},
	{"export", "FILE|DIR", 1, 1, pie_export,
	 .help = "writes accounts with everything of them to a file, or a folder of files "
		 "(XEP-0227)\n\n"
		 "All accounts, or those that --domain says. '-' is the standard output; a folder "
		 "gets a\n"
		 "file for each account. Who can read the file can log in as its users elsewhere: "
		 "keep it\n"
		 "safe. What changes while it runs may be missing."},
	{"import", "FILE|DIR", 1, 1, pie_import,
	 .help = "reads accounts from a file or folder as 'export' and other servers write them "
		 "(XEP-0227)\n\n"
		 "Accounts that exist are skipped, unless --merge or --replace is given. An "
		 "account "
		 "can be\n"
		 "used when all of it is there; an import that was broken off is taken up when the "
		 "file is\n"
		 "imported again. A password in the file becomes SCRAM keys."},
	{"metrics", "[INSTANCE]", 0, 1, metrics_show,
	 .help = "counters of one process, or all, as OpenMetrics text\n\n"
		 "The same as 'curl --unix-socket DIR/run/metrics/INSTANCE.sock "
		 "http://localhost/metrics'."},
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
	 "user add|user passwd|import", "PBKDF2 iterations of the keys, 4096 (default) to 1000000"},
	{"--for", COMMAND_TEXT, offsetof(struct xmpp_values, duration), "TIME", "trace",
	 "how long: 60s (default), 5m, 1h"},
	{"--with", COMMAND_TEXT, offsetof(struct xmpp_values, with), "JID", "archive show",
	 "only messages to or from this JID"},
	{"--start", COMMAND_TEXT, offsetof(struct xmpp_values, start), "TIME", "archive show",
	 "only from then on (UTC): 2026-11-21 or 2026-11-21T10:00:00Z"},
	{"--end", COMMAND_TEXT, offsetof(struct xmpp_values, end), "TIME", "archive show",
	 "only until then"},
	{"--limit", COMMAND_NUMBER, offsetof(struct xmpp_values, limit), "N", "archive show",
	 "at most so many messages (default 100)"},
	{"--bodies", COMMAND_FLAG, offsetof(struct xmpp_values, bodies), NULL,
	 "offline show|archive show", "show what people wrote"},
	{"--domain", COMMAND_TEXT, offsetof(struct xmpp_values, domain), "DOMAIN|JID", "export",
	 "only the accounts of a domain, or one account"},
	{"--merge", COMMAND_FLAG, offsetof(struct xmpp_values, merge), NULL, "import",
	 "add to accounts that exist; their passwords stay"},
	{"--replace", COMMAND_FLAG, offsetof(struct xmpp_values, replace), NULL, "import",
	 "delete accounts that exist first, with everything of them"},
	{"--dry-run", COMMAND_FLAG, offsetof(struct xmpp_values, dry_run), NULL, "import",
	 "only say what would be done"},
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
