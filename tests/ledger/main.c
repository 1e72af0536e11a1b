/*
 * ledger - is a message lost, repeated or overtaken while parts of a server die? Counts at the
 * clients; speaks to any XMPP server.
 */
#include <signal.h>
#include <sys/resource.h>

#include "tests/ledger/crowd.h"
#include "tests/ledger/judge.h"
#include "tests/ledger/options.h"
#include "tests/ledger/table.h"

static void allow_many_files(void)
{
	struct rlimit rl;

	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
}

int main(int argc, char **argv)
{
	struct options options;
	struct verdict verdict;

	if (!options_parse(&options, argc, argv))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	allow_many_files();
	if (!crowd_run(&options, &verdict))
		return 3;
	if (options.json)
		table_json(&options, &verdict);
	else
		table_print(&options, &verdict);
	return verdict_breaches(&verdict, options.strict) ? 1 : 0;
}
