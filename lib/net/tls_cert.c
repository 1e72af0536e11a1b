#include "net/tls_cert.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/xmem.h"
#include "net/tls.h"
#include "net/tls_chain.h"
#include "net/tls_name.h"
#include "net/tls_pem.h"

#define NAMES_MAX 1000

static const char *openssl_reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *s = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return s ? s : "no reason given";
}

/* ---- names */

struct names {
	char **list;
	size_t n;
};

/* A name that holds a NUL or a control character is none: it would read as another one. */
static void add_name(struct names *names, const unsigned char *data, int len)
{
	char *name;

	for (int i = 0; i < len; i++)
		if (data[i] <= ' ' || data[i] == 0x7f)
			return;
	if (len <= 0 || names->n == NAMES_MAX)
		return;
	name = xstrndup((const char *)data, (size_t)len);
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->list[i], name) != 0)
			continue;
		free(name);
		return;
	}
	names->list = xrealloc(names->list, (names->n + 2) * sizeof(*names->list));
	names->list[names->n++] = name;
	names->list[names->n] = NULL;
}

/* RFC 6120 13.7.1.2.1: xmppAddr, and SRVName of the client's service (RFC 4985). */
static void add_other_name(struct names *names, const OTHERNAME *other)
{
	static const char service[] = "_xmpp-client.";
	const ASN1_STRING *s = other->value->value.asn1_string;
	int nid = OBJ_obj2nid(other->type_id), skip = 0;

	if (nid == NID_XmppAddr && other->value->type == V_ASN1_UTF8STRING)
		skip = 0;
	else if (nid == NID_SRVName && other->value->type == V_ASN1_IA5STRING &&
		 ASN1_STRING_length(s) > (int)sizeof(service) - 1 &&
		 memcmp(ASN1_STRING_get0_data(s), service, sizeof(service) - 1) == 0)
		skip = (int)sizeof(service) - 1;
	else
		return;
	add_name(names, ASN1_STRING_get0_data(s) + skip, ASN1_STRING_length(s) - skip);
}

static char **names_of(const X509 *cert)
{
	GENERAL_NAMES *san = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	struct names names = {xcalloc(1, sizeof(char *)), 0};

	for (int i = 0; i < sk_GENERAL_NAME_num(san); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(san, i);

		if (gn->type == GEN_DNS)
			add_name(&names, ASN1_STRING_get0_data(gn->d.dNSName),
				 ASN1_STRING_length(gn->d.dNSName));
		else if (gn->type == GEN_OTHERNAME)
			add_other_name(&names, gn->d.otherName);
	}
	GENERAL_NAMES_free(san);
	ERR_clear_error();
	return names.list;
}

bool tls_cert_covers(const struct tls_cert *c, const char *host)
{
	const char *rest = strchr(host, '.');

	for (char **name = c->names; *name; name++)
		if (strcmp(*name, host) == 0 ||
		    (rest && strncmp(*name, "*.", 2) == 0 && strcmp(*name + 1, rest) == 0))
			return true;
	return false;
}

/* ---- description */

static time_t asn1_time(const ASN1_TIME *t)
{
	struct tm tm = {0};

	return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static void describe(struct tls_cert *c, X509 *cert)
{
	BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *serial = bn ? BN_bn2hex(bn) : NULL;
	struct str names = STR_INIT;
	char subject[256], when[40];
	struct tm tm;

	c->expires = asn1_time(X509_get0_notAfter(cert));
	c->names = names_of(cert);
	gmtime_r(&c->expires, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof(subject));
	for (size_t i = 0; c->names[i]; i++)
		str_addf(&names, "%s%s", i ? "," : "", c->names[i]);
	c->text = xasprintf("serial=%s subject=%s names=%s not_after=%s", serial ? serial : "?",
			    log_quote(slice_str(subject)), log_quote(str_slice(&names)), when);
	str_clear(&names);
	OPENSSL_free(serial);
	BN_free(bn);
}

/* ---- files */

static enum err use_certificate(struct tls_cert *c, const struct tls_chain *chain,
				const struct tls_pair *pair, struct str *why)
{
	if (SSL_CTX_use_certificate(c->ssl, chain->leaf) != 1) {
		str_addf(why,
			 "%s: OpenSSL refuses the certificate (%s); use RSA of 2048 bits or "
			 "more, or ECDSA",
			 pair->cert_path, openssl_reason());
		return ERR_FORMAT;
	}
	for (int i = 0; i < sk_X509_num(chain->send); i++) {
		X509 *ca = sk_X509_value(chain->send, i);
		struct str name = STR_INIT;

		if (SSL_CTX_add1_chain_cert(c->ssl, ca) == 1)
			continue;
		tls_name_subject(&name, ca);
		str_addf(why,
			 "%s: OpenSSL refuses the CA's certificate %s (%s); use one of a CA with "
			 "RSA "
			 "of 2048 bits or more, or ECDSA",
			 pair->bundle_path ? pair->bundle_path : pair->cert_path, name.data,
			 openssl_reason());
		str_clear(&name);
		return ERR_FORMAT;
	}
	return ERR_OK;
}

static enum err use_key(struct tls_cert *c, EVP_PKEY *key, const struct tls_pair *pair,
			struct str *why)
{
	unsigned char *der = NULL;
	unsigned int len = sizeof(c->secret);
	int n;

	if (SSL_CTX_use_PrivateKey(c->ssl, key) != 1) {
		str_addf(why, "%s: OpenSSL refuses the key (%s); make one with `pki csr`",
			 pair->key_path, openssl_reason());
		return ERR_FORMAT;
	}
	n = i2d_PrivateKey(key, &der);
	check(n > 0);
	check(HMAC(EVP_sha256(), "roundhouse tls secret", 21, der, (size_t)n, c->secret, &len));
	OPENSSL_clear_free(der, (size_t)n);
	return ERR_OK;
}

static void add_chain_text(struct tls_cert *c, const struct tls_chain *chain)
{
	struct str names = STR_INIT;
	char *text;

	for (int i = 0; i < sk_X509_num(chain->send); i++) {
		str_adds(&names, i ? "," : "");
		tls_name_plain(&names, sk_X509_value(chain->send, i));
	}
	text = xasprintf("%s chain=%s", c->text, log_quote(str_slice(&names)));
	free(c->text);
	c->text = text;
	str_clear(&names);
}

/* A file may be nearly expired because one of the CA's in it is. */
static char *name_first(const struct tls_chain *chain, const struct tls_pair *pair)
{
	struct str text = STR_INIT;

	if (chain->first == chain->leaf) {
		str_addf(&text, "the certificate %s", pair->cert_path);
	} else {
		str_adds(&text, "the CA's certificate ");
		tls_name_subject(&text, chain->first);
		str_addf(&text, " in %s", pair->bundle_path ? pair->bundle_path : pair->cert_path);
	}
	return str_detach(&text);
}

static enum err use_chain(struct tls_cert *c, const struct tls_chain_files *files,
			  const struct tls_pair *pair, struct str *why)
{
	struct tls_chain chain;
	enum err e = tls_chain_build(&chain, files, why);

	if (e != ERR_OK)
		return e;
	e = use_certificate(c, &chain, pair, why);
	if (e == ERR_OK)
		e = use_key(c, files->key, pair, why);
	if (e == ERR_OK) {
		describe(c, chain.leaf);
		add_chain_text(c, &chain);
		c->expires = asn1_time(X509_get0_notAfter(chain.first));
		c->expires_text = name_first(&chain, pair);
		str_add_slice(&chain.refused, str_slice(&chain.warnings));
		c->warnings = str_detach(&chain.refused);
	}
	tls_chain_clear(&chain);
	return e;
}

/* A ticket costs its maker 50 us, in each full handshake. With an RSA key a client that comes back
 * with it saves 300; with an ECDSA key not even the 50 (MEASURED D, bench/README.md). */
static void set_tickets(struct tls_cert *c)
{
	const EVP_PKEY *key = SSL_CTX_get0_privatekey(c->ssl);

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
		SSL_CTX_set_num_tickets(c->ssl, 1);
		return;
	}
	SSL_CTX_set_num_tickets(c->ssl, 0);	       /* TLS 1.3 */
	SSL_CTX_set_options(c->ssl, SSL_OP_NO_TICKET); /* TLS 1.2 */
}

static void wipe(struct str *s)
{
	if (s->cap)
		xwipe(s->data, s->cap);
	str_clear(s);
}

enum err tls_cert_init(struct tls_cert *c, SSL_CTX *ssl, const struct tls_pair *pair,
		       struct str *why)
{
	struct str cert = STR_INIT, key = STR_INIT, bundle = STR_INIT;
	struct tls_chain_files files = {.cert_path = pair->cert_path,
					.bundle_path = pair->bundle_path,
					.key_path = pair->key_path};
	enum err e;

	memset(c, 0, sizeof(*c));
	c->ssl = ssl;
	c->path = xstrdup(pair->cert_path);
	e = tls_pem_read(&cert, pair->cert_fd, pair->cert_path, why);
	if (e == ERR_OK)
		e = tls_pem_read(&key, pair->key_fd, pair->key_path, why);
	if (e == ERR_OK && pair->bundle_path)
		e = tls_pem_read(&bundle, pair->bundle_fd, pair->bundle_path, why);
	if (e == ERR_OK)
		e = tls_pem_key(&files.key, str_slice(&key), pair->key_path, why);
	files.cert = str_slice(&cert);
	files.bundle = str_slice(&bundle);
	if (e == ERR_OK)
		e = use_chain(c, &files, pair, why);
	if (e == ERR_OK)
		set_tickets(c);
	EVP_PKEY_free(files.key);
	wipe(&key);
	wipe(&cert); /* one file may hold both */
	str_clear(&bundle);
	if (e != ERR_OK)
		tls_cert_clear(c);
	return e;
}

void tls_cert_clear(struct tls_cert *c)
{
	SSL_CTX_free(c->ssl);
	for (char **name = c->names; name && *name; name++)
		free(*name);
	free(c->names);
	free(c->text);
	free(c->path);
	free(c->expires_text);
	free(c->warnings);
	xwipe(c, sizeof(*c));
}
