#include "cli/xmpp/xmpp_program.h"

#include "cli/xmpp/admin.h"
#include "cli/xmpp/callbridge.h"
#include "cli/xmpp/component.h"
#include "cli/xmpp/event_show.h"
#include "cli/xmpp/metrics_show.h"
#include "cli/xmpp/multi_domain.h"
#include "cli/xmpp/pie.h"
#include "cli/xmpp/server_listen.h"
#include "cli/xmpp/server_set.h"
#include "cli/xmpp/server_status.h"
#include "cli/xmpp/server_switch.h"
#include "cli/xmpp/shell.h"
#include "cli/xmpp/show.h"
#include "cli/xmpp/trace.h"
#include "cli/xmpp/user.h"

#define NEW_PASSWORD                                                                             \
	"The password is asked for twice without echo, or read from standard input (one line)\n" \
	"with --password-stdin. Only SCRAM-SHA-1 and SCRAM-SHA-256 keys leave this program."

#define LISTEN_HELP                                                                                \
	"INTERFACE is a..d (interfaces in conf/roundhouse.conf), the name of a network "           \
	"interface\n"                                                                              \
	"or an address. The ports stay those that are configured, 5222 for clients and 5223 for\n" \
	"components at first. Who is connected stays connected."
#define ENABLE_HELP                                                                              \
	"There must be a call bridge, a domain, an interface, and a key that matches its\n"      \
	"certificate: a line SUCCESS or FAILURE for each; with a FAILURE nothing is changed. A " \
	"new\n"                                                                                  \
	"instance is enabled without that."
#define CERTS_HELP                                                                           \
	"Files in pki/. The bundle has the CA's certificates, root last. What does not fit " \
	"together\n"                                                                         \
	"is refused before anything changes. 'none': those of conf/roundhouse.conf again."

static const struct command commands[] = {
	{"", "", 0, 0, server_status, .help = "the same as status"},
	{"status", "", 0, 0, server_status,
	 .help = "shows how this server is configured and whether it runs"},
	{"domain", "DOMAIN", 1, 1, server_domain,
	 .help = "sets the XMPP domain that is served here\n\n"
		 "Sessions of the one before are ended. Others: 'xmpp multi_domain'."},
	{"listen", "INTERFACE...|none", 1, 16, server_listen,
	 .help = "sets on which interfaces clients and components are served\n\n" LISTEN_HELP},
	{"certs", "KEY CERT [BUNDLE]|none", 1, 3, server_certs,
	 .help = "sets the server's key and certificate\n\n" CERTS_HELP},
	{"enable", "", 0, 0, server_enable,
	 .help = "opens the ports of clients and components\n\n" ENABLE_HELP},
	{"disable", "", 0, 0, server_disable,
	 .help = "ends all sessions and closes the ports of clients and components\n\n"
		 "They are told <system-shutdown/>. The router and the datastore run on; what is "
		 "stored for\n"
		 "users waits. It stays so after a restart, until 'xmpp enable'."},
	{"restart", "", 0, 0, server_restart,
	 .help = "restarts the services one by one; who is connected notices little of it"},
	{"reset", "", 0, 0, server_reset,
	 .help = "disables the server and removes every call bridge and component, cluster and "
		 "trust\n\n"
		 "Domain, interfaces, certificates and accounts stay."},
	{"motd add", "TEXT", 1, 1, server_motd_add,
	 .help = "sets the message that clients get when they log in (2048 characters at most)"},
	{"motd del", "", 0, 0, server_motd_del, .help = "removes it"},
	{"motd", "", 0, 0, server_motd_show, .help = "shows it"},
	{"max_sessions", "N|none", 1, 1, server_max_sessions,
	 .help = "sets how many sessions one account may have at once; none = any number"},
	{"multi_domain add", "DOMAIN KEY CERT [BUNDLE]", 3, 4, multi_domain_add,
	 .help = "serves another domain, with its own key and certificate\n\n" CERTS_HELP},
	{"multi_domain list", "", 0, 0, multi_domain_list, .help = "lists the other domains"},
	{"multi_domain del", "DOMAIN", 1, 1, multi_domain_del,
	 .help = "serves it no longer; its sessions are ended, its accounts stay"},
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
	{"callbridge add", "NAME", 1, 1, callbridge_add,
	 .help = "adds a call bridge: a component NAME.DOMAIN with a new secret, which is shown\n\n"
		 "A name has no domain part. Only the administrator can; that the secret was shown "
		 "is\n"
		 "logged."},
	{"callbridge add-secret", "NAME", 1, 1, callbridge_add_secret,
	 .help = "adds a call bridge with the secret that it has on another node, or changes the "
		 "secret\n\n"
		 "The secret is asked for without echo, or read from standard input (one line) "
		 "when that\n"
		 "is no terminal. If it changes, the call bridge has to connect again."},
	{"callbridge list", "", 0, 0, callbridge_list,
	 .help = "lists the call bridges with their secrets, in the order in which they were "
		 "added\n\n"
		 "Only the administrator can; it is logged. With --fingerprints no secret is "
		 "shown: "
		 "that\n"
		 "list can be taken to another node for 'callbridge compare'."},
	{"callbridge del", "NAME", 1, 1, callbridge_del,
	 .help = "removes a call bridge and ends its connection"},
	{"callbridge compare", "FILE|-", 1, 1, callbridge_compare,
	 .help = "compares this node's call bridges with the list of another node\n\n"
		 "The file is what 'xmpp callbridge list --fingerprints' printed there. Says which "
		 "call\n"
		 "bridge differs on which node, and whose secret it has there. Exit code 1: they "
		 "differ."},
	{"component add", "NAME", 1, 1, component_add,
	 .help = "adds an account for a component (XEP-0114)\n\n"
		 "It serves NAME.DOMAIN, or what --jid says. Without --secret-file and "
		 "--ask-secret "
		 "a new\n"
		 "secret is made and shown."},
	{"component set", "NAME", 1, 1, component_set,
	 .help = "changes an account; what is not named stays\n\n"
		 "Its connections are closed, so that what was changed holds for all of them."},
	{"component del", "NAME", 1, 1, component_del,
	 .help = "removes an account and ends its connections"},
	{"component list", "", 0, 0, component_list,
	 .help = "lists the accounts of components, and who is connected since when"},
	{"component show", "NAME", 1, 1, component_show,
	 .help = "shows one account and its connections"},
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
	{"general", "", 0, 0, show_general,
	 .help = "how the server is: uptime, version, call bridge, authentication, sessions"},
	{"faults", "", 0, 0, show_faults,
	 .help = "what is wrong now and since when, then the last errors and warnings"},
	{"log show", "", 0, 0, log_show,
	 .help = "shows the last messages of the event log, or follows it (-f)\n\n"
		 "The event log has every warning and error, and what an operator wants to know "
		 "besides:\n"
		 "services that start and end, components that come and go, alarms, changes of "
		 "the\n"
		 "configuration. Times are UTC. It can be read without a running server. What "
		 "repeats\n"
		 "too often stands there once, \"(repeated N times)\". 'supervisor logs' shows the "
		 "rest."},
	{"log search", "TEXT", 1, 1, log_search,
	 .help = "shows the messages of the event log that hold a text, in any case"},
	{"log export", "FILE|-", 1, 1, log_export,
	 .help = "writes the event log to a file as plain text; '-' is the standard output\n\n"
		 "A file that is there is not replaced without --force. With --json: one object a "
		 "line."},
	{"log clear", "", 0, 0, log_clear,
	 .help = "removes all messages of the event log; one is left, which says who did it\n\n"
		 "Only the administrator can. The services' own logs stay."},
	{"shell", "", 0, 0, shell_run,
	 .help = "a prompt for the command lines of xmpp, pki, dns, callbridge and supervisor\n\n"
		 "With history and completion (Tab). Lines from a file or pipe are run one after "
		 "the other;\n"
		 "the first that fails ends it, and its exit code is the shell's. Nothing is "
		 "expanded; words\n"
		 "with blanks stand in quotes. Lines with secrets are not kept in the history\n"
		 "(~/.roundhouse_history), nor those that begin with a blank.",
	 .anywhere = true},
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
	{"--domain", COMMAND_TEXT, offsetof(struct xmpp_values, domain), "DOMAIN|JID",
	 "export|callbridge add|callbridge add-secret|component add",
	 "a served domain (default: the first; export: all), for export also an account"},
	{"--merge", COMMAND_FLAG, offsetof(struct xmpp_values, merge), NULL, "import",
	 "add to accounts that exist; their passwords stay"},
	{"--replace", COMMAND_FLAG, offsetof(struct xmpp_values, replace), NULL, "import",
	 "delete accounts that exist first, with everything of them"},
	{"--fingerprints", COMMAND_FLAG, offsetof(struct xmpp_values, fingerprints), NULL,
	 "callbridge list", "fingerprints in place of the secrets"},
	{"--jid", COMMAND_TEXT, offsetof(struct xmpp_values, jid), "JID", "component add",
	 "the domain that it serves (default: NAME.DOMAIN)"},
	{"--secret-file", COMMAND_TEXT, offsetof(struct xmpp_values, secret_file), "FILE|-",
	 "component add|component set", "the secret is the first line of this file"},
	{"--ask-secret", COMMAND_FLAG, offsetof(struct xmpp_values, ask_secret), NULL,
	 "component add|component set", "ask for the secret without echo"},
	{"--new-secret", COMMAND_FLAG, offsetof(struct xmpp_values, new_secret), NULL,
	 "component add|component set", "make a new secret and show it"},
	{"--mode", COMMAND_TEXT, offsetof(struct xmpp_values, mode), "MODE",
	 "component add|component set",
	 "several connections: one (only the first), shared, standby"},
	{"--hidden", COMMAND_FLAG, offsetof(struct xmpp_values, hidden), NULL,
	 "component add|component set", "not told to clients that look for services (disco)"},
	{"--visible", COMMAND_FLAG, offsetof(struct xmpp_values, visible), NULL,
	 "component add|component set", "told to them"},
	{"--max-connections", COMMAND_TEXT, offsetof(struct xmpp_values, max_connections), "N|none",
	 "component add|component set", "connections at once, if the mode allows several"},
	{"--bytes-per-second", COMMAND_TEXT, offsetof(struct xmpp_values, bytes_per_second),
	 "N|default", "component add|component set",
	 "bytes that each connection may send a second"},
	{"--secret", COMMAND_FLAG, offsetof(struct xmpp_values, with_secret), NULL,
	 "component show", "with the secret; it is logged that it was shown"},
	{"--dry-run", COMMAND_FLAG, offsetof(struct xmpp_values, dry_run), NULL, "import",
	 "only say what would be done"},
	{"--level", COMMAND_TEXT, offsetof(struct xmpp_values, level), "LEVEL",
	 "log show|log search|log export", "Info (all), Warning (and errors) or Error"},
	{"--service", COMMAND_TEXT, offsetof(struct xmpp_values, service), "NAME",
	 "log show|log search|log export", "only what is of this service or instance"},
	{"--since", COMMAND_TEXT, offsetof(struct xmpp_values, since), "TIME",
	 "log show|log search|log export",
	 "only from then on (UTC): 2026-11-21, 2026-11-21T10:00, or 10m, 2h, 1d ago"},
	{"-n", COMMAND_NUMBER, offsetof(struct xmpp_values, lines), "N",
	 "log show|log search|faults", "only the last N messages"},
	{"-f", COMMAND_FLAG, offsetof(struct xmpp_values, follow), NULL, "log show|log search",
	 "go on with what comes"},
	{"--force", COMMAND_FLAG, offsetof(struct xmpp_values, force), NULL, "log export",
	 "replace the file that is there"},
	{"--keep-going", COMMAND_FLAG, offsetof(struct xmpp_values, keep_going), NULL, "shell",
	 "after a line that failed go on with the next"},
};

const struct command_program xmpp_program = {
	.name = "xmpp",
	.summary = "accounts, components, sessions, settings and logs of a Roundhouse server",
	.commands = commands,
	.ncommands = sizeof(commands) / sizeof(commands[0]),
	.options = options,
	.noptions = sizeof(options) / sizeof(options[0]),
	.footer = "examples\n"
		  "  xmpp -C ./instance user add juliet@localhost\n"
		  "  echo secret | xmpp user add romeo@localhost --password-stdin\n"
		  "  xmpp sessions --json\n",
};
