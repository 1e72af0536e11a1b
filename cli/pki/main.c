/*
 * pki - keys and certificates of an instance: makes a lab CA, shows what a file holds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "cli/common/command.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/pki/pki_inspect.h"
#include "cli/pki/pki_lab.h"

struct values {
	struct command_common common;
	const char *domain;
	struct command_list hosts;
	bool force;
	bool add;
};

static void print_lab(const struct values *v)
{
	static const struct {
		const char *file, *what;
	} files[] = {
		{"ca.pem", "the lab CA: clients trust this file"},
		{"ca.key", "its key: keep it away from other people"},
		{"server.crt", "the server's certificate, then the CA's"},
		{"server.key", "the server's key"},
	};
	struct str out = STR_INIT;
	struct table t;

	table_init(&t, 2);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = xasprintf("%s/pki/%s", v->common.dir, files[i].file);

		table_add(&t, slice_str(path));
		table_add(&t, slice_str(files[i].what));
		if (v->common.json) {
			str_adds(&out, "{\"file\":");
			json_line_put_text(&out, slice_str(path));
			str_adds(&out, "}\n");
		}
		free(path);
	}
	if (!v->common.json)
		table_write(&t, &out);
	fputs(out.data, stdout);
	table_clear(&t);
	str_clear(&out);
}

static void print_added(const struct values *v)
{
	const char *d = v->domain;

	if (v->common.json)
		printf("{\"file\":\"%s/pki/%s.crt\"}\n{\"file\":\"%s/pki/%s.key\"}\n",
		       v->common.dir, d, v->common.dir, d);
	else
		printf("made %s/pki/%s.crt and %s.key; in conf/roundhouse.conf:\n"
		       "  tls = { extra = [ \"pki/%s.crt pki/%s.key\" ]; ... }\n",
		       v->common.dir, d, d, d, d);
}

static int run_lab(const void *arg, int argc, char **argv)
{
	const struct values *v = arg;
	struct pki_lab_request req = {.dir = v->common.dir,
				      .domain = v->domain,
				      .hosts = v->hosts.items,
				      .nhosts = v->hosts.count,
				      .force = v->force,
				      .add = v->add};
	struct str why = STR_INIT;
	enum err e;

	(void)argc, (void)argv;
	if (!v->domain)
		return command_fail("pki", COMMAND_USAGE,
				    "which domain? usage: pki [-C DIR] lab --domain DOMAIN");
	e = pki_lab_make(&req, &why);
	if (e == ERR_OK)
		v->add ? print_added(v) : print_lab(v);
	else
		command_fail("pki", 0, "%s", why.data);
	str_clear(&why);
	return e == ERR_OK ? COMMAND_OK : e == ERR_FORMAT ? COMMAND_USAGE : COMMAND_REFUSED;
}

static int run_inspect(const void *arg, int argc, char **argv)
{
	const struct values *v = arg;
	struct str out = STR_INIT, why = STR_INIT;
	enum err e = pki_inspect_file(argv[0], v->common.dir, v->common.json, &out, &why);

	(void)argc;
	if (e == ERR_OK)
		fputs(out.data, stdout);
	else
		command_fail("pki", 0, "%s", why.data);
	str_clear(&out);
	str_clear(&why);
	return e == ERR_OK ? COMMAND_OK : COMMAND_REFUSED;
}

static const struct command commands[] = {
	{"lab", "--domain DOMAIN", 0, 0, run_lab,
	 .help = "makes a lab CA and a server certificate signed by it\n\n"
		 "Writes pki/ca.pem, ca.key, server.crt (server certificate, then CA) and "
		 "server.key, all\n"
		 "ECDSA P-256. The server's certificate names DOMAIN, *.DOMAIN, this host, every "
		 "--host\n"
		 "and 127.0.0.1. Files that are there already are left alone without --force.\n"
		 "--add makes pki/DOMAIN.crt and DOMAIN.key only, signed by the lab CA that is "
		 "there."},
	{"inspect", "FILE", 1, 1, run_inspect,
	 .help = "says what is in a file of keys, certificates or requests\n\n"
		 "PEM or DER; FILE as named, else in the instance's pki/. Every object of a bundle "
		 "gets a\n"
		 "block of its own.",
	 .anywhere = true},
};

static const struct command_option options[] = {
	{"--domain", COMMAND_TEXT, offsetof(struct values, domain), "DOMAIN", "lab",
	 "the XMPP domain that the certificate is for"},
	{"--host", COMMAND_TEXTS, offsetof(struct values, hosts), "NAME", "lab",
	 "one more host name or IP address; may be given again"},
	{"--add", COMMAND_FLAG, offsetof(struct values, add), NULL, "lab",
	 "one more domain, signed by the lab CA that is there"},
	{"--force", COMMAND_FLAG, offsetof(struct values, force), NULL, "lab",
	 "replace the files that are there"},
};

static const struct command_program program = {
	.name = "pki",
	.summary = "keys and certificates of a Roundhouse instance",
	.commands = commands,
	.ncommands = sizeof(commands) / sizeof(commands[0]),
	.options = options,
	.noptions = sizeof(options) / sizeof(options[0]),
};

int main(int argc, char **argv)
{
	struct values values = {0};

	return command_main(&program, argc, argv, &values);
}
