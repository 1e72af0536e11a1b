#include "supervisor/logpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "supervisor/logfile.h"

#define PIPE_BYTES   (1 << 20)
#define CHUNK	     65536
#define READS_A_TURN 16
#define PATIENCE     10 /* looks at half a line before it is written as it is */
#define PARTIAL_MS   20
#define STUCK_MS     1000
#define GATHER_MS    20 /* what comes in that time is written together */

struct logpipe {
	char *instance;
	char *path;
	struct logfile *file;
	struct loop_fd *watch;
	struct loop_timer *again;
	int fd;
	int peek[2]; /* where tee() puts a copy */
	int impatience;
	bool stuck;
	void (*tap)(void *arg, struct slice lines);
	void *tap_arg;
};

static int open_fifo(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		(void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* less is allowed: then it holds less */
	return fd;
}

int logpipe_writer(struct logpipe *l)
{
	return open_fifo(l->path);
}

/* A copy of what is in the FIFO, which stays there. */
static ssize_t peek(struct logpipe *l, char *buf)
{
	ssize_t n = tee(l->fd, l->peek[1], CHUNK, SPLICE_F_NONBLOCK);
	ssize_t got = 0;

	while (n > 0 && got < n) {
		ssize_t r = read(l->peek[0], buf + got, (size_t)(n - got));

		if (r <= 0)
			return -1;
		got += r;
	}
	return n;
}

static void consume(struct logpipe *l, char *buf, size_t n)
{
	while (n) {
		ssize_t r = read(l->fd, buf, n);

		if (r <= 0)
			return;
		n -= (size_t)r;
	}
}

static void wait_again(struct logpipe *l, uint64_t ms)
{
	loop_fd_set(l->watch, 0);
	loop_timer_set(l->again, ms, 0);
}

static void tell_stuck(struct logpipe *l, enum err e)
{
	bool stuck = e != ERR_OK;

	if (stuck && !l->stuck)
		log_err("-",
			"event=log_stuck instance=%s reason=\"%s\" next=\"make room on the disk of "
			"log/; lines wait in the pipe\"",
			l->instance, err_text(e));
	else if (!stuck && l->stuck)
		log_info("-", "event=log_unstuck instance=%s", l->instance);
	l->stuck = stuck;
}

/* How many of n bytes to write now: whole lines; all, if a line is too long or never ends. */
static size_t whole_lines(struct logpipe *l, const char *buf, size_t n, bool all)
{
	const char *end = memrchr(buf, '\n', n);

	if (end && !all)
		return (size_t)(end - buf) + 1;
	if (all || n >= CHUNK || l->impatience >= PATIENCE)
		return n;
	return 0;
}

/* One portion. False: nothing more for now. */
static bool move(struct logpipe *l, bool all)
{
	static char buf[CHUNK + 1];
	ssize_t n = peek(l, buf);
	size_t take, out;
	enum err e;

	if (n <= 0)
		return false;
	take = whole_lines(l, buf, (size_t)n, all && n < CHUNK);
	if (take == 0) {
		l->impatience++;
		wait_again(l, PARTIAL_MS);
		return false;
	}
	l->impatience = 0;
	out = take;
	if (buf[out - 1] != '\n')
		buf[out++] = '\n';
	e = logfile_write(l->file, buf, out);
	tell_stuck(l, e);
	if (e) {
		wait_again(l, STUCK_MS);
		return false;
	}
	if (l->tap)
		l->tap(l->tap_arg, slice_of(buf, out));
	consume(l, buf, take);
	return true;
}

static void on_readable(void *arg, int events)
{
	struct logpipe *l = arg;

	int moved = 0;

	(void)events;
	while (moved < READS_A_TURN && move(l, false))
		moved++;
	if (moved && moved < READS_A_TURN && !l->impatience && !l->stuck)
		wait_again(l, GATHER_MS);
}

static void on_again(void *arg)
{
	struct logpipe *l = arg;

	loop_fd_set(l->watch, LOOP_READ);
}

void logpipe_drain(struct logpipe *l)
{
	while (move(l, true))
		;
}

void logpipe_tap(struct logpipe *l, void (*tap)(void *arg, struct slice lines), void *arg)
{
	l->tap = tap;
	l->tap_arg = arg;
}

bool logpipe_is_stuck(const struct logpipe *l)
{
	return l->stuck;
}

struct logpipe *logpipe_open(struct loop *loop, const char *instance, struct logfile *file,
			     struct str *why)
{
	struct logpipe *l = xcalloc(1, sizeof(*l));

	l->instance = xstrdup(instance);
	l->path = xasprintf("run/log/%s", instance);
	l->file = file;
	l->fd = l->peek[0] = l->peek[1] = -1;
	if ((mkfifo(l->path, 0600) < 0 && errno != EEXIST) || (l->fd = open_fifo(l->path)) < 0 ||
	    pipe2(l->peek, O_CLOEXEC | O_NONBLOCK) < 0) {
		str_addf(why, "%s: %s", l->path, strerror(errno));
		logpipe_close(&l);
		return NULL;
	}
	(void)fcntl(l->peek[1], F_SETPIPE_SZ, PIPE_BYTES);
	l->again = loop_timer_new(loop, on_again, l);
	l->watch = loop_fd_new(loop, l->fd, LOOP_READ, on_readable, l);
	return l;
}

void logpipe_close(struct logpipe **lp)
{
	struct logpipe *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	loop_fd_free(&l->watch);
	loop_timer_free(&l->again);
	for (int i = 0; i < 2; i++)
		if (l->peek[i] >= 0)
			close(l->peek[i]);
	if (l->fd >= 0)
		close(l->fd);
	free(l->instance);
	free(l->path);
	free(l);
}
