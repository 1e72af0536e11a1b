#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/xmem.h"
#include "net/conn_parts.h"
#include "net/loop.h"
#include "net/tls.h"

#define READS_IN_TURN 4
#define SPARE_MAX     (256 * 1024) /* a component's turn goes through one connection */

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
	if (out->cap > SPARE_MAX || out->cap == 0 || s->nspares == CONN_SPARES ||
	    s->spare_bytes + out->cap > CONN_SPARE_BYTES) {
		str_clear(out);
		return;
	}
	str_reset(out);
	s->spare_bytes += out->cap;
	s->spare[s->nspares++] = *out;
	str_init(out);
}

static void destroy(struct conn *c)
{
	loop_fd_free(&c->watch);
	SSL_free(c->ssl);
	SSL_free(c->next_ssl);
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

void conn_over(struct conn *c, const char *reason)
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

static void fin(struct conn *c)
{
	if (c->ssl) {
		ERR_clear_error();
		SSL_shutdown(c->ssl);
		ERR_clear_error();
	}
	c->fin_sent = shutdown(c->fd, SHUT_WR) == 0;
	c->state = CONN_LINGERING;
}

static void discard(struct conn *c)
{
	for (int i = 0; i < READS_IN_TURN; i++) {
		ssize_t n = read(c->fd, c->set->buf, CONN_READ_MAX);

		if (n > 0)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		conn_over(c, "closed");
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
		return n > 0 ? n : conn_tls_go_on(c, (int)n) ? 0 : -1;
	}
	n = send(c->fd, p, len, MSG_NOSIGNAL);
	if (n >= 0) {
		c->plain += (uint64_t)n;
		return n;
	}
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	conn_over(c, strerror(errno));
	return -1;
}

/* What follows when the last queued byte was accepted. */
static void drained(struct conn *c)
{
	give_back(c->set, &c->out);
	c->out_off = 0;
	if (c->state == CONN_UPGRADE)
		conn_tls_begin(c);
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
	ssize_t n = read(c->fd, c->set->buf, CONN_READ_MAX);

	if (n > 0) {
		c->read += (uint64_t)n;
		c->events->on_bytes(c->arg, c->set->buf, (size_t)n);
	} else if (n == 0) {
		conn_over(c, "closed by the peer");
	} else if (errno != EAGAIN && errno != EINTR) {
		conn_over(c, strerror(errno));
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
		n = SSL_read(c->ssl, c->set->buf, CONN_READ_MAX);
		if (n <= 0) {
			conn_tls_go_on(c, n);
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
		conn_over(c, "closed by the peer before the first byte");
	} else if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			conn_over(c, strerror(errno));
	} else if (first == 0x16) {
		c->direct = true;
		conn_tls_begin(c);
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
		conn_tls_handshake(c);
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

struct str *conn_write_begin(struct conn *c)
{
	struct conn_set *s = c->set;

	if (c->out.cap == 0 && s->nspares > 0) {
		c->out = s->spare[--s->nspares];
		s->spare_bytes -= c->out.cap;
	}
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

uint64_t conn_sent(const struct conn *c)
{
	return c->plain + (c->ssl ? BIO_number_written(SSL_get_wbio(c->ssl)) : 0);
}

uint64_t conn_left(const struct conn *c)
{
	uint64_t sent = conn_sent(c);
	int waiting = 0;

	if (ioctl(c->fd, SIOCOUTQ, &waiting) < 0 || waiting < 0)
		return 0;
	if (c->fin_sent && waiting > 0)
		waiting--; /* TCP numbers the FIN like a byte */
	return (uint64_t)waiting < sent ? sent - (uint64_t)waiting : 0;
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
	SSL_free(c->next_ssl);
	c->next_ssl = NULL;
	tls_ctx_unref(&c->tls);
	c->state = CONN_FLUSHING;
	conn_flush(c);
}

const char *conn_addr(const struct conn *c)
{
	return c->addr;
}

bool conn_was_direct(const struct conn *c)
{
	return c->direct;
}
