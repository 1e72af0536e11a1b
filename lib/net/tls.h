/*
 * tls - a certificate with its key and the rules that connections made with it follow.
 *
 * Counted: a reload makes a new tls_ctx, connections keep the one they began with. Only lib/net
 * calls OpenSSL for connections; programs see the names below. TLS 1.2 or newer, forward secrecy
 * and AEAD ciphers only, no renegotiation, no compression, no early data.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct tls_ctx;
struct ssl_st;

struct tls_config {
	int cert_fd; /* read with pread from 0; -1: open cert_path */
	int key_fd;
	const char *cert_path; /* for error texts also when there is an fd */
	const char *key_path;
	bool only_tls13;
	/* The ALPN name served ("xmpp-client", XEP-0368); a peer that offers ALPN without it is
	 * refused, one that offers none is taken. NULL: ALPN is ignored. Must be static. */
	const char *alpn;
};

/* Reads and judges certificate, chain and key. On failure *out is NULL and why says what is wrong
 * and what to do: ERR_DENIED or ERR_NOTFOUND (cannot be read), ERR_FORMAT (not PEM, no
 * certificate), ERR_CONFLICT (the key belongs to another certificate). */
enum err tls_ctx_new(struct tls_ctx **out, const struct tls_config *cfg, struct str *why);

struct tls_ctx *tls_ctx_ref(struct tls_ctx *t);
void tls_ctx_unref(struct tls_ctx **tp); /* NULL-safe; sets *tp to NULL; frees with the last */

/* For the log: "serial=4F.. subject=".." expires="2027-01-31T10:00:00Z"". Owned by t. */
const char *tls_ctx_text(const struct tls_ctx *t);

/* Days until the certificate expires; negative when it has. */
int64_t tls_ctx_days_left(const struct tls_ctx *t);

/* 32 bytes that only who has the private key can know, the same after a restart: HMAC-SHA-256 of
 * label under the key's own bytes. */
void tls_ctx_secret(const struct tls_ctx *t, const char *label, unsigned char out[32]);

/* A server end for one connection, not yet tied to a socket. The caller owns it; it keeps what it
 * needs of t alive. NULL when OpenSSL refuses. */
struct ssl_st *tls_ctx_server(struct tls_ctx *t);

#endif
