#include "bench/opts.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: xmpp-load LOAD [options]\n"
	"Loads any XMPP server and prints what a message, login or idle connection costs it.\n\n"
	"  chat        pairs of clients; in each, one keeps --window messages on their way to the "
	"other\n"
	"  pingpong    pairs of clients; each message is answered, one on its way in each pair\n"
	"  login       --count logins, --together at a time\n"
	"  presence    --pairs users with the same --count contacts change their presence, "
	"--window "
	"on\n"
	"              their way; what is counted are deliveries\n"
	"  idle        --count connections that log in and stay\n"
	"  component   --pairs clients, each keeps --window messages on their way to a "
	"component that\n"
	"              sends them back; what is counted are echoes\n"
	"  relay       pingpong of plain lines, for tests/support/relay: no XMPP\n"
	"  detach      --count XEP-0198 sessions that lose their server and resume: a step for "
	"each\n"
	"              line of standard input (login, broken, senders, hold, resume, usage), each\n"
	"              answered with a line of JSON\n\n"
	"  --host H --port N      the server (127.0.0.1, 5222)\n"
	"  --domain D             its XMPP domain (localhost)\n"
	"  --user U --users N     the accounts U0 .. U(N-1) (bench, 100)\n"
	"  --password P           of all of them (bench)\n"
	"  --tls MODE             none, starttls or direct (starttls)\n"
	"  --ca FILE              verify the server's certificate against FILE\n"
	"  --mech M               SCRAM-SHA-256, SCRAM-SHA-1 or PLAIN (the first of these "
	"offered)\n"
	"  --pairs N --window N   (10, 32)\n"
	"  --body N               bytes of a message's body (100)\n"
	"  --count N --together N (1000, 16)\n"
	"  --sm                   chat, pingpong: XEP-0198 with resumption on all streams\n"
	"  --held N               detach: messages for each session that is away (2)\n"
	"  --idle N               chat, pingpong: so many more clients are there and do nothing "
	"(0)\n"
	"  --hold                 idle: say \"ready\", stay until standard input ends; no report\n"
	"  --component D          component: the domain that it serves (echo.localhost),\n"
	"  --component-port N     where it connects, without TLS (5347),\n"
	"  --component-secret S   its secret (bench)\n"
	"  --retry N              so many refused logins are tried again (0)\n"
	"  --roster               ask for the roster first\n"
	"  --no-presence          do not send initial presence\n"
	"  --warmup S --time S    seconds (1, 5)\n"
	"  --deadline S           for logging in, before the measurement (120)\n"
	"  --pid-root PID         the server is this process and all below it\n"
	"  --pids A,B,C           the server is these processes\n"
	"  --pid-dir DIR          ... those of the *.pid files in DIR\n"
	"  --json                 one JSON object instead of a table\n";

enum {
	OPT_HOST = 256,
	OPT_PORT,
	OPT_DOMAIN,
	OPT_USER,
	OPT_USERS,
	OPT_PASSWORD,
	OPT_TLS,
	OPT_CA,
	OPT_MECH,
	OPT_PAIRS,
	OPT_WINDOW,
	OPT_BODY,
	OPT_COUNT,
	OPT_TOGETHER,
	OPT_SM,
	OPT_HELD,
	OPT_IDLE,
	OPT_HOLD,
	OPT_COMPONENT,
	OPT_COMPONENT_PORT,
	OPT_COMPONENT_SECRET,
	OPT_RETRY,
	OPT_ROSTER,
	OPT_NO_PRESENCE,
	OPT_WARMUP,
	OPT_TIME,
	OPT_DEADLINE,
	OPT_PID_ROOT,
	OPT_PIDS,
	OPT_PID_DIR,
	OPT_JSON,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"host", required_argument, NULL, OPT_HOST},
	{"port", required_argument, NULL, OPT_PORT},
	{"domain", required_argument, NULL, OPT_DOMAIN},
	{"user", required_argument, NULL, OPT_USER},
	{"users", required_argument, NULL, OPT_USERS},
	{"password", required_argument, NULL, OPT_PASSWORD},
	{"tls", required_argument, NULL, OPT_TLS},
	{"ca", required_argument, NULL, OPT_CA},
	{"mech", required_argument, NULL, OPT_MECH},
	{"pairs", required_argument, NULL, OPT_PAIRS},
	{"window", required_argument, NULL, OPT_WINDOW},
	{"body", required_argument, NULL, OPT_BODY},
	{"count", required_argument, NULL, OPT_COUNT},
	{"together", required_argument, NULL, OPT_TOGETHER},
	{"sm", no_argument, NULL, OPT_SM},
	{"held", required_argument, NULL, OPT_HELD},
	{"idle", required_argument, NULL, OPT_IDLE},
	{"hold", no_argument, NULL, OPT_HOLD},
	{"component", required_argument, NULL, OPT_COMPONENT},
	{"component-port", required_argument, NULL, OPT_COMPONENT_PORT},
	{"component-secret", required_argument, NULL, OPT_COMPONENT_SECRET},
	{"retry", required_argument, NULL, OPT_RETRY},
	{"roster", no_argument, NULL, OPT_ROSTER},
	{"no-presence", no_argument, NULL, OPT_NO_PRESENCE},
	{"warmup", required_argument, NULL, OPT_WARMUP},
	{"time", required_argument, NULL, OPT_TIME},
	{"deadline", required_argument, NULL, OPT_DEADLINE},
	{"pid-root", required_argument, NULL, OPT_PID_ROOT},
	{"pids", required_argument, NULL, OPT_PIDS},
	{"pid-dir", required_argument, NULL, OPT_PID_DIR},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static bool number(uint32_t *out, const char *name, const char *text, uint32_t min, uint32_t max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || n < min || n > max) {
		fprintf(stderr, "--%s %s: give a number from %u to %u\n", name, text, min, max);
		return false;
	}
	*out = (uint32_t)n;
	return true;
}

static bool seconds(double *out, const char *name, const char *text)
{
	char *end;
	double d = strtod(text, &end);

	if (end == text || *end || d < 0 || d > 86400) {
		fprintf(stderr, "--%s %s: give seconds\n", name, text);
		return false;
	}
	*out = d;
	return true;
}

static bool tls_mode(enum tls_mode *out, const char *text)
{
	static const char *const names[] = {
		[TLS_NONE] = "none", [TLS_STARTTLS] = "starttls", [TLS_DIRECT] = "direct"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(names[i], text) == 0) {
			*out = (enum tls_mode)i;
			return true;
		}
	}
	fprintf(stderr, "--tls %s: give none, starttls or direct\n", text);
	return false;
}

static bool mech(const char **out, const char *text)
{
	if (strcmp(text, "SCRAM-SHA-256") != 0 && strcmp(text, "SCRAM-SHA-1") != 0 &&
	    strcmp(text, "PLAIN") != 0) {
		fprintf(stderr, "--mech %s: give SCRAM-SHA-256, SCRAM-SHA-1 or PLAIN\n", text);
		return false;
	}
	*out = text;
	return true;
}

/* Options that are numbers; true in *known when c is one of them. */
static bool take_number(struct opts *o, int c, const char *arg, bool *known)
{
	uint32_t n = 0;
	bool ok;

	*known = true;
	switch (c) {
	case OPT_PORT:
		ok = number(&n, "port", arg, 1, 65535);
		o->port = (uint16_t)n;
		return ok;
	case OPT_COMPONENT_PORT:
		ok = number(&n, "component-port", arg, 1, 65535);
		o->component_port = (uint16_t)n;
		return ok;
	case OPT_PID_ROOT:
		ok = number(&n, "pid-root", arg, 1, INT32_MAX);
		o->server.root = (int)n;
		return ok;
	case OPT_USERS:
		return number(&o->users, "users", arg, 1, 1000000);
	case OPT_PAIRS:
		return number(&o->pairs, "pairs", arg, 1, 10000);
	case OPT_WINDOW:
		return number(&o->window, "window", arg, 1, 4096);
	case OPT_BODY:
		return number(&o->body, "body", arg, 1, 60000);
	case OPT_COUNT:
		return number(&o->count, "count", arg, 1, 1000000);
	case OPT_TOGETHER:
		return number(&o->together, "together", arg, 1, 10000);
	case OPT_HELD:
		return number(&o->held, "held", arg, 1, 1000);
	case OPT_IDLE:
		return number(&o->idle, "idle", arg, 0, 1000000);
	case OPT_RETRY:
		return number(&o->retry, "retry", arg, 0, 1000000);
	case OPT_WARMUP:
		return seconds(&o->warmup, "warmup", arg);
	case OPT_TIME:
		return seconds(&o->seconds, "time", arg);
	case OPT_DEADLINE:
		return seconds(&o->deadline, "deadline", arg);
	default:
		*known = false;
		return true;
	}
}

static bool take(struct opts *o, int c, const char *arg)
{
	bool known;
	bool ok = take_number(o, c, arg, &known);

	if (known)
		return ok;
	switch (c) {
	case OPT_HOST:
		o->host = arg;
		return true;
	case OPT_DOMAIN:
		o->domain = arg;
		return true;
	case OPT_COMPONENT:
		o->component = arg;
		return true;
	case OPT_COMPONENT_SECRET:
		o->component_secret = arg;
		return true;
	case OPT_USER:
		o->user = arg;
		return true;
	case OPT_PASSWORD:
		o->password = arg;
		return true;
	case OPT_TLS:
		return tls_mode(&o->tls, arg);
	case OPT_CA:
		o->ca = arg;
		return true;
	case OPT_MECH:
		return mech(&o->mech, arg);
	case OPT_NO_PRESENCE:
		o->presence = false;
		return true;
	case OPT_HOLD:
		o->hold = true;
		return true;
	case OPT_ROSTER:
		o->roster = true;
		return true;
	case OPT_SM:
		o->sm = true;
		return true;
	case OPT_PIDS:
		return usage_add_pids(&o->server, arg);
	case OPT_PID_DIR:
		return usage_add_dir(&o->server, arg);
	case OPT_JSON:
		o->json = true;
		return true;
	case OPT_HELP:
		fputs(help, stdout);
		return false;
	default:
		fprintf(stderr, "xmpp-load --help names the options\n");
		return false;
	}
}

bool opts_parse(struct opts *o, int argc, char **argv)
{
	int c;

	*o = (struct opts){.host = "127.0.0.1",
			   .port = 5222,
			   .component_port = 5347,
			   .component = "echo.localhost",
			   .component_secret = "bench",
			   .domain = "localhost",
			   .user = "bench",
			   .password = "bench",
			   .tls = TLS_STARTTLS,
			   .users = 100,
			   .pairs = 10,
			   .window = 32,
			   .body = 100,
			   .count = 1000,
			   .together = 16,
			   .held = 2,
			   .warmup = 1,
			   .seconds = 5,
			   .deadline = 120,
			   .presence = true};
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (!take(o, c, optarg))
			return false;
	}
	if (optind + 1 != argc) {
		fputs(help, stderr);
		return false;
	}
	o->load = argv[optind];
	return true;
}
