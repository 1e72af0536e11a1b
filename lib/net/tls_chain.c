#include "net/tls_chain.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"
#include "net/tls_name.h"
#include "net/tls_pem.h"

/* A certificate behind the leaf. */
struct link {
	X509 *x; /* borrowed from the file's list */
	const char *path;
	int number; /* in its file, from 1 */
	bool used;
	bool skipped; /* a duplicate */
};

struct pool {
	STACK_OF(X509) * cert_file;
	STACK_OF(X509) * bundle_file; /* NULL: none */
	struct link *links;
	size_t n;
};

/* ---- names */

/* For texts that name several: filled once each, freed together. */
struct names {
	struct str subject;
	struct str issuer;
};

static struct names names_of(const X509 *x)
{
	struct names n = {STR_INIT, STR_INIT};

	tls_name_subject(&n.subject, x);
	tls_name_issuer(&n.issuer, x);
	return n;
}

static void names_clear(struct names *n)
{
	str_clear(&n->subject);
	str_clear(&n->issuer);
}

/* ---- pool */

static void pool_clear(struct pool *p)
{
	sk_X509_pop_free(p->cert_file, X509_free);
	sk_X509_pop_free(p->bundle_file, X509_free);
	free(p->links);
}

static void add_link(struct pool *p, X509 *x, const char *path, int number, struct tls_chain *out)
{
	struct link *l = &p->links[p->n++];
	struct names n;

	*l = (struct link){.x = x, .path = path, .number = number};
	if (X509_cmp(x, out->leaf) == 0)
		l->skipped = true;
	for (size_t i = 0; i + 1 < p->n; i++)
		if (!p->links[i].skipped && X509_cmp(p->links[i].x, x) == 0)
			l->skipped = true;
	if (!l->skipped)
		return;
	n = names_of(x);
	str_addf(&out->warnings, "%s: certificate %d, %s, stands there twice%s; one is left out\n",
		 path, number, n.subject.data,
		 X509_cmp(x, out->leaf) == 0 ? " (the server's own needs not be in the bundle)"
					     : "");
	names_clear(&n);
}

/* The one that the key fits: the first, unless the file is shuffled. */
static int find_leaf(const struct pool *p, const struct tls_chain_files *f)
{
	for (int i = 0; f->key && i < sk_X509_num(p->cert_file); i++)
		if (X509_check_private_key(sk_X509_value(p->cert_file, i), f->key) == 1)
			return i;
	ERR_clear_error();
	return f->key ? -1 : 0;
}

static bool key_is_in(const STACK_OF(X509) * certs, EVP_PKEY *key)
{
	bool found = false;

	for (int i = 0; i < sk_X509_num(certs); i++)
		found |= X509_check_private_key(sk_X509_value(certs, i), key) == 1;
	ERR_clear_error();
	return found;
}

static enum err fill_pool(struct pool *p, struct tls_chain *out, const struct tls_chain_files *f,
			  struct str *why)
{
	int leaf = find_leaf(p, f), ncert = sk_X509_num(p->cert_file);
	int nbundle = p->bundle_file ? sk_X509_num(p->bundle_file) : 0;

	if (leaf < 0) {
		str_addf(why,
			 "%s: is not the key of the certificate in %s; name the two files "
			 "that belong together",
			 f->key_path, f->cert_path);
		if (key_is_in(p->bundle_file, f->key))
			str_addf(why, " (its certificate stands in %s)", f->bundle_path);
		return ERR_CONFLICT;
	}
	out->leaf = sk_X509_value(p->cert_file, leaf);
	X509_up_ref(out->leaf);
	if (leaf > 0)
		str_addf(&out->warnings,
			 "%s: the server's own certificate is number %d and should be the first; "
			 "put in order\n",
			 f->cert_path, leaf + 1);
	p->links = xcalloc((size_t)(ncert + nbundle), sizeof(*p->links));
	for (int i = 0; i < ncert; i++)
		if (i != leaf)
			add_link(p, sk_X509_value(p->cert_file, i), f->cert_path, i + 1, out);
	for (int i = 0; i < nbundle; i++)
		add_link(p, sk_X509_value(p->bundle_file, i), f->bundle_path, i + 1, out);
	return ERR_OK;
}

/* ---- the path from the leaf upwards */

static bool is_self_signed(X509 *x)
{
	bool yes = X509_self_signed(x, 1) == 1;

	ERR_clear_error();
	return yes;
}

static bool has_ended(const X509 *x)
{
	return X509_cmp_current_time(X509_get0_notAfter(x)) <= 0;
}

static bool issued(X509 *issuer, X509 *cert)
{
	bool yes = X509_check_issued(issuer, cert) == X509_V_OK &&
		   X509_verify(cert, X509_get0_pubkey(issuer)) == 1;

	ERR_clear_error();
	return yes;
}

/* The file's order decides between several (cross-signed CAs), unless the first has expired. */
static struct link *find_issuer(struct pool *p, X509 *cert)
{
	struct link *found = NULL;

	for (size_t i = 0; i < p->n; i++) {
		struct link *l = &p->links[i];

		if (l->used || l->skipped || !issued(l->x, cert))
			continue;
		if (!has_ended(l->x))
			return l;
		if (!found)
			found = l;
	}
	return found;
}

/* Puts the path into send and root; order gets where its parts stood. */
static X509 *climb(struct pool *p, struct tls_chain *out, struct str *order, bool *shuffled)
{
	X509 *at = out->leaf;
	struct link *l, *before = NULL;

	while (!is_self_signed(at) && (l = find_issuer(p, at))) {
		l->used = true;
		*shuffled |= before && l < before;
		before = l;
		str_adds(order, order->len ? ", " : "");
		tls_name_subject(order, l->x);
		at = l->x;
		X509_up_ref(at);
		if (is_self_signed(at))
			out->root = at;
		else
			check(sk_X509_push(out->send, at) > 0);
	}
	return at;
}

/* Another certificate of one that is on the path (signed by somebody else): no missing link. */
static bool is_twin(const struct pool *p, const struct link *l)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->links[i].used &&
		    X509_NAME_cmp(X509_get_subject_name(p->links[i].x),
				  X509_get_subject_name(l->x)) == 0 &&
		    EVP_PKEY_eq(X509_get0_pubkey(p->links[i].x), X509_get0_pubkey(l->x)) == 1)
			return true;
	return false;
}

static const struct link *find_unused(const struct pool *p, bool twins)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->links[i].used && !p->links[i].skipped &&
		    (twins || !is_twin(p, &p->links[i])))
			return &p->links[i];
	return NULL;
}

/* One with the name of cert's issuer, but not its key. */
static const struct link *find_namesake(const struct pool *p, const X509 *cert)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->links[i].used && X509_NAME_cmp(X509_get_subject_name(p->links[i].x),
						       X509_get_issuer_name(cert)) == 0)
			return &p->links[i];
	return NULL;
}

static enum err does_not_belong(const struct pool *p, const struct tls_chain *c,
				const struct tls_chain_files *f, const struct link *unused,
				struct str *why)
{
	const struct link *namesake = find_namesake(p, c->leaf);
	struct names leaf = names_of(c->leaf), other = names_of(unused->x);

	if (is_self_signed(c->leaf))
		str_addf(why,
			 "%s: does not belong to %s, which is self-signed and needs no bundle; "
			 "leave the bundle out, or name the certificate that the CA issued",
			 unused->path, f->cert_path);
	else if (namesake)
		str_addf(why,
			 "%s: does not belong to %s: its %s has the name of the issuer but is not "
			 "the one that signed; get the bundle that came with this certificate",
			 namesake->path, f->cert_path, leaf.issuer.data);
	else
		str_addf(why,
			 "%s: does not belong to %s, which was issued by %s; it has %s instead; "
			 "get the bundle of %s",
			 unused->path, f->cert_path, leaf.issuer.data, other.subject.data,
			 leaf.issuer.data);
	names_clear(&leaf);
	names_clear(&other);
	return ERR_CONFLICT;
}

static enum err missing_link(X509 *last, const struct link *unused, struct str *why)
{
	struct names n = names_of(last), other = names_of(unused->x);

	str_addf(why,
		 "%s: a link is missing: %s was issued by %s, which is not there; add its "
		 "certificate, or take %s out if it is of another chain",
		 unused->path, n.subject.data, n.issuer.data, other.subject.data);
	names_clear(&n);
	names_clear(&other);
	return ERR_NOTFOUND;
}

static enum err order(struct pool *p, struct tls_chain *out, const struct tls_chain_files *f,
		      struct str *why)
{
	struct str path = STR_INIT;
	bool shuffled = false;
	X509 *last = climb(p, out, &path, &shuffled);
	const struct link *unused = find_unused(p, false);
	enum err e = ERR_OK;

	if (unused && last == out->leaf)
		e = does_not_belong(p, out, f, unused, why);
	else if (unused && !out->root)
		e = missing_link(last, unused, why);
	if (e == ERR_OK && shuffled)
		str_addf(&out->warnings,
			 "%s: not in order (each one's issuer behind it, the root last); used in "
			 "this one: %s\n",
			 f->bundle_path ? f->bundle_path : f->cert_path, path.data);
	while (e == ERR_OK && (unused = find_unused(p, true))) {
		struct names n = names_of(unused->x);

		str_addf(&out->warnings,
			 "%s: certificate %d, %s, is no part of the chain and is not used\n",
			 unused->path, unused->number, n.subject.data);
		names_clear(&n);
		p->links[unused - p->links].skipped = true;
	}
	str_clear(&path);
	return e;
}

/* ---- what clients refuse */

static void judge_dates(struct tls_chain *c, X509 *x, const char *path)
{
	struct names n = names_of(x);
	bool own = x == c->leaf;

	if (own && has_ended(x))
		str_addf(&c->refused, "%s: has expired: clients refuse it; renew it\n", path);
	else if (has_ended(x))
		str_addf(&c->refused,
			 "%s: the CA's certificate %s has expired: clients refuse the chain; get "
			 "the CA's new bundle\n",
			 path, n.subject.data);
	else if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		str_addf(&c->refused,
			 "%s: %s%s is not valid yet: clients refuse it; set the clock of this "
			 "machine, or wait\n",
			 path, own ? "the certificate" : "the CA's certificate ",
			 own ? "" : n.subject.data);
	if (!c->first || ASN1_TIME_compare(X509_get0_notAfter(x), X509_get0_notAfter(c->first)) < 0)
		c->first = x;
	names_clear(&n);
}

static void warn_of_root(struct tls_chain *c, const char *path)
{
	struct names n;

	if (!c->root || !has_ended(c->root))
		return;
	n = names_of(c->root);
	str_addf(&c->warnings,
		 "%s: the root %s has expired; it is not sent, but clients that trust it refuse "
		 "the certificate: get the CA's new bundle\n",
		 path, n.subject.data);
	names_clear(&n);
}

static X509_STORE_CTX *new_ctx(X509_STORE *store, const struct tls_chain *c)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	check(ctx && X509_STORE_CTX_init(ctx, store, c->leaf, c->send) == 1);
	X509_STORE_CTX_set_default(ctx, "ssl_server");
	/* As OpenSSL's clients in Debian: 112 bits, no SHA-1. */
	X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), 2);
	return ctx;
}

/* All but dates, with the end of the chain trusted: purposes, path lengths, weak keys. */
static void judge_chain(struct tls_chain *c, const char *path)
{
	int nsend = sk_X509_num(c->send);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx;
	struct names n;

	check(store);
	X509_STORE_add_cert(store, c->root ? c->root
				   : nsend ? sk_X509_value(c->send, nsend - 1)
					   : c->leaf);
	ctx = new_ctx(store, c);
	X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx),
				    X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
	if (X509_verify_cert(ctx) != 1) {
		X509 *at = X509_STORE_CTX_get_current_cert(ctx);

		n = names_of(at ? at : c->leaf);
		str_addf(&c->refused,
			 "%s: clients refuse %s: %s; have the CA issue one for a TLS server (RSA "
			 "of 2048 bits or more, or ECDSA, with SHA-256)\n",
			 path, n.subject.data,
			 X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
		names_clear(&n);
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
}

static void judge_use(struct tls_chain *c, const struct tls_chain_files *f)
{
	const char *path = f->bundle_path ? f->bundle_path : f->cert_path;

	judge_dates(c, c->leaf, f->cert_path);
	for (int i = 0; i < sk_X509_num(c->send); i++)
		judge_dates(c, sk_X509_value(c->send, i), path);
	warn_of_root(c, path);
	judge_chain(c, f->cert_path);
}

/* ---- */

enum err tls_chain_build(struct tls_chain *out, const struct tls_chain_files *f, struct str *why)
{
	struct pool p = {0};
	bool key_in_bundle = false;
	enum err e;

	*out = (struct tls_chain){
		.send = sk_X509_new_null(), .warnings = STR_INIT, .refused = STR_INIT};
	check(out->send);
	e = tls_pem_certs(&p.cert_file, f->cert, f->cert_path, NULL, why);
	if (e == ERR_OK && f->bundle_path)
		e = tls_pem_certs(&p.bundle_file, f->bundle, f->bundle_path, &key_in_bundle, why);
	if (e == ERR_OK)
		e = fill_pool(&p, out, f, why);
	if (e == ERR_OK)
		e = order(&p, out, f, why);
	if (e == ERR_OK)
		judge_use(out, f);
	if (key_in_bundle)
		str_addf(&out->warnings,
			 "%s: holds a private key beside the certificates; take it out, bundles "
			 "are given to others\n",
			 f->bundle_path);
	pool_clear(&p);
	if (e != ERR_OK)
		tls_chain_clear(out);
	return e;
}

void tls_chain_clear(struct tls_chain *c)
{
	X509_free(c->leaf);
	X509_free(c->root);
	sk_X509_pop_free(c->send, X509_free);
	str_clear(&c->warnings);
	str_clear(&c->refused);
	*c = (struct tls_chain){.warnings = STR_INIT, .refused = STR_INIT};
}

static void say_broken(const struct tls_chain *c, const char *root_path, X509_STORE_CTX *ctx,
		       struct str *why)
{
	int nsend = sk_X509_num(c->send), code = X509_STORE_CTX_get_error(ctx);
	X509 *at = X509_STORE_CTX_get_current_cert(ctx);
	struct names n = names_of(at ? at : nsend ? sk_X509_value(c->send, nsend - 1) : c->leaf);

	switch (code) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		str_addf(why,
			 "a link is missing: %s was issued by %s, which is neither in the bundle "
			 "nor in %s; add it to the bundle, or name the CA's root",
			 n.subject.data, n.issuer.data, root_path);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		str_addf(why,
			 "%s: the chain ends in %s, which is not there; name the root of that CA",
			 root_path, n.subject.data);
		break;
	default:
		str_addf(why, "%s is refused: %s", n.subject.data,
			 X509_verify_cert_error_string(code));
	}
	names_clear(&n);
}

bool tls_chain_reaches(const struct tls_chain *c, const struct stack_st_X509 *roots,
		       const char *root_path, struct str *why)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx;
	bool ok;

	check(store);
	for (int i = 0; i < sk_X509_num(roots); i++)
		X509_STORE_add_cert(store, sk_X509_value(roots, i));
	ctx = new_ctx(store, c);
	ok = X509_verify_cert(ctx) == 1;
	if (!ok)
		say_broken(c, root_path, ctx, why);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return ok;
}

/* ---- files */

static enum err judge(const struct tls_chain_files *f, struct str *warnings, struct str *why)
{
	struct tls_chain chain;
	enum err e = tls_chain_build(&chain, f, why);

	if (e != ERR_OK)
		return e;
	if (chain.refused.len) {
		str_add(why, chain.refused.data, strcspn(chain.refused.data, "\n"));
		e = ERR_RANGE;
	} else {
		str_add_slice(warnings, str_slice(&chain.warnings));
	}
	tls_chain_clear(&chain);
	return e;
}

enum err tls_chain_judge(const char *key_path, const char *cert_path, const char *bundle_path,
			 struct str *warnings, struct str *why)
{
	struct str key = STR_INIT, cert = STR_INIT, bundle = STR_INIT;
	struct tls_chain_files f = {
		.cert_path = cert_path, .bundle_path = bundle_path, .key_path = key_path};
	enum err e = tls_pem_read(&key, -1, key_path, why);

	if (e == ERR_OK)
		e = tls_pem_read(&cert, -1, cert_path, why);
	if (e == ERR_OK && bundle_path)
		e = tls_pem_read(&bundle, -1, bundle_path, why);
	if (e == ERR_OK)
		e = tls_pem_key(&f.key, str_slice(&key), key_path, why);
	f.cert = str_slice(&cert);
	f.bundle = str_slice(&bundle);
	if (e == ERR_OK)
		e = judge(&f, warnings, why);
	EVP_PKEY_free(f.key);
	if (key.cap)
		xwipe(key.data, key.cap);
	if (cert.cap) /* one file may hold both */
		xwipe(cert.data, cert.cap);
	str_clear(&key);
	str_clear(&cert);
	str_clear(&bundle);
	return e;
}
