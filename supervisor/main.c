#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/version.h"
#include "supervisor/command.h"
#include "supervisor/spawn.h"

static const struct {
	const char *word;
	int (*run)(const struct command_env *env, int argc, char **argv);
	const char *synopsis;
	const char *help;
} commands[] = {
	{"init", command_init, "init [--domain D] [--listen ADDR]... [--components ADDR]...",
	 "Makes the instance directory: commented configuration, lab CA and certificate; as root\n"
	 "also the services' users. D: localhost. ADDR: 127.0.0.1:5222, components on the port "
	 "after\n"
	 "it. Refuses where one is."},
	{"start", command_start, "start [-f]",
	 "Starts all services, or adopts those that run; returns when all are ready, or fails and\n"
	 "says which is not and why. -f stays in the foreground (Ctrl-C stops all)."},
	{"stop", command_stop, "stop",
	 "Drains and stops the services (connection managers, router, datastore), then itself."},
	{"status", command_status, "status [--json]",
	 "What runs: state, readiness, uptime, restarts, cause of the last end, alarms.\n"
	 "Exit 0 all is ready, 4 not all, 3 no supervisor is running."},
	{"restart", command_restart, "restart SERVICE|INSTANCE|all",
	 "Restarts one after another (all: router, datastore, connection managers) and waits "
	 "until\n"
	 "each is ready again."},
	{"reload", command_reload, "reload",
	 "Puts conf/roundhouse.conf, with conf/managed.conf over it, in force without a restart, "
	 "or\n"
	 "refuses it whole."},
	{"logs", command_logs, "logs [SERVICE|INSTANCE] [-f] [-n N]",
	 "The last N (50) lines of a service's log, or of all, the supervisor's own included.\n"
	 "-f goes on with what comes. Works without a running supervisor."},
	{"check", command_check, "check [--candidate]",
	 "Lets every service judge conf/roundhouse.conf with conf/managed.conf over it; changes\n"
	 "nothing. Exit 0 good, 1 refused. --candidate: with conf/managed.conf.candidate, as "
	 "commands\n"
	 "do before they change anything."},
	{"log-level", command_log_level, "log-level SERVICE|INSTANCE|all LEVEL",
	 "error, warn, info or debug, at once, until the next restart or reload."},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help_all(FILE *out)
{
	fprintf(out,
		"supervisor " ROUNDHOUSE_VERSION " - starts, watches and restarts the services "
		"of a Roundhouse instance.\n\nusage: supervisor [-C DIR] COMMAND\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %s\n", commands[i].synopsis);
	fprintf(out,
		"\n-C DIR is the instance directory (default: the present one).\n"
		"--bin DIR takes the services' programs from there instead of beside this one.\n"
		"supervisor COMMAND --help says more.\n"
		"Exit: 0 done, 1 failed or refused, 2 wrong command line, 3 no supervisor is "
		"running,\n4 status: not all is ready.\n");
}

/* "[-n N]" in a synopsis: an option, with its operand or not. */
static void list_options(const char *word, const char *synopsis)
{
	for (const char *at = synopsis; (at = strstr(at, " [-")); at++) {
		const char *name = at + 2, *end = name + strcspn(name, "]");
		size_t n = strcspn(name, " ]");
		const char *operand = name[n] == ' ' ? name + n + 1 : end;

		printf("option\t%.*s\t%.*s\t%s\tsee supervisor %s --help\n", (int)n, name,
		       (int)(end - operand), operand, word, word);
	}
}

/* In the form of the other programs (cli/common/command.h, command_list), for shell, completion and
 * man pages. */
static void list_commands(void)
{
	printf("program\tsupervisor\tstarts, watches and restarts the services of a Roundhouse "
	       "instance\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *word = commands[i].word,
			   *operands = commands[i].synopsis + strlen(word);
		size_t n = strcspn(operands, "-");

		/* What stands before the first option, without its bracket. */
		while (n && (operands[n - 1] == '[' || operands[n - 1] == ' '))
			n--;
		while (n && *operands == ' ') {
			operands++;
			n--;
		}
		printf("command\t%s\t%.*s\t%.*s\n", word, (int)n, operands,
		       (int)strcspn(commands[i].help, "\n"), commands[i].help);
		list_options(word, commands[i].synopsis);
	}
	printf("option\t-C\tDIR\t\tthe instance directory (default: the present one)\n"
	       "option\t--bin\tDIR\t\twhere the services' programs are\n"
	       "option\t--help\t\t\tthis text; behind a command, the text of that command\n"
	       "option\t--version\t\t\tthe version\n");
}

/* "build/bin" for `build/bin/supervisor`; the full path when found through PATH. */
static const char *shown_bin(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return slash ? xstrndup(argv0, (size_t)(slash - argv0)) : spawn_bin_dir();
}

static int run(size_t i, struct command_env *env, int argc, char **argv)
{
	for (int k = 1; k < argc; k++)
		if (strcmp(argv[k], "--help") == 0 || strcmp(argv[k], "-h") == 0) {
			printf("usage: supervisor [-C DIR] %s\n%s\n", commands[i].synopsis,
			       commands[i].help);
			return COMMAND_OK;
		}
	if (commands[i].run != command_init && chdir(env->dir) < 0) {
		fprintf(stderr,
			"supervisor: %s: %s; make an instance with: supervisor -C %s init\n",
			env->dir, strerror(errno), env->dir);
		return COMMAND_FAILED;
	}
	return commands[i].run(env, argc, argv);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
						{"version", no_argument, NULL, 'v'},
						{"bin", required_argument, NULL, 'b'},
						{NULL, 0, NULL, 0}};
	struct command_env env = {.dir = ".", .bin = spawn_bin_dir(), .shown = shown_bin(argv[0])};
	int c;

	umask(0077);
	if (argc == 2 && strcmp(argv[1], "--commands") == 0) {
		list_commands();
		return COMMAND_OK;
	}
	while ((c = getopt_long(argc, argv, "+C:h", options, NULL)) != -1) {
		if (c == 'C') {
			env.dir = optarg;
		} else if (c == 'b') {
			env.bin = realpath(optarg, NULL);
		} else if (c == 'v') {
			printf("supervisor " ROUNDHOUSE_VERSION "\n");
			return COMMAND_OK;
		} else {
			help_all(c == 'h' ? stdout : stderr);
			return c == 'h' ? COMMAND_OK : COMMAND_USAGE;
		}
	}
	if (!env.bin) {
		fprintf(stderr, "supervisor: --bin: no such directory\n");
		return COMMAND_USAGE;
	}
	for (size_t i = 0; optind < argc && i < COMMANDS; i++)
		if (strcmp(argv[optind], commands[i].word) == 0)
			return run(i, &env, argc - optind, argv + optind);
	if (optind < argc)
		fprintf(stderr, "supervisor: no command \"%s\"\n", argv[optind]);
	help_all(stderr);
	return COMMAND_USAGE;
}
