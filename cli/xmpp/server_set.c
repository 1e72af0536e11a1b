#include "cli/xmpp/server_set.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/xmpp/component_store.h"
#include "cli/xmpp/manage.h"
#include "cli/xmpp/multi_domain.h"
#include "cli/xmpp/remote.h"
#include "net/tls_chain.h"
#include "proc/config.h"
#include "proc/sup_client.h"
#include "xmpp/jid.h"
#include "xmpp/utf8.h"

#define MOTD_MAX 2048 /* characters */

/* ---- domain */

/* The first domain is the one of `xmpp domain`, the others those of `xmpp multi_domain`. */
static void set_domain(struct managed *m, const char *domain)
{
	char *const *now = managed_config(m)->domains;
	size_t n = 0, kept = 1;
	const char **all;

	while (now[n])
		n++;
	all = xcalloc(n + 2, sizeof(*all));
	all[0] = domain;
	for (size_t i = 1; i < n; i++)
		if (strcmp(now[i], domain) != 0)
			all[kept++] = now[i];
	managed_set_list(m, "domains", all);
	free(all);
}

static void warn_of_stranded(const struct xmpp_values *v, const struct component_list *l,
			     const char *former)
{
	size_t n = 0;
	char *text;

	for (size_t i = 0; former && i < l->count; i++)
		n += slice_is(l->items[i].domain, former);
	if (!n)
		return;
	text = xasprintf("%zu call bridge%s or component%s of %s cannot connect any more; remove "
			 "and add them again",
			 n, n == 1 ? "" : "s", n == 1 ? "" : "s", former);
	manage_warning(v, text);
	free(text);
}

static void warn_of_owner(const struct xmpp_values *v, const struct component_list *l,
			  const char *domain)
{
	for (size_t i = 0; i < l->count; i++) {
		char *text;

		if (!slice_is(l->items[i].jid, domain))
			continue;
		text = xasprintf("the component %.*s was to serve %s and cannot connect any more; "
				 "'xmpp component del %.*s' removes it",
				 SLICE_ARG(l->items[i].name), domain, SLICE_ARG(l->items[i].name));
		manage_warning(v, text);
		free(text);
	}
}

void server_warn_of_components(const struct xmpp_values *v, const char *former, const char *domain)
{
	struct component_list l = COMPONENT_LIST_INIT;
	struct xmpp_values here = manage_here(v);
	struct sup_client *running = NULL;
	struct bus_client *c;

	if (sup_client_open(&running, ".") != ERR_OK)
		return;
	sup_client_close(&running);
	if (remote_open(&here, &c) != COMMAND_OK)
		return;
	if (component_store_list(c, DB_SECRETS_NONE, &l) == COMMAND_OK) {
		warn_of_stranded(v, &l, former);
		warn_of_owner(v, &l, domain);
	}
	component_store_clear(&l);
	bus_client_close(&c);
}

int server_domain(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	char domain[JID_PART_MAX + 1];
	struct managed *m;
	char *former;
	int code;

	(void)argc;
	if (jid_prepare_domain(domain, slice_str(argv[0])) != ERR_OK)
		return command_fail("xmpp", COMMAND_USAGE, "'%s' is not a domain", argv[0]);
	code = manage_open(v, &m);
	if (code == COMMAND_OK) {
		former = xstrdup(managed_config(m)->domains[0]);
		set_domain(m, domain);
		if (strcmp(former, domain) != 0)
			multi_domain_forget(m, former);
		code = manage_commit(v, &m, true);
		if (code == COMMAND_OK)
			manage_success(v, "Domain is %s", domain);
		if (code == COMMAND_OK && strcmp(former, domain) != 0)
			server_warn_of_components(v, former, domain);
		free(former);
	}
	managed_close(&m);
	return code;
}

/* ---- certificates */

char *server_pki_path(const char *name)
{
	return strchr(name, '/') ? xstrdup(name) : xasprintf("pki/%s", name);
}

const char *server_pki_name(const char *path)
{
	return strncmp(path, "pki/", 4) == 0 && !strchr(path + 4, '/') ? path + 4 : path;
}

int server_judge(const struct xmpp_values *v, const char *key, const char *cert, const char *bundle)
{
	struct str warnings = STR_INIT, why = STR_INIT;
	int code = COMMAND_OK;

	if (tls_chain_judge(key, cert, bundle, &warnings, &why) != ERR_OK)
		code = manage_failure(v, "%s", why.data);
	else if (warnings.len)
		manage_warning(v, warnings.data);
	str_clear(&warnings);
	str_clear(&why);
	return code;
}

static int certs_none(const struct xmpp_values *v, struct managed **mp)
{
	struct str ignored = STR_INIT;
	struct config *file = NULL;
	int code;

	managed_unset(*mp, "tls.key");
	managed_unset(*mp, "tls.certificate");
	managed_unset(*mp, "tls.bundle");
	config_load_layers(&file, CONFIG_PATH, NULL, &ignored);
	code = manage_finish(v, mp, "Key and certificate of " CONFIG_NAME ": %s and %s",
			     file ? server_pki_name(file->tls_key) : "none",
			     file ? server_pki_name(file->tls_certificate) : "none");
	config_free(&file);
	str_clear(&ignored);
	return code;
}

static int certs_set(const struct xmpp_values *v, struct managed **mp, int argc, char **argv)
{
	char *key = server_pki_path(argv[0]), *cert = server_pki_path(argv[1]);
	char *bundle = argc > 2 ? server_pki_path(argv[2]) : NULL;
	int code = server_judge(v, key, cert, bundle);

	if (code == COMMAND_OK) {
		managed_set_text(*mp, "tls.key", key);
		managed_set_text(*mp, "tls.certificate", cert);
		managed_set_text(*mp, "tls.bundle", bundle ? bundle : "");
		code = manage_commit(v, mp, true);
		if (code == COMMAND_OK)
			manage_success(v, "Key and certificate pair match");
	}
	free(key);
	free(cert);
	free(bundle);
	return code;
}

int server_certs(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	bool none = argc == 1 && strcmp(argv[0], "none") == 0;
	struct managed *m;
	int code;

	if (argc == 1 && !none)
		return command_fail("xmpp", COMMAND_USAGE,
				    "'xmpp certs' takes KEY CERTIFICATE [BUNDLE], or none");
	code = manage_open(v, &m);
	if (code == COMMAND_OK)
		code = none ? certs_none(v, &m) : certs_set(v, &m, argc, argv);
	managed_close(&m);
	return code;
}

/* ---- message of the day */

/* NULL, or why it cannot be put into a stanza. */
static const char *motd_fault(const char *text)
{
	size_t characters = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p < 0x20 && *p != '\n' && *p != '\t')
			return "it holds control characters";
		characters += (*p & 0xc0) != 0x80;
	}
	if (characters > MOTD_MAX)
		return "it is longer than 2048 characters";
	if (!*text)
		return "it is empty; 'xmpp motd del' removes the message";
	if (!utf8_ok(slice_str(text)))
		return "it is not UTF-8";
	/* XML 1.0 section 2.2: no client could read on behind them. */
	return strstr(text, "\xef\xbf\xbe") || strstr(text, "\xef\xbf\xbf")
		       ? "it holds U+FFFE or U+FFFF"
		       : NULL;
}

static int motd_set(const struct xmpp_values *v, const char *text, const char *done)
{
	struct managed *m;
	int code = manage_open(v, &m);

	if (code == COMMAND_OK) {
		managed_set_text(m, "xmpp.motd", text);
		code = manage_finish(v, &m, "%s", done);
	}
	managed_close(&m);
	return code;
}

int server_motd_add(const void *values, int argc, char **argv)
{
	const char *fault = motd_fault(argv[0]);

	(void)argc;
	if (fault)
		return manage_failure(values, "Message of the day: %s", fault);
	return motd_set(values, argv[0], "Message of the day set");
}

int server_motd_del(const void *values, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return motd_set(values, "", "Message of the day removed");
}

int server_motd_show(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct str why = STR_INIT, out = STR_INIT;
	struct config *cfg = NULL;
	int code = manage_enter(v);

	(void)argc;
	(void)argv;
	if (code == COMMAND_OK && config_load(&cfg, CONFIG_PATH, &why) != ERR_OK)
		code = command_fail("xmpp", COMMAND_REFUSED, "%s", why.data);
	if (code == COMMAND_OK && v->common.json) {
		str_adds(&out, "{\"motd\":");
		json_line_put_text(&out, slice_str(cfg->xmpp_motd));
		str_adds(&out, "}\n");
	} else if (code == COMMAND_OK) {
		table_raw(&out, slice_str(*cfg->xmpp_motd ? cfg->xmpp_motd : "none"));
	}
	fputs(out.data, stdout);
	config_free(&cfg);
	str_clear(&why);
	str_clear(&out);
	return code;
}

/* ---- sessions */

int server_max_sessions(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	bool none = strcmp(argv[0], "none") == 0;
	long max = none ? 0 : strtol(argv[0], NULL, 10);
	struct managed *m;
	int code;

	(void)argc;
	if (!none &&
	    (max < 1 || strlen(argv[0]) > 9 || strspn(argv[0], "0123456789") != strlen(argv[0])))
		return command_fail("xmpp", COMMAND_USAGE,
				    "'%s' is not a number of sessions; write 1 or more, or none",
				    argv[0]);
	code = manage_open(v, &m);
	if (code == COMMAND_OK) {
		managed_set_number(m, "router.sessions_per_user", max);
		code = manage_finish(v, &m, "Max sessions per user: %s",
				     none ? "unlimited" : argv[0]);
	}
	managed_close(&m);
	return code;
}
