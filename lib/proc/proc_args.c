#include "proc/proc_args.h"

#include <getopt.h>
#include <stdlib.h>
#include <sysexits.h>

#include "proc/proc.h"
#include "proc/version.h"

enum { OPT_STANDALONE = 256, OPT_TOKEN, OPT_LISTEN, OPT_EXPECT, OPT_VERSION };

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{"standalone", no_argument, NULL, OPT_STANDALONE},
	{"token", required_argument, NULL, OPT_TOKEN},
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"expect", required_argument, NULL, OPT_EXPECT},
	{NULL, 0, NULL, 0},
};

static const char options_help[] =
	"  -C DIR        the instance directory\n"
	"  -i INSTANCE   the name of this process\n"
	"  -c FILE       the configuration (conf/roundhouse.conf)\n"
	"  -n            judge the configuration, say what is wrong, exit (0 good, 78 refused)\n"
	"  --standalone  run without a supervisor, for tests; then also:\n"
	"    --token T                         what this process says on the bus\n"
	"    --listen FD                       a listening socket that is inherited (repeat)\n"
	"    --expect INSTANCE:SERVICE:TOKEN   router: who may speak on the bus (repeat)\n"
	"  --help, --version\n"
	"Signals: TERM drains and stops. Exit: 0 stopped, 64 usage, 78 cannot run as configured.\n";

static _Noreturn void help(const struct proc_program *prog)
{
	printf("%s - %s\nStarted by `supervisor start`; by hand only for tests.\n\n"
	       "usage: %s [-C DIR] [-i INSTANCE] [-c FILE] [-n | --standalone ...]\n%s",
	       prog->service, prog->help, prog->service, options_help);
	exit(0);
}

static _Noreturn void misuse(const struct proc_program *prog, const char *what)
{
	fprintf(stderr, "%s: %s; see %s --help\n", prog->service, what, prog->service);
	exit(EX_USAGE);
}

static void take(struct proc_args *a, int c, const struct proc_program *prog)
{
	switch (c) {
	case 'C':
		a->dir = optarg;
		break;
	case 'i':
		a->instance = optarg;
		break;
	case 'c':
		a->config = optarg;
		break;
	case 'n':
		a->check_only = true;
		break;
	case 'h':
		help(prog);
	case OPT_VERSION:
		printf("%s " ROUNDHOUSE_VERSION "\n", prog->service);
		exit(0);
	case OPT_STANDALONE:
		a->standalone = true;
		break;
	case OPT_TOKEN:
		a->token = optarg;
		break;
	case OPT_LISTEN:
		if (a->nlisten == PROC_ARGS_MAX)
			misuse(prog, "too many --listen");
		a->listen[a->nlisten++] = atoi(optarg);
		break;
	case OPT_EXPECT:
		if (a->nexpect == PROC_ARGS_MAX)
			misuse(prog, "too many --expect");
		a->expect[a->nexpect++] = optarg;
		break;
	default:
		misuse(prog, "unknown option or missing value");
	}
}

void proc_args_parse(struct proc_args *a, int argc, char **argv, const struct proc_program *prog)
{
	int c;

	memset(a, 0, sizeof(*a));
	opterr = 0;
	while ((c = getopt_long(argc, argv, "C:i:c:nh", long_options, NULL)) != -1)
		take(a, c, prog);
	if (optind < argc)
		misuse(prog, "no arguments are expected");
	if (!a->instance) {
		snprintf(a->default_instance, sizeof(a->default_instance), "%s%s", prog->service,
			 strncmp(prog->service, "cm-", 3) == 0 ? "-1" : "");
		a->instance = a->default_instance;
	}
}
