/*
 * A domain is served because it stands in `domains`, and its certificate is found by its names in
 * tls.extra; xmpp.multi_domains remembers which entry came with which domain, so that both go
 * together, whatever has become of the files.
 */
#include "cli/xmpp/multi_domain.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/xmpp/manage.h"
#include "cli/xmpp/server_set.h"
#include "proc/config.h"
#include "xmpp/jid.h"

/* A copy of a list that grows and shrinks; the texts are the list's. */
struct texts {
	size_t n;
	char **items; /* NULL-terminated */
};

static void texts_add(struct texts *t, const char *text)
{
	t->items = xrealloc(t->items, (t->n + 2) * sizeof(*t->items));
	t->items[t->n++] = xstrdup(text);
	t->items[t->n] = NULL;
}

static void texts_clear(struct texts *t)
{
	while (t->n > 0)
		free(t->items[--t->n]);
	free(t->items);
	t->items = NULL;
}

/* All of list but (not NULL) one. */
static struct texts texts_copy(char *const *list, const char *without)
{
	struct texts t = {.items = xcalloc(1, sizeof(*t.items))};

	for (; *list; list++)
		if (!without || strcmp(*list, without) != 0)
			texts_add(&t, *list);
	return t;
}

static bool texts_has(const struct texts *t, const char *text)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->items[i], text) == 0)
			return true;
	return false;
}

static void texts_set(struct managed *m, const char *name, const struct texts *t)
{
	managed_set_list(m, name, (const char *const *)t->items);
}

/* "DOMAIN CERTIFICATE KEY [BUNDLE]": the entry of domain, NULL = it has none. */
static const char *entry_of(const struct config *cfg, const char *domain)
{
	for (char *const *e = cfg->xmpp_multi_domains; *e; e++)
		if (slice_is(slice_of(*e, strcspn(*e, " ")), domain))
			return *e;
	return NULL;
}

/* What it is in tls.extra. */
static const char *files_of(const char *entry)
{
	const char *blank = strchr(entry, ' ');

	return blank ? blank + 1 : "";
}

static bool is_served(const struct config *cfg, const char *domain)
{
	for (char *const *d = cfg->domains; *d; d++)
		if (strcmp(*d, domain) == 0)
			return true;
	return false;
}

/* ---- add */

static void set_added(struct managed *m, const char *domain, const char *entry)
{
	const struct config *cfg = managed_config(m);
	struct texts domains = texts_copy(cfg->domains, NULL);
	struct texts extra = texts_copy(cfg->tls_extra, NULL);
	struct texts entries = texts_copy(cfg->xmpp_multi_domains, NULL);

	texts_add(&domains, domain);
	if (!texts_has(&extra, files_of(entry))) /* domains may share them */
		texts_add(&extra, files_of(entry));
	texts_add(&entries, entry);
	texts_set(m, "domains", &domains);
	texts_set(m, "tls.extra", &extra);
	texts_set(m, "xmpp.multi_domains", &entries);
	texts_clear(&domains);
	texts_clear(&extra);
	texts_clear(&entries);
}

static int add(const struct xmpp_values *v, struct managed **mp, const char *domain, int argc,
	       char **argv)
{
	char *key = server_pki_path(argv[1]), *cert = server_pki_path(argv[2]);
	char *bundle = argc > 3 ? server_pki_path(argv[3]) : NULL;
	char *entry = xasprintf("%s %s %s%s%s", domain, cert, key, bundle ? " " : "",
				bundle ? bundle : "");
	int code = COMMAND_OK;

	if (is_served(managed_config(*mp), domain))
		code = manage_failure(v, "%s is served already", domain);
	else if (strpbrk(key, " ") || strpbrk(cert, " ") || (bundle && strpbrk(bundle, " ")))
		code = manage_failure(v, "The name of a file may not hold a blank; rename it");
	if (code == COMMAND_OK)
		code = server_judge(v, key, cert, bundle);
	if (code == COMMAND_OK) {
		set_added(*mp, domain, entry);
		code = manage_commit(v, mp, true);
		if (code == COMMAND_OK)
			manage_success(v, "%s is served", domain);
		if (code == COMMAND_OK)
			server_warn_of_components(v, NULL, domain);
	}
	free(key);
	free(cert);
	free(bundle);
	free(entry);
	return code;
}

int multi_domain_add(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	char domain[JID_PART_MAX + 1];
	struct managed *m;
	int code;

	if (jid_prepare_domain(domain, slice_str(argv[0])) != ERR_OK)
		return command_fail("xmpp", COMMAND_USAGE, "'%s' is not a domain", argv[0]);
	code = manage_open(v, &m);
	if (code == COMMAND_OK)
		code = add(v, &m, domain, argc, argv);
	managed_close(&m);
	return code;
}

/* ---- del */

static bool is_used_elsewhere(const struct config *cfg, const char *entry)
{
	for (char *const *e = cfg->xmpp_multi_domains; *e; e++)
		if (*e != entry && strcmp(files_of(*e), files_of(entry)) == 0)
			return true;
	return false;
}

void multi_domain_forget(struct managed *m, const char *domain)
{
	const struct config *cfg = managed_config(m);
	const char *entry = entry_of(cfg, domain);
	struct texts extra, entries;

	if (!entry)
		return;
	entries = texts_copy(cfg->xmpp_multi_domains, entry);
	texts_set(m, "xmpp.multi_domains", &entries);
	texts_clear(&entries);
	if (is_used_elsewhere(cfg, entry))
		return;
	extra = texts_copy(cfg->tls_extra, files_of(entry));
	texts_set(m, "tls.extra", &extra);
	texts_clear(&extra);
}

static void set_removed(struct managed *m, const char *domain)
{
	struct texts domains = texts_copy(managed_config(m)->domains, domain);

	texts_set(m, "domains", &domains);
	texts_clear(&domains);
	multi_domain_forget(m, domain);
}

static int refuse_del(const struct xmpp_values *v, const struct config *cfg, const char *domain)
{
	if (strcmp(cfg->domains[0], domain) == 0)
		return manage_failure(
			v, "%s is the domain of this server; 'xmpp domain' sets another", domain);
	if (!is_served(cfg, domain))
		return manage_failure(v, "%s is not served; 'xmpp multi_domain list' lists what is",
				      domain);
	return COMMAND_OK;
}

int multi_domain_del(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	char domain[JID_PART_MAX + 1];
	struct managed *m;
	int code;

	(void)argc;
	if (jid_prepare_domain(domain, slice_str(argv[0])) != ERR_OK)
		return command_fail("xmpp", COMMAND_USAGE, "'%s' is not a domain", argv[0]);
	code = manage_open(v, &m);
	if (code == COMMAND_OK)
		code = refuse_del(v, managed_config(m), domain);
	if (code == COMMAND_OK) {
		set_removed(m, domain);
		code = manage_finish(v, &m, "%s is not served any more", domain);
	}
	managed_close(&m);
	return code;
}

/* ---- list */

/* The next word of text as people call the file, "" at the end. */
static void next_file(const char **text, char *out, size_t size)
{
	size_t n = strcspn(*text, " ");
	char *path = xstrndup(*text, n);

	snprintf(out, size, "%s", server_pki_name(path));
	*text += n + ((*text)[n] == ' ');
	free(path);
}

static void add_row(const struct xmpp_values *v, struct str *out, struct table *t,
		    const struct config *cfg, const char *domain)
{
	const char *entry = entry_of(cfg, domain), *files = entry ? files_of(entry) : "";
	char names[3][512]; /* certificate, key, bundle */

	for (size_t i = 0; i < 3; i++)
		next_file(&files, names[i], sizeof(names[i]));
	if (!v->common.json) {
		table_add(t, slice_str(domain));
		for (size_t i = 0; i < 3; i++) {
			const char *name = names[i == 0 ? 1 : i == 1 ? 0 : 2];

			table_add(t, slice_str(*name ? name : "none"));
		}
		return;
	}
	str_adds(out, "{\"domain\":");
	json_line_put_text(out, slice_str(domain));
	str_adds(out, ",\"key\":");
	json_line_put_text(out, slice_str(names[1]));
	str_adds(out, ",\"certificate\":");
	json_line_put_text(out, slice_str(names[0]));
	str_adds(out, ",\"bundle\":");
	json_line_put_text(out, slice_str(names[2]));
	str_adds(out, "}\n");
}

static void list(const struct xmpp_values *v, const struct config *cfg)
{
	static const char *const heads[] = {"DOMAIN", "KEY", "CERTIFICATE", "BUNDLE"};
	struct str out = STR_INIT;
	struct table t;

	table_init(&t, 4);
	for (size_t i = 0; i < 4; i++)
		table_add(&t, slice_str(heads[i]));
	for (char *const *d = cfg->domains + 1; *d; d++)
		add_row(v, &out, &t, cfg, *d);
	if (!v->common.json && t.cells > 4)
		table_write(&t, &out);
	else if (!v->common.json)
		str_adds(&out, "no other domain is served\n");
	fputs(out.data, stdout);
	table_clear(&t);
	str_clear(&out);
}

int multi_domain_list(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct str why = STR_INIT;
	struct config *cfg = NULL;
	int code = manage_enter(v);

	(void)argc;
	(void)argv;
	if (code == COMMAND_OK && config_load(&cfg, CONFIG_PATH, &why) != ERR_OK)
		code = command_fail("xmpp", COMMAND_REFUSED, "%s", why.data);
	if (code == COMMAND_OK)
		list(v, cfg);
	config_free(&cfg);
	str_clear(&why);
	return code;
}
