#include "bench/tcp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotime.h"
#include "base/xmem.h"

#define READ_CHUNK  16384
#define TURN_EVENTS 256

struct tcp {
	int epoll;
	const struct opts *opts;
	SSL_CTX *tls;
	struct sockaddr_storage addr;
	socklen_t addrlen;
	struct list dirty;   /* connections with output */
	struct list garbage; /* freed during a turn; their events may still be in the batch */
	uint32_t opened;
};

enum conn_state { CONNECTING, PLAIN, SHAKING, SECURE, CLOSED };

struct tcp_conn {
	struct tcp *tcp;
	struct list link; /* in dirty or garbage */
	int fd;
	enum conn_state state;
	bool freed;
	bool plain;   /* never TLS */
	bool watched; /* known to epoll */
	bool paused;
	bool resumed; /* no longer paused: OpenSSL may have what epoll does not see */
	uint32_t events;
	SSL *ssl;
	struct str in, out;
	const struct tcp_events *on;
	void *arg;
};

static bool resolve(struct tcp *n)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char port[8];

	snprintf(port, sizeof port, "%u", n->opts->port);
	int rc = getaddrinfo(n->opts->host, port, &hints, &found);
	if (rc != 0) {
		fprintf(stderr, "%s: %s; give --host an address\n", n->opts->host,
			gai_strerror(rc));
		return false;
	}
	memcpy(&n->addr, found->ai_addr, found->ai_addrlen);
	n->addrlen = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

static bool tls_context(struct tcp *n)
{
	static const unsigned char alpn[] = "\x0bxmpp-client";

	n->tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(n->tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					 SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_protos(n->tls, alpn, sizeof alpn - 1);
	if (!n->opts->ca)
		return true;
	SSL_CTX_set_verify(n->tls, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_load_verify_locations(n->tls, n->opts->ca, NULL) == 1)
		return true;
	fprintf(stderr, "--ca %s: no certificate could be read from it\n", n->opts->ca);
	return false;
}

struct tcp *tcp_new(const struct opts *o)
{
	struct tcp *n = xcalloc(1, sizeof *n);

	n->opts = o;
	n->epoll = epoll_create1(EPOLL_CLOEXEC);
	list_init(&n->dirty);
	list_init(&n->garbage);
	if (!resolve(n) || !tls_context(n))
		tcp_free(&n);
	return n;
}

void tcp_free(struct tcp **np)
{
	struct tcp *n = *np;

	if (!n)
		return;
	close(n->epoll);
	SSL_CTX_free(n->tls);
	free(n);
	*np = NULL;
}

static void want(struct tcp_conn *c, uint32_t events)
{
	if (c->paused)
		events &= ~(uint32_t)EPOLLIN;
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (c->watched && c->events == events)
		return;
	epoll_ctl(c->tcp->epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev);
	c->watched = true;
	c->events = events;
}

static void shut(struct tcp_conn *c)
{
	list_remove(&c->link);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	SSL_free(c->ssl);
	c->ssl = NULL;
	c->state = CLOSED;
}

static void fail(struct tcp_conn *c, const char *why)
{
	if (c->state == CLOSED)
		return;
	shut(c);
	c->on->on_closed(c->arg, why);
}

/* One address has 28,000 ports: on loopback further connections come from others. */
static void spread(struct tcp *n, int fd)
{
	const struct sockaddr_in *server = (const struct sockaddr_in *)(const void *)&n->addr;
	/* Several generators at once begin at different ones. */
	uint32_t more = ((uint32_t)getpid() + n->opened++ / 20000) % 200;
	struct sockaddr_in from = {.sin_family = AF_INET};
	int one = 1;

	if (more == 0 || server->sin_family != AF_INET ||
	    ntohl(server->sin_addr.s_addr) >> 24 != 127)
		return;
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + more);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	bind(fd, (const struct sockaddr *)&from, sizeof from);
}

static struct tcp_conn *open_to(struct tcp *n, const struct sockaddr *addr, bool plain,
				const struct tcp_events *events, void *arg)
{
	int one = 1;
	int fd = socket(n->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return NULL;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	spread(n, fd);
	if (connect(fd, addr, n->addrlen) != 0 && errno != EINPROGRESS) {
		int saved = errno;
		close(fd);
		errno = saved;
		return NULL;
	}
	struct tcp_conn *c = xcalloc(1, sizeof *c);
	c->tcp = n;
	c->fd = fd;
	c->plain = plain;
	c->on = events;
	c->arg = arg;
	list_init(&c->link);
	str_init(&c->in);
	str_init(&c->out);
	want(c, EPOLLOUT);
	return c;
}

struct tcp_conn *tcp_open(struct tcp *n, const struct tcp_events *events, void *arg)
{
	return open_to(n, (const struct sockaddr *)&n->addr, false, events, arg);
}

struct tcp_conn *tcp_open_plain(struct tcp *n, uint16_t port, const struct tcp_events *events,
				void *arg)
{
	struct sockaddr_storage addr = n->addr;

	if (addr.ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)&addr)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)(void *)&addr)->sin_port = htons(port);
	return open_to(n, (const struct sockaddr *)&addr, true, events, arg);
}

void tcp_close(struct tcp_conn **cp)
{
	struct tcp_conn *c = *cp;

	if (!c)
		return;
	shut(c);
	c->freed = true;
	list_append(&c->tcp->garbage, &c->link);
	*cp = NULL;
}

struct str *tcp_input(struct tcp_conn *c)
{
	return &c->in;
}

struct str *tcp_output(struct tcp_conn *c)
{
	if (c->state != CLOSED && list_empty(&c->link))
		list_append(&c->tcp->dirty, &c->link);
	return &c->out;
}

void tcp_pause(struct tcp_conn *c, bool paused)
{
	if (c->paused == paused || (c->state != PLAIN && c->state != SECURE))
		return;
	c->paused = paused;
	c->resumed = !paused;
	want(c, c->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
	if (c->resumed)
		tcp_output(c); /* comes by in this turn's flush */
}

int tcp_buffer(struct tcp_conn *c, int bytes)
{
	socklen_t len = sizeof bytes;

	if (bytes)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	getsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len);
	return bytes;
}

static const char *tls_reason(void)
{
	static char text[160];
	unsigned long e = ERR_get_error();

	if (e == 0)
		return "the server closed the connection within TLS";
	ERR_error_string_n(e, text, sizeof text);
	ERR_clear_error();
	return text;
}

static void shake(struct tcp_conn *c)
{
	int rc = SSL_connect(c->ssl);

	if (rc == 1) {
		c->state = SECURE;
		want(c, EPOLLIN);
		c->on->on_connected(c->arg);
		return;
	}
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		want(c, EPOLLIN);
		return;
	case SSL_ERROR_WANT_WRITE:
		want(c, EPOLLOUT);
		return;
	default:
		fail(c, tls_reason());
	}
}

void tcp_start_tls(struct tcp_conn *c)
{
	c->ssl = SSL_new(c->tcp->tls);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_tlsext_host_name(c->ssl, c->tcp->opts->domain);
	if (c->tcp->opts->ca)
		SSL_set1_host(c->ssl, c->tcp->opts->domain);
	c->state = SHAKING;
	shake(c);
}

static void connected(struct tcp_conn *c)
{
	int error = 0;
	socklen_t len = sizeof error;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		fail(c, strerror(error));
		return;
	}
	if (c->tcp->opts->tls == TLS_DIRECT && !c->plain) {
		tcp_start_tls(c);
		return;
	}
	c->state = PLAIN;
	want(c, EPOLLIN);
	c->on->on_connected(c->arg);
}

/* Bytes read; 0 = nothing now; -1 = the connection failed (reported). */
static ssize_t read_some(struct tcp_conn *c)
{
	ssize_t n;

	str_reserve(&c->in, READ_CHUNK);
	if (c->state == SECURE) {
		n = SSL_read(c->ssl, c->in.data + c->in.len, READ_CHUNK);
		if (n <= 0) {
			int e = SSL_get_error(c->ssl, (int)n);

			if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
				return 0;
			fail(c, tls_reason());
			return -1;
		}
	} else {
		n = read(c->fd, c->in.data + c->in.len, READ_CHUNK);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0) {
			fail(c, n ? strerror(errno) : "the server closed the connection");
			return -1;
		}
	}
	c->in.len += (size_t)n;
	c->in.data[c->in.len] = 0;
	return n;
}

static void readable(struct tcp_conn *c)
{
	/* A full TLS record may leave more inside OpenSSL, which epoll does not see. */
	while ((c->state == SECURE || c->state == PLAIN) && read_some(c) > 0) {
		c->on->on_data(c->arg);
		if (c->paused || c->state != SECURE || !SSL_has_pending(c->ssl))
			break;
	}
}

static void flush(struct tcp_conn *c)
{
	ssize_t n;

	list_remove(&c->link);
	if (c->resumed) {
		c->resumed = false;
		readable(c);
	}
	if (c->out.len == 0 || (c->state != PLAIN && c->state != SECURE))
		return;
	if (c->state == SECURE) {
		n = SSL_write(c->ssl, c->out.data, (int)c->out.len);
		if (n <= 0) {
			int e = SSL_get_error(c->ssl, (int)n);

			if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
				fail(c, tls_reason());
				return;
			}
			n = 0;
		}
	} else {
		n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			fail(c, strerror(errno));
			return;
		}
		n = n < 0 ? 0 : n;
	}
	str_consume(&c->out, (size_t)n);
	want(c, c->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void flush_all(struct tcp *n)
{
	while (!list_empty(&n->dirty))
		flush(list_entry(list_first(&n->dirty), struct tcp_conn, link));
}

static void collect(struct tcp *n)
{
	while (!list_empty(&n->garbage)) {
		struct tcp_conn *c = list_entry(list_first(&n->garbage), struct tcp_conn, link);

		list_remove(&c->link);
		str_clear(&c->in);
		str_clear(&c->out);
		free(c);
	}
}

void tcp_turn(struct tcp *n, int ms)
{
	struct epoll_event events[TURN_EVENTS];

	flush_all(n);
	int count = epoll_wait(n->epoll, events, TURN_EVENTS, ms);
	for (int i = 0; i < count; i++) {
		struct tcp_conn *c = events[i].data.ptr;

		if (c->freed || c->state == CLOSED)
			continue;
		if (c->state == CONNECTING) {
			connected(c);
		} else if (c->state == SHAKING) {
			shake(c);
		} else {
			if (events[i].events & EPOLLOUT)
				flush(c);
			if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				readable(c);
		}
	}
	flush_all(n);
	collect(n);
}

void tcp_turn_for(struct tcp *n, double seconds)
{
	struct monotime end = monotime_add_ms(monotime_now(), (uint64_t)(seconds * 1000));

	for (struct monotime now = monotime_now(); monotime_before(now, end); now = monotime_now())
		tcp_turn(n, (int)monotime_ms_between(now, end) + 1);
}
