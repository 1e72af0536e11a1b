#include "cli/pki/pki_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/xmem.h"
#include "cli/common/table.h"
#include "cli/pki/pki_check.h"
#include "cli/pki/pki_csr.h"
#include "cli/pki/pki_inspect.h"
#include "cli/pki/pki_lab.h"
#include "cli/pki/pki_list.h"
#include "cli/pki/pki_unlock.h"
#include "cli/pki/pki_usage.h"

static void print_file(const char *path)
{
	struct str out = STR_INIT;

	str_adds(&out, "{\"file\":");
	json_text(&out, slice_str(path));
	str_adds(&out, "}\n");
	fputs(out.data, stdout);
	str_clear(&out);
}

static void print_lab(const struct pki_values *v)
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
		if (v->common.json)
			print_file(path);
		free(path);
	}
	if (!v->common.json)
		table_write(&t, &out);
	fputs(out.data, stdout);
	table_clear(&t);
	str_clear(&out);
}

static void print_added(const struct pki_values *v)
{
	static const char *const suffixes[] = {"crt", "key"};
	const char *d = v->domain;

	for (size_t i = 0; v->common.json && i < 2; i++) {
		char *path = xasprintf("%s/pki/%s.%s", v->common.dir, d, suffixes[i]);

		print_file(path);
		free(path);
	}
	if (!v->common.json)
		printf("made %s/pki/%s.crt and %s.key; in conf/roundhouse.conf:\n"
		       "  tls = { extra = [ \"pki/%s.crt pki/%s.key\" ]; ... }\n",
		       v->common.dir, d, d, d, d);
}

int pki_run_lab(const void *arg, int argc, char **argv)
{
	const struct pki_values *v = arg;
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

int pki_run_inspect(const void *arg, int argc, char **argv)
{
	const struct pki_values *v = arg;
	struct str out = STR_INIT, why = STR_INIT;
	enum err e = pki_inspect_file(argv[0], v->common.dir, v->common.json, &out, &why);

	(void)argc;
	fputs(out.data, stdout);
	if (e != ERR_OK)
		command_fail("pki", 0, "%s", why.data);
	str_clear(&out);
	str_clear(&why);
	return e == ERR_OK ? COMMAND_OK : COMMAND_REFUSED;
}

/* Prints out or why; the exit code that goes with e. */
static int finish(enum err e, struct str *out, struct str *why)
{
	if (e == ERR_OK)
		fputs(out->data, stdout);
	else
		command_fail("pki", 0, "%s", why->data);
	str_clear(out);
	str_clear(why);
	return e == ERR_OK ? COMMAND_OK : e == ERR_FORMAT ? COMMAND_USAGE : COMMAND_REFUSED;
}

int pki_run_list(const void *arg, int argc, char **argv)
{
	const struct pki_values *v = arg;
	struct str out = STR_INIT, why = STR_INIT;
	enum err e = pki_list(v->common.dir, v->common.json, &out, &why);

	(void)argc, (void)argv;
	return finish(e, &out, &why);
}

int pki_run_usage(const void *arg, int argc, char **argv)
{
	const struct pki_values *v = arg;
	struct str out = STR_INIT, why = STR_INIT;
	enum err e = pki_usage(v->common.dir, v->common.json, &out, &why);

	(void)argc, (void)argv;
	return finish(e == ERR_FORMAT ? ERR_IO : e, &out, &why);
}

/* Lines, each with a heading. */
static void print_lines(const char *head, const struct str *lines)
{
	for (const char *line = lines->data; *line;) {
		int len = (int)strcspn(line, "\n");

		printf("%s%.*s\n", head, len, line);
		line += len + (line[len] == '\n');
	}
}

typedef enum err maker(const struct pki_csr_options *o, const struct pki_request *r,
		       struct str *warnings, struct str *why);

static int make(const struct pki_values *v, int argc, char **argv, maker *run, const char *what,
		const char *suffix)
{
	const struct pki_csr_options o = {
		.dir = v->common.dir, .type = v->type, .bits = v->bits, .force = v->force};
	struct str out = STR_INIT, why = STR_INIT, warnings = STR_INIT;
	struct pki_request r;
	enum err e = pki_request_parse(&r, argc, argv, &why);

	if (e == ERR_OK) {
		e = run(&o, &r, &warnings, &why);
		if (v->common.json)
			str_addf(&out, "{\"key\":\"%s.key\",\"%s\":\"%s.%s\"}\n", r.basename,
				 suffix, r.basename, suffix);
		else
			str_addf(&out, "Created key file %s.key and %s %s.%s\n", r.basename, what,
				 r.basename, suffix);
		pki_request_clear(&r);
	}
	if (e == ERR_OK)
		for (const char *line = warnings.data; *line; line += strcspn(line, "\n") + 1)
			fprintf(stderr, "WARNING: %.*s\n", (int)strcspn(line, "\n"), line);
	str_clear(&warnings);
	return finish(e, &out, &why);
}

int pki_run_csr(const void *arg, int argc, char **argv)
{
	const struct pki_values *v = arg;
	int code = make(v, argc, argv, pki_csr_make, "CSR", "csr");

	if (code == COMMAND_OK && !v->common.json)
		printf("CSR file %s.csr ready for download via SFTP\n", argv[0]);
	return code;
}

int pki_run_selfsigned(const void *arg, int argc, char **argv)
{
	const struct pki_values *v = arg;
	int code = make(v, argc, argv, pki_csr_self_signed, "certificate", "crt");

	if (code == COMMAND_OK)
		fprintf(stderr,
			"WARNING: self-signed: for laboratories only. In production clients "
			"refuse it or learn to accept anything; have a CA sign a request: pki "
			"csr\n");
	return code;
}

int pki_run_match(const void *arg, int argc, char **argv)
{
	const struct pki_values *v = arg;
	struct str text = STR_INIT, out = STR_INIT, why = STR_INIT;
	bool same = false;
	enum err e = pki_check_match(argv[0], argv[1], v->common.dir, &same, &text, &why);
	int code;

	(void)argc;
	if (v->common.json)
		str_addf(&out, "{\"match\":%s}\n", same ? "true" : "false");
	else
		str_addf(&out, "%s: %s\n", same ? "SUCCESS" : "FAILURE", text.data);
	str_clear(&text);
	code = finish(e == ERR_FORMAT ? ERR_IO : e, &out, &why);
	return code == COMMAND_OK && !same ? COMMAND_REFUSED : code;
}

static void print_chain(const struct pki_check_chain *c, bool json)
{
	struct str out = STR_INIT;

	if (json) {
		str_addf(&out, "{\"good\":%s,\"reason\":", c->good ? "true" : "false");
		json_text(&out, str_slice(&c->reason));
		str_adds(&out, ",\"chain\":");
		json_text(&out, str_slice(&c->path));
		str_adds(&out, ",\"warnings\":");
		json_text(&out, str_slice(&c->warnings));
		str_adds(&out, "}\n");
		fputs(out.data, stdout);
	} else {
		print_lines("", &c->path);
		print_lines("WARNING: ", &c->warnings);
		if (c->good)
			printf("SUCCESS: the chain is whole and in date\n");
		else
			print_lines("FAILURE: ", &c->reason);
	}
	str_clear(&out);
}

int pki_run_verify(const void *arg, int argc, char **argv)
{
	const struct pki_values *v = arg;
	struct pki_check_chain chain = PKI_CHECK_CHAIN_INIT;
	struct str out = STR_INIT, why = STR_INIT;
	enum err e = pki_check_verify(argv[0], argv[1], argc > 2 ? argv[2] : NULL, v->common.dir,
				      &chain, &why);
	int code;

	if (e == ERR_OK)
		print_chain(&chain, v->common.json);
	code = finish(e, &out, &why);
	if (code == COMMAND_OK && !chain.good)
		code = COMMAND_REFUSED;
	pki_check_chain_clear(&chain);
	return code;
}

int pki_run_unlock(const void *arg, int argc, char **argv)
{
	const struct pki_values *v = arg;
	struct str out = STR_INIT, why = STR_INIT;
	char *path = NULL;
	enum err e = pki_unlock(argv[0], v->common.dir, v->phrase_stdin, &path, &why);

	(void)argc;
	if (v->common.json) {
		str_adds(&out, "{\"done\":\"unlocked\",\"file\":");
		json_text(&out, slice_str(path));
		str_adds(&out, "}\n");
	} else {
		str_addf(&out, "SUCCESS: %s has no pass phrase any more\n", path);
	}
	free(path);
	return finish(e == ERR_FORMAT ? ERR_IO : e, &out, &why);
}
