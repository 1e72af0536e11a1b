#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/list.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "net/tls.h"

#define READ_MAX      (32 * 1024)
#define READS_IN_TURN 4
#define HELLO_MAX     16384 /* of a ClientHello that is not whole yet */
#define SPARES	      32    /* output buffers kept for the next turn, for all connections */
#define SPARE_MAX     (16 * 1024)

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
	struct str spare[SPARES];
	unsigned int nspares;
	char buf[READ_MAX];
};

struct conn {
	struct conn_set *set;
	const struct conn_events *events;
	void *arg;
	struct loop_fd *watch;
	struct tls_ctx *tls; /* only until the handshake begins */
	size_t cert;	     /* the same: see tls_ctx_server() */
	SSL *ssl;
	struct str out;
	size_t out_off;
	uint64_t queued;
	uint64_t written;
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
	bool freed;
	unsigned int busy; /* callbacks of this conn on the stack */
	char addr[56];
};

static void step(struct conn *c, bool readable);

static void addr_text(char *out, size_t size, const struct sockaddr_storage *peer)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (peer && peer->ss_family == AF_INET) {
		const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)peer;

		inet_ntop(AF_INET, &a->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(a->sin_port));
	} else if (peer && peer->ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)peer;

		inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(a->sin6_port));
	} else {
		snprintf(out, size, "local");
	}
}

static void enter(struct conn *c)
{
	c->busy++;
}

/* An idle connection holds no output buffer, a busy one should not make it anew for every flush. */
static void give_back(struct conn_set *s, struct str *out)
{
	if (out->cap > SPARE_MAX || out->cap == 0 || s->nspares == SPARES) {
		str_clear(out);
		return;
	}
	str_reset(out);
	s->spare[s->nspares++] = *out;
	str_init(out);
}

static void destroy(struct conn *c)
{
	loop_fd_free(&c->watch);
	if (c->ssl)
		SSL_free(c->ssl);
	tls_ctx_unref(&c->tls);
	str_clear(&c->out);
	list_remove(&c->dirty);
	list_remove(&c->again);
	close(c->fd);
	free(c);
}

/* true: the conn is gone, touch it no more. */
static bool leave(struct conn *c)
{
	check(c->busy > 0);
	if (--c->busy || !c->freed)
		return false;
	destroy(c);
	return true;
}

static void over(struct conn *c, const char *reason)
{
	if (c->state == CONN_OVER)
		return;
	c->state = CONN_OVER;
	loop_fd_free(&c->watch);
	list_remove(&c->dirty);
	list_remove(&c->again);
	str_clear(&c->out);
	enter(c);
	if (!c->freed)
		c->events->on_closed(c->arg, reason);
	leave(c); /* the caller holds one more */
}

static const char *ssl_reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *s = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return s ? s : "broken connection";
}

/* Judges the result of an SSL_* call: false when the connection is over. */
static bool ssl_go_on(struct conn *c, int result)
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
		over(c, "closed by the peer");
		return false;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		over(c, saved ? strerror(saved) : "closed by the peer without close_notify");
		return false;
	default:
		over(c, ssl_reason());
		return false;
	}
}

/* Most pauses are over before the peer says anything more (it waits for our answer): so the watch
 * goes on until it does. */
static void update_watch(struct conn *c)
{
	bool hs = c->state == CONN_HANDSHAKE;
	bool reads = hs || c->state == CONN_LINGERING ||
		     (!c->came && c->state != CONN_UPGRADE && c->state != CONN_FLUSHING);
	bool writes = c->want_write || (c->out.len > c->out_off && !hs);
	int want = (reads ? LOOP_READ : 0) | (writes ? LOOP_WRITE : 0);

	if (c->state == CONN_OVER || want == c->watching)
		return;
	c->watching = want;
	loop_fd_set(c->watch, want);
}

static void begin_handshake(struct conn *c)
{
	c->ssl = tls_ctx_server(c->tls, c->cert);
	tls_ctx_unref(&c->tls);
	if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1) {
		over(c, "no TLS object: out of memory?");
		return;
	}
	c->state = CONN_HANDSHAKE;
}

/* OpenSSL would take 128 KB of somebody who has not said who he is. */
static bool hello_is_too_big(const struct conn *c)
{
	return SSL_get_state(c->ssl) == TLS_ST_SR_CLNT_HELLO &&
	       BIO_number_read(SSL_get_rbio(c->ssl)) > HELLO_MAX;
}

static void handshake(struct conn *c)
{
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_accept(c->ssl);
	if (r != 1) {
		if (ssl_go_on(c, r) && hello_is_too_big(c))
			over(c, "the ClientHello is larger than 16384 bytes");
		return;
	}
	c->state = CONN_SECURE;
	c->events->on_secure(c->arg);
}

static void fin(struct conn *c)
{
	if (c->ssl) {
		ERR_clear_error();
		SSL_shutdown(c->ssl);
		ERR_clear_error();
	}
	shutdown(c->fd, SHUT_WR);
	c->state = CONN_LINGERING;
}

static void discard(struct conn *c)
{
	for (int i = 0; i < READS_IN_TURN; i++) {
		ssize_t n = read(c->fd, c->set->buf, READ_MAX);

		if (n > 0)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		over(c, "closed");
		return;
	}
}

static ssize_t write_some(struct conn *c)
{
	const char *p = c->out.data + c->out_off;
	size_t len = c->out.len - c->out_off;
	ssize_t n;

	if (c->ssl) {
		ERR_clear_error();
		errno = 0;
		n = SSL_write(c->ssl, p, len > INT32_MAX ? INT32_MAX : (int)len);
		return n > 0 ? n : ssl_go_on(c, (int)n) ? 0 : -1;
	}
	n = send(c->fd, p, len, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	over(c, strerror(errno));
	return -1;
}

/* What follows when the last queued byte was accepted. */
static void drained(struct conn *c)
{
	give_back(c->set, &c->out);
	c->out_off = 0;
	if (c->state == CONN_UPGRADE)
		begin_handshake(c);
	else if (c->state == CONN_FLUSHING)
		fin(c);
}

static void write_out(struct conn *c)
{
	ssize_t n = 0;

	if (c->state == CONN_OVER || c->state == CONN_HANDSHAKE || c->state == CONN_LINGERING)
		return;
	list_remove(&c->dirty);
	c->want_write = false;
	while (c->out.len > c->out_off) {
		n = write_some(c);
		if (n <= 0)
			break;
		c->out_off += (size_t)n;
		c->written += (uint64_t)n;
	}
	if (c->state == CONN_OVER)
		return;
	if (c->out.len == c->out_off)
		drained(c);
	if (c->told != c->written && c->events->on_written && c->state != CONN_OVER) {
		c->told = c->written;
		c->events->on_written(c->arg, c->written);
	}
}

static void read_plain(struct conn *c)
{
	ssize_t n = read(c->fd, c->set->buf, READ_MAX);

	if (n > 0) {
		c->read += (uint64_t)n;
		c->events->on_bytes(c->arg, c->set->buf, (size_t)n);
	} else if (n == 0) {
		over(c, "closed by the peer");
	} else if (errno != EAGAIN && errno != EINTR) {
		over(c, strerror(errno));
	}
}

static void read_secure(struct conn *c)
{
	for (int i = 0; c->state == CONN_SECURE && !c->paused && !c->freed; i++) {
		int n;

		if (i == READS_IN_TURN) {
			list_remove(&c->again);
			list_append(&c->set->again, &c->again);
			return;
		}
		ERR_clear_error();
		errno = 0;
		n = SSL_read(c->ssl, c->set->buf, READ_MAX);
		if (n <= 0) {
			ssl_go_on(c, n);
			return;
		}
		c->read += (uint64_t)n;
		c->events->on_bytes(c->arg, c->set->buf, (size_t)n);
		if (c->state != CONN_SECURE || !SSL_has_pending(c->ssl))
			return; /* the next read() would only find EAGAIN */
	}
}

static void detect(struct conn *c)
{
	char first;
	ssize_t n = recv(c->fd, &first, 1, MSG_PEEK);

	if (n == 0) {
		over(c, "closed by the peer before the first byte");
	} else if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			over(c, strerror(errno));
	} else if (first == 0x16) {
		c->direct = true;
		begin_handshake(c);
	} else {
		tls_ctx_unref(&c->tls);
		c->state = CONN_PLAIN;
	}
}

static void step(struct conn *c, bool readable)
{
	if (c->state == CONN_DETECT && readable && !c->paused)
		detect(c);
	if (c->state == CONN_PLAIN && readable && !c->paused)
		read_plain(c);
	if (c->state == CONN_HANDSHAKE) {
		c->want_write = false;
		handshake(c);
	}
	if (c->state == CONN_SECURE && readable)
		read_secure(c);
	if (c->state == CONN_LINGERING && readable)
		discard(c);
}

static void on_ready(void *arg, int events)
{
	struct conn *c = arg;

	enter(c);
	if (events & LOOP_READ)
		c->came = c->paused;
	if ((events & LOOP_WRITE) && c->state != CONN_HANDSHAKE)
		write_out(c);
	if (c->state != CONN_OVER && !c->freed)
		step(c, events & LOOP_READ);
	if (!leave(c))
		update_watch(c);
}

static void on_turn(void *arg)
{
	struct conn_set *s = arg;
	struct list now, *l;

	list_init(&now);
	while ((l = list_first(&s->again))) {
		list_remove(l);
		list_append(&now, l);
	}
	while ((l = list_first(&now))) {
		struct conn *c = list_entry(l, struct conn, again);

		list_remove(l);
		enter(c);
		step(c, true);
		if (!leave(c))
			update_watch(c);
	}
	while ((l = list_first(&s->dirty)))
		conn_flush(list_entry(l, struct conn, dirty));
	if (!list_empty(&s->again))
		loop_wake(s->loop);
}

struct conn_set *conn_set_new(struct loop *loop)
{
	struct conn_set *s = xcalloc(1, sizeof(*s));

	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes with write(): EPIPE is enough */
	s->loop = loop;
	list_init(&s->dirty);
	list_init(&s->again);
	s->hook = loop_hook_new(loop, on_turn, s);
	return s;
}

void conn_set_free(struct conn_set **sp)
{
	struct conn_set *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	check(list_empty(&s->dirty) && list_empty(&s->again));
	loop_hook_free(&s->hook);
	while (s->nspares > 0)
		str_clear(&s->spare[--s->nspares]);
	free(s);
}

struct conn *conn_new(struct conn_set *s, int fd, const struct sockaddr_storage *peer,
		      const struct conn_events *events, void *arg)
{
	struct conn *c = xcalloc(1, sizeof(*c));
	int on = 1;

	c->set = s;
	c->fd = fd;
	c->events = events;
	c->arg = arg;
	c->state = CONN_PLAIN;
	str_init(&c->out);
	list_init(&c->dirty);
	list_init(&c->again);
	addr_text(c->addr, sizeof(c->addr), peer);
	/* We batch ourselves; both fail harmlessly on a socketpair. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	c->watching = LOOP_READ;
	c->watch = loop_fd_new(s->loop, fd, LOOP_READ, on_ready, c);
	return c;
}

void conn_free(struct conn **cp)
{
	struct conn *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	c->freed = true;
	c->state = CONN_OVER;
	list_remove(&c->dirty);
	list_remove(&c->again);
	if (c->busy)
		loop_fd_free(&c->watch);
	else
		destroy(c);
}

void conn_detect_tls(struct conn *c, struct tls_ctx *tls)
{
	check(c->state == CONN_PLAIN && !c->tls && c->read == 0);
	c->tls = tls_ctx_ref(tls);
	c->state = CONN_DETECT;
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

struct str *conn_write_begin(struct conn *c)
{
	if (c->out.cap == 0 && c->set->nspares > 0)
		c->out = c->set->spare[--c->set->nspares];
	return &c->out;
}

void conn_write_end(struct conn *c)
{
	uint64_t queued = c->written + (c->out.len - c->out_off);

	if (c->state >= CONN_FLUSHING) { /* said after the last word: nobody will read it */
		c->out.len = c->out_off + (size_t)(c->queued - c->written);
		return;
	}
	if (queued == c->queued)
		return;
	c->queued = queued;
	if (list_empty(&c->dirty))
		list_append(&c->set->dirty, &c->dirty);
}

void conn_write(struct conn *c, const void *data, size_t len)
{
	if (c->state >= CONN_FLUSHING)
		return;
	str_add(conn_write_begin(c), data, len);
	conn_write_end(c);
}

void conn_flush(struct conn *c)
{
	enter(c);
	list_remove(&c->dirty);
	write_out(c);
	if (!leave(c))
		update_watch(c);
}

uint64_t conn_queued(const struct conn *c)
{
	return c->queued;
}

uint64_t conn_written(const struct conn *c)
{
	return c->written;
}

uint64_t conn_read(const struct conn *c)
{
	return c->read;
}

size_t conn_backlog(const struct conn *c)
{
	return c->out.len - c->out_off;
}

void conn_pause(struct conn *c, bool paused)
{
	if (c->paused == paused || c->state == CONN_OVER)
		return;
	c->paused = paused;
	c->came = c->came && paused;
	/* What OpenSSL has read ahead does not make the socket readable again. */
	if (!paused && c->state == CONN_SECURE && SSL_has_pending(c->ssl)) {
		list_remove(&c->again);
		list_append(&c->set->again, &c->again);
	}
	update_watch(c);
}

void conn_close(struct conn *c)
{
	if (c->state >= CONN_FLUSHING)
		return;
	list_remove(&c->again);
	if (c->state == CONN_HANDSHAKE) {
		/* Nothing can be said before the handshake is done. */
		str_clear(&c->out);
		c->out_off = 0;
		SSL_free(c->ssl);
		c->ssl = NULL;
	}
	tls_ctx_unref(&c->tls);
	c->state = CONN_FLUSHING;
	conn_flush(c);
}

const char *conn_addr(const struct conn *c)
{
	return c->addr;
}

bool conn_is_secure(const struct conn *c)
{
	return c->ssl && SSL_is_init_finished(c->ssl);
}

bool conn_was_direct(const struct conn *c)
{
	return c->direct;
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
	/* The first Finished of the handshake: the client's, or ours when a session is resumed. */
	return SSL_session_reused(c->ssl) ? SSL_get_finished(c->ssl, out, CONN_BINDING_MAX)
					  : SSL_get_peer_finished(c->ssl, out, CONN_BINDING_MAX);
}

size_t conn_binding_end_point(const struct conn *c, unsigned char out[CONN_BINDING_MAX])
{
	X509 *cert = conn_is_secure(c) ? SSL_get_certificate(c->ssl) : NULL;
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
