#include "proc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/list.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/message.h"

#define QUEUE_MAX      16384
#define RECORDS_A_TURN 64

struct waiting {
	struct list link;
	char *text;
	size_t len;
	size_t nfds;
	int fds[CHANNEL_FDS_MAX];
};

struct channel {
	struct loop_fd *watch;
	const struct channel_events *events;
	void *arg;
	struct list queue;
	size_t queued;
	int fd;
	bool broken;
	bool *gone; /* set while a callback runs: tells the reader that c is freed */
};

enum err channel_put(int fd, struct slice text, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text.data, .iov_len = text.len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	check(nfds <= CHANNEL_FDS_MAX && text.len <= MESSAGE_MAX);
	if (nfds) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return ERR_OK;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return ERR_AGAIN;
	return errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED : ERR_IO;
}

static size_t take_fds(struct msghdr *msg, int *fds, size_t room)
{
	size_t got = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (got < room)
				fds[got++] = fd;
			else
				close(fd);
		}
	}
	return got;
}

enum err channel_get(int fd, struct str *text, int *fds, size_t *nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
	} control;
	static char buf[MESSAGE_MAX];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	size_t room = *nfds;
	ssize_t n;

	*nfds = 0;
	str_reset(text);
	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return ERR_AGAIN;
	if (n < 0 && errno != ECONNRESET)
		return ERR_IO;
	if (n <= 0)
		return ERR_CLOSED;
	*nfds = take_fds(&msg, fds, room);
	str_add(text, buf, (size_t)n);
	return ERR_OK;
}

static void waiting_free(struct waiting *w)
{
	list_remove(&w->link);
	for (size_t i = 0; i < w->nfds; i++)
		close(w->fds[i]);
	free(w->text);
	free(w);
}

static void enqueue(struct channel *c, struct slice text, const int *fds, size_t nfds)
{
	struct waiting *w;

	if (c->queued >= QUEUE_MAX) {
		/* It is not reading: let both ends see the end of the connection. */
		c->broken = true;
		shutdown(c->fd, SHUT_RDWR);
		return;
	}
	w = xcalloc(1, sizeof(*w));
	w->text = xmalloc(text.len + 1);
	memcpy(w->text, text.data, text.len);
	w->len = text.len;
	for (size_t i = 0; i < nfds; i++) {
		int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		check(copy >= 0);
		w->fds[w->nfds++] = copy;
	}
	list_append(&c->queue, &w->link);
	c->queued++;
	loop_fd_set(c->watch, LOOP_READ | LOOP_WRITE);
}

void channel_send(struct channel *c, struct slice text, const int *fds, size_t nfds)
{
	enum err e = ERR_AGAIN;

	if (c->broken)
		return;
	if (list_empty(&c->queue))
		e = channel_put(c->fd, text, fds, nfds);
	if (e == ERR_AGAIN)
		enqueue(c, text, fds, nfds);
	else if (e)
		c->broken = true; /* the reader meets the end and tells */
}

static void flush(struct channel *c)
{
	struct list *first;

	while ((first = list_first(&c->queue))) {
		struct waiting *w = list_entry(first, struct waiting, link);
		enum err e =
			c->broken ? ERR_CLOSED
				  : channel_put(c->fd, slice_of(w->text, w->len), w->fds, w->nfds);

		if (e == ERR_AGAIN)
			return;
		if (e)
			c->broken = true;
		waiting_free(w);
		c->queued--;
	}
	loop_fd_set(c->watch, LOOP_READ);
}

/* False: no more to read now, or c is gone. */
static bool read_one(struct channel *c, struct str *text)
{
	int fds[CHANNEL_FDS_MAX];
	size_t nfds = CHANNEL_FDS_MAX;
	bool gone = false;
	enum err e = channel_get(c->fd, text, fds, &nfds);

	if (e == ERR_AGAIN)
		return false;
	if (e) {
		loop_fd_set(c->watch, 0);
		c->broken = true;
		c->events->on_close(c->arg);
		return false;
	}
	c->gone = &gone;
	c->events->on_message(c->arg, str_slice(text), fds, nfds);
	if (!gone)
		c->gone = NULL;
	for (size_t i = 0; i < nfds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return !gone;
}

static void on_fd(void *arg, int events)
{
	struct channel *c = arg;
	struct str text = STR_INIT;

	if (events & LOOP_WRITE)
		flush(c);
	if (events & LOOP_READ)
		for (int i = 0; i < RECORDS_A_TURN && read_one(c, &text); i++)
			;
	str_clear(&text);
}

struct channel *channel_new(struct loop *loop, int fd, const struct channel_events *events,
			    void *arg)
{
	struct channel *c = xcalloc(1, sizeof(*c));

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	c->fd = fd;
	c->events = events;
	c->arg = arg;
	list_init(&c->queue);
	c->watch = loop_fd_new(loop, fd, LOOP_READ, on_fd, c);
	return c;
}

void channel_close(struct channel **cp)
{
	struct channel *c = *cp;
	struct list *first;

	*cp = NULL;
	if (!c)
		return;
	if (c->gone)
		*c->gone = true;
	flush(c);
	while ((first = list_first(&c->queue)))
		waiting_free(list_entry(first, struct waiting, link));
	loop_fd_free(&c->watch);
	close(c->fd);
	free(c);
}

int channel_fd(const struct channel *c)
{
	return c->fd;
}

/* Names the socket through an open directory: sun_path holds only 107 bytes. */
static bool address(struct sockaddr_un *sa, const char *dir, const char *name, int *dirfd)
{
	int n;

	*dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dirfd < 0)
		return false;
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	n = snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s", *dirfd, name);
	return n < (int)sizeof(sa->sun_path);
}

int channel_connect(const char *dir, const char *name)
{
	struct sockaddr_un sa;
	int dirfd, fd = -1, saved;

	if (!address(&sa, dir, name, &dirfd))
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		saved = errno;
		close(fd);
		fd = -1;
		errno = saved;
	}
	saved = errno;
	close(dirfd);
	errno = saved;
	return fd;
}

int channel_listen(const char *dir, const char *name)
{
	struct sockaddr_un sa;
	int dirfd, fd, saved;
	mode_t mask;

	if (!address(&sa, dir, name, &dirfd))
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	unlinkat(dirfd, name, 0);
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 128) < 0)) {
		saved = errno;
		close(fd);
		fd = -1;
		errno = saved;
	}
	saved = errno;
	umask(mask);
	close(dirfd);
	errno = saved;
	return fd;
}
