#include "tests/ledger/options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOBODY UINT32_MAX /* a number of clients that follows from the others */

static const char help[] =
	"usage: ledger [options]\n"
	"Many clients send each other messages, drop their connections and come back; at the end "
	"every\nmessage that was acknowledged must have been received or bounced, once and in "
	"order.\n"
	"Exit code: 0 nothing lost, 1 a breach, 2 usage, 3 it could not be run.\n\n"
	"  --host H --port N      the server (127.0.0.1, 5222)\n"
	"  --domain D             its XMPP domain (localhost)\n"
	"  --user U               the accounts U0, U1, ...: one for each client (ledger)\n"
	"  --password P           of all of them (ledger)\n"
	"  --tls MODE             none, starttls or direct (starttls)\n"
	"  --ca FILE              verify the server's certificate against FILE\n"
	"  --sm N --plain N       clients with and without XEP-0198 (160, 40)\n"
	"  --no-sm                nobody uses XEP-0198\n"
	"  --twins N              pairs of --sm clients that share an account (--sm / 8)\n"
	"  --slow N               of --sm: that stop reading for a while (--sm / 10)\n"
	"  --mute N               ... that never acknowledge (--sm / 20)\n"
	"  --droppers N           ... that drop TCP, stay away up to 4 s, resume (--sm / 3)\n"
	"  --crashers N           ... that come back without their old session (--sm / 20)\n"
	"  --vanishers N          of --plain: that drop TCP and log in again (--plain / 5)\n"
	"  --components N         XEP-0114: part0.DOMAIN, part1.DOMAIN, ... (0)\n"
	"  --bridges N            ... with XEP-0198: bridge0.DOMAIN, ... (0)\n"
	"  --shared N             ... with two connections each: shared0.DOMAIN, ... (0)\n"
	"  --echo JID             a component that sends messages back, and loses none\n"
	"  --component-port N     where they connect, in clear (5223)\n"
	"  --secret S             of all of them (ledger)\n"
	"  --component-share S    of the messages: to or from one (0.3)\n"
	"  --carbons SHARE        of --sm: that want copies of what their account sends and gets "
	"(0)\n"
	"  --block SHARE          of --sm: that block three others each (0)\n"
	"  --archive              read all archives at the end; the accounts' archives are empty "
	"at "
	"the\n"
	"                         beginning, or hold earlier runs\n"
	"  --rate N               messages a second (400)\n"
	"  --window N             messages of one client that are not acknowledged (100)\n"
	"  --padding N            bytes in a body, at most; one in a hundred has ten times it "
	"(300)\n"
	"  --time S               seconds of sending (60)\n"
	"  --quiet S --settle S   at the end: silent for so long, at most so long (3, 60)\n"
	"  --resume-max N         seconds asked for in <enable/>; 0 = not asked (0)\n"
	"  --seed N               who does what (from the clock)\n"
	"  --strict               a refused resume or connection is a breach, too\n"
	"  --json                 one JSON object instead of the table\n"
	"  --verbose              what happens to each client, on stderr\n"
	"Signals: SIGUSR1 something is being killed, SIGUSR2 it is back (for plain clients);\n"
	"SIGRTMIN what serves components is killed now, SIGRTMIN+1 it is restarted.\n";

struct spec {
	const char *name;
	enum { NUMBER, SECONDS, SHARE, TEXT, FLAG } type;
	size_t offset;
	uint32_t min, max;
};

#define AT(member) offsetof(struct options, member)

static const struct spec specs[] = {
	{"host", TEXT, AT(server.host), 0, 0},
	{"domain", TEXT, AT(server.domain), 0, 0},
	{"user", TEXT, AT(server.user), 0, 0},
	{"password", TEXT, AT(server.password), 0, 0},
	{"ca", TEXT, AT(server.ca), 0, 0},
	{"echo", TEXT, AT(echo), 0, 0},
	{"secret", TEXT, AT(secret), 0, 0},
	{"components", NUMBER, AT(components), 0, 1000},
	{"bridges", NUMBER, AT(bridges), 0, 1000},
	{"shared", NUMBER, AT(shared), 0, 1000},
	{"component-share", SHARE, AT(component_share), 0, 0},
	{"sm", NUMBER, AT(sm), 0, 20000},
	{"plain", NUMBER, AT(plain), 0, 20000},
	{"twins", NUMBER, AT(twins), 0, 10000},
	{"slow", NUMBER, AT(slow), 0, 20000},
	{"mute", NUMBER, AT(mute), 0, 20000},
	{"droppers", NUMBER, AT(droppers), 0, 20000},
	{"crashers", NUMBER, AT(crashers), 0, 20000},
	{"vanishers", NUMBER, AT(vanishers), 0, 20000},
	{"rate", NUMBER, AT(rate), 1, 100000},
	{"window", NUMBER, AT(window), 1, 10000},
	{"padding", NUMBER, AT(padding), 0, 20000},
	{"resume-max", NUMBER, AT(resume_max), 0, 86400},
	{"seed", NUMBER, AT(seed), 0, UINT32_MAX},
	{"time", SECONDS, AT(seconds), 0, 0},
	{"quiet", SECONDS, AT(quiet), 0, 0},
	{"settle", SECONDS, AT(settle), 0, 0},
	{"carbons", SHARE, AT(carbons), 0, 0},
	{"block", SHARE, AT(block), 0, 0},
	{"archive", FLAG, AT(archive), 0, 0},
	{"no-sm", FLAG, AT(no_sm), 0, 0},
	{"strict", FLAG, AT(strict), 0, 0},
	{"json", FLAG, AT(json), 0, 0},
	{"verbose", FLAG, AT(verbose), 0, 0},
};

enum {
	SPECS = sizeof specs / sizeof *specs,
	OPT_PORT = SPECS,
	OPT_COMPONENT_PORT,
	OPT_TLS,
	OPT_HELP,
	OPTS
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

static bool take(struct options *o, const struct spec *s, const char *arg)
{
	void *at = (char *)o + s->offset;
	char *end;

	switch (s->type) {
	case NUMBER:
		return number(at, s->name, arg, s->min, s->max);
	case TEXT:
		*(const char **)at = arg;
		return true;
	case FLAG:
		*(bool *)at = true;
		return true;
	case SECONDS:
		*(double *)at = strtod(arg, &end);
		if (end != arg && !*end && *(double *)at >= 0 && *(double *)at <= 86400)
			return true;
		fprintf(stderr, "--%s %s: give seconds\n", s->name, arg);
		return false;
	case SHARE:
		*(double *)at = strtod(arg, &end);
		if (end != arg && !*end && *(double *)at >= 0 && *(double *)at <= 1)
			return true;
		fprintf(stderr, "--%s %s: give a share from 0 to 1\n", s->name, arg);
		return false;
	}
	return false;
}

static bool take_tls(struct options *o, const char *text)
{
	static const char *const names[] = {
		[TLS_NONE] = "none", [TLS_STARTTLS] = "starttls", [TLS_DIRECT] = "direct"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(names[i], text) == 0) {
			o->server.tls = (enum tls_mode)i;
			return true;
		}
	}
	fprintf(stderr, "--tls %s: give none, starttls or direct\n", text);
	return false;
}

static bool take_port(uint16_t *out, const char *name, const char *text)
{
	uint32_t port = 0;
	bool ok = number(&port, name, text, 1, 65535);

	*out = (uint16_t)port;
	return ok;
}

static void set_default(uint32_t *value, uint32_t wanted)
{
	if (*value == NOBODY)
		*value = wanted;
}

/* Numbers that follow from others, and whether they go together. */
static bool complete(struct options *o)
{
	set_default(&o->twins, o->sm / 8);
	set_default(&o->slow, o->sm / 10);
	set_default(&o->mute, o->sm / 20);
	set_default(&o->droppers, o->sm / 3);
	set_default(&o->crashers, o->sm / 20);
	set_default(&o->vanishers, o->plain / 5);
	if (o->sm + o->plain < 2) {
		fprintf(stderr, "--sm and --plain: at least two clients in all\n");
		return false;
	}
	if ((uint64_t)o->slow + o->mute + o->droppers + o->crashers > o->sm ||
	    o->twins * 2 > o->sm || o->vanishers > o->plain) {
		fprintf(stderr, "more clients with a habit than clients: raise --sm or --plain\n");
		return false;
	}
	o->server.users = o->sm + o->plain;
	return true;
}

static void set_defaults(struct options *o)
{
	*o = (struct options){.server = {.host = "127.0.0.1",
					 .port = 5222,
					 .domain = "localhost",
					 .user = "ledger",
					 .password = "ledger",
					 .tls = TLS_STARTTLS},
			      .sm = 160,
			      .plain = 40,
			      .twins = NOBODY,
			      .slow = NOBODY,
			      .mute = NOBODY,
			      .droppers = NOBODY,
			      .crashers = NOBODY,
			      .vanishers = NOBODY,
			      .component_port = 5223,
			      .secret = "ledger",
			      .component_share = 0.3,
			      .rate = 400,
			      .window = 100,
			      .padding = 300,
			      .seed = (uint32_t)time(NULL),
			      .seconds = 60,
			      .quiet = 3,
			      .settle = 60};
}

bool options_parse(struct options *o, int argc, char **argv)
{
	struct option list[OPTS + 1] = {0};
	bool ok = true;
	int c;

	for (int i = 0; i < SPECS; i++)
		list[i] = (struct option){specs[i].name,
					  specs[i].type == FLAG ? no_argument : required_argument,
					  NULL, 256 + i};
	list[OPT_PORT] = (struct option){"port", required_argument, NULL, 256 + OPT_PORT};
	list[OPT_COMPONENT_PORT] = (struct option){"component-port", required_argument, NULL,
						   256 + OPT_COMPONENT_PORT};
	list[OPT_TLS] = (struct option){"tls", required_argument, NULL, 256 + OPT_TLS};
	list[OPT_HELP] = (struct option){"help", no_argument, NULL, 256 + OPT_HELP};
	set_defaults(o);
	while (ok && (c = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (c >= 256 && c < 256 + SPECS)
			ok = take(o, &specs[c - 256], optarg);
		else if (c == 256 + OPT_PORT)
			ok = take_port(&o->server.port, "port", optarg);
		else if (c == 256 + OPT_COMPONENT_PORT)
			ok = take_port(&o->component_port, "component-port", optarg);
		else if (c == 256 + OPT_TLS)
			ok = take_tls(o, optarg);
		else
			ok = false;
		if (c == 256 + OPT_HELP)
			fputs(help, stdout);
		else if (c == '?')
			fprintf(stderr, "ledger --help names the options\n");
	}
	if (ok && optind != argc) {
		fprintf(stderr, "%s: not an option; ledger --help names them\n", argv[optind]);
		ok = false;
	}
	return ok && complete(o);
}
