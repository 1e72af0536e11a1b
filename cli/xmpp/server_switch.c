/*
 * An instance is enabled when it is made, so that it can be tried at once; who disables it enables
 * it again with what the guides ask for: a call bridge, a domain, an interface, key and
 * certificate.
 */
#include "cli/xmpp/server_switch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "cli/xmpp/component_store.h"
#include "cli/xmpp/manage.h"
#include "cli/xmpp/remote.h"
#include "cli/xmpp/server_set.h"
#include "proc/config.h"
#include "proc/sup_client.h"
#include "proc/tls_files.h"

/* ---- what enable asks for: a SUCCESS or FAILURE line each */

static int check_callbridge(const struct xmpp_values *v)
{
	struct component_list l = COMPONENT_LIST_INIT;
	struct xmpp_values here = manage_here(v);
	struct bus_client *c;
	int code = remote_open(&here, &c);

	if (code == COMMAND_OK) {
		code = component_store_list(c, DB_SECRETS_NONE, &l);
		bus_client_close(&c);
	}
	if (code != COMMAND_OK)
		manage_failure(v, "The call bridges are not known; start the server: 'supervisor "
				  "start'");
	else if (l.count == 0)
		code = manage_failure(v, "No call bridge configured; 'xmpp callbridge add NAME'");
	else
		manage_success(v, "Callbridge activated");
	component_store_clear(&l);
	return code;
}

static int check_domain(const struct xmpp_values *v, const struct config *cfg)
{
	if (!cfg->domains[0])
		return manage_failure(v, "No domain configured; 'xmpp domain DOMAIN'");
	manage_success(v, "Domain configured");
	return COMMAND_OK;
}

static int check_listen(const struct xmpp_values *v, const struct config *cfg)
{
	if (!cfg->client_listen[0] && !cfg->component_listen[0])
		return manage_failure(v, "No interface configured; 'xmpp listen a'");
	manage_success(v, "Interface configured");
	return COMMAND_OK;
}

static int check_certs(const struct xmpp_values *v, const struct config *cfg)
{
	struct str why = STR_INIT;
	struct tls_files files;
	int code = COMMAND_OK;

	if (tls_files_parse(&files, cfg, &why) != ERR_OK) {
		code = manage_failure(v, "%s", why.data);
		str_clear(&why);
		return code;
	}
	for (size_t i = 0; i < files.n; i++)
		if (server_judge(v, files.pairs[i].key_path, files.pairs[i].cert_path,
				 files.pairs[i].bundle_path) != COMMAND_OK)
			code = COMMAND_REFUSED;
	if (code == COMMAND_OK)
		manage_success(v, "Key and certificate pair match");
	tls_files_clear(&files);
	return code;
}

int server_enable(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	const struct config *cfg;
	struct managed *m;
	int code = manage_open(v, &m), worst = COMMAND_OK;

	(void)argc;
	(void)argv;
	if (code != COMMAND_OK)
		return code;
	cfg = managed_config(m);
	worst = check_callbridge(v);
	code = check_domain(v, cfg);
	worst = worst ? worst : code;
	code = check_listen(v, cfg);
	worst = worst ? worst : code;
	code = check_certs(v, cfg);
	worst = worst ? worst : code;
	if (worst == COMMAND_OK) {
		managed_set_flag(m, "xmpp.enabled", true);
		worst = manage_finish(v, &m, "XMPP server enabled");
	} else {
		manage_failure(v, cfg->xmpp_enabled
					  ? "Nothing was changed; the XMPP server stays enabled"
					  : "XMPP server not enabled");
	}
	managed_close(&m);
	return worst;
}

int server_disable(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct managed *m;
	int code = manage_open(v, &m);

	(void)argc;
	(void)argv;
	if (code == COMMAND_OK) {
		managed_set_flag(m, "xmpp.enabled", false);
		code = manage_finish(v, &m, "XMPP server disabled");
	}
	managed_close(&m);
	return code;
}

/* ---- restart */

static void on_progress(void *arg, const char *line)
{
	const struct xmpp_values *v = arg;

	if (!v->common.json)
		printf("%s\n", line);
	fflush(stdout);
}

int server_restart(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct xmpp_values here = manage_here(v);
	struct sup_client *c = NULL;
	struct str out = STR_INIT;
	int code = manage_enter(v);
	enum err e;

	(void)argc;
	(void)argv;
	if (code != COMMAND_OK)
		return code;
	e = sup_client_open(&c, ".");
	if (e == ERR_OK)
		e = sup_client_request(c, "restart all", &out, on_progress, &here);
	if (e == ERR_DENIED)
		code = manage_failure(v, "Only the administrator of this instance may restart it");
	else if (!c)
		code = command_fail("xmpp", COMMAND_UNREACHABLE,
				    "no supervisor is running here; start it: 'supervisor start'");
	else if (e != ERR_OK)
		code = manage_failure(v, "XMPP server not restarted: %s%s",
				      v->common.json ? out.data : err_text(e),
				      v->common.json ? "" : ", see above");
	else
		manage_success(v, "XMPP server restarted");
	sup_client_close(&c);
	str_clear(&out);
	return code;
}

/* ---- reset */

static int remove_components(const struct xmpp_values *v)
{
	struct component_list l = COMPONENT_LIST_INIT;
	struct xmpp_values here = manage_here(v);
	struct bus_client *c;
	size_t done = 0;
	int code = remote_open(&here, &c);

	if (code != COMMAND_OK)
		return code;
	code = component_store_list(c, DB_SECRETS_NONE, &l);
	while (code == COMMAND_OK && done < l.count) {
		char *name = xstrndup(l.items[done].name.data, l.items[done].name.len);

		code = component_store_del(c, name);
		done += code == COMMAND_OK;
		free(name);
	}
	if (code == COMMAND_OK)
		manage_success(v, "%zu call bridge%s and component%s removed", done,
			       done == 1 ? "" : "s", done == 1 ? "" : "s");
	else
		manage_failure(v,
			       "%zu of %zu call bridges and components removed; give the command "
			       "again",
			       done, l.count);
	component_store_clear(&l);
	bus_client_close(&c);
	return code;
}

/* Disabled first: what is left half-way by a crash is a server that is off, and a repeat goes on.
 * There is no cluster yet, and so no membership to be left and no trust to be removed. */
int server_reset(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct sup_client *c = NULL;
	int code = manage_enter(v);

	if (code != COMMAND_OK)
		return code;
	if (sup_client_open(&c, ".") == ERR_CLOSED)
		return command_fail("xmpp", COMMAND_UNREACHABLE,
				    "no supervisor is running here, and only the datastore can "
				    "remove the call bridges; start it: 'supervisor start'");
	sup_client_close(&c);
	code = server_disable(values, argc, argv);
	if (code == COMMAND_OK)
		code = remove_components(v);
	if (code == COMMAND_OK)
		manage_success(v, "XMPP server reset");
	return code;
}
