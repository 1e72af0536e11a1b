#include "cli/pki/pki_check.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "base/xmem.h"
#include "cli/pki/pki_what.h"
#include "net/tls_chain.h"
#include "net/tls_name.h"
#include "net/tls_pem.h"

static void wipe(struct str *s)
{
	if (s->cap)
		xwipe(s->data, s->cap);
	str_clear(s);
}

/* ---- match */

static enum err read_what(struct pki_what *w, const char *name, const char *dir, struct str *why)
{
	struct str bytes = STR_INIT;
	char *path;
	enum err e = pki_what_read(&bytes, &path, name, dir, why);

	pki_what_of(w, e == ERR_OK ? str_slice(&bytes) : SLICE_NONE);
	if (e == ERR_OK && !w->key) {
		str_addf(why, "%s: %s", path,
			 w->problem.len ? w->problem.data
					: "holds neither a key nor a certificate nor a request");
		e = ERR_FORMAT;
	}
	wipe(&bytes);
	free(path);
	return e;
}

enum err pki_check_match(const char *a, const char *b, const char *dir, bool *same,
			 struct str *text, struct str *why)
{
	struct pki_what x, y;
	enum err e = read_what(&x, a, dir, why), e2 = ERR_OK;

	pki_what_of(&y, SLICE_NONE);
	if (e == ERR_OK) {
		pki_what_clear(&y);
		e2 = read_what(&y, b, dir, why);
	}
	if (e == ERR_OK && e2 == ERR_OK) {
		*same = EVP_PKEY_eq(x.key, y.key) == 1;
		str_addf(text, "%s (%s) and %s (%s) %s", a, x.text.data, b, y.text.data,
			 *same ? "belong together" : "are of different keys");
	}
	pki_what_clear(&x);
	pki_what_clear(&y);
	return e != ERR_OK ? e : e2;
}

/* ---- verify */

struct source {
	struct str bytes;
	char *path;
};

static enum err source_read(struct source *s, const char *name, const char *dir, struct str *why)
{
	*s = (struct source){STR_INIT, NULL};
	return name ? pki_what_read(&s->bytes, &s->path, name, dir, why) : ERR_OK;
}

static void source_clear(struct source *s)
{
	wipe(&s->bytes);
	free(s->path);
}

static void add_step(struct str *out, int number, const X509 *x, const char *what)
{
	struct str name = STR_INIT, issuer = STR_INIT;

	tls_name_subject(&name, x);
	tls_name_issuer(&issuer, x);
	str_addf(out, "%d %s, issued by %s%s\n", number, name.data, issuer.data, what);
	str_clear(&name);
	str_clear(&issuer);
}

static void describe(const struct tls_chain *chain, struct str *out)
{
	int n = sk_X509_num(chain->send);

	add_step(out, 1, chain->leaf, "");
	for (int i = 0; i < n; i++)
		add_step(out, i + 2, sk_X509_value(chain->send, i), "");
	if (chain->root)
		add_step(out, n + 2, chain->root, " (root)");
}

/* Without a root file the bundle's own root is the judge: the chain must lead to it. */
static bool reaches(const struct tls_chain *chain, const struct source *root, struct str *reason)
{
	STACK_OF(X509) *roots = NULL;
	bool ok = false;

	if (!root->path) {
		roots = sk_X509_new_null();
		if (chain->root)
			sk_X509_push(roots, chain->root);
		if (X509_self_signed(chain->leaf, 0) == 1)
			sk_X509_push(roots, chain->leaf);
		if (sk_X509_num(roots) > 0)
			ok = tls_chain_reaches(chain, roots, "the bundle", reason);
		else
			ok = true; /* up to where the bundle goes */
		sk_X509_free(roots);
	} else if (tls_pem_certs(&roots, str_slice(&root->bytes), root->path, NULL, reason) ==
		   ERR_OK) {
		ok = tls_chain_reaches(chain, roots, root->path, reason);
		sk_X509_pop_free(roots, X509_free);
	}
	return ok;
}

static void judge(const struct source *cert, const struct source *bundle, const struct source *root,
		  struct pki_check_chain *out)
{
	struct tls_chain_files f = {.cert_path = cert->path,
				    .cert = str_slice(&cert->bytes),
				    .bundle_path = bundle->path,
				    .bundle = str_slice(&bundle->bytes)};
	struct tls_chain chain;

	if (tls_chain_build(&chain, &f, &out->reason) != ERR_OK)
		return;
	describe(&chain, &out->path);
	str_add_slice(&out->warnings, str_slice(&chain.warnings));
	if (chain.refused.len)
		str_add(&out->reason, chain.refused.data, strcspn(chain.refused.data, "\n"));
	else
		out->good = reaches(&chain, root, &out->reason);
	if (out->good && !root->path && !chain.root && X509_self_signed(chain.leaf, 0) != 1)
		str_adds(&out->warnings,
			 "no root in the bundle: that the chain leads to one was not judged; name "
			 "it as the third file\n");
	tls_chain_clear(&chain);
}

enum err pki_check_verify(const char *cert, const char *bundle, const char *root, const char *dir,
			  struct pki_check_chain *out, struct str *why)
{
	struct source files[3];
	const char *const names[3] = {cert, bundle, root};
	enum err e = ERR_OK;
	int n = 0;

	while (n < 3 && e == ERR_OK) {
		e = source_read(&files[n], names[n], dir, why);
		n++;
	}
	if (e == ERR_OK)
		judge(&files[0], &files[1], &files[2], out);
	while (n > 0)
		source_clear(&files[--n]);
	return e;
}

void pki_check_chain_clear(struct pki_check_chain *c)
{
	str_clear(&c->path);
	str_clear(&c->warnings);
	str_clear(&c->reason);
}
