#include "datastore/quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"

#define NAME_BYTES  64
#define NAME_TRIES  1000
#define ABOUT_BYTES 4000
#define SUFFIX	    ".bin"

struct quarantine {
	char *dir;
	uint32_t count;
	unsigned int next; /* makes the names of one second differ */
};

struct file {
	char name[NAME_BYTES];
	uint64_t bytes;
};

/* Sorted by name, so by age. */
struct listing {
	struct file *files;
	size_t count;
	uint64_t bytes;
};

struct quarantine *quarantine_new(const char *dir)
{
	struct quarantine *q = xcalloc(1, sizeof(*q));

	q->dir = xstrdup(dir);
	quarantine_look(q);
	return q;
}

void quarantine_free(struct quarantine **qp)
{
	struct quarantine *q = *qp;

	*qp = NULL;
	if (!q)
		return;
	free(q->dir);
	free(q);
}

uint32_t quarantine_count(const struct quarantine *q)
{
	return q->count;
}

static bool is_ours(const char *name)
{
	size_t len = strlen(name), suffix = strlen(SUFFIX);

	return len > suffix && len < NAME_BYTES && strcmp(name + len - suffix, SUFFIX) == 0;
}

void quarantine_look(struct quarantine *q)
{
	DIR *d = opendir(q->dir);
	const struct dirent *e;

	q->count = 0;
	while (d && (e = readdir(d)))
		q->count += is_ours(e->d_name);
	if (d)
		closedir(d);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static void list_files(int dir, struct listing *l)
{
	DIR *d = fdopendir(dup(dir));
	const struct dirent *e;
	struct stat st;

	*l = (struct listing){0};
	while (d && (e = readdir(d))) {
		if (!is_ours(e->d_name) || fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		l->files = xrealloc(l->files, (l->count + 1) * sizeof(*l->files));
		memcpy(l->files[l->count].name, e->d_name, strlen(e->d_name) + 1);
		l->files[l->count++].bytes = (uint64_t)st.st_size;
		l->bytes += (uint64_t)st.st_size;
	}
	if (d)
		closedir(d);
	if (l->count)
		qsort(l->files, l->count, sizeof(*l->files), by_name);
}

/* Makes room for one more of so many bytes. */
static void drop_oldest(struct quarantine *q, int dir, uint64_t bytes)
{
	struct listing l;
	size_t i;

	list_files(dir, &l);
	for (i = 0;
	     i < l.count && (l.count - i >= QUARANTINE_FILES || l.bytes + bytes > QUARANTINE_BYTES);
	     i++) {
		if (unlinkat(dir, l.files[i].name, 0) == 0)
			log_warn("-",
				 "event=quarantine_dropped file=%s/%s reason=\"the oldest; "
				 "%d files or %u bytes are kept\"",
				 q->dir, l.files[i].name, QUARANTINE_FILES, QUARANTINE_BYTES);
		l.bytes -= l.files[i].bytes;
	}
	free(l.files);
}

/* A file that was not there. -1: errno says why. */
static int create(struct quarantine *q, int dir, uint64_t now_ms, char name[NAME_BYTES])
{
	time_t now = (time_t)(now_ms / 1000);
	char stamp[32] = "";
	struct tm tm;
	int fd = -1;

	if (gmtime_r(&now, &tm))
		strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	for (int i = 0; i < NAME_TRIES; i++) {
		snprintf(name, NAME_BYTES, "%s-%06u" SUFFIX, stamp, ++q->next);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	return fd;
}

/* One line of printable ASCII, whatever it holds. */
static void add_line(struct str *out, struct slice about)
{
	for (size_t i = 0; i < about.len && out->len < ABOUT_BYTES; i++) {
		unsigned char c = (unsigned char)about.data[i];

		if (c >= 0x20 && c < 0x7f)
			str_addc(out, (char)c);
		else
			str_addf(out, "\\x%02X", c);
	}
	str_addc(out, '\n');
}

static bool write_all(int fd, struct slice s)
{
	ssize_t n;

	while (s.len > 0) {
		n = write(fd, s.data, s.len);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			s = slice_of(s.data + n, s.len - (size_t)n);
	}
	return true;
}

static bool write_file(struct quarantine *q, int dir, struct slice about, struct slice bytes,
		       uint64_t now_ms, char name[NAME_BYTES])
{
	struct str line = STR_INIT;
	int fd, failed_with;
	bool ok;

	add_line(&line, about);
	drop_oldest(q, dir, line.len + bytes.len);
	fd = create(q, dir, now_ms, name);
	ok = fd >= 0 && write_all(fd, str_slice(&line)) && write_all(fd, bytes);
	failed_with = errno;
	if (fd >= 0 && close(fd) < 0 && ok) {
		failed_with = errno;
		ok = false;
	}
	if (fd >= 0 && !ok)
		unlinkat(dir, name, 0);
	str_clear(&line);
	errno = failed_with;
	return ok;
}

enum err quarantine_put(struct quarantine *q, struct slice about, struct slice bytes,
			uint64_t now_ms, struct str *why)
{
	bool made = mkdir(q->dir, 0700) == 0 || errno == EEXIST;
	int dir = made ? open(q->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	char name[NAME_BYTES];
	enum err e = ERR_OK;

	if (dir >= 0 && write_file(q, dir, about, bytes, now_ms, name)) {
		log_warn("-", "event=quarantined file=%s/%s bytes=%zu about=%s", q->dir, name,
			 bytes.len, log_quote(about));
	} else {
		e = errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE : ERR_IO;
		str_addf(why, "%s takes no file: %s; check its rights and the disk", q->dir,
			 strerror(errno));
		log_err("-", "event=not_quarantined about=%s text=\"%s\"", log_quote(about),
			why->data);
	}
	if (dir >= 0)
		close(dir);
	quarantine_look(q);
	return e;
}
