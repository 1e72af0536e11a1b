#include "cli/xmpp/metrics_show.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/slice.h"
#include "base/str.h"
#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/xmpp/xmpp_program.h"

#define FOLDER	     "run/metrics"
#define SUFFIX	     ".sock"
#define ANSWER_S     5
#define BYTES_MAX    ((size_t)16 * 1024 * 1024)
#define NAMES_MAX    64
#define FAMILIES_MAX 1024

static int ask(const char *name)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = ANSWER_S};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (strlen(name) + sizeof(FOLDER "/" SUFFIX) > sizeof(a.sun_path)) {
		errno = ENOENT;
	} else {
		snprintf(a.sun_path, sizeof(a.sun_path), FOLDER "/%s" SUFFIX, name);
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		    send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) ==
			    (ssize_t)sizeof(request) - 1)
			return fd;
	}
	close(fd);
	return -1;
}

/* The body of the answer is appended to out; errno says what went wrong. */
static bool fetch(const char *name, struct str *out)
{
	struct str answer = STR_INIT;
	int fd = ask(name);
	const char *body = NULL;
	char bytes[8192];
	ssize_t n = -1;

	if (fd >= 0) {
		while ((n = read(fd, bytes, sizeof(bytes))) > 0 && answer.len < BYTES_MAX)
			str_add(&answer, bytes, (size_t)n);
		close(fd);
	}
	if (n == 0) {
		body = strstr(answer.data, "\r\n\r\n");
		errno = EPROTO;
	}
	if (body)
		str_adds(out, body + 4);
	str_clear(&answer);
	return body != NULL;
}

/* ---- several processes in one exposition: a family must stand together */

struct families {
	size_t count;
	struct family {
		struct slice name; /* in text */
		struct str
			samples; /* the first process's lines with their heading, others' without */
	} item[FAMILIES_MAX];
};

static struct family *family_of(struct families *all, struct slice name, bool *fresh)
{
	*fresh = false;
	for (size_t i = 0; i < all->count; i++)
		if (slice_eq(all->item[i].name, name))
			return &all->item[i];
	if (all->count == FAMILIES_MAX)
		return NULL;
	*fresh = true;
	all->item[all->count] = (struct family){name, STR_INIT};
	return &all->item[all->count++];
}

static struct slice second_word(struct slice line, size_t skip)
{
	struct slice rest = slice_of(line.data + skip, line.len - skip);

	return slice_of(rest.data, strcspn(rest.data, " \n"));
}

static void add_lines(struct families *all, struct slice text)
{
	static const char type[] = "# TYPE ";
	struct family *f = NULL;
	bool fresh = false;
	struct slice line;

	while (json_line_next(&text, &line)) {
		if (slice_is(line, "# EOF"))
			continue;
		if (line.len > sizeof(type) && memcmp(line.data, type, sizeof(type) - 1) == 0)
			f = family_of(all, second_word(line, sizeof(type) - 1), &fresh);
		if (f && (fresh || *line.data != '#')) {
			str_add_slice(&f->samples, line);
			str_addc(&f->samples, '\n');
		}
	}
}

static void merge(struct slice text, struct str *out)
{
	struct families *all = xcalloc(1, sizeof(*all));

	add_lines(all, text);
	for (size_t i = 0; i < all->count; i++) {
		str_add_slice(out, str_slice(&all->item[i].samples));
		str_clear(&all->item[i].samples);
	}
	str_adds(out, "# EOF\n");
	free(all);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static size_t find_names(char names[NAMES_MAX][64])
{
	DIR *d = opendir(FOLDER);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)) && n < NAMES_MAX) {
		size_t len = strlen(e->d_name);

		if (len <= strlen(SUFFIX) || len >= sizeof(names[0]) ||
		    strcmp(e->d_name + len - strlen(SUFFIX), SUFFIX) != 0)
			continue;
		snprintf(names[n++], sizeof(names[0]), "%.*s", (int)(len - strlen(SUFFIX)),
			 e->d_name);
	}
	if (d)
		closedir(d);
	qsort(names, n, sizeof(names[0]), by_name);
	return n;
}

static int fail(const char *dir, const char *name)
{
	return command_fail("xmpp", COMMAND_UNREACHABLE,
			    "%s/" FOLDER "/%s" SUFFIX ": %s; 'supervisor -C %s status' lists the "
			    "instances and whether they run",
			    dir, name, strerror(errno), dir);
}

static int fetch_all(const char *dir, struct str *out)
{
	char names[NAMES_MAX][64];
	size_t n = find_names(names);
	struct str all = STR_INIT;
	int code = COMMAND_OK;

	if (n == 0)
		code = command_fail("xmpp", COMMAND_UNREACHABLE,
				    "no server is running in %s; start it with 'supervisor -C %s "
				    "start'",
				    dir, dir);
	for (size_t i = 0; i < n; i++)
		if (!fetch(names[i], &all))
			code = fail(dir, names[i]);
	if (all.len)
		merge(str_slice(&all), out);
	str_clear(&all);
	return code;
}

int metrics_show(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct str out = STR_INIT;
	int code;

	if (chdir(v->common.dir) != 0)
		return command_fail("xmpp", COMMAND_UNREACHABLE, "instance directory %s: %m",
				    v->common.dir);
	if (argc) {
		if (strchr(argv[0], '/'))
			return command_fail("xmpp", COMMAND_USAGE,
					    "'%s' is not the name of an instance, such as router",
					    argv[0]);
		code = fetch(argv[0], &out) ? COMMAND_OK : fail(v->common.dir, argv[0]);
	} else {
		code = fetch_all(v->common.dir, &out);
	}
	fwrite(out.data, 1, out.len, stdout);
	str_clear(&out);
	return code;
}
