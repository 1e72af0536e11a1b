/*
 * tls - the certificates of a port with their keys, and the rules of connections made with them.
 *
 * Counted: a reload makes a new tls_ctx, connections keep the one they began with. Only lib/net
 * calls OpenSSL for connections; programs see the names below. TLS 1.2 or newer, forward secrecy
 * and AEAD ciphers only, no renegotiation, no compression, no early data.
 *
 * Which certificate a client gets: the first that has the name of its SNI as it stands (RFC 6066
 * 3), else the first with a wildcard for it, else the one for the domain that the program named
 * (the `to` of a stream before STARTTLS), else the first of all.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

struct tls_ctx;
struct ssl_st;

struct tls_pair {
	int cert_fd; /* read with pread from 0; -1: open cert_path */
	int key_fd;
	int bundle_fd;	       /* of no meaning without bundle_path */
	const char *cert_path; /* for error texts also when there is an fd */
	const char *key_path;
	const char *bundle_path; /* the CA's certificates (tls_chain); NULL: none but the file's */
};

struct tls_config {
	const struct tls_pair *pairs; /* the first is the default */
	size_t npairs;		      /* at least 1 */
	bool only_tls13;
	/* The ALPN name served ("xmpp-client", XEP-0368); a peer that offers ALPN without it is
	 * refused, one that offers none is taken. NULL: ALPN is ignored. Must be static. */
	const char *alpn;
};

/* Reads and judges certificates, chains and keys. On failure *out is NULL and why says what is
 * wrong and what to do: ERR_DENIED or ERR_NOTFOUND (cannot be read, or a link of the chain is
 * missing), ERR_FORMAT (no certificate, cut off), ERR_CONFLICT (the key belongs to another
 * certificate, or the bundle to another CA). */
enum err tls_ctx_new(struct tls_ctx **out, const struct tls_config *cfg, struct str *why);

struct tls_ctx *tls_ctx_ref(struct tls_ctx *t);
void tls_ctx_unref(struct tls_ctx **tp); /* NULL-safe; sets *tp to NULL; frees with the last */

size_t tls_ctx_count(const struct tls_ctx *t); /* certificates; i below is less */
/* For the log: serial=4F.. subject="/CN=.." names="a,*.a" not_after=2027-01-31T10:00:00Z
 * chain="Int B,Int A". Owned by t. */
const char *tls_ctx_text(const struct tls_ctx *t, size_t i);
const char *tls_ctx_path(const struct tls_ctx *t, size_t i); /* of its file, as configured */

/* What an administrator should know of it (put in order, expired, not yet valid, ...): lines, each
 * with its file and ended by a line feed; may be empty. */
const char *tls_ctx_warnings(const struct tls_ctx *t, size_t i);

/* Whole days until certificate i, or one that is sent behind it, expires; negative when it has.
 * now: seconds since 1970. */
int64_t tls_ctx_days_left(const struct tls_ctx *t, size_t i, int64_t now);
/* Which that is: "the certificate pki/server.crt", "the CA's certificate "X" in pki/ca.pem". */
const char *tls_ctx_expires_text(const struct tls_ctx *t, size_t i);

/* Which certificate holds this name, SIZE_MAX = none does. Case and a dot at the end do not count.
 */
size_t tls_ctx_find(const struct tls_ctx *t, struct slice name);
bool tls_ctx_covers(const struct tls_ctx *t, size_t i, struct slice name);

/* 32 bytes that only who has the default's private key can know, the same after a restart:
 * HMAC-SHA-256 of label under the key's own bytes. */
void tls_ctx_secret(const struct tls_ctx *t, const char *label, unsigned char out[32]);

/* A server end for one connection, not yet tied to a socket. i: the certificate for a client
 * without SNI, or one that names something unknown (SIZE_MAX: the default). The caller owns it; it
 * keeps what it needs of t alive. NULL when OpenSSL refuses. */
struct ssl_st *tls_ctx_server(struct tls_ctx *t, size_t i);

#endif
