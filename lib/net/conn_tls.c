#include "net/conn_parts.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "base/check.h"
#include "net/tls.h"
#include "net/tls_client.h"

#define HELLO_MAX 16384 /* of a ClientHello that is not whole yet */

static const char *ssl_reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *s = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return s ? s : "broken connection";
}

/* A client says what is wrong with the server, not with OpenSSL. */
static const char *client_reason(struct conn *c)
{
	const char *refusal = tls_client_refusal(c->ssl);
	int code = ERR_GET_REASON(ERR_peek_last_error());

	if (refusal || code == SSL_R_WRONG_VERSION_NUMBER || code == SSL_R_HTTP_REQUEST)
		ERR_clear_error();
	if (refusal)
		return refusal;
	if (code == SSL_R_WRONG_VERSION_NUMBER || code == SSL_R_HTTP_REQUEST)
		return "the server does not speak TLS there";
	return ssl_reason();
}

bool conn_tls_go_on(struct conn *c, int result)
{
	int saved = errno;

	switch (SSL_get_error(c->ssl, result)) {
	case SSL_ERROR_NONE:
	case SSL_ERROR_WANT_READ:
		return true;
	case SSL_ERROR_WANT_WRITE:
		c->want_write = true;
		return true;
	case SSL_ERROR_ZERO_RETURN:
		conn_over(c, "closed by the peer");
		return false;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		conn_over(c, saved ? strerror(saved) : "closed by the peer without close_notify");
		return false;
	default:
		conn_over(c, c->client ? client_reason(c) : ssl_reason());
		return false;
	}
}

void conn_tls_begin(struct conn *c)
{
	c->ssl = c->client ? c->next_ssl : tls_ctx_server(c->tls, c->cert);
	c->next_ssl = NULL;
	tls_ctx_unref(&c->tls);
	if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1) {
		conn_over(c, "no TLS object: out of memory?");
		return;
	}
	c->state = CONN_HANDSHAKE;
	if (c->client)
		conn_tls_handshake(c); /* it speaks first */
}

/* OpenSSL would take 128 KB of somebody who has not said who he is. */
static bool hello_is_too_big(const struct conn *c)
{
	return SSL_get_state(c->ssl) == TLS_ST_SR_CLNT_HELLO &&
	       BIO_number_read(SSL_get_rbio(c->ssl)) > HELLO_MAX;
}

void conn_tls_handshake(struct conn *c)
{
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(c->ssl);
	if (r != 1) {
		if (conn_tls_go_on(c, r) && hello_is_too_big(c))
			conn_over(c, "the ClientHello is larger than 16384 bytes");
		return;
	}
	c->state = CONN_SECURE;
	/* What came with the end of the handshake does not make the socket readable again. */
	if (c->client && SSL_has_pending(c->ssl) && list_empty(&c->again))
		list_append(&c->set->again, &c->again);
	c->events->on_secure(c->arg);
}

void conn_start_tls(struct conn *c, struct tls_ctx *tls, struct slice domain)
{
	if (c->state == CONN_OVER)
		return;
	check(c->state == CONN_PLAIN && !c->tls);
	c->tls = tls_ctx_ref(tls);
	c->cert = domain.len ? tls_ctx_find(tls, domain) : SIZE_MAX;
	c->state = CONN_UPGRADE;
	conn_flush(c);
}

void conn_start_tls_client(struct conn *c, struct tls_client *tls, const struct tls_peer *peer)
{
	if (c->state == CONN_OVER)
		return;
	check(c->state == CONN_PLAIN && !c->tls && !c->next_ssl);
	c->client = true;
	c->direct = c->read == 0 && c->queued == 0;
	c->next_ssl = tls_client_ssl(tls, peer);
	c->state = CONN_UPGRADE;
	conn_flush(c);
}

bool conn_cert_refused(const struct conn *c)
{
	return c->client && c->ssl && tls_client_refusal(c->ssl) != NULL;
}

bool conn_is_secure(const struct conn *c)
{
	return c->ssl && SSL_is_init_finished(c->ssl);
}

const char *conn_tls_version(const struct conn *c)
{
	return conn_is_secure(c) ? SSL_get_version(c->ssl) : "";
}

const char *conn_tls_cipher(const struct conn *c)
{
	return conn_is_secure(c) ? SSL_get_cipher_name(c->ssl) : "";
}

const char *conn_alpn(const struct conn *c, size_t *len)
{
	const unsigned char *name = NULL;
	unsigned int n = 0;

	if (c->ssl)
		SSL_get0_alpn_selected(c->ssl, &name, &n);
	*len = n;
	return (const char *)name;
}

/* Without the extended master secret two TLS 1.2 connections can be made to share keys (the triple
 * handshake attack), so that neither binding binds. */
static bool binds(const struct conn *c)
{
	return conn_is_secure(c) &&
	       (SSL_version(c->ssl) >= TLS1_3_VERSION || SSL_get_extms_support(c->ssl) == 1);
}

size_t conn_binding_exporter(const struct conn *c, unsigned char out[CONN_BINDING_MAX])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (!binds(c))
		return 0;
	return SSL_export_keying_material(c->ssl, out, 32, label, sizeof(label) - 1,
					  (const unsigned char *)"", 0, 1) == 1
		       ? 32
		       : 0;
}

size_t conn_binding_unique(const struct conn *c, unsigned char out[CONN_BINDING_MAX])
{
	if (!binds(c))
		return 0;
	/* The first Finished of the handshake: the client's, or the server's when a session is
	 * resumed. */
	return (SSL_session_reused(c->ssl) != 0) != c->client
		       ? SSL_get_finished(c->ssl, out, CONN_BINDING_MAX)
		       : SSL_get_peer_finished(c->ssl, out, CONN_BINDING_MAX);
}

size_t conn_binding_end_point(const struct conn *c, unsigned char out[CONN_BINDING_MAX])
{
	X509 *cert = !conn_is_secure(c) ? NULL
		     : c->client	? SSL_get0_peer_certificate(c->ssl)
					: SSL_get_certificate(c->ssl);
	const EVP_MD *md = NULL;
	unsigned int len = 0;
	int nid = NID_undef;

	if (!cert || X509_get_signature_info(cert, &nid, NULL, NULL, NULL) != 1)
		return 0;
	/* RFC 5929 4.1: as it was signed, but never with less than SHA-256. */
	if (nid == NID_md5 || nid == NID_sha1)
		nid = NID_sha256;
	md = nid == NID_undef ? NULL : EVP_get_digestbynid(nid);
	return md && X509_digest(cert, md, out, &len) == 1 ? len : 0;
}
