/*
 * `xmpp general`: the rows of the guides' page Status > General that apply to us, with their labels
 * (FEATURES 2.4), then ours.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/xmem.h"
#include "cli/common/bus_client.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/xmpp/event_show.h"
#include "cli/xmpp/general.h"
#include "cli/xmpp/remote.h"
#include "proc/channel.h"
#include "proc/config.h"

#define ROUTER_MS 2000 /* what it takes to be sure that it is away */

static uint64_t number(const struct json_line *j, const char *key)
{
	struct slice value = SLICE_NONE;
	char text[24];

	json_line_find(j, key, &value);
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(value));
	return strtoull(text, NULL, 10);
}

void general_from_supervisor(struct general *g, struct slice lines)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice line, version = SLICE_NONE;

	if (json_line_next(&lines, &line) && json_line_parse(&j, line) == ERR_OK) {
		g->uptime = number(&j, "uptime");
		g->services = number(&j, "services");
		g->ready = number(&j, "ready");
		g->faults = number(&j, "faults");
		json_line_find(&j, "version", &version);
		snprintf(g->version, sizeof(g->version), "%.*s", SLICE_ARG(version));
	}
	json_line_clear(&j);
}

void general_from_links(struct general *g, struct slice lines)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice line, service;

	while (json_line_next(&lines, &line))
		if (json_line_parse(&j, line) == ERR_OK &&
		    json_line_find(&j, "service", &service) && slice_is(service, "datastore")) {
			g->registered = true;
			g->registered_s = number(&j, "seconds");
		}
	json_line_clear(&j);
}

void general_from_stats(struct general *g, struct slice lines)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice line, process;

	while (json_line_next(&lines, &line))
		if (json_line_parse(&j, line) == ERR_OK &&
		    json_line_find(&j, "process", &process) && slice_is(process, "router")) {
			g->routing = true;
			g->sessions = number(&j, "sessions");
			g->components = number(&j, "components");
		}
	json_line_clear(&j);
}

static void authentication(const struct general *g, struct str *out)
{
	if (g->registered) {
		str_adds(out, "registered for ");
		duration_write(out, g->registered_s);
	} else {
		str_adds(out, "no authentication components found");
	}
}

static void row(struct str *out, const char *label, const struct str *value)
{
	table_label(out, label, str_slice(value));
}

static void row_number(struct str *out, const char *label, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	table_label(out, label, slice_str(text));
}

static void write_rows(const struct general *g, struct str *out)
{
	struct str value = STR_INIT;

	duration_write(&value, g->uptime);
	row(out, "Uptime", &value);
	table_label(out, "Build version", slice_str(g->version));
	if (g->bridge.len)
		row(out, "XMPP connection", &g->bridge);
	str_reset(&value);
	authentication(g, &value);
	row(out, "Authentication service", &value);
	str_reset(&value);
	str_addf(&value, "%llu of %llu ready", (unsigned long long)g->ready,
		 (unsigned long long)g->services);
	row(out, "Services", &value);
	if (g->routing) {
		row_number(out, "Sessions", g->sessions);
		row_number(out, "Components", g->components);
	}
	row_number(out, "Fault conditions", g->faults);
	str_clear(&value);
}

static void write_json(const struct general *g, struct str *out)
{
	struct str value = STR_INIT;

	authentication(g, &value);
	str_addf(out, "{\"uptime\":%llu,\"version\":", (unsigned long long)g->uptime);
	json_line_put_text(out, slice_str(g->version));
	str_adds(out, ",\"authentication\":");
	json_line_put_text(out, str_slice(&value));
	if (g->registered)
		str_addf(out, ",\"registered\":%llu", (unsigned long long)g->registered_s);
	if (g->bridge.len) {
		str_adds(out, ",\"xmpp_connection\":");
		json_line_put_text(out, str_slice(&g->bridge));
	}
	str_addf(out, ",\"services\":%llu,\"ready\":%llu,\"faults\":%llu",
		 (unsigned long long)g->services, (unsigned long long)g->ready,
		 (unsigned long long)g->faults);
	if (g->routing)
		str_addf(out, ",\"sessions\":%llu,\"components\":%llu",
			 (unsigned long long)g->sessions, (unsigned long long)g->components);
	str_adds(out, "}\n");
	str_clear(&value);
}

void general_write(const struct general *g, bool json, struct str *out)
{
	if (json)
		write_json(g, out);
	else
		write_rows(g, out);
}

/* A router that is away is itself an answer: nobody is registered with it. */
static void ask_router(const struct xmpp_values *v, struct general *g)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct str why = STR_INIT;
	struct bus_client *c;

	if (bus_client_open(&c, v->common.dir, ROUTER_MS, &why) == ERR_OK) {
		if (bus_client_admin(c, "links", SLICE_NONE, &a) == ERR_OK && !a.status)
			general_from_links(g, str_slice(&a.body));
		bus_client_answer_clear(&a);
		if (bus_client_admin(c, "stats", SLICE_NONE, &a) == ERR_OK && !a.status)
			general_from_stats(g, str_slice(&a.body));
		bus_client_close(&c);
	}
	bus_client_answer_clear(&a);
	str_clear(&why);
}

void general_from_bridge(struct general *g, struct slice json)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice words = SLICE_NONE;

	str_reset(&g->bridge);
	if (json_line_parse(&j, json) == ERR_OK && json_line_find(&j, "connection", &words))
		str_add_slice(&g->bridge, words);
	else
		str_adds(&g->bridge, "not running");
	json_line_clear(&j);
}

/* The call bridge that is a service here, if there is one: it tells whoever connects
 * (callbridge/bridge_report.h). */
static void ask_bridge(const struct xmpp_values *v, struct general *g)
{
	char *path = xasprintf("%s/" CONFIG_PATH, v->common.dir);
	struct str why = STR_INIT, json = STR_INIT;
	struct timeval patience = {.tv_sec = 3};
	struct config *cfg = NULL;

	if (config_load(&cfg, path, &why) == ERR_OK && cfg->bridge_enabled) {
		char *dir = xasprintf("%s/run/callbridge", v->common.dir);
		char *name = xasprintf("%s.sock", cfg->bridge_name);
		int fd = channel_connect(dir, name);
		size_t nfds = 0;

		if (fd >= 0) {
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
			channel_get(fd, &json, NULL, &nfds);
			close(fd);
		}
		general_from_bridge(g, str_slice(&json));
		if (fd >= 0 && !json.len) { /* stopped, or waiting for its disk */
			str_reset(&g->bridge);
			str_adds(&g->bridge, "not answering");
		}
		free(dir);
		free(name);
	}
	config_free(&cfg);
	free(path);
	str_clear(&why);
	str_clear(&json);
}

int show_general(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct general g = {.bridge = STR_INIT};
	struct str out = STR_INIT, text = STR_INIT;
	int code = event_ask(v, "general", &text);

	(void)argc, (void)argv;
	if (code == COMMAND_OK) {
		general_from_supervisor(&g, str_slice(&text));
		ask_bridge(v, &g);
		ask_router(v, &g); /* changes the working directory: last */
		general_write(&g, v->common.json, &out);
		fputs(out.data, stdout);
	}
	str_clear(&g.bridge);
	str_clear(&text);
	str_clear(&out);
	return code;
}
