#include "cli/pki/pki_usage.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/xmem.h"
#include "cli/common/table.h"
#include "net/tls_chain.h"
#include "proc/config.h"
#include "proc/tls_files.h"

#define SERVERS "cm-client, cm-component"

/* One block, as text or as a JSON object. */
struct block {
	struct str *out;
	bool json;
	unsigned int fields;
};

static void add(struct block *b, const char *label, const char *key, const char *value)
{
	if (!b->json) {
		table_label(b->out, label, slice_str(value));
		return;
	}
	str_addf(b->out, "%s\"%s\":", b->fields++ ? "," : "{", key);
	if (value)
		json_text(b->out, slice_str(value));
	else
		str_adds(b->out, "null");
}

static void end(struct block *b)
{
	str_adds(b->out, b->json ? "}\n" : "\n");
	b->fields = 0;
}

/* From where the instance is. NULL stays NULL. */
static char *located(const char *dir, const char *path)
{
	if (!path)
		return NULL;
	return *path == '/' ? xstrdup(path) : xasprintf("%s/%s", dir, path);
}

static void add_lines(struct block *b, const char *label, const char *key, const struct str *lines)
{
	for (const char *line = lines->data; *line;) {
		size_t len = strcspn(line, "\n");
		char *text = xstrndup(line, len);

		add(b, label, key, text);
		free(text);
		line += len + (line[len] == '\n');
		if (b->json)
			break; /* a key once */
	}
}

static void show_pair(struct block *b, const char *dir, const struct tls_files_pair *p)
{
	char *key = located(dir, p->key_path), *cert = located(dir, p->cert_path),
	     *bundle = located(dir, p->bundle_path);
	struct str warnings = STR_INIT, why = STR_INIT;
	bool ok = tls_chain_judge(key, cert, bundle, &warnings, &why) == ERR_OK;

	add(b, "Used by", "used_by", SERVERS);
	add(b, "Key file", "key", p->key_path);
	add(b, "Certificate file", "certificate", p->cert_path);
	add(b, "CA Bundle file", "bundle", p->bundle_path);
	add(b, "Pair match", "result", ok ? "yes" : why.data);
	add_lines(b, "Warning", "warning", &warnings);
	end(b);
	str_clear(&warnings);
	str_clear(&why);
	free(key);
	free(cert);
	free(bundle);
}

static void show_bridge(struct block *b, const struct config *cfg)
{
	if (!cfg->bridge_enabled)
		return;
	add(b, "Used by", "used_by", "callbridge");
	add(b, "Trusted CA file", "ca", *cfg->bridge_ca ? cfg->bridge_ca : "the system's");
	end(b);
}

enum err pki_usage(const char *dir, bool json, struct str *out, struct str *why)
{
	char *path = located(dir, CONFIG_PATH);
	struct block b = {.out = out, .json = json};
	struct config *cfg = NULL;
	struct tls_files files;
	enum err e = config_load(&cfg, path, why);

	if (e == ERR_OK)
		e = tls_files_parse(&files, cfg, why);
	if (e == ERR_OK) {
		for (size_t i = 0; i < files.n; i++)
			show_pair(&b, dir, &files.pairs[i]);
		show_bridge(&b, cfg);
		tls_files_clear(&files);
	}
	config_free(&cfg);
	free(path);
	return e;
}
