/*
 * tls_client - whom our outgoing TLS connections trust, and how a server's certificate is judged.
 *
 * Counted like tls_ctx: a reload makes a new one, connections keep theirs. The rules of tls.h
 * (TLS 1.2 or newer, forward secrecy, AEAD) hold. conn_start_tls_client() uses it.
 */
#ifndef NET_TLS_CLIENT_H
#define NET_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct ssl_st;
struct tls_client;

struct tls_client_config {
	const char *ca_file; /* PEM, the issuers trusted; NULL or "": the system's */
	bool no_verify;	     /* laboratories only: any certificate will do */
	bool only_tls13;
};

/* ERR_NOTFOUND, ERR_DENIED, ERR_FORMAT: the CA file; why says what to do. */
enum err tls_client_new(struct tls_client **out, const struct tls_client_config *cfg,
			struct str *why);
struct tls_client *tls_client_ref(struct tls_client *t);
void tls_client_unref(struct tls_client **tp); /* NULL-safe; sets *tp to NULL */

/* Whom a connection is for; names in UTF-8 or ASCII. Borrowed for the call that takes it. */
struct tls_peer {
	/* SNI (RFC 6066 3): the XMPP domain (RFC 7590 3.7 by RFC 6125). NULL, or an address: none.
	 */
	const char *server_name;
	/* RFC 6125 reference names: one of them must be in the certificate (DNS-ID with wildcard,
	 * or XmppAddr, RFC 6120 13.7.1.4; SRV-ID is taken when service is given). Usually the
	 * domain alone: the target of an SRV record is what an attacker can choose. An IP address
	 * is compared with the iPAddress names. At most 4. */
	const char *const *names;
	size_t nnames;
	const char
		*service; /* "_xmpp-server": SRV-ID (RFC 4985) names of it count; NULL: none do */
	const char *alpn; /* "xmpp-client" (XEP-0368); NULL: not offered */
};

/* A client end for one connection, not yet tied to a socket; the caller owns it. NULL when OpenSSL
 * refuses. */
struct ssl_st *tls_client_ssl(struct tls_client *t, const struct tls_peer *peer);

/* Why the handshake failed when the server's certificate is the reason, else NULL. Owned by ssl. */
const char *tls_client_refusal(struct ssl_st *ssl);

#endif
