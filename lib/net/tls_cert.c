#include "net/tls_cert.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/xmem.h"
#include "net/tls.h"

#define PEM_MAX	  (1024 * 1024)
#define NAMES_MAX 1000

static const char *openssl_reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *s = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return s ? s : "no reason given";
}

static enum err read_all(struct str *out, int fd, const char *path, struct str *why)
{
	int own = -1;
	ssize_t n = 0;

	if (fd < 0)
		fd = own = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		do {
			str_reserve(out, 4096);
			n = pread(fd, out->data + out->len, 4096, (off_t)out->len);
			if (n > 0)
				out->len += (size_t)n;
		} while (n > 0 && out->len < PEM_MAX);
	}
	if (fd < 0 || n < 0) {
		int e = errno;

		str_addf(why, "%s: %s; make it readable for this service", path, strerror(e));
		if (own >= 0)
			close(own);
		return e == ENOENT ? ERR_NOTFOUND : e == EACCES ? ERR_DENIED : ERR_IO;
	}
	if (own >= 0)
		close(own);
	return ERR_OK;
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

	c->begins = asn1_time(X509_get0_notBefore(cert));
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

/* No pass phrase: a service that asks a terminal for one hangs instead of failing. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static enum err use_certificate(struct tls_cert *c, const struct str *pem, const char *path,
				struct str *why)
{
	BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
	X509 *cert = bio ? PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL) : NULL;
	enum err e = ERR_FORMAT;
	X509 *ca;

	if (!cert) {
		str_addf(why,
			 "%s: holds no certificate (%s); it must be PEM, the server's own "
			 "certificate first",
			 path, openssl_reason());
		goto out;
	}
	if (SSL_CTX_use_certificate(c->ssl, cert) != 1) {
		str_addf(why,
			 "%s: OpenSSL refuses the certificate (%s); use RSA of 2048 bits or "
			 "more, or ECDSA",
			 path, openssl_reason());
		goto out;
	}
	while ((ca = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
		SSL_CTX_add0_chain_cert(c->ssl, ca);
	/* A file cut off within its chain, as by a full disk, must not pass: clients without the
	 * intermediate refuse us. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		str_addf(why,
			 "%s: a certificate behind the server's own cannot be read (%s); put the "
			 "whole chain there",
			 path, openssl_reason());
		goto out;
	}
	ERR_clear_error();
	describe(c, cert);
	e = ERR_OK;
out:
	X509_free(cert);
	BIO_free(bio);
	return e;
}

static enum err use_key(struct tls_cert *c, const struct str *pem, const struct tls_pair *pair,
			struct str *why)
{
	BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	unsigned char *der = NULL;
	unsigned int len = sizeof(c->secret);
	enum err e = ERR_FORMAT;
	int n;

	if (!key) {
		str_addf(why,
			 "%s: holds no usable private key (%s); it must be PEM without a "
			 "pass phrase",
			 pair->key_path, openssl_reason());
		goto out;
	}
	if (SSL_CTX_use_PrivateKey(c->ssl, key) != 1 || SSL_CTX_check_private_key(c->ssl) != 1) {
		ERR_clear_error();
		str_addf(why,
			 "%s: is not the key of the certificate in %s; name the two files "
			 "that belong together",
			 pair->key_path, pair->cert_path);
		e = ERR_CONFLICT;
		goto out;
	}
	n = i2d_PrivateKey(key, &der);
	check(n > 0);
	check(HMAC(EVP_sha256(), "roundhouse tls secret", 21, der, (size_t)n, c->secret, &len));
	OPENSSL_clear_free(der, (size_t)n);
	e = ERR_OK;
out:
	EVP_PKEY_free(key);
	BIO_free(bio);
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

enum err tls_cert_init(struct tls_cert *c, SSL_CTX *ssl, const struct tls_pair *pair,
		       struct str *why)
{
	struct str cert = STR_INIT, key = STR_INIT;
	enum err e;

	memset(c, 0, sizeof(*c));
	c->ssl = ssl;
	c->path = xstrdup(pair->cert_path);
	e = read_all(&cert, pair->cert_fd, pair->cert_path, why);
	if (e == ERR_OK)
		e = read_all(&key, pair->key_fd, pair->key_path, why);
	if (e == ERR_OK)
		e = use_certificate(c, &cert, pair->cert_path, why);
	if (e == ERR_OK)
		e = use_key(c, &key, pair, why);
	if (e == ERR_OK)
		set_tickets(c);
	if (key.cap)
		xwipe(key.data, key.cap);
	if (cert.cap) /* one file may hold both */
		xwipe(cert.data, cert.cap);
	str_clear(&key);
	str_clear(&cert);
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
	xwipe(c, sizeof(*c));
}
