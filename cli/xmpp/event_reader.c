#include "cli/xmpp/event_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"

#define ROTATED_MAX 99

static bool holds(struct slice text, const char *part)
{
	size_t n = strlen(part);

	for (size_t i = 0; i + n <= text.len; i++)
		if (strncasecmp(text.data + i, part, n) == 0)
			return true;
	return false;
}

/* "cm-client" is also cm-client-2. */
static bool is_of(struct slice instance, const char *service)
{
	size_t n = strlen(service);

	if (instance.len < n || memcmp(instance.data, service, n) != 0)
		return false;
	if (instance.len == n)
		return true;
	if (instance.data[n] != '-' || instance.len == n + 1)
		return false;
	for (size_t i = n + 1; i < instance.len; i++)
		if (instance.data[i] < '0' || instance.data[i] > '9')
			return false;
	return true;
}

bool event_filter_fits(const struct event_filter *f, const struct event_line *e)
{
	return (f->exactly ? e->level == f->level : e->level >= f->level) && e->ms >= f->since_ms &&
	       (!f->service || is_of(e->service, f->service)) &&
	       (!f->text || holds(e->text, f->text) || holds(e->service, f->text));
}

static enum err read_file(const char *path, struct str *out, struct str *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[65536];
	ssize_t n = 0;

	if (fd < 0 && errno == ENOENT)
		return ERR_OK;
	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		str_add(out, buf, (size_t)n);
	if (fd < 0 || n < 0) {
		bool denied = errno == EACCES || errno == EPERM;

		str_addf(why, "%s: %s%s", path, strerror(errno),
			 denied ? "; only the instance's administrator (root or its owner) may "
				  "read it"
				: "");
		if (fd >= 0)
			close(fd);
		return denied ? ERR_DENIED : ERR_IO;
	}
	close(fd);
	return ERR_OK;
}

/* Rotated ones first; while they are read they may move on by one, so that a file is read twice or
 * not at all: an operator looks again. */
static enum err read_all(struct event_list *l, const char *dir, struct str *why)
{
	enum err e = ERR_OK;
	size_t before = 0;

	for (int k = ROTATED_MAX; k >= 0 && !e; k--) {
		char *path = k ? xasprintf("%s/" EVENT_LOG_PATH ".%d", dir, k)
			       : xasprintf("%s/" EVENT_LOG_PATH, dir);

		before = l->text.len;
		e = read_file(path, &l->text, why);
		free(path);
	}
	l->end = l->text.len - before;
	return e;
}

static int by_time(const void *a, const void *b)
{
	const struct event_line *x = a, *y = b;

	if (x->ms != y->ms)
		return x->ms < y->ms ? -1 : 1;
	return x->text.data < y->text.data ? -1 : 1; /* as written */
}

enum err event_list_read(struct event_list *l, const char *dir, const struct event_filter *f,
			 struct str *why)
{
	enum err e = read_all(l, dir, why);
	struct slice rest = str_slice(&l->text);

	while (!e && rest.len) {
		const char *nl = memchr(rest.data, '\n', rest.len);
		size_t n = nl ? (size_t)(nl - rest.data) : rest.len;
		struct event_line event;

		/* Without its end it is being written just now. */
		if (nl && event_line_parse(slice_of(rest.data, n), &event) &&
		    event_filter_fits(f, &event)) {
			if ((l->count & (l->count + 1)) == 0)
				l->events = xrealloc(l->events,
						     (l->count * 2 + 2) * sizeof(*l->events));
			l->events[l->count++] = event;
		}
		n += nl != NULL;
		rest = slice_of(rest.data + n, rest.len - n);
	}
	/* Each service's lines come by a pipe of its own. */
	if (l->count)
		qsort(l->events, l->count, sizeof(*l->events), by_time);
	return e;
}

void event_list_clear(struct event_list *l)
{
	free(l->events);
	str_clear(&l->text);
	*l = EVENT_LIST_INIT;
}

void event_write_heading(struct str *out)
{
	str_addf(out, "%-10s  %-12s  %-13s  %s\n", "Date", "Time", "Logging level", "Message");
}

static void write_json(struct str *out, const struct event_line *e, const char *date,
		       const char *time)
{
	str_addf(out, "{\"time\":\"%sT%sZ\",\"level\":\"%s\",\"service\":", date, time,
		 event_level_name(e->level));
	json_line_put_text(out, e->service);
	str_adds(out, ",\"message\":");
	json_line_put_text(out, e->text);
	str_adds(out, "}\n");
}

void event_write(struct str *out, const struct event_line *e, bool json)
{
	char date[EVENT_DATE_SIZE], time[EVENT_TIME_SIZE];
	struct str message = STR_INIT;

	event_line_time(e->ms, date, time);
	if (json) {
		write_json(out, e, date, time);
		return;
	}
	/* The guides' lines say by themselves what they are about. */
	if (e->text.len && memmem(e->text.data, e->text.len, "event=", 6))
		str_addf(&message, "%.*s: ", SLICE_ARG(e->service));
	str_add_slice(&message, e->text);
	str_addf(out, "%-10s  %-12s  %-13s  ", date, time, event_level_name(e->level));
	table_raw(out, str_slice(&message));
	str_clear(&message);
}
