/*
 * conn_parts - what conn.c (bytes and sockets) and conn_tls.c (handshake, what TLS tells) share.
 *
 * Private to these two.
 */
#ifndef NET_CONN_PARTS_H
#define NET_CONN_PARTS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "net/conn.h"

#define CONN_READ_MAX	 (32 * 1024)
#define CONN_SPARES	 32 /* output buffers kept for the next turn, for all connections */
#define CONN_SPARE_BYTES (512 * 1024)

enum conn_state {
	CONN_DETECT, /* nothing received: TLS or plain? */
	CONN_PLAIN,
	CONN_UPGRADE, /* plain output must be written before the handshake */
	CONN_HANDSHAKE,
	CONN_SECURE,
	CONN_FLUSHING,	/* closing: output must be written first */
	CONN_LINGERING, /* closing: FIN sent, the peer's is awaited */
	CONN_OVER,
};

struct conn_set {
	struct loop *loop;
	struct loop_hook *hook;
	struct list dirty; /* conns with output of this turn */
	struct list again; /* conns whose input is not used up */
	struct str spare[CONN_SPARES];
	unsigned int nspares;
	size_t spare_bytes;
	char buf[CONN_READ_MAX];
};

struct conn {
	struct conn_set *set;
	const struct conn_events *events;
	void *arg;
	struct loop_fd *watch;
	struct tls_ctx *tls; /* only until the handshake begins */
	size_t cert;	     /* the same: see tls_ctx_server() */
	SSL *ssl;
	SSL *next_ssl; /* a client end, until what is plain was written */
	struct str out;
	size_t out_off;
	uint64_t queued;
	uint64_t written;
	uint64_t plain; /* of them outside TLS */
	uint64_t told;
	uint64_t read;
	struct list dirty;
	struct list again;
	int fd;
	int watching;
	enum conn_state state;
	bool paused;
	bool came;	 /* bytes came while paused: not watched until that is over */
	bool want_write; /* OpenSSL waits for room to write */
	bool direct;
	bool fin_sent;
	bool client; /* of TLS */
	bool freed;
	unsigned int busy; /* callbacks of this conn on the stack */
	char addr[56];
};

/* conn.c: the connection is over; on_closed is told. */
void conn_over(struct conn *c, const char *reason);

/* conn_tls.c. begin: everything plain was written. */
void conn_tls_begin(struct conn *c);
void conn_tls_handshake(struct conn *c);
/* Judges the result of an SSL_* call: false when the connection is over. */
bool conn_tls_go_on(struct conn *c, int result);

#endif
