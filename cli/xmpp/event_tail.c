#include "cli/xmpp/event_tail.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "cli/xmpp/event_reader.h"

#define LOOK_MS 100

struct event_tail {
	char *path;
	int fd; /* -1 while there is no file */
	struct str half;
};

struct event_tail *event_tail_new(const char *dir, size_t end)
{
	struct event_tail *t = xcalloc(1, sizeof(*t));

	t->path = xasprintf("%s/" EVENT_LOG_PATH, dir);
	t->fd = open(t->path, O_RDONLY | O_CLOEXEC);
	/* Shorter: it is another one already, all of it is new. */
	if (t->fd >= 0 && lseek(t->fd, 0, SEEK_END) >= (off_t)end)
		lseek(t->fd, (off_t)end, SEEK_SET);
	else if (t->fd >= 0)
		lseek(t->fd, 0, SEEK_SET);
	str_init(&t->half);
	return t;
}

void event_tail_free(struct event_tail **tp)
{
	struct event_tail *t = *tp;

	*tp = NULL;
	if (t->fd >= 0)
		close(t->fd);
	str_clear(&t->half);
	free(t->path);
	free(t);
}

static void read_new(struct event_tail *t)
{
	char buf[16384];
	ssize_t n;

	while (t->fd >= 0 && (n = read(t->fd, buf, sizeof(buf))) > 0)
		str_add(&t->half, buf, (size_t)n);
}

/* Another file has its name now: it was rotated or cleared. */
static bool has_moved(const struct event_tail *t)
{
	struct stat ours, named;

	if (stat(t->path, &named) < 0)
		return false;
	return t->fd < 0 || fstat(t->fd, &ours) < 0 || ours.st_ino != named.st_ino ||
	       ours.st_dev != named.st_dev;
}

static void print_lines(struct event_tail *t, const struct event_filter *f, bool json)
{
	struct str out = STR_INIT;
	char *nl;

	while (t->half.len && (nl = memchr(t->half.data, '\n', t->half.len))) {
		size_t n = (size_t)(nl - t->half.data);
		struct event_line e;

		if (event_line_parse(slice_of(t->half.data, n), &e) && event_filter_fits(f, &e))
			event_write(&out, &e, json);
		str_consume(&t->half, n + 1);
	}
	fwrite(out.data, 1, out.len, stdout);
	fflush(stdout);
	str_clear(&out);
}

/* Whoever reads has gone, though nothing was to be written: `xmpp log show -f | head -1`. */
static bool reader_is_gone(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};

	return poll(&p, 1, LOOK_MS) > 0 && (p.revents & (POLLERR | POLLHUP | POLLNVAL));
}

void event_tail_follow(struct event_tail *t, const struct event_filter *f, bool json)
{
	do {
		read_new(t);
		if (has_moved(t)) {
			read_new(t); /* written between our look and its end */
			if (t->fd >= 0)
				close(t->fd);
			t->fd = open(t->path, O_RDONLY | O_CLOEXEC);
			read_new(t);
		}
		print_lines(t, f, json);
	} while (!ferror(stdout) && !reader_is_gone());
}
