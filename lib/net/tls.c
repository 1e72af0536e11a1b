#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/xmem.h"

#define PEM_MAX (1024 * 1024)

struct tls_ctx {
	unsigned int refs;
	SSL_CTX *ssl;
	char *text;
	time_t expires;
	unsigned char secret[32];
};

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

static time_t asn1_time(const ASN1_TIME *t)
{
	struct tm tm = {0};

	return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static void describe(struct tls_ctx *t, X509 *cert)
{
	BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *serial = bn ? BN_bn2hex(bn) : NULL;
	char name[256], when[40];
	struct tm tm;

	t->expires = asn1_time(X509_get0_notAfter(cert));
	gmtime_r(&t->expires, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof(name));
	t->text = xasprintf("serial=%s subject=%s expires=%s", serial ? serial : "?",
			    log_quote(slice_str(name)), when);
	OPENSSL_free(serial);
	BN_free(bn);
}

/* No pass phrase: a service that asks a terminal for one hangs instead of failing. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static enum err use_certificate(struct tls_ctx *t, const struct str *pem, const char *path,
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
	if (SSL_CTX_use_certificate(t->ssl, cert) != 1) {
		str_addf(why,
			 "%s: OpenSSL refuses the certificate (%s); use RSA of 2048 bits or "
			 "more, or ECDSA",
			 path, openssl_reason());
		goto out;
	}
	while ((ca = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
		SSL_CTX_add0_chain_cert(t->ssl, ca);
	ERR_clear_error();
	describe(t, cert);
	e = ERR_OK;
out:
	X509_free(cert);
	BIO_free(bio);
	return e;
}

static enum err use_key(struct tls_ctx *t, const struct str *pem, const struct tls_config *cfg,
			struct str *why)
{
	BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	unsigned char *der = NULL;
	unsigned int len = sizeof(t->secret);
	enum err e = ERR_FORMAT;
	int n;

	if (!key) {
		str_addf(why,
			 "%s: holds no usable private key (%s); it must be PEM without a "
			 "pass phrase",
			 cfg->key_path, openssl_reason());
		goto out;
	}
	if (SSL_CTX_use_PrivateKey(t->ssl, key) != 1 || SSL_CTX_check_private_key(t->ssl) != 1) {
		ERR_clear_error();
		str_addf(why,
			 "%s: is not the key of the certificate in %s; name the two files "
			 "that belong together",
			 cfg->key_path, cfg->cert_path);
		e = ERR_CONFLICT;
		goto out;
	}
	n = i2d_PrivateKey(key, &der);
	check(n > 0);
	check(HMAC(EVP_sha256(), "roundhouse tls secret", 21, der, (size_t)n, t->secret, &len));
	OPENSSL_clear_free(der, (size_t)n);
	e = ERR_OK;
out:
	EVP_PKEY_free(key);
	BIO_free(bio);
	return e;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
		   const unsigned char *in, unsigned int inlen, void *arg)
{
	const char *alpn = arg; /* static: a handshake may outlive its tls_ctx */
	size_t want = strlen(alpn);

	(void)ssl;
	for (unsigned int i = 0; i < inlen && i + 1 + in[i] <= inlen; i += 1u + in[i]) {
		if (in[i] == want && memcmp(in + i + 1, alpn, want) == 0) {
			*out = in + i + 1;
			*outlen = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol, RFC 7301 3.2 */
}

static void set_rules(struct tls_ctx *t, const struct tls_config *cfg)
{
	static const unsigned char context[] = "roundhouse";
	SSL_CTX *c = t->ssl;

	SSL_CTX_set_min_proto_version(c, cfg->only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	check(SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1);
	check(SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384") == 1);
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
				       SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* An idle connection holds no buffers (MEASURED D); one read() takes several records. */
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* The chain is what the file holds: OpenSSL must not look for more in every handshake. */
	SSL_CTX_set_mode(c, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(c, context, sizeof(context) - 1);
	if (cfg->alpn)
		SSL_CTX_set_alpn_select_cb(c, on_alpn, (void *)(uintptr_t)cfg->alpn);
}

/* A ticket costs its maker 50 us, in each full handshake. With an RSA key a client that comes back
 * with it saves 300; with an ECDSA key not even the 50 (MEASURED D, bench/README.md). */
static void set_tickets(struct tls_ctx *t)
{
	const EVP_PKEY *key = SSL_CTX_get0_privatekey(t->ssl);

	SSL_CTX_set_num_tickets(t->ssl, EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? 1 : 0);
}

enum err tls_ctx_new(struct tls_ctx **out, const struct tls_config *cfg, struct str *why)
{
	struct str cert = STR_INIT, key = STR_INIT;
	struct tls_ctx *t = xcalloc(1, sizeof(*t));
	enum err e;

	*out = NULL;
	t->refs = 1;
	t->ssl = SSL_CTX_new(TLS_server_method());
	check(t->ssl);
	set_rules(t, cfg);
	e = read_all(&cert, cfg->cert_fd, cfg->cert_path, why);
	if (e == ERR_OK)
		e = read_all(&key, cfg->key_fd, cfg->key_path, why);
	if (e == ERR_OK)
		e = use_certificate(t, &cert, cfg->cert_path, why);
	if (e == ERR_OK)
		e = use_key(t, &key, cfg, why);
	if (e == ERR_OK)
		set_tickets(t);
	if (key.cap)
		xwipe(key.data, key.cap);
	str_clear(&key);
	str_clear(&cert);
	if (e != ERR_OK)
		tls_ctx_unref(&t);
	*out = t;
	return e;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *t)
{
	t->refs++;
	return t;
}

void tls_ctx_unref(struct tls_ctx **tp)
{
	struct tls_ctx *t = *tp;

	*tp = NULL;
	if (!t || --t->refs)
		return;
	SSL_CTX_free(t->ssl);
	free(t->text);
	xwipe(t->secret, sizeof(t->secret));
	free(t);
}

const char *tls_ctx_text(const struct tls_ctx *t)
{
	return t->text;
}

int64_t tls_ctx_days_left(const struct tls_ctx *t)
{
	time_t now = time(NULL);

	return t->expires >= now ? (t->expires - now) / 86400 : -1 - (now - t->expires) / 86400;
}

void tls_ctx_secret(const struct tls_ctx *t, const char *label, unsigned char out[32])
{
	unsigned int len = 32;

	check(HMAC(EVP_sha256(), t->secret, sizeof(t->secret), (const unsigned char *)label,
		   strlen(label), out, &len));
}

struct ssl_st *tls_ctx_server(struct tls_ctx *t)
{
	SSL *ssl = SSL_new(t->ssl);

	if (ssl)
		SSL_set_accept_state(ssl);
	else
		ERR_clear_error();
	return ssl;
}
