#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"

#define ACCEPT_PER_TURN 32
#define REST_MS		100

struct listener {
	int fd;
	int spare;
	bool paused;
	struct loop_fd *watch;
	struct loop_timer *rest;
	void (*on_accept)(void *arg, int fd, const struct sockaddr_storage *peer);
	void *arg;
};

static void watch_again(void *arg)
{
	struct listener *l = arg;

	loop_fd_set(l->watch, l->paused ? 0 : LOOP_READ);
}

/* EMFILE leaves the connection in the queue and the socket readable: without the spare this would
 * spin and the peer would wait for nothing. */
static void out_of_descriptors(struct listener *l)
{
	int fd;

	log_warn("-", "event=accept_failed reason=\"no file descriptors left\" "
		      "hint=\"raise the open files limit of this service, or limits.connections "
		      "stands too high for it\"");
	close(l->spare);
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	loop_fd_set(l->watch, 0);
	loop_timer_set(l->rest, REST_MS, 0);
}

static void on_ready(void *arg, int events)
{
	struct listener *l = arg;

	(void)events;
	for (int i = 0; i < ACCEPT_PER_TURN && !l->paused; i++) {
		struct sockaddr_storage peer = {0};
		socklen_t len = sizeof(peer);
		int fd = accept4(l->fd, (struct sockaddr *)&peer, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			l->on_accept(l->arg, fd, &peer);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			out_of_descriptors(l);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return; /* EAGAIN: another instance was faster, or none left */
		}
	}
}

struct listener *
listener_new(struct loop *loop, int fd,
	     void (*on_accept)(void *arg, int fd, const struct sockaddr_storage *peer), void *arg)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->fd = fd;
	l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	l->on_accept = on_accept;
	l->arg = arg;
	l->rest = loop_timer_new(loop, watch_again, l);
	l->watch = loop_fd_new(loop, fd, LOOP_READ, on_ready, l);
	return l;
}

void listener_free(struct listener **lp)
{
	struct listener *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	loop_fd_free(&l->watch);
	loop_timer_free(&l->rest);
	if (l->spare >= 0)
		close(l->spare);
	free(l);
}

void listener_pause(struct listener *l, bool paused)
{
	l->paused = paused;
	loop_timer_stop(l->rest);
	watch_again(l);
}
