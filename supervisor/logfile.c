#include "supervisor/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"

struct logfile {
	char *path;
	size_t rotate_bytes;
	unsigned int keep;
	int fd; /* -1 = not open */
};

struct logfile *logfile_new(const char *name, size_t rotate_bytes, unsigned int keep)
{
	struct logfile *f = xcalloc(1, sizeof(*f));

	f->path = xasprintf("log/%s.log", name);
	f->fd = -1;
	logfile_limits(f, rotate_bytes, keep);
	return f;
}

void logfile_free(struct logfile **fp)
{
	struct logfile *f = *fp;

	*fp = NULL;
	if (!f)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f);
}

void logfile_limits(struct logfile *f, size_t rotate_bytes, unsigned int keep)
{
	f->rotate_bytes = rotate_bytes;
	f->keep = keep;
}

static void shift(const struct logfile *f)
{
	for (unsigned int i = f->keep; i > 0; i--) {
		char *from = i > 1 ? xasprintf("%s.%u", f->path, i - 1) : xstrdup(f->path);
		char *to = xasprintf("%s.%u", f->path, i);

		rename(from, to);
		free(from);
		free(to);
	}
}

/* Opens, and rotates when it is due. False: the file cannot be opened. */
static bool prepare(struct logfile *f)
{
	struct stat st, named;

	/* Somebody may have moved or deleted it: then write to a new one of that name. */
	if (f->fd >= 0 && (stat(f->path, &named) < 0 || fstat(f->fd, &st) < 0 ||
			   named.st_ino != st.st_ino || named.st_dev != st.st_dev)) {
		close(f->fd);
		f->fd = -1;
	}
	if (f->fd < 0)
		f->fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return false;
	if ((size_t)st.st_size < f->rotate_bytes)
		return true;
	close(f->fd);
	shift(f);
	f->fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	return f->fd >= 0;
}

enum err logfile_write(struct logfile *f, const void *data, size_t len)
{
	struct stat st;
	ssize_t n;

	if (!prepare(f) || fstat(f->fd, &st) < 0)
		return errno == ENOSPC ? ERR_NOSPACE : ERR_IO;
	n = write(f->fd, data, len);
	if (n == (ssize_t)len)
		return ERR_OK;
	/* No half lines: it is tried again whole. */
	if (n > 0 && ftruncate(f->fd, st.st_size) == 0)
		errno = ENOSPC;
	return errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE : ERR_IO;
}

int logfile_fd(struct logfile *f)
{
	return prepare(f) ? f->fd : -1;
}
