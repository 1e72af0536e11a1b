/* `supervisor logs`: reads the files in log/ itself, so it works without a supervisor too. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/xmem.h"
#include "supervisor/command.h"
#include "supervisor/table.h"

#define TAIL_BYTES  (1 << 20)
#define STAMP_LEN   27 /* "2026-01-31T12:00:00.000000Z" */
#define FILES_MAX   16
#define ROTATED_MAX 100

struct line {
	const char *text; /* terminated */
	const char *key;  /* time stamp: its own, or of the line that it belongs to */
	size_t order;
};

struct tail {
	char name[64];
	char *path;
	int fd; /* -1 while the file does not exist */
	struct str half;
};

struct reader {
	struct tail tails[FILES_MAX];
	size_t n;
	const char *filter; /* " cm-client-2[", or NULL */
	struct line *lines;
	size_t nlines;
};

static void add_tail(struct reader *r, const char *name)
{
	struct tail *t = &r->tails[r->n++];

	snprintf(t->name, sizeof(t->name), "%s", name);
	t->path = xasprintf("log/%s.log", name);
	t->fd = -1;
	str_init(&t->half);
}

/* The last part of an open file, from the start of a line. */
static void add_end(struct str *out, int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	off_t from = size > TAIL_BYTES ? size - TAIL_BYTES : 0;
	char buf[65536];
	size_t start = out->len;
	ssize_t n;

	lseek(fd, from, SEEK_SET);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		str_add(out, buf, (size_t)n);
	if (from && memchr(out->data + start, '\n', out->len - start)) {
		const char *nl = memchr(out->data + start, '\n', out->len - start);
		size_t skip = (size_t)(nl + 1 - out->data) - start;

		memmove(out->data + start, out->data + start + skip, out->len - start - skip + 1);
		out->len -= skip;
	}
}

/* The rotated file before, then the present one, which stays open for -f. */
static void read_tail(struct tail *t, struct str *out)
{
	char *older = xasprintf("%s.1", t->path);
	int fd = open(older, O_RDONLY | O_CLOEXEC);

	t->fd = open(t->path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		add_end(out, fd);
		close(fd);
	}
	if (t->fd >= 0)
		add_end(out, t->fd);
	free(older);
}

static bool has_stamp(const char *line)
{
	const char *p = line[0] == '{' ? strchr(line, '2') : line;

	return p && strlen(p) > STAMP_LEN && p[4] == '-' && p[7] == '-' && p[10] == 'T';
}

static void add_lines(struct reader *r, char *text)
{
	const char *key = "";

	for (char *line = text, *next; *line; line = next) {
		size_t n = strcspn(line, "\n");

		next = line + n + (line[n] != '\0');
		line[n] = '\0';
		if (has_stamp(line))
			key = line;
		if (r->filter && !strstr(key, r->filter))
			continue;
		if ((r->nlines & (r->nlines + 1)) == 0)
			r->lines = xrealloc(r->lines, (r->nlines * 2 + 2) * sizeof(*r->lines));
		r->lines[r->nlines] = (struct line){line, key, r->nlines};
		r->nlines++;
	}
}

static int by_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int d = strncmp(x->key, y->key, STAMP_LEN + 12);

	if (d)
		return d;
	return x->order < y->order ? -1 : 1;
}

static void print_last(struct reader *r, size_t n)
{
	struct str texts[FILES_MAX];

	for (size_t i = 0; i < r->n; i++) {
		str_init(&texts[i]);
		read_tail(&r->tails[i], &texts[i]);
		if (texts[i].len)
			add_lines(r, texts[i].data);
	}
	if (r->n > 1 && r->nlines)
		qsort(r->lines, r->nlines, sizeof(*r->lines), by_time);
	for (size_t i = r->nlines > n ? r->nlines - n : 0; i < r->nlines; i++)
		printf("%s\n", r->lines[i].text);
	for (size_t i = 0; i < r->n; i++)
		str_clear(&texts[i]);
	free(r->lines);
	r->lines = NULL;
	fflush(stdout);
}

static void print_new(const struct reader *r, struct tail *t)
{
	char *end;

	while ((end = t->half.len ? memchr(t->half.data, '\n', t->half.len) : NULL)) {
		size_t n = (size_t)(end - t->half.data);

		*end = '\0';
		if (!r->filter || strstr(t->half.data, r->filter))
			printf("%s\n", t->half.data);
		str_consume(&t->half, n + 1);
	}
}

static void read_new(struct tail *t)
{
	char buf[16384];
	ssize_t n;

	while (t->fd >= 0 && (n = read(t->fd, buf, sizeof(buf))) > 0)
		str_add(&t->half, buf, (size_t)n);
}

static bool is_open_file(const struct tail *t, unsigned int k)
{
	char *path = k ? xasprintf("%s.%u", t->path, k) : xstrdup(t->path);
	struct stat ours, named;
	bool same = fstat(t->fd, &ours) == 0 && stat(path, &named) == 0 &&
		    ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;

	free(path);
	return same;
}

/* Goes from the file that we have read to the next younger one. False: ours is the youngest. */
static bool advance(struct tail *t)
{
	unsigned int k = 0;
	char *path;
	int fd;

	if (t->fd >= 0)
		while (k < ROTATED_MAX && !is_open_file(t, k))
			k++;
	if (t->fd >= 0 && k == 0)
		return false;
	/* Rotated out of sight, or not there before: the present one. */
	if (t->fd < 0 || k == ROTATED_MAX || k == 1)
		path = xstrdup(t->path);
	else
		path = xasprintf("%s.%u", t->path, k - 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return false;
	/* Rotated once more meanwhile: look again. */
	if (t->fd >= 0 && k < ROTATED_MAX && !is_open_file(t, k)) {
		close(fd);
		return true;
	}
	/* It was rotated after our last look at it, perhaps with lines written in between. */
	read_new(t);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = fd;
	return true;
}

static void follow(const struct reader *r, struct tail *t)
{
	do
		read_new(t);
	while (advance(t));
	print_new(r, t);
}

static void follow_all(struct reader *r)
{
	struct timespec pause = {.tv_nsec = 100000000};

	while (!ferror(stdout)) {
		for (size_t i = 0; i < r->n; i++)
			follow(r, &r->tails[i]);
		fflush(stdout);
		nanosleep(&pause, NULL);
	}
}

/* False: no such service. */
static bool choose(struct reader *r, const char *what, char filter[80])
{
	const struct table_row *row = what ? table_of_instance(what) : NULL;

	if (!what) {
		for (size_t i = 0; i < table_len; i++)
			add_tail(r, table_rows[i].service);
		add_tail(r, "supervisor");
	} else if (strcmp(what, "supervisor") == 0 || table_find(what)) {
		add_tail(r, what);
	} else if (row) {
		add_tail(r, row->service);
		snprintf(filter, 80, "%s", what);
		r->filter = filter;
	} else {
		return false;
	}
	return true;
}

int command_logs(const struct command_env *env, int argc, char **argv)
{
	struct reader r = {.n = 0};
	char filter[80];
	bool more = false;
	long n = 50;
	int c;

	optind = 0;
	while ((c = getopt(argc, argv, "fn:")) != -1) {
		if (c == 'f')
			more = true;
		else if (c == 'n' && atol(optarg) >= 0)
			n = atol(optarg);
		else
			goto misuse;
	}
	if (argc - optind > 1)
		goto misuse;
	if (!choose(&r, argv[optind], filter)) {
		fprintf(stderr, "supervisor: no service \"%s\"; there are", argv[optind]);
		for (size_t i = 0; i < table_len; i++)
			fprintf(stderr, " %s", table_rows[i].service);
		fprintf(stderr, " supervisor\n");
		return COMMAND_FAILED;
	}
	if (access("log", R_OK | X_OK) < 0) {
		fprintf(stderr, "supervisor: %s/log: %s\n", env->dir, strerror(errno));
		return COMMAND_FAILED;
	}
	print_last(&r, (size_t)n);
	if (more)
		follow_all(&r);
	for (size_t i = 0; i < r.n; i++) {
		if (r.tails[i].fd >= 0)
			close(r.tails[i].fd);
		free(r.tails[i].path);
		str_clear(&r.tails[i].half);
	}
	return COMMAND_OK;
misuse:
	fprintf(stderr, "supervisor: wrong arguments; see supervisor logs --help\n");
	return COMMAND_USAGE;
}
