/*
 * xmpp-load - measures what messages, logins, idle and detached sessions cost an XMPP server.
 *
 * Speaks to any server: it shares nothing with Roundhouse but lib/base.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/load.h"
#include "bench/tcp.h"
#include "bench/opts.h"
#include "bench/report.h"

static const struct {
	const char *name;
	bool (*run)(struct tcp *n, const struct opts *o, struct result *r);
} loads[] = {
	{"chat", load_chat},   {"pingpong", load_pingpong},   {"login", load_login},
	{"idle", load_idle},   {"detach", load_detach},	      {"presence", load_presence},
	{"relay", load_relay}, {"component", load_component},
};

static bool run(struct tcp *n, const struct opts *o, struct result *r)
{
	for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
		if (strcmp(loads[i].name, o->load) == 0)
			return loads[i].run(n, o, r);
	}
	fprintf(stderr, "%s: no such load; xmpp-load --help names them\n", o->load);
	return false;
}

#define MANY 100000

static void allow_many_files(void)
{
	struct rlimit rl;

	getrlimit(RLIMIT_NOFILE, &rl);
	if (rl.rlim_max < MANY && setrlimit(RLIMIT_NOFILE, &(struct rlimit){MANY, MANY}) == 0)
		return; /* we may */
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
}

int main(int argc, char **argv)
{
	static struct result result;
	struct opts opts;

	if (!opts_parse(&opts, argc, argv))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	allow_many_files();
	struct tcp *n = tcp_new(&opts);
	if (!n)
		return 1;
	bool ok = run(n, &opts, &result);
	tcp_free(&n);
	if (!ok)
		return 1;
	if (!result.unit)
		return 0;
	if (opts.json)
		report_json(&opts, &result);
	else
		report_table(&opts, &result);
	return result.errors ? 1 : 0;
}
