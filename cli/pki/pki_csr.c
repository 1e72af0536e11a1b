#include "cli/pki/pki_csr.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/xmem.h"
#include "cli/pki/pki_cert.h"
#include "cli/pki/pki_files.h"
#include "cli/pki/pki_names.h"
#include "cli/pki/pki_pem.h"
#include "proc/config.h"

/* All of it in memory before a file is touched. */
struct made {
	struct config *cfg; /* NULL: there is none (yet) */
	EVP_PKEY *key;
	X509_NAME *subject;
	GENERAL_NAMES *names;
};

static void made_clear(struct made *m)
{
	config_free(&m->cfg);
	EVP_PKEY_free(m->key);
	X509_NAME_free(m->subject);
	GENERAL_NAMES_free(m->names);
}

static enum err judge_options(const struct pki_csr_options *o, struct str *why)
{
	bool rsa = o->type && strcasecmp(o->type, "rsa") == 0;

	if (o->type && !rsa && strcasecmp(o->type, "ecdsa") != 0) {
		str_addf(why, "--type %s: rsa or ecdsa", o->type);
		return ERR_FORMAT;
	}
	if (o->bits && (!rsa || o->bits < PKI_CSR_RSA_MIN || o->bits > PKI_CSR_RSA_MAX)) {
		str_addf(why, "--bits %ld: %d to %d, with --type rsa only (ECDSA is P-256)",
			 o->bits, PKI_CSR_RSA_MIN, PKI_CSR_RSA_MAX);
		return ERR_FORMAT;
	}
	return ERR_OK;
}

static EVP_PKEY *new_key(const struct pki_csr_options *o)
{
	if (o->type && strcasecmp(o->type, "rsa") == 0)
		return EVP_RSA_gen((unsigned int)(o->bits ? o->bits : PKI_CSR_RSA_MIN));
	return pki_cert_new_key();
}

/* The instance's, if it has one that can be read: what is served here is only for warnings and
 * defaults. */
static struct config *load_config(const char *dir)
{
	char *path = xasprintf("%s/" CONFIG_PATH, dir);
	struct str why = STR_INIT;
	struct config *cfg = NULL;

	if (config_load(&cfg, path, &why) != ERR_OK)
		cfg = NULL;
	str_clear(&why);
	free(path);
	return cfg;
}

/* In the order that X.500 has them: the country first. */
static X509_NAME *new_subject(const struct pki_request *r, const char *cn)
{
	static const int nids[PKI_ATTRIBUTES] = {
		[PKI_C] = NID_countryName,
		[PKI_ST] = NID_stateOrProvinceName,
		[PKI_L] = NID_localityName,
		[PKI_O] = NID_organizationName,
		[PKI_OU] = NID_organizationalUnitName,
		[PKI_CN] = NID_commonName,
	};
	X509_NAME *name = X509_NAME_new();

	for (size_t a = 0; a < PKI_ATTRIBUTES && name; a++) {
		const char *value = a == PKI_CN ? cn : r->value[a];
		char country[3];

		if (a == PKI_C && value) {
			snprintf(country, sizeof(country), "%c%c", value[0] & ~0x20,
				 value[1] & ~0x20);
			value = country;
		}
		if (value && !X509_NAME_add_entry_by_NID(name, nids[a], MBSTRING_UTF8,
							 (const unsigned char *)value, -1, -1, 0)) {
			X509_NAME_free(name);
			name = NULL;
		}
	}
	return name;
}

static bool add_names(GENERAL_NAMES *names, const struct pki_request *r, const char *cn)
{
	bool ok = pki_names_add(names, cn);

	for (size_t i = 0; i < r->nnames && ok; i++)
		ok = pki_names_add(names, r->names[i]);
	return ok;
}

/* As `pki lab` does. */
static bool add_served_names(GENERAL_NAMES *names, const struct config *cfg)
{
	char host[HOST_NAME_MAX + 1] = "", wild[256 + 2];
	bool ok = true;

	for (char **d = cfg->domains; *d && ok; d++) {
		if (!pki_names_is_dns(*d))
			continue;
		snprintf(wild, sizeof(wild), "*.%s", *d);
		ok = pki_names_add(names, *d) && pki_names_add(names, wild) &&
		     pki_cert_add_xmpp(names, *d);
	}
	if (ok && gethostname(host, sizeof(host) - 1) == 0 && pki_names_is_dns(host))
		ok = pki_names_add(names, host);
	return ok && pki_names_add(names, "127.0.0.1");
}

static bool covers(const GENERAL_NAMES *names, const char *domain)
{
	const char *rest = strchr(domain, '.');

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(names, i);
		const char *name = gn->type == GEN_DNS
					   ? (const char *)ASN1_STRING_get0_data(gn->d.dNSName)
					   : "";

		if (strcasecmp(name, domain) == 0 ||
		    (rest && strncmp(name, "*.", 2) == 0 && strcasecmp(name + 1, rest) == 0))
			return true;
	}
	return false;
}

/* "The certificate must have the XMPP domain and the server's name" (the guides). */
static void warn_of_domains(const struct made *m, struct str *warnings)
{
	for (char **d = m->cfg ? m->cfg->domains : NULL; d && *d; d++)
		if (pki_names_is_dns(*d) && !covers(m->names, *d))
			str_addf(warnings,
				 "the domain %s, served here, is not among its names: clients of "
				 "that domain will refuse it; add it to subjectAltName\n",
				 *d);
}

static bool used_by_config(const struct config *cfg, const char *key)
{
	char *path = xasprintf("pki/%s", key);
	bool used = cfg && strcmp(cfg->tls_key, path) == 0;

	free(path);
	return used;
}

static enum err write_pair(const struct pki_csr_options *o, const struct pki_files *f,
			   const struct made *m, struct str *warnings, struct str *why)
{
	struct pki_dir *d = NULL;
	enum err e;

	/* A lab may begin with its keys; a request is of an instance, and a mistyped -C is none. */
	if (access(o->dir, F_OK) < 0) {
		str_addf(why, "%s: %s; name the instance's directory with -C DIR", o->dir,
			 strerror(errno));
		return ERR_IO;
	}
	e = pki_dir_open(&d, o->dir, why);
	if (e == ERR_OK && !o->force)
		e = pki_files_refuse_existing(f, d, "key and request or certificate of that name",
					      why);
	if (e == ERR_OK)
		e = pki_files_write(f, d, o->force, why);
	if (e == ERR_OK && used_by_config(m->cfg, f->list[0].name))
		str_addf(
			warnings,
			"pki/%s is the key in use (tls.key): the one before it stays in force only "
			"until a restart; put its certificate in place soon\n",
			f->list[0].name);
	pki_dir_close(&d);
	return e;
}

/* Key, subject and names; the rest is the caller's. */
static enum err prepare(struct made *m, const struct pki_csr_options *o,
			const struct pki_request *r, const char *cn, bool served, struct str *why)
{
	m->names = GENERAL_NAMES_new();
	m->subject = new_subject(r, cn);
	if (!m->names || !m->subject || !add_names(m->names, r, cn) ||
	    (served && !add_served_names(m->names, m->cfg)))
		return pki_pem_failed(why, "listing the certificate's names");
	m->key = new_key(o);
	return m->key ? ERR_OK : pki_pem_failed(why, "making a key");
}

/* ---- request */

static X509_REQ *new_request(const struct made *m)
{
	STACK_OF(X509_EXTENSION) *exts = NULL;
	X509_REQ *req = X509_REQ_new();
	bool ok = req && X509_REQ_set_version(req, X509_REQ_VERSION_1) &&
		  X509_REQ_set_subject_name(req, m->subject) && X509_REQ_set_pubkey(req, m->key) &&
		  X509V3_add1_i2d(&exts, NID_subject_alt_name, m->names, 0, 0) == 1 &&
		  X509_REQ_add_extensions(req, exts) && X509_REQ_sign(req, m->key, EVP_sha256());

	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	if (ok)
		return req;
	X509_REQ_free(req);
	return NULL;
}

enum err pki_csr_make(const struct pki_csr_options *o, const struct pki_request *r,
		      struct str *warnings, struct str *why)
{
	struct pki_files files = PKI_FILES_INIT;
	struct made m = {.cfg = NULL};
	X509_REQ *req = NULL;
	struct str *key, *csr;
	enum err e = judge_options(o, why);

	if (e == ERR_OK && !r->value[PKI_CN]) {
		str_adds(why,
			 "which name? CN:VALUE, the domain or host name, must be there; as in: "
			 "pki csr chat1 CN:example.org subjectAltName:chat1.example.org");
		e = ERR_FORMAT;
	}
	if (e != ERR_OK)
		return e;
	m.cfg = load_config(o->dir);
	e = prepare(&m, o, r, r->value[PKI_CN], false, why);
	key = pki_files_add(&files, 0600, "%s.key", r->basename);
	csr = pki_files_add(&files, 0644, "%s.csr", r->basename);
	if (e == ERR_OK && (!(req = new_request(&m)) || !pki_pem_add_key(key, m.key) ||
			    !pki_pem_add_request(csr, req)))
		e = pki_pem_failed(why, "making a certificate request");
	if (e == ERR_OK)
		e = write_pair(o, &files, &m, warnings, why);
	if (e == ERR_OK)
		warn_of_domains(&m, warnings);
	X509_REQ_free(req);
	pki_files_clear(&files);
	made_clear(&m);
	return e;
}

/* ---- self-signed */

enum err pki_csr_self_signed(const struct pki_csr_options *o, const struct pki_request *r,
			     struct str *warnings, struct str *why)
{
	struct pki_files files = PKI_FILES_INIT;
	struct made m = {.cfg = NULL};
	struct str *key, *crt;
	X509 *x = NULL;
	const char *cn;
	enum err e = judge_options(o, why);

	if (e != ERR_OK)
		return e;
	m.cfg = load_config(o->dir);
	cn = r->value[PKI_CN] ? r->value[PKI_CN] : m.cfg ? m.cfg->domains[0] : NULL;
	if (!cn || strlen(cn) > 64 || !pki_names_is_host(cn)) {
		str_adds(why, "which name? give CN:VALUE, the domain or host name");
		made_clear(&m);
		return ERR_FORMAT;
	}
	e = prepare(&m, o, r, cn, m.cfg && !r->nnames && !r->value[PKI_CN], why);
	key = pki_files_add(&files, 0600, "%s.key", r->basename);
	crt = pki_files_add(&files, 0644, "%s.crt", r->basename);
	if (e == ERR_OK &&
	    (!(x = pki_cert_new_self(m.key, m.subject, m.names, PKI_CSR_SELF_DAYS)) ||
	     !pki_pem_add_key(key, m.key) || !pki_pem_add_cert(crt, x)))
		e = pki_pem_failed(why, "signing a certificate");
	if (e == ERR_OK)
		e = write_pair(o, &files, &m, warnings, why);
	if (e == ERR_OK)
		warn_of_domains(&m, warnings);
	X509_free(x);
	pki_files_clear(&files);
	made_clear(&m);
	return e;
}
