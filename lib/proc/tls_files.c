#include "proc/tls_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmem.h"
#include "proc/config.h"

#define BLANKS " \t"

static char *next_word(const char **at)
{
	const char *word = *at + strspn(*at, BLANKS);
	size_t len = strcspn(word, BLANKS);

	*at = word + len;
	return len ? xstrndup(word, len) : NULL;
}

/* "CERTIFICATE KEY BUNDLE", without a bundle, or one file that holds certificate and key. */
static bool parse_entry(struct tls_files_pair *p, const char *text)
{
	p->cert_path = next_word(&text);
	p->key_path = p->cert_path ? next_word(&text) : NULL;
	p->bundle_path = p->key_path ? next_word(&text) : NULL;
	if (p->cert_path && !text[strspn(text, BLANKS)]) {
		if (!p->key_path)
			p->key_path = xstrdup(p->cert_path);
		return true;
	}
	free(p->cert_path);
	free(p->key_path);
	free(p->bundle_path);
	return false;
}

enum err tls_files_parse(struct tls_files *f, const struct config *cfg, struct str *why)
{
	enum err e = ERR_OK;

	f->n = 1;
	f->pairs[0].cert_path = xstrdup(cfg->tls_certificate);
	f->pairs[0].key_path = xstrdup(cfg->tls_key);
	f->pairs[0].bundle_path =
		cfg->tls_bundle && *cfg->tls_bundle ? xstrdup(cfg->tls_bundle) : NULL;
	for (char *const *entry = cfg->tls_extra; *entry && e == ERR_OK; entry++) {
		if (f->n == TLS_FILES_MAX) {
			str_addf(why,
				 "tls.extra: more than %d entries; one certificate may have many "
				 "names, or several domains can share a wildcard",
				 TLS_FILES_MAX - 1);
			e = ERR_TOOBIG;
		} else if (parse_entry(&f->pairs[f->n], *entry)) {
			f->n++;
		} else {
			str_addf(why,
				 "tls.extra: \"%s\": write \"CERTIFICATE KEY\" or \"CERTIFICATE "
				 "KEY BUNDLE\", file names without blanks in them (one alone if "
				 "the file holds certificate and key)",
				 *entry);
			e = ERR_FORMAT;
		}
	}
	if (e != ERR_OK)
		tls_files_clear(f);
	return e;
}

void tls_files_clear(struct tls_files *f)
{
	while (f->n > 0) {
		f->n--;
		free(f->pairs[f->n].cert_path);
		free(f->pairs[f->n].key_path);
		free(f->pairs[f->n].bundle_path);
	}
}

static void name(size_t pair, const char *what, char out[TLS_FILES_NAME_MAX])
{
	if (pair == 0)
		snprintf(out, TLS_FILES_NAME_MAX, "tls.%s", what);
	else
		snprintf(out, TLS_FILES_NAME_MAX, "tls.extra.%zu.%s", pair, what);
}

void tls_files_cert_name(size_t pair, char out[TLS_FILES_NAME_MAX])
{
	name(pair, "certificate", out);
}

void tls_files_key_name(size_t pair, char out[TLS_FILES_NAME_MAX])
{
	name(pair, "key", out);
}

void tls_files_bundle_name(size_t pair, char out[TLS_FILES_NAME_MAX])
{
	name(pair, "bundle", out);
}
