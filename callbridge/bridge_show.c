/*
 * bridge_show - `callbridge status`.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmem.h"
#include "callbridge/bridge_program.h"
#include "callbridge/bridge_report.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "proc/config.h"

#define NAMES_MAX 256

static void row(struct str *out, const struct json_line *j, const char *label, const char *key)
{
	struct slice value = SLICE_NONE;

	if (json_line_find(j, key, &value))
		table_label(out, label, value);
}

static void add_program(struct str *out, const struct json_line *j)
{
	struct slice command = SLICE_NONE, pid = SLICE_NONE;
	struct str text = STR_INIT;

	json_line_find(j, "program", &command);
	json_line_find(j, "program_pid", &pid);
	str_add_slice(&text, command);
	if (!slice_is(pid, "0"))
		str_addf(&text, ", pid %.*s", SLICE_ARG(pid));
	else if (!slice_is(command, "(echo)"))
		str_adds(&text, " (does not run: see the log)");
	table_label(out, "Program", str_slice(&text));
	str_clear(&text);
}

/* The guides' label; the rest is ours. */
static bool add_rows(struct str *out, struct slice json)
{
	struct json_line j = JSON_LINE_INIT;
	bool good = json_line_parse(&j, json) == ERR_OK;

	if (good) {
		row(out, &j, "Unique Call Bridge name", "name");
		row(out, &j, "Domain", "domain");
		row(out, &j, "Server address", "server");
		row(out, &j, "XMPP connection", "connection");
		row(out, &j, "Detail", "detail");
		row(out, &j, "Address", "address");
		row(out, &j, "TLS", "tls");
		add_program(out, &j);
		row(out, &j, "Stanzas received", "stanzas_in");
		row(out, &j, "Stanzas sent", "stanzas_out");
	}
	json_line_clear(&j);
	return good;
}

/* One that runs: added to out. */
static enum err add_one(const struct bridge_values *v, const char *name, struct str *out)
{
	struct str json = STR_INIT;
	enum err e = bridge_report_ask(name, &json);

	if (e == ERR_OK && v->common.json)
		str_addf(out, "%s\n", json.data);
	else if (e == ERR_OK) {
		str_adds(out, out->len ? "***\n" : "");
		e = add_rows(out, str_slice(&json)) ? ERR_OK : ERR_FORMAT;
	}
	str_clear(&json);
	return e;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t find_names(char *names[NAMES_MAX], bool *refused)
{
	static const char end[] = ".sock";
	DIR *d = opendir(BRIDGE_REPORT_DIR);
	const struct dirent *entry;
	size_t n = 0;

	*refused = !d && errno == EACCES;
	while (d && n < NAMES_MAX && (entry = readdir(d))) {
		size_t len = strlen(entry->d_name);

		if (len > sizeof(end) - 1 &&
		    strcmp(entry->d_name + len - (sizeof(end) - 1), end) == 0)
			names[n++] = xstrndup(entry->d_name, len - (sizeof(end) - 1));
	}
	if (d)
		closedir(d);
	qsort(names, n, sizeof(*names), by_name);
	return n;
}

static int not_running(const struct bridge_values *v, const char *name)
{
	struct config *cfg = NULL;
	struct str why = STR_INIT;
	bool enabled = config_load(&cfg, CONFIG_PATH, &why) == ERR_OK && cfg->bridge_enabled;

	config_free(&cfg);
	str_clear(&why);
	if (name)
		return command_fail("callbridge", COMMAND_UNREACHABLE,
				    "no call bridge %s runs in %s", name, v->common.dir);
	return command_fail("callbridge", COMMAND_UNREACHABLE, "no call bridge runs in %s; %s",
			    v->common.dir,
			    enabled ? "it is enabled: start the instance with 'supervisor start', "
				      "or see 'supervisor status'"
				    : "start one with 'callbridge enable' or 'callbridge run'");
}

static int denied(void)
{
	return command_fail("callbridge", COMMAND_REFUSED,
			    "only the administrator of this instance may see that; run it as "
			    "root or as the instance's owner");
}

static int show_all(const struct bridge_values *v, struct str *out)
{
	char *names[NAMES_MAX];
	bool refused;
	size_t n = find_names(names, &refused);

	for (size_t i = 0; i < n; i++) {
		refused |= add_one(v, names[i], out) == ERR_DENIED;
		free(names[i]);
	}
	if (out->len)
		return COMMAND_OK;
	return refused ? denied() : not_running(v, NULL);
}

int bridge_show_status(const void *values, int argc, char **argv)
{
	const struct bridge_values *v = values;
	struct str out = STR_INIT;
	int code = bridge_enter(v);

	if (code == COMMAND_OK && argc == 0) {
		code = show_all(v, &out);
	} else if (code == COMMAND_OK) {
		enum err e = strchr(argv[0], '/') ? ERR_CLOSED : add_one(v, argv[0], &out);

		if (e != ERR_OK)
			code = e == ERR_DENIED ? denied() : not_running(v, argv[0]);
	}
	if (code == COMMAND_OK)
		fputs(out.data, stdout);
	str_clear(&out);
	return code;
}
