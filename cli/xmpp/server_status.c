/*
 * The rows of the guides in their order (FEATURES 1.2), then ours.
 */
#include "cli/xmpp/server_status.h"

#include <stdio.h>

#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/xmpp/interfaces.h"
#include "cli/xmpp/manage.h"
#include "cli/xmpp/server_set.h"
#include "proc/config.h"
#include "proc/sup_client.h"

struct rows {
	struct str *out;
	bool json;
};

static void row(const struct rows *r, const char *label, const char *key, const char *text)
{
	if (!r->json) {
		table_label(r->out, label, slice_str(text));
		return;
	}
	str_addf(r->out, "%c\"%s\":", r->out->len ? ',' : '{', key);
	if (*text)
		json_line_put_text(r->out, slice_str(text));
	else
		str_adds(r->out, "null");
}

static void flag_row(const struct rows *r, const char *label, const char *key, bool value)
{
	const char *text = value ? "true" : "false";

	if (r->json)
		str_addf(r->out, "%c\"%s\":%s", r->out->len ? ',' : '{', key, text);
	else
		table_label(r->out, label, slice_str(text));
}

/* text: words separated by blanks. */
static void words_row(const struct rows *r, const char *label, const char *key, const char *text)
{
	const char *sep = "";

	if (!r->json) {
		table_label(r->out, label, slice_str(text));
		return;
	}
	str_addf(r->out, ",\"%s\":[", key);
	for (size_t n; *text; text += n + (text[n] == ' ')) {
		n = strcspn(text, " ");
		str_adds(r->out, sep);
		json_line_put_text(r->out, slice_of(text, n));
		sep = ",";
	}
	str_addc(r->out, ']');
}

static void list_row(const struct rows *r, const char *label, const char *key, char *const *list)
{
	struct str text = STR_INIT;

	for (char *const *e = list; *e; e++)
		str_addf(&text, "%s%s", e == list ? "" : " ", *e);
	words_row(r, label, key, text.data);
	str_clear(&text);
}

/* Of clients and of components together. */
static void interfaces_row(const struct rows *r, const struct config *cfg)
{
	char *all[64];
	struct str text = STR_INIT;
	size_t n = 0;

	for (char *const *e = cfg->client_listen; *e && n < 63; e++)
		all[n++] = *e;
	for (char *const *e = cfg->component_listen; *e && n < 63; e++)
		all[n++] = *e;
	all[n] = NULL;
	interfaces_name(&text, cfg, all);
	words_row(r, "Listening interfaces", "interfaces", text.data);
	str_clear(&text);
}

static void sessions_row(const struct rows *r, const struct config *cfg)
{
	long long max = (long long)cfg->router_sessions_per_user;
	char text[24] = "unlimited";

	if (max > 0)
		snprintf(text, sizeof(text), "%lld", max);
	if (!r->json)
		row(r, "Max sessions per user", "max_sessions", text);
	else
		str_addf(r->out, ",\"max_sessions\":%s", max > 0 ? text : "null");
}

void server_status_write(const struct config *cfg, const char *state, bool json, struct str *out)
{
	struct rows r = {out, json};
	const char *motd = cfg->xmpp_motd;

	flag_row(&r, "Enabled", "enabled", cfg->xmpp_enabled);
	flag_row(&r, "Clustered", "clustered", false);
	row(&r, "Domain", "domain", cfg->domains[0] ? cfg->domains[0] : "");
	interfaces_row(&r, cfg);
	row(&r, "Key file", "key", server_pki_name(cfg->tls_key));
	row(&r, "Certificate file", "certificate", server_pki_name(cfg->tls_certificate));
	row(&r, "CA Bundle file", "bundle", server_pki_name(cfg->tls_bundle));
	sessions_row(&r, cfg);
	row(&r, "STATUS", "status", state);
	list_row(&r, "Client addresses", "client_addresses", cfg->client_listen);
	list_row(&r, "Component addresses", "component_addresses", cfg->component_listen);
	list_row(&r, "Other domains", "other_domains", cfg->domains + (cfg->domains[0] != NULL));
	row(&r, "Message of the day", "motd", motd);
	if (json)
		str_adds(out, "}\n");
}

/* What the supervisor says; it answers ERR_AGAIN when not all is ready. */
static const char *ask_state(const struct config *cfg)
{
	struct str out = STR_INIT;
	struct sup_client *c;
	enum err e = sup_client_open(&c, ".");

	if (e == ERR_DENIED)
		return "unknown: the supervisor tells the administrator only";
	if (e != ERR_OK)
		return "XMPP server not running";
	e = sup_client_request(c, "status", &out, NULL, NULL);
	sup_client_close(&c);
	str_clear(&out);
	if (!cfg->xmpp_enabled)
		return "XMPP server disabled";
	return e == ERR_OK
		       ? "XMPP server running"
		       : "XMPP server not ready; 'supervisor status' tells which service is not";
}

int server_status(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct str why = STR_INIT, out = STR_INIT;
	struct config *cfg = NULL;
	int code = manage_enter(v);

	(void)argc;
	(void)argv;
	if (code == COMMAND_OK && config_load(&cfg, CONFIG_PATH, &why) != ERR_OK)
		code = command_fail("xmpp", COMMAND_REFUSED, "%s", why.data);
	if (code == COMMAND_OK) {
		server_status_write(cfg, ask_state(cfg), v->common.json, &out);
		fputs(out.data, stdout);
	}
	config_free(&cfg);
	str_clear(&why);
	str_clear(&out);
	return code;
}
