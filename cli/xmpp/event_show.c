#include "cli/xmpp/event_show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/xmpp/event_reader.h"
#include "cli/xmpp/event_tail.h"
#include "cli/xmpp/report.h"
#include "cli/xmpp/stamp.h"
#include "cli/xmpp/xmpp_program.h"
#include "proc/sup_client.h"

#define SHOW_DEFAULT   50
#define RECENT_DEFAULT 10

/* ---- which messages */

/* "10m", "2h", "1d", "30s": so long ago. */
static bool parse_ago(const char *text, uint64_t now_ms, uint64_t *out)
{
	static const char units[] = "smhd";
	static const uint64_t seconds[] = {1, 60, 3600, 86400};
	char *end;
	unsigned long long n = strtoull(text, &end, 10);
	const char *unit = *end && !end[1] ? strchr(units, *end) : NULL;

	if (*text < '0' || *text > '9' || !unit || n > 1000000)
		return false;
	n *= seconds[unit - units] * 1000;
	*out = n < now_ms ? now_ms - n : 0;
	return true;
}

static int make_filter(const struct xmpp_values *v, struct event_filter *f)
{
	*f = (struct event_filter){.level = EVENT_INFO, .service = v->service};
	if (v->level && !event_level_parse(slice_str(v->level), &f->level))
		return command_fail("xmpp", COMMAND_USAGE,
				    "--level takes Info, Warning or Error, not '%s'", v->level);
	if (v->since && !parse_ago(v->since, (uint64_t)time(NULL) * 1000, &f->since_ms) &&
	    !event_line_parse_time(slice_str(v->since), &f->since_ms) &&
	    !stamp_parse(v->since, &f->since_ms))
		return command_fail("xmpp", COMMAND_USAGE,
				    "--since takes a time (UTC) such as 2026-11-21 or "
				    "2026-11-21T10:00, or 10m, 2h, 1d ago; not '%s'",
				    v->since);
	return COMMAND_OK;
}

static int read_list(const struct xmpp_values *v, const struct event_filter *f,
		     struct event_list *l)
{
	struct str why = STR_INIT;
	char *log = xasprintf("%s/log", v->common.dir);
	struct stat st;
	int code = COMMAND_OK;

	if (stat(log, &st) < 0 && errno == ENOENT)
		code = command_fail("xmpp", COMMAND_REFUSED, "%s is no instance: it has no log/",
				    v->common.dir);
	else if (event_list_read(l, v->common.dir, f, &why))
		code = command_fail("xmpp", COMMAND_REFUSED, "%s", why.data);
	free(log);
	str_clear(&why);
	return code;
}

/* The last n of them; 0 = all. */
static void write_list(struct str *out, const struct event_list *l, size_t n, bool json)
{
	for (size_t i = n && l->count > n ? l->count - n : 0; i < l->count; i++)
		event_write(out, &l->events[i], json);
}

static void print(struct str *text)
{
	fwrite(text->data, 1, text->len, stdout);
	fflush(stdout);
	str_reset(text);
}

static int show(const struct xmpp_values *v, const struct event_filter *f, size_t n)
{
	struct event_list l = EVENT_LIST_INIT;
	struct str out = STR_INIT;
	int code = read_list(v, f, &l);

	if (code == COMMAND_OK && !v->common.json && (l.count || v->follow))
		event_write_heading(&out);
	if (code == COMMAND_OK)
		write_list(&out, &l, n, v->common.json);
	if (code == COMMAND_OK && !out.len && !v->common.json)
		str_adds(&out, "no log messages\n");
	print(&out);
	if (code == COMMAND_OK && v->follow) {
		struct event_tail *tail = event_tail_new(v->common.dir, l.end);

		event_tail_follow(tail, f, v->common.json);
		event_tail_free(&tail);
	}
	event_list_clear(&l);
	str_clear(&out);
	return code;
}

int log_show(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct event_filter f;
	int code = make_filter(v, &f);

	(void)argc, (void)argv;
	if (code != COMMAND_OK)
		return code;
	return show(v, &f, v->lines ? (size_t)v->lines : v->since ? 0 : SHOW_DEFAULT);
}

int log_search(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct event_filter f;
	int code = make_filter(v, &f);

	(void)argc;
	f.text = argv[0];
	return code == COMMAND_OK ? show(v, &f, (size_t)v->lines) : code;
}

/* ---- export */

/* A file that is replaced is written beside it first: what is there stays until all is. */
static char *export_path(const char *path, bool force)
{
	struct stat st;

	return force && lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? xasprintf("%s.new", path)
								     : xstrdup(path);
}

static int open_export(const char *path, bool force)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), 0600);

	if (fd < 0 && errno == EEXIST)
		command_fail("xmpp", 0, "%s is there already; --force replaces it", path);
	else if (fd < 0)
		command_fail("xmpp", 0, "%s: %m", path);
	return fd;
}

static bool write_all(int fd, struct slice text)
{
	while (text.len) {
		ssize_t n = write(fd, text.data, text.len);

		if (n < 0)
			return false;
		text = slice_of(text.data + n, text.len - (size_t)n);
	}
	return true;
}

/* What is not complete is taken away, unless it is no file of ours: a device, or a pipe. */
static bool write_export(int fd, const char *fresh, const char *path, struct slice text)
{
	struct stat st;
	bool ours = fstat(fd, &st) == 0 && S_ISREG(st.st_mode), ok = write_all(fd, text);
	int e = errno;

	if (close(fd) < 0 && ok) {
		e = errno;
		ok = false;
	}
	if (ok && strcmp(fresh, path) != 0 && rename(fresh, path) < 0) {
		e = errno;
		ok = false;
	}
	if (!ok && ours)
		unlink(fresh);
	errno = e;
	return ok;
}

static void print_exported(const char *path, size_t count, bool json)
{
	struct str out = STR_INIT;

	if (json) {
		str_addf(&out, "{\"written\":%zu,\"file\":", count);
		json_line_put_text(&out, slice_str(path));
		str_adds(&out, "}\n");
	} else {
		str_addf(&out, "%zu log message%s written to %s\n", count, count == 1 ? "" : "s",
			 path);
	}
	print(&out);
	str_clear(&out);
}

static int export_to(const struct xmpp_values *v, const char *path, struct slice text, size_t count)
{
	char *fresh = export_path(path, v->force);
	int fd = open_export(fresh, v->force), code = fd < 0 ? COMMAND_REFUSED : COMMAND_OK;

	if (fd >= 0 && !write_export(fd, fresh, path, text))
		code = command_fail("xmpp", COMMAND_REFUSED, "%s: %m; nothing was written", path);
	if (code == COMMAND_OK)
		print_exported(path, count, v->common.json);
	free(fresh);
	return code;
}

int log_export(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct event_list l = EVENT_LIST_INIT;
	struct str out = STR_INIT;
	struct event_filter f;
	int code = make_filter(v, &f);

	(void)argc;
	if (code == COMMAND_OK)
		code = read_list(v, &f, &l);
	if (code == COMMAND_OK) {
		if (!v->common.json)
			event_write_heading(&out);
		write_list(&out, &l, 0, v->common.json);
		if (strcmp(argv[0], "-") == 0)
			print(&out);
		else
			code = export_to(v, argv[0], str_slice(&out), l.count);
	}
	event_list_clear(&l);
	str_clear(&out);
	return code;
}

/* ---- what the supervisor knows */

int event_ask(const struct xmpp_values *v, const char *request, struct str *out)
{
	struct sup_client *c;
	enum err e = sup_client_open(&c, v->common.dir);

	if (e == ERR_DENIED)
		return command_fail("xmpp", COMMAND_REFUSED,
				    "only the instance's administrator (root or its owner) may do "
				    "this");
	if (e)
		return command_fail("xmpp", COMMAND_UNREACHABLE,
				    "no supervisor is running in %s; start it with: supervisor -C "
				    "%s start",
				    v->common.dir, v->common.dir);
	e = sup_client_request(c, request, out, NULL, NULL);
	sup_client_close(&c);
	if (!e)
		return COMMAND_OK;
	if (out->len)
		out->data[--out->len] = '\0';
	return command_fail(
		"xmpp", e == ERR_TIMEOUT || e == ERR_CLOSED ? COMMAND_UNREACHABLE : COMMAND_REFUSED,
		"%s", out->len ? out->data : err_text(e));
}

int log_clear(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct json_line j = JSON_LINE_INIT;
	struct str out = STR_INIT;
	struct slice by = SLICE_NONE, rest, line;
	int code = event_ask(v, "log-clear", &out);

	(void)argc, (void)argv;
	rest = str_slice(&out);
	if (code == COMMAND_OK && v->common.json) {
		print(&out);
	} else if (code == COMMAND_OK && json_line_next(&rest, &line) &&
		   json_line_parse(&j, line) == ERR_OK && json_line_find(&j, "by", &by)) {
		long long n = report_sum(str_slice(&out), "cleared");

		printf("%lld log message%s cleared by \"%.*s\"\n", n, n == 1 ? "" : "s",
		       SLICE_ARG(by));
	}
	json_line_clear(&j);
	str_clear(&out);
	return code;
}

/* ---- faults */

static void write_fault(struct str *out, const struct json_line *j, bool json)
{
	struct slice since = SLICE_NONE, source = SLICE_NONE, text = SLICE_NONE;
	char date[EVENT_DATE_SIZE], time[EVENT_TIME_SIZE], number[24];
	struct str cell = STR_INIT;

	json_line_find(j, "since", &since);
	json_line_find(j, "source", &source);
	json_line_find(j, "text", &text);
	snprintf(number, sizeof(number), "%.*s", SLICE_ARG(since));
	event_line_time(strtoull(number, NULL, 10), date, time);
	if (json) {
		str_addf(out, "{\"kind\":\"fault\",\"time\":\"%sT%sZ\",\"service\":", date, time);
		json_line_put_text(out, source);
		str_adds(out, ",\"fault\":");
		json_line_put_text(out, text);
		str_adds(out, "}\n");
		return;
	}
	/* The call bridge's stand there in the guides' words. */
	if (source.len && !slice_is(source, "supervisor") &&
	    strncmp(source.data, "callbridge", strlen("callbridge")) != 0)
		str_addf(&cell, "%.*s: ", SLICE_ARG(source));
	str_add_slice(&cell, text);
	str_addf(out, "%-10s  %-12s  ", date, time);
	table_raw(out, str_slice(&cell));
	str_clear(&cell);
}

static void write_faults(struct str *out, struct slice lines, bool json)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice line;
	size_t n = 0;

	if (!json)
		str_addf(out, "Fault conditions\n%-10s  %-12s  %s\n", "Date", "Time",
			 "Fault condition");
	while (json_line_next(&lines, &line))
		if (json_line_parse(&j, line) == ERR_OK) {
			write_fault(out, &j, json);
			n++;
		}
	if (!n && !json)
		str_adds(out, "none\n");
	json_line_clear(&j);
}

static void write_recent(struct str *out, const struct event_list *l, size_t n, bool json)
{
	struct str rows = STR_INIT;

	write_list(&rows, l, n, json);
	if (!json) {
		str_adds(out, "\nRecent errors and warnings\n");
		event_write_heading(out);
		str_add_slice(out, rows.len ? str_slice(&rows) : slice_str("none\n"));
	} else {
		struct slice rest = str_slice(&rows), line;

		while (json_line_next(&rest, &line))
			str_addf(out, "{\"kind\":\"recent\",%.*s\n", (int)line.len - 1,
				 line.data + 1);
	}
	str_clear(&rows);
}

int show_faults(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct event_filter f = {.level = EVENT_WARNING};
	struct event_list l = EVENT_LIST_INIT;
	struct str out = STR_INIT, faults = STR_INIT;
	int code = event_ask(v, "faults", &faults);

	(void)argc, (void)argv;
	if (code == COMMAND_OK)
		code = read_list(v, &f, &l);
	if (code == COMMAND_OK) {
		write_faults(&out, str_slice(&faults), v->common.json);
		write_recent(&out, &l, v->lines ? (size_t)v->lines : RECENT_DEFAULT,
			     v->common.json);
		print(&out);
	}
	event_list_clear(&l);
	str_clear(&faults);
	str_clear(&out);
	return code;
}
