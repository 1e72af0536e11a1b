#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/utf8_char.h"

#define QUOTE_MAX 128

static struct {
	char service[64];
	int fd;
	enum log_level level;
	bool json;
	uint64_t lost;
	uint64_t lost_told;
	void (*tap)(void *arg, struct slice line);
	void *tap_arg;
} sink = {.service = "-", .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_open(const char *service, int fd, enum log_level level, bool json)
{
	snprintf(sink.service, sizeof(sink.service), "%s", service);
	sink.fd = fd;
	sink.level = level;
	sink.json = json;
}

void log_tap(void (*tap)(void *arg, struct slice line), void *arg)
{
	sink.tap = tap;
	sink.tap_arg = arg;
}

void log_set_level(enum log_level level)
{
	sink.level = level;
}

bool log_enabled(enum log_level level)
{
	return level <= sink.level;
}

bool log_level_parse(const char *text, enum log_level *out)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

uint64_t log_lost(void)
{
	return sink.lost;
}

const char *log_quote(struct slice s)
{
	static char ring[8][4 * QUOTE_MAX + 8];
	static unsigned int next;
	char *out = ring[next++ % 8], *p = out;
	size_t n = s.len > QUOTE_MAX ? utf8_char_cut(s.data, QUOTE_MAX) : s.len;

	*p++ = '"';
	for (size_t i = 0, len; i < n; i += len ? len : 1) {
		unsigned char c = (unsigned char)s.data[i];

		len = utf8_char_len((const unsigned char *)s.data + i, n - i);
		if (c == '"' || c == '\\') {
			*p++ = '\\';
			*p++ = (char)c;
		} else if (c < 0x20 || c == 0x7f || !len) {
			p += snprintf(p, 5, "\\x%02x", c);
		} else {
			memcpy(p, s.data + i, len);
			p += len;
		}
	}
	snprintf(p, 5, "%s\"", s.len > n ? "..." : "");
	return out;
}

/* Most of a line's cost would be this: the text of a second is made once for all its lines. */
static void add_time(struct str *line)
{
	static _Thread_local time_t second = -1;
	static _Thread_local char text[40];
	char fraction[] = ".000000Z";
	struct timespec ts;
	struct tm tm;
	long us;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ts.tv_sec != second) {
		second = ts.tv_sec;
		gmtime_r(&second, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	}
	us = ts.tv_nsec / 1000;
	for (char *digit = fraction + 6; us > 0; us /= 10)
		*digit-- = (char)('0' + us % 10);
	str_adds(line, text);
	str_add(line, fraction, sizeof(fraction) - 1);
}

static void add_json_text(struct str *line, const char *s)
{
	for (size_t left = strlen(s), n; left; s += n ? n : 1, left -= n ? n : 1) {
		n = utf8_char_len((const unsigned char *)s, left);
		if (*s == '"' || *s == '\\')
			str_addc(line, '\\');
		if (n)
			str_add(line, s, n);
		else
			str_adds(line, UTF8_CHAR_UNKNOWN);
	}
}

#define CTX_MAX 512 /* bytes: a JID may be longer than a line */

/* Where the context ends is known by ` event=` (supervisor/event_rule.h): nobody may forge that
 * with a resource of such a name. */
static void add_ctx(struct str *line, const char *ctx)
{
	size_t n = strnlen(ctx, CTX_MAX), start = line->len;
	char *at;

	if (ctx[n])
		n = utf8_char_cut(ctx, n);
	str_add(line, ctx, n);
	if (ctx[n])
		str_adds(line, "...");
	while ((at = strstr(line->data + start, " event=")))
		*at = '_';
}

/* Not within a character, nor, in JSON, behind half an escape. */
static size_t cut_at(const struct str *line, size_t n)
{
	size_t slashes = 0;

	n = utf8_char_cut(line->data, n);
	while (slashes < n && line->data[n - 1 - slashes] == '\\')
		slashes++;
	return n - (sink.json && slashes % 2);
}

/* Nobody may forge a second line, and a terminal must not be steered by what a peer sent. */
static void clean(char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = ' ';
}

static void emit(struct str *line)
{
	if (line->len > LOG_LINE_MAX) {
		line->len = cut_at(line, LOG_LINE_MAX - 4);
		str_adds(line, sink.json ? "\"}" : "...");
	}
	clean(line->data, line->len);
	str_addc(line, '\n');
	if (sink.tap)
		sink.tap(sink.tap_arg, str_slice(line));
	if (write(sink.fd, line->data, line->len) != (ssize_t)line->len)
		sink.lost++;
}

static void write_line(enum log_level level, const char *ctx, const char *text)
{
	struct str line = STR_INIT;

	if (sink.json) {
		str_adds(&line, "{\"time\":\"");
		add_time(&line);
		str_addf(&line, "\",\"level\":\"%s\",\"service\":\"%s\",\"pid\":%d,\"id\":\"",
			 level_names[level], sink.service, (int)getpid());
		add_json_text(&line, ctx);
		str_adds(&line, "\",\"text\":\"");
		add_json_text(&line, text);
		str_adds(&line, "\"}");
	} else {
		add_time(&line);
		str_addf(&line, " %-5s %s[%d] ", level_names[level], sink.service, (int)getpid());
		add_ctx(&line, ctx);
		str_addc(&line, ' ');
		str_adds(&line, text);
	}
	emit(&line);
	str_clear(&line);
}

void log_at(enum log_level level, const char *ctx, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	if (!log_enabled(level))
		return;
	if (sink.lost != sink.lost_told) {
		uint64_t before = sink.lost;

		str_addf(&text, "event=log_lines_lost count=%llu reason=\"log pipe full\"",
			 (unsigned long long)(sink.lost - sink.lost_told));
		write_line(LOG_LEVEL_WARN, "-", text.data);
		if (sink.lost == before)
			sink.lost_told = sink.lost;
		else
			sink.lost = before;
		str_reset(&text);
	}
	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	write_line(level, ctx, text.data);
	str_clear(&text);
}

_Noreturn void fatal(const char *fmt, ...)
{
	struct str text = STR_INIT;
	struct stat a, b;
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	write_line(LOG_LEVEL_ERROR, "-", text.data);
	if (sink.fd != STDERR_FILENO &&
	    !(fstat(sink.fd, &a) == 0 && fstat(STDERR_FILENO, &b) == 0 && a.st_ino == b.st_ino &&
	      a.st_dev == b.st_dev))
		fprintf(stderr, "%s: %s\n", sink.service, text.data);
	exit(EX_CONFIG);
}
