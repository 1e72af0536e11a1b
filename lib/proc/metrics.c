#include "proc/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/listener.h"
#include "net/loop.h"
#include "proc/config.h"
#include "proc/metrics_types.h"

#define FOLDER	    "run/metrics"
#define ASKERS_MAX  8
#define REQUEST_MAX 4096
#define PATIENCE_MS 5000
#define BACKLOG	    128

/* One connection: a request is read to its empty line, answered, and that was it. */
struct asker {
	struct list link;
	struct metrics *m;
	int fd;
	struct loop_fd *watch;
	struct loop_timer *late;
	struct str in;
	struct str out;
	size_t written;
	bool done; /* only what still comes is read, so that the answer is not lost to a reset */
};

static void asker_free(struct asker *a)
{
	list_remove(&a->link);
	a->m->nasking--;
	loop_fd_free(&a->watch);
	loop_timer_free(&a->late);
	close(a->fd);
	str_clear(&a->in);
	str_clear(&a->out);
	free(a);
}

static void on_late(void *arg)
{
	asker_free(arg);
}

static void answer(struct asker *a, const char *status, const char *type, struct slice body)
{
	str_addf(&a->out,
		 "HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		 "Connection: close\r\n\r\n",
		 status, type, body.len);
	str_add_slice(&a->out, body);
	loop_fd_set(a->watch, LOOP_WRITE);
}

static bool asks_for(struct slice request, const char *path)
{
	size_t len = strlen(path);

	return request.len > 4 + len && memcmp(request.data, "GET ", 4) == 0 &&
	       memcmp(request.data + 4, path, len) == 0 && strchr(" ?\r\n", request.data[4 + len]);
}

static void judge(struct asker *a)
{
	struct slice request = str_slice(&a->in);
	struct str text = STR_INIT;

	if (asks_for(request, "/metrics")) {
		metrics_text(a->m, &text);
		answer(a, "200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8",
		       str_slice(&text));
	} else if (request.len < 4 || memcmp(request.data, "GET ", 4) != 0) {
		answer(a, "405 Method Not Allowed", "text/plain",
		       slice_str("only GET /metrics is answered here\n"));
	} else {
		answer(a, "404 Not Found", "text/plain", slice_str("ask for /metrics\n"));
	}
	str_clear(&text);
}

static void take(struct asker *a)
{
	char bytes[1024];
	ssize_t n = read(a->fd, bytes, sizeof(bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		asker_free(a);
		return;
	}
	if (a->done)
		return;
	str_add(&a->in, bytes, (size_t)n);
	if (memmem(a->in.data, a->in.len, "\r\n\r\n", 4) ||
	    memmem(a->in.data, a->in.len, "\n\n", 2))
		judge(a);
	else if (a->in.len > REQUEST_MAX)
		answer(a, "431 Request Header Fields Too Large", "text/plain",
		       slice_str("the request is longer than 4096 bytes\n"));
}

static void give(struct asker *a)
{
	ssize_t n = send(a->fd, a->out.data + a->written, a->out.len - a->written, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		a->written += (size_t)n;
	if (n < 0) {
		asker_free(a);
	} else if (a->written == a->out.len) {
		a->done = true;
		shutdown(a->fd, SHUT_WR);
		loop_fd_set(a->watch, LOOP_READ);
	}
}

static void on_ready(void *arg, int events)
{
	struct asker *a = arg;

	(void)events;
	if (a->out.len && !a->done)
		give(a);
	else
		take(a);
}

/* When all places are taken the one that came first gives way: who only holds a connection open
 * cannot keep others out. */
static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer)
{
	struct metrics *m = arg;
	struct asker *a;

	(void)peer;
	if (m->nasking == ASKERS_MAX)
		asker_free(list_entry(list_first(&m->asking), struct asker, link));
	a = xcalloc(1, sizeof(*a));
	a->m = m;
	a->fd = fd;
	str_init(&a->in);
	str_init(&a->out);
	list_append(&m->asking, &a->link);
	m->nasking++;
	a->watch = loop_fd_new(m->loop, fd, LOOP_READ, on_ready, a);
	a->late = loop_timer_new(m->loop, on_late, a);
	loop_timer_set(a->late, PATIENCE_MS, 0);
}

/* ---- where it listens */

static void add_listener(struct metrics *m, int fd)
{
	m->listeners[m->nlisteners].fd = fd;
	m->listeners[m->nlisteners++].listener = listener_new(m->loop, fd, on_accept, m);
}

static void say_failed(const char *where)
{
	log_warn("-",
		 "event=metrics_failed where=%s reason=\"%s\" hint=\"it serves without them; free "
		 "the address and restart it\"",
		 where, strerror(errno));
}

static void listen_unix(struct metrics *m)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t old;
	bool ok;

	mkdir(FOLDER, 0700); /* by the supervisor, if there is one */
	snprintf(a.sun_path, sizeof(a.sun_path), FOLDER "/%s.sock", m->instance);
	unlink(a.sun_path); /* of a process that was killed; the instance lock makes us the one */
	old = umask(0117);
	ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, BACKLOG) == 0;
	umask(old);
	if (ok) {
		add_listener(m, fd);
		return;
	}
	say_failed(a.sun_path);
	if (fd >= 0)
		close(fd);
}

struct place {
	struct sockaddr_storage addr;
	socklen_t len;
	bool loopback;
};

/* "127.0.0.1:9101", "[::1]:9101" */
static bool parse_place(const char *text, struct place *out)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&out->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->addr;
	const char *colon = strrchr(text, ':');
	char host[64], *end;
	long port = colon ? strtol(colon + 1, &end, 10) : 0;
	size_t len = colon ? (size_t)(colon - text) : 0;

	*out = (struct place){0};
	if (!colon || !colon[1] || *end || port < 1 || port > 65535 || len == 0 ||
	    len >= sizeof(host))
		return false;
	if (text[0] == '[' && colon[-1] == ']')
		snprintf(host, sizeof(host), "%.*s", (int)len - 2, text + 1);
	else
		snprintf(host, sizeof(host), "%.*s", (int)len, text);
	if (inet_pton(AF_INET, host, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((uint16_t)port);
		out->len = sizeof(*in4);
		out->loopback = ntohl(in4->sin_addr.s_addr) >> 24 == 127;
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return false;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	out->len = sizeof(*in6);
	out->loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	return true;
}

static void listen_tcp(struct metrics *m, const char *text)
{
	struct place p;
	int fd, one = 1;

	if (!parse_place(text, &p))
		return; /* metrics_check() has refused it */
	fd = socket(p.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd >= 0 && bind(fd, (struct sockaddr *)&p.addr, p.len) == 0 &&
	    listen(fd, BACKLOG) == 0) {
		add_listener(m, fd);
		log_info("-", "event=metrics_listen addr=%s", text);
		return;
	}
	say_failed(text);
	if (fd >= 0)
		close(fd);
}

/* The address behind "INSTANCE=", or NULL when the entry is for another one. */
static const char *place_of(const char *entry, const char *instance)
{
	size_t n = strcspn(entry, "=");

	return entry[n] && slice_is(slice_of(entry, n), instance) ? entry + n + 1 : NULL;
}

static void close_listeners(struct metrics *m)
{
	for (size_t i = 0; i < m->nlisteners; i++) {
		listener_free(&m->listeners[i].listener);
		close(m->listeners[i].fd);
	}
	m->nlisteners = 0;
}

void metrics_listen(struct metrics *m, const struct config *cfg)
{
	close_listeners(m);
	listen_unix(m);
	for (char **e = cfg->metrics_listen; *e; e++) {
		const char *place = place_of(*e, m->instance);

		if (place && m->nlisteners < METRICS_LISTENERS_MAX)
			listen_tcp(m, place);
	}
}

bool metrics_check(const struct config *cfg, char *why, size_t whylen)
{
	for (char **e = cfg->metrics_listen; *e; e++) {
		const char *eq = strchr(*e, '=');
		struct place p;

		if (!eq || eq == *e || !parse_place(eq + 1, &p)) {
			snprintf(why, whylen,
				 "metrics.listen: \"%s\" is not INSTANCE=ADDRESS:PORT; write for "
				 "example \"router=127.0.0.1:9101\"",
				 *e);
			return false;
		}
		if (!p.loopback && !cfg->metrics_allow_remote) {
			snprintf(why, whylen,
				 "metrics.listen: \"%s\" is not a loopback address, and who can "
				 "reach it may read all counters; use 127.0.0.1, or set "
				 "metrics.allow_remote = true",
				 *e);
			return false;
		}
	}
	return true;
}

struct metrics *metrics_new(struct loop *loop, const char *service, const char *instance,
			    metrics_add_fn *add, void *arg)
{
	struct metrics *m = xcalloc(1, sizeof(*m));
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	m->started = (double)now.tv_sec;
	m->loop = loop;
	m->service = xstrdup(service);
	m->instance = xstrdup(instance);
	m->add = add;
	m->arg = arg;
	list_init(&m->asking);
	return m;
}

void metrics_free(struct metrics **mp)
{
	struct metrics *m = *mp;
	struct list *first;

	*mp = NULL;
	if (!m)
		return;
	while ((first = list_first(&m->asking)))
		asker_free(list_entry(first, struct asker, link));
	close_listeners(m);
	free(m->service);
	free(m->instance);
	free(m);
}
