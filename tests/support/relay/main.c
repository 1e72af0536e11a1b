/*
 * relay - what the way of a message costs when nothing is done with it: the measure beside ours.
 *
 *     relay PATH        (PATH: of the Unix socket between the two processes)
 *
 * Two processes, as cm-client and router are two. The front takes TCP connections on a free port of
 * 127.0.0.1, which it prints, and sends what it reads over a DEALER to the back, which sends each
 * frame back from its ROUTER as it came; the front writes it to the other connection of the pair:
 * the first goes to the second, the third to the fourth. The sockets, their options, the loop, the
 * connections and one frame a turn are those of the services (lib/net, lib/ipc/wire). No TLS, no
 * XML, no accounts, nothing kept. Ends with SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "base/log.h"
#include "base/str.h"
#include "base/xmem.h"
#include "ipc/wire.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/loop_zmq.h"

#define CONNECTIONS 4096

struct relay {
	struct loop *loop;
	void *socket;
	struct loop_zmq *zmq;
	struct conn_set *set;
	struct conn *conns[CONNECTIONS];
	uint32_t count;
	struct str batch; /* what this turn read: struct head and bytes, one after the other */
};

struct head {
	uint32_t to;
	uint32_t len;
};

struct front {
	struct relay *relay;
	uint32_t index;
};

static void on_bytes(void *arg, const char *data, size_t len)
{
	struct front *f = arg;
	struct head h = {f->index ^ 1, (uint32_t)len};

	str_add(&f->relay->batch, &h, sizeof h);
	str_add(&f->relay->batch, data, len);
}

static void on_closed(void *arg, const char *reason)
{
	struct front *f = arg;

	(void)reason;
	conn_free(&f->relay->conns[f->index]);
	free(f);
}

static const struct conn_events conn_events = {.on_bytes = on_bytes, .on_closed = on_closed};

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer)
{
	struct relay *r = arg;
	struct front *f;

	if (r->count == CONNECTIONS) {
		close(fd);
		return;
	}
	f = xcalloc(1, sizeof *f);
	*f = (struct front){r, r->count++};
	r->conns[f->index] = conn_new(r->set, fd, peer, &conn_events, f);
	/* Nothing is read before both are there. */
	if (f->index % 2 == 0)
		conn_pause(r->conns[f->index], true);
	else if (r->conns[f->index ^ 1])
		conn_pause(r->conns[f->index ^ 1], false);
}

static void deliver(struct relay *r, const char *data, size_t len)
{
	struct head h;

	while (len >= sizeof h) {
		memcpy(&h, data, sizeof h);
		data += sizeof h;
		len -= sizeof h;
		if (h.len > len)
			return;
		if (h.to < r->count && r->conns[h.to])
			conn_write(r->conns[h.to], data, h.len);
		data += h.len;
		len -= h.len;
	}
}

static bool front_readable(void *arg)
{
	struct relay *r = arg;
	zmq_msg_t m;

	for (int i = 0; i < WIRE_DRAIN; i++) {
		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, r->socket, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&m);
			return zmq_errno() == EINTR;
		}
		deliver(r, zmq_msg_data(&m), zmq_msg_size(&m));
		zmq_msg_close(&m);
	}
	return true;
}

static void front_turn_end(void *arg)
{
	struct relay *r = arg;

	if (r->batch.len == 0)
		return;
	if (wire_send(r->socket, NULL, str_slice(&r->batch)))
		str_reset(&r->batch);
	loop_zmq_sent(r->zmq);
}

static bool send_back(struct relay *r)
{
	char identity[256];
	zmq_msg_t m;
	int n = zmq_recv(r->socket, identity, sizeof identity - 1, ZMQ_DONTWAIT);

	if (n < 0)
		return false;
	identity[n] = 0;
	zmq_msg_init(&m);
	if (zmq_msg_recv(&m, r->socket, 0) >= 0)
		wire_send(r->socket, identity, slice_of(zmq_msg_data(&m), zmq_msg_size(&m)));
	zmq_msg_close(&m);
	loop_zmq_sent(r->zmq);
	return true;
}

static bool back_readable(void *arg)
{
	for (int i = 0; i < WIRE_DRAIN; i++) {
		if (!send_back(arg))
			return false;
	}
	return true;
}

static void back_turn_end(void *arg)
{
	(void)arg;
}

static int run_back(const char *endpoint, pid_t front)
{
	struct relay r = {.loop = loop_new()};

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != front)
		return 0;
	r.socket = wire_socket(zmq_ctx_new(), ZMQ_ROUTER, NULL);
	if (zmq_bind(r.socket, endpoint) != 0) {
		fprintf(stderr, "relay: %s: %s; give a shorter path in a folder that exists\n",
			endpoint, zmq_strerror(zmq_errno()));
		kill(front, SIGTERM);
		return 1;
	}
	r.zmq = loop_zmq_new(r.loop, r.socket, back_readable, back_turn_end, &r);
	loop_run(r.loop);
	return 0;
}

/* A listening socket on a free port, which is printed. */
static int listen_somewhere(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof addr;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof addr) != 0 ||
	    listen(fd, 1024) != 0 || getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
		fprintf(stderr, "relay: cannot listen on 127.0.0.1: %s\n", strerror(errno));
		return -1;
	}
	printf("%u\n", ntohs(addr.sin_port));
	fflush(stdout);
	return fd;
}

static int run_front(const char *endpoint)
{
	static struct relay r;
	int fd;

	r.loop = loop_new();
	str_init(&r.batch);
	r.socket = wire_socket(zmq_ctx_new(), ZMQ_DEALER, "front");
	if (zmq_connect(r.socket, endpoint) != 0) {
		fprintf(stderr, "relay: %s: %s; give a shorter path\n", endpoint,
			zmq_strerror(zmq_errno()));
		return 1;
	}
	r.zmq = loop_zmq_new(r.loop, r.socket, front_readable, front_turn_end, &r);
	r.set = conn_set_new(r.loop);
	fd = listen_somewhere();
	if (fd < 0)
		return 1;
	listener_new(r.loop, fd, on_accept, &r);
	loop_run(r.loop);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t front = getpid(), back;
	char *endpoint;

	if (argc != 2) {
		fprintf(stderr, "usage: relay PATH\n");
		return 2;
	}
	endpoint = xasprintf("ipc://%s", argv[1]);
	back = fork();
	if (back < 0) {
		fprintf(stderr, "relay: fork: %s\n", strerror(errno));
		return 1;
	}
	return back == 0 ? run_back(endpoint, front) : run_front(endpoint);
}
