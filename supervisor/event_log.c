#include "supervisor/event_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/event_line.h"
#include "supervisor/event_repeat.h"
#include "supervisor/event_rule.h"
#include "supervisor/logfile.h"

#define WAITING_MAX ((size_t)256 * 1024)
#define NEW_PATH    EVENT_LOG_PATH ".new"

struct event_log {
	struct logfile *file;
	struct event_repeat *repeat;
	struct str waiting; /* whole lines that are not in the file yet */
	struct str scratch;
	uint64_t lost; /* lines that had no room in waiting */
};

struct event_log *event_log_new(size_t rotate_bytes, unsigned int keep)
{
	struct event_log *l = xcalloc(1, sizeof(*l));

	l->file = logfile_new(EVENT_LOG_NAME, rotate_bytes, keep);
	l->repeat = event_repeat_new();
	str_init(&l->waiting);
	str_init(&l->scratch);
	return l;
}

void event_log_limits(struct event_log *l, size_t rotate_bytes, unsigned int keep)
{
	logfile_limits(l->file, rotate_bytes, keep);
}

static uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void add_lost(struct event_log *l)
{
	struct str text = STR_INIT;

	str_addf(&text,
		 "event=events_lost count=%llu reason=\"" EVENT_LOG_PATH
		 " could not be written\" next=\"the services' own logs have them\"",
		 (unsigned long long)l->lost);
	event_line_format(&l->waiting,
			  &(struct event_line){clock_ms(), EVENT_WARNING, slice_str("supervisor"),
					       str_slice(&text)});
	str_clear(&text);
}

/* The disk's troubles are the log pipes' to tell. */
static void flush(struct event_log *l)
{
	bool lost = l->lost > 0;
	size_t before = l->waiting.len;

	if (lost)
		add_lost(l);
	if (l->waiting.len && logfile_write(l->file, l->waiting.data, l->waiting.len)) {
		l->waiting.len = before; /* it is told with the count of then */
		l->waiting.data[before] = '\0';
		return;
	}
	str_reset(&l->waiting);
	if (lost)
		l->lost = 0;
}

/* What event_repeat has just appended behind `before`, if there is room for it. */
static void admit(struct event_log *l, size_t before)
{
	const char *added = l->waiting.data + before;

	if (l->waiting.len <= WAITING_MAX)
		return;
	for (size_t i = 0; i < l->waiting.len - before; i++)
		l->lost += added[i] == '\n';
	l->waiting.len = before;
	l->waiting.data[before] = '\0';
}

void event_log_take(struct event_log *l, struct slice lines, struct monotime now)
{
	while (lines.len) {
		const char *nl = memchr(lines.data, '\n', lines.len);
		size_t n = nl ? (size_t)(nl - lines.data) : lines.len, before = l->waiting.len;
		struct event_line e;

		if (event_rule(slice_of(lines.data, n), &e, &l->scratch)) {
			event_repeat_add(l->repeat, &e, now, &l->waiting);
			admit(l, before);
		}
		n += nl != NULL;
		lines = slice_of(lines.data + n, lines.len - n);
	}
	if (l->waiting.len)
		flush(l);
}

void event_log_tick(struct event_log *l, struct monotime now)
{
	size_t before = l->waiting.len;

	event_repeat_tick(l->repeat, now, false, &l->waiting);
	admit(l, before);
	flush(l);
}

void event_log_free(struct event_log **lp)
{
	struct event_log *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	event_repeat_tick(l->repeat, monotime_now(), true, &l->waiting);
	flush(l);
	event_repeat_free(&l->repeat);
	logfile_free(&l->file);
	str_clear(&l->waiting);
	str_clear(&l->scratch);
	free(l);
}

/* ---- clearing */

static uint64_t count_lines(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t lines = 0;
	char buf[65536];
	ssize_t n;

	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += buf[i] == '\n';
	if (fd >= 0)
		close(fd);
	return lines;
}

/* "events.log.3" */
static bool is_rotated(const char *name)
{
	const size_t n = strlen(EVENT_LOG_NAME ".log.");

	return strncmp(name, EVENT_LOG_NAME ".log.", n) == 0 && name[n] &&
	       strspn(name + n, "0123456789") == strlen(name + n);
}

static void each_rotated(uint64_t *lines, bool remove)
{
	DIR *d = opendir("log");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char *path;

		if (!is_rotated(e->d_name))
			continue;
		path = xasprintf("log/%s", e->d_name);
		if (remove)
			unlink(path);
		else
			*lines += count_lines(path);
		free(path);
	}
	if (d)
		closedir(d);
}

static bool write_new(struct slice line)
{
	int fd = open(NEW_PATH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	bool ok = fd >= 0 && write(fd, line.data, line.len) == (ssize_t)line.len && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

enum err event_log_clear(struct event_log *l, const char *who, uint64_t now_ms, uint64_t *count,
			 struct str *why)
{
	struct str text = STR_INIT, line = STR_INIT;
	enum err e = ERR_OK;

	event_repeat_tick(l->repeat, monotime_now(), true, &l->waiting);
	flush(l);
	*count = count_lines(EVENT_LOG_PATH);
	each_rotated(count, false);
	str_addf(&text, "%llu log message%s cleared by \"%s\"", (unsigned long long)*count,
		 *count == 1 ? "" : "s", who);
	event_line_format(&line, &(struct event_line){now_ms, EVENT_INFO, slice_str("supervisor"),
						      str_slice(&text)});
	/* The new one is complete before anything of the old is gone. */
	if (!write_new(str_slice(&line))) {
		e = errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE : ERR_IO;
		str_addf(why, NEW_PATH ": %s; nothing was cleared", strerror(errno));
		unlink(NEW_PATH);
	} else {
		each_rotated(count, true);
		if (rename(NEW_PATH, EVENT_LOG_PATH) < 0) {
			e = ERR_IO;
			str_addf(why, EVENT_LOG_PATH ": %s; only rotated files were removed",
				 strerror(errno));
			unlink(NEW_PATH);
		} else {
			event_repeat_forget(l->repeat);
			str_reset(&l->waiting);
			l->lost = 0;
		}
	}
	str_clear(&text);
	str_clear(&line);
	return e;
}
