/*
 * conn - one accepted TCP connection, plain or inside TLS, as a stream of bytes each way.
 *
 * Reads into one buffer that all connections of the process share and hands the (decrypted) bytes
 * up at once; output is queued and flushed once at the end of the loop's turn, with one write() or
 * SSL_write(). An idle connection holds no buffer in either direction. Knows no protocol above TLS
 * and sets no timer: how long a handshake or a lingering close may take is the owner's business.
 *
 * Life: conn_new .. on_closed (told once, unless conn_free came first) .. conn_free. Every function
 * may be called inside every callback.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"

struct conn;
struct conn_set;
struct loop;
struct tls_client;
struct tls_ctx;
struct tls_peer;

struct conn_events {
	/* Bytes of the peer, borrowed for the call. Not called while paused or after conn_close().
	 */
	void (*on_bytes)(void *arg, const char *data, size_t len);
	/* The TLS handshake is done. */
	void (*on_secure)(void *arg);
	/* write() has accepted everything up to total (see conn_queued). May be NULL. */
	void (*on_written)(void *arg, uint64_t total);
	/* It is over; reason is for the log, static or borrowed. Only conn_free() is of use now. */
	void (*on_closed)(void *arg, const char *reason);
};

/* What the connections of a process share: the read buffer, the flush at the end of a turn. Ignores
 * SIGPIPE for the whole process. */
struct conn_set *conn_set_new(struct loop *loop);
void conn_set_free(struct conn_set **sp); /* every conn must be freed before */

/* Takes fd (non-blocking). peer may be NULL. */
struct conn *conn_new(struct conn_set *s, int fd, const struct sockaddr_storage *peer,
		      const struct conn_events *events, void *arg);
void conn_free(struct conn **cp); /* NULL-safe; closes at once what is still open */

/* The first byte decides: 0x16 begins a TLS handshake, anything else a plain stream (XEP-0368).
 * To be called before the loop turns. Without it a connection is plain. */
void conn_detect_tls(struct conn *c, struct tls_ctx *tls);

/* Turns a plain connection into a TLS server after what is queued was written (STARTTLS). Plain
 * bytes are not handed up any more. domain (may be empty) is whose certificate a client gets that
 * sends no SNI. */
void conn_start_tls(struct conn *c, struct tls_ctx *tls, struct slice domain);

/* The other direction: turns a plain connection into a TLS client after what is queued was written
 * (right after conn_new(): direct TLS; after <proceed/>: STARTTLS). on_secure only comes when the
 * server's certificate is good for peer; else on_closed, with a reason that says what is wrong with
 * it, and conn_cert_refused() is true. Bytes read in the clear from now on are a protocol error of
 * the server and not handed up. */
void conn_start_tls_client(struct conn *c, struct tls_client *tls, const struct tls_peer *peer);
bool conn_cert_refused(const struct conn *c); /* also after on_closed */

void conn_write(struct conn *c, const void *data, size_t len);
/* The same without a copy: append to the buffer returned, then call conn_write_end(). */
struct str *conn_write_begin(struct conn *c);
void conn_write_end(struct conn *c);
void conn_flush(struct conn *c); /* now, instead of at the end of the turn */

uint64_t conn_queued(const struct conn *c);  /* bytes ever queued: the mark for on_written */
uint64_t conn_written(const struct conn *c); /* bytes accepted by write() so far */
uint64_t conn_read(const struct conn *c);    /* bytes ever handed up */
size_t conn_backlog(const struct conn *c);   /* bytes queued and not accepted */

/* The same as raw bytes, those of TLS included: given to the kernel so far, and of them those that
 * the peer's kernel has acknowledged (SIOCOUTQ). Who notes conn_sent() in on_written knows by
 * conn_left() when everything up to that total has left this machine. */
uint64_t conn_sent(const struct conn *c);
uint64_t conn_left(const struct conn *c);

/* Stops and restarts reading. While it stands the peer's bytes stay in the kernel. */
void conn_pause(struct conn *c, bool paused);

/* Writes what is queued, then close_notify and FIN, then discards what still comes until the peer
 * closes too: so the last bytes (a stream error) are not lost to a reset. Ends in on_closed. */
void conn_close(struct conn *c);

const char *conn_addr(const struct conn *c); /* "192.0.2.1:5222", "[2001:db8::1]:5222" */
bool conn_is_secure(const struct conn *c);
bool conn_was_direct(const struct conn *c);	    /* TLS from the first byte */
const char *conn_tls_version(const struct conn *c); /* "TLSv1.3"; "" without TLS */
const char *conn_tls_cipher(const struct conn *c);
const char *conn_alpn(const struct conn *c, size_t *len); /* NULL = none */

#define CONN_BINDING_MAX 64
/* tls-exporter (RFC 9266): 32 bytes. 0 when there is none: no TLS, or TLS 1.2 without the extended
 * master secret (RFC 9266 4.2). */
size_t conn_binding_exporter(const struct conn *c, unsigned char out[CONN_BINDING_MAX]);
/* tls-unique (RFC 5929 3): the first Finished message, for TLS 1.2 with extended master secret. RFC
 * 9266 leaves it undefined for TLS 1.3; there it is the same message, because that is what clients
 * take whose TLS library has nothing else (Python's ssl: slixmpp). Accept it, do not offer it. */
size_t conn_binding_unique(const struct conn *c, unsigned char out[CONN_BINDING_MAX]);
/* tls-server-end-point (RFC 5929 4): a digest of the certificate that this client was shown. 0 when
 * its signature names no digest (Ed25519: undefined there). */
size_t conn_binding_end_point(const struct conn *c, unsigned char out[CONN_BINDING_MAX]);

#endif
