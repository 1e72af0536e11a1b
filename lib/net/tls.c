#include "net/tls.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/map.h"
#include "base/xmem.h"
#include "net/tls_cert.h"

#define HOST_MAX 1024 /* a domain of a JID is at most 1023 bytes (RFC 7622 3.2) */

/* All certificates of a port. Every SSL begins with the SSL_CTX of the first (the front) and keeps
 * it for life (as its session_ctx), and the front owns this through its ex_data: so a handshake
 * that outlives its tls_ctx still finds the others. */
struct certs {
	struct tls_cert *list; /* list[0].ssl is the front: borrowed, or there would be a cycle */
	size_t n;
	struct map exact; /* name to tls_cert; the first one that has it */
	struct map wild;  /* ".example.org" for "*.example.org" */
};

struct tls_ctx {
	unsigned int refs;
	SSL_CTX *front;
	struct certs *certs;
};

/* ---- choice by name */

/* Lower case, without the root's dot. False: no host name can be so long. */
static bool normal(char out[HOST_MAX], struct slice name)
{
	if (name.len > 0 && name.data[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || name.len >= HOST_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		out[i] = (char)tolower((unsigned char)name.data[i]);
	out[name.len] = '\0';
	return true;
}

static struct tls_cert *find(const struct certs *certs, struct slice name)
{
	struct tls_cert *c = NULL;
	const char *rest;
	char host[HOST_MAX];

	if (normal(host, name)) {
		c = map_find(&certs->exact, slice_str(host));
		rest = strchr(host, '.');
		if (!c && rest)
			c = map_find(&certs->wild, slice_str(rest));
	}
	return c;
}

static void index_names(struct certs *certs)
{
	for (size_t i = certs->n; i-- > 0;)
		for (char **name = certs->list[i].names; *name; name++) {
			bool wild = strncmp(*name, "*.", 2) == 0;

			map_put(wild ? &certs->wild : &certs->exact,
				slice_str(*name + (wild ? 1 : 0)), &certs->list[i]);
		}
}

/* What of a certificate's SSL_CTX SSL_set_SSL_CTX() does not carry over is set here. */
static void use(SSL *ssl, const struct tls_cert *c)
{
	SSL_set_SSL_CTX(ssl, c->ssl);
	SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(c->ssl));
	if (SSL_CTX_get_options(c->ssl) & SSL_OP_NO_TICKET)
		SSL_set_options(ssl, SSL_OP_NO_TICKET);
	else
		SSL_clear_options(ssl, SSL_OP_NO_TICKET);
}

/* RFC 6066 3: who names a server that is not here may go on with the certificate chosen before; its
 * own check of the name decides. */
static int on_servername(SSL *ssl, int *alert, void *arg)
{
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls_cert *c = host ? find(arg, slice_str(host)) : NULL;

	(void)alert;
	if (!c)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_get_SSL_CTX(ssl) != c->ssl)
		use(ssl, c);
	return SSL_TLSEXT_ERR_OK;
}

/* ---- rules */

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

static SSL_CTX *new_ssl_ctx(const struct tls_config *cfg)
{
	static const unsigned char context[] = "roundhouse";
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	check(c);
	SSL_CTX_set_min_proto_version(c, cfg->only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	/* SHA-256 before SHA-384: a TLS 1.3 handshake hashes much, and this saves the server 5 % of
	 * it (18 to 22 us). X25519 before P-256: 98 us cheaper with OpenSSL 3.0. */
	check(SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
					  "TLS_AES_256_GCM_SHA384") == 1);
	check(SSL_CTX_set_cipher_list(c, "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20") == 1);
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
	return c;
}

/* ---- tls_ctx */

static void certs_free(struct certs *certs)
{
	for (size_t i = 0; i < certs->n; i++) {
		if (i == 0)
			certs->list[i].ssl = NULL;
		tls_cert_clear(&certs->list[i]);
	}
	map_clear(&certs->exact);
	map_clear(&certs->wild);
	free(certs->list);
	free(certs);
}

static void on_front_freed(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
			   void *argp)
{
	(void)parent;
	(void)ad;
	(void)idx;
	(void)argl;
	(void)argp;
	if (ptr)
		certs_free(ptr);
}

/* One for the process: OpenSSL knows no way to give an index back. */
static int front_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_front_freed);
	check(index >= 0);
	return index;
}

enum err tls_ctx_new(struct tls_ctx **out, const struct tls_config *cfg, struct str *why)
{
	struct certs *certs = xcalloc(1, sizeof(*certs));
	enum err e = ERR_OK;
	struct tls_ctx *t;

	*out = NULL;
	check(cfg->npairs > 0);
	map_init(&certs->exact);
	map_init(&certs->wild);
	certs->list = xcalloc(cfg->npairs, sizeof(*certs->list));
	while (e == ERR_OK && certs->n < cfg->npairs) {
		e = tls_cert_init(&certs->list[certs->n], new_ssl_ctx(cfg), &cfg->pairs[certs->n],
				  why);
		certs->n += e == ERR_OK;
	}
	if (e != ERR_OK) {
		SSL_CTX_free(certs->n ? certs->list[0].ssl : NULL);
		certs_free(certs);
		return e;
	}
	index_names(certs);
	t = xcalloc(1, sizeof(*t));
	t->refs = 1;
	t->certs = certs;
	t->front = certs->list[0].ssl;
	check(SSL_CTX_set_ex_data(t->front, front_index(), certs) == 1);
	if (certs->n > 1) {
		SSL_CTX_set_tlsext_servername_callback(t->front, on_servername);
		SSL_CTX_set_tlsext_servername_arg(t->front, certs);
	}
	*out = t;
	return ERR_OK;
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
	SSL_CTX_free(t->front);
	free(t);
}

size_t tls_ctx_count(const struct tls_ctx *t)
{
	return t->certs->n;
}

const char *tls_ctx_text(const struct tls_ctx *t, size_t i)
{
	return t->certs->list[i].text;
}

const char *tls_ctx_path(const struct tls_ctx *t, size_t i)
{
	return t->certs->list[i].path;
}

int64_t tls_ctx_days_left(const struct tls_ctx *t, size_t i, int64_t now)
{
	int64_t left = (int64_t)t->certs->list[i].expires - now;

	return left >= 0 ? left / 86400 : -1 - (-left) / 86400;
}

const char *tls_ctx_expires_text(const struct tls_ctx *t, size_t i)
{
	return t->certs->list[i].expires_text;
}

const char *tls_ctx_warnings(const struct tls_ctx *t, size_t i)
{
	return t->certs->list[i].warnings;
}

size_t tls_ctx_find(const struct tls_ctx *t, struct slice name)
{
	const struct tls_cert *c = find(t->certs, name);

	return c ? (size_t)(c - t->certs->list) : SIZE_MAX;
}

bool tls_ctx_covers(const struct tls_ctx *t, size_t i, struct slice name)
{
	char host[HOST_MAX];

	return normal(host, name) && tls_cert_covers(&t->certs->list[i], host);
}

void tls_ctx_secret(const struct tls_ctx *t, const char *label, unsigned char out[32])
{
	const struct tls_cert *c = &t->certs->list[0];
	unsigned int len = 32;

	check(HMAC(EVP_sha256(), c->secret, sizeof(c->secret), (const unsigned char *)label,
		   strlen(label), out, &len));
}

struct ssl_st *tls_ctx_server(struct tls_ctx *t, size_t i)
{
	SSL *ssl = SSL_new(t->front);

	if (!ssl) {
		ERR_clear_error();
		return NULL;
	}
	if (i > 0 && i < t->certs->n)
		use(ssl, &t->certs->list[i]);
	SSL_set_accept_state(ssl);
	return ssl;
}
