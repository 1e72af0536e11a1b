#include "net/loop_zmq.h"

#include <stdlib.h>
#include <zmq.h>

#include "base/check.h"
#include "base/xmem.h"
#include "net/loop.h"

struct loop_zmq {
	struct loop *loop;
	void *socket;
	struct loop_fd *fd;
	struct loop_hook *take;
	struct loop_hook *flush;
	bool (*on_readable)(void *arg);
	void (*on_turn_end)(void *arg);
	void *arg;
	bool look; /* there may be messages that the fd will not tell of, or it has just told */
};

static bool readable(const struct loop_zmq *z)
{
	int events = 0;
	size_t len = sizeof(events);

	if (zmq_getsockopt(z->socket, ZMQ_EVENTS, &events, &len) != 0)
		return zmq_errno() == EINTR;
	return events & ZMQ_POLLIN;
}

static void on_fd(void *arg, int events)
{
	struct loop_zmq *z = arg;

	(void)events;
	z->look = true;
}

static void on_take(void *arg)
{
	struct loop_zmq *z = arg;

	if (z->look)
		z->look = z->on_readable(z->arg);
}

/* A send, or an early stop, may leave messages that the fd will never tell of. */
static void on_flush(void *arg)
{
	struct loop_zmq *z = arg;

	z->on_turn_end(z->arg);
	z->look = z->look && readable(z);
	if (z->look)
		loop_wake(z->loop);
}

void loop_zmq_sent(struct loop_zmq *z)
{
	z->look = true;
}

struct loop_zmq *loop_zmq_new(struct loop *loop, void *socket, bool (*on_readable)(void *arg),
			      void (*on_turn_end)(void *arg), void *arg)
{
	struct loop_zmq *z = xcalloc(1, sizeof(*z));
	int fd = -1;
	size_t len = sizeof(fd);

	check(zmq_getsockopt(socket, ZMQ_FD, &fd, &len) == 0);
	z->loop = loop;
	z->socket = socket;
	z->on_readable = on_readable;
	z->on_turn_end = on_turn_end;
	z->arg = arg;
	z->look = true;
	z->fd = loop_fd_new(loop, fd, LOOP_READ, on_fd, z);
	z->take = loop_hook_new_at(loop, LOOP_FIRST, on_take, z);
	z->flush = loop_hook_new_at(loop, LOOP_LAST, on_flush, z);
	return z;
}

void loop_zmq_free(struct loop_zmq **zp)
{
	struct loop_zmq *z = *zp;

	*zp = NULL;
	if (!z)
		return;
	loop_fd_free(&z->fd);
	loop_hook_free(&z->take);
	loop_hook_free(&z->flush);
	free(z);
}
