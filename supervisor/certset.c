#include "supervisor/certset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/inherit.h"
#include "proc/tls_files.h"

struct file {
	int fd;	   /* memory file; -1: could not be read */
	int error; /* then */
};

#define NFILES CERTSET_FILES

struct pair {
	struct file file[NFILES]; /* certificate, key, bundle */
	struct certset_look look;
};

struct certset {
	struct tls_files files;
	struct pair pairs[TLS_FILES_MAX];
};

/* NULL: there is to be no such file. */
static const char *path_of(const struct certset *c, size_t pair, size_t which)
{
	const struct tls_files_pair *p = &c->files.pairs[pair];

	return which == 0 ? p->cert_path : which == 1 ? p->key_path : p->bundle_path;
}

static void name_of(size_t pair, size_t which, char name[TLS_FILES_NAME_MAX])
{
	static void (*const name_by[NFILES])(size_t pair, char out[TLS_FILES_NAME_MAX]) = {
		tls_files_cert_name, tls_files_key_name, tls_files_bundle_name};

	name_by[which](pair, name);
}

/* ---- reading */

static int copy(int from, int to)
{
	char buf[16384];
	size_t total = 0;
	int error = 0;
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		total += (size_t)n;
		if (total > CERTSET_FILE_MAX)
			error = EFBIG;
		else if (write(to, buf, (size_t)n) != n)
			error = errno ? errno : ENOSPC;
		if (error)
			break;
	}
	if (n < 0)
		error = errno;
	xwipe(buf, sizeof(buf));
	return error;
}

static struct file file_read(const char *path)
{
	struct file f = {-1, 0};
	struct stat st;
	/* A fifo that somebody put there must not stop us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0) {
		f.error = errno;
	} else if (!S_ISREG(st.st_mode)) {
		f.error = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	} else {
		f.fd = memfd_create("certificate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		f.error = f.fd < 0 ? errno : copy(fd, f.fd);
		if (!f.error && fcntl(f.fd, F_ADD_SEALS,
				      F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
			f.error = errno;
		if (f.error && f.fd >= 0) {
			close(f.fd);
			f.fd = -1;
		}
	}
	if (fd >= 0)
		close(fd);
	return f;
}

static void pair_close(struct pair *p)
{
	for (size_t k = 0; k < NFILES; k++) {
		if (p->file[k].fd >= 0)
			close(p->file[k].fd);
		p->file[k] = (struct file){-1, ENOENT};
	}
}

static void pair_read(struct certset *c, size_t pair)
{
	c->pairs[pair].look = certset_look(c, pair);
	for (size_t k = 0; k < NFILES; k++)
		if (path_of(c, pair, k))
			c->pairs[pair].file[k] = file_read(path_of(c, pair, k));
}

static struct certset *empty_set(void)
{
	struct certset *c = xcalloc(1, sizeof(*c));

	for (size_t i = 0; i < TLS_FILES_MAX; i++)
		for (size_t k = 0; k < NFILES; k++)
			c->pairs[i].file[k] = (struct file){-1, ENOENT};
	return c;
}

enum err certset_new(struct certset **out, const struct config *cfg, struct str *why)
{
	struct certset *c = empty_set();
	enum err e = tls_files_parse(&c->files, cfg, why);

	*out = NULL;
	if (e != ERR_OK) {
		free(c);
		return e;
	}
	for (size_t i = 0; i < c->files.n; i++)
		pair_read(c, i);
	*out = c;
	return ERR_OK;
}

struct certset *certset_read_pair(const struct certset *c, size_t pair)
{
	struct certset *alone = empty_set();

	alone->files.n = c->files.n;
	for (size_t i = 0; i < c->files.n; i++) {
		alone->files.pairs[i].cert_path = xstrdup(c->files.pairs[i].cert_path);
		alone->files.pairs[i].key_path = xstrdup(c->files.pairs[i].key_path);
		if (c->files.pairs[i].bundle_path)
			alone->files.pairs[i].bundle_path = xstrdup(c->files.pairs[i].bundle_path);
	}
	pair_read(alone, pair);
	return alone;
}

void certset_free(struct certset **cp)
{
	struct certset *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	for (size_t i = 0; i < c->files.n; i++)
		pair_close(&c->pairs[i]);
	tls_files_clear(&c->files);
	free(c);
}

/* ---- looking */

static const char *advice(int error, size_t which)
{
	switch (error) {
	case ENOENT:
		if (which == 2)
			return "copy the CA's bundle there, or take it out of the configuration";
		return "`pki lab` makes one for trials; or name the right file in "
		       "conf/roundhouse.conf";
	case EACCES:
	case EPERM:
		return "the user who runs the supervisor must be able to read it";
	case EFBIG:
		return "larger than 1 MiB, so it is neither key nor certificate";
	default:
		return "put a readable PEM file there";
	}
}

static bool pair_missing(const struct certset *c, size_t pair, bool denied_is_fine, struct str *why)
{
	for (size_t k = 0; k < NFILES; k++) {
		const struct file *f = &c->pairs[pair].file[k];
		char name[TLS_FILES_NAME_MAX];

		if (!path_of(c, pair, k) || f->fd >= 0 || (denied_is_fine && f->error == EACCES))
			continue;
		name_of(pair, k, name);
		if (why)
			str_addf(why, "%s: %s: %s; %s", name, path_of(c, pair, k),
				 strerror(f->error), advice(f->error, k));
		return true;
	}
	return false;
}

bool certset_pair_missing(const struct certset *c, size_t pair, struct str *why)
{
	return pair_missing(c, pair, false, why);
}

bool certset_missing(const struct certset *c, bool denied_is_fine, struct str *why)
{
	for (size_t i = 0; i < c->files.n; i++)
		if (pair_missing(c, i, denied_is_fine, why))
			return true;
	return false;
}

size_t certset_count(const struct certset *c)
{
	return c->files.n;
}

const char *certset_cert_path(const struct certset *c, size_t pair)
{
	return path_of(c, pair, 0);
}

const char *certset_key_path(const struct certset *c, size_t pair)
{
	return path_of(c, pair, 1);
}

static unsigned long long ns(struct timespec t)
{
	return (unsigned long long)t.tv_sec * 1000000000ULL + (unsigned long long)t.tv_nsec;
}

struct certset_look certset_look(const struct certset *c, size_t pair)
{
	struct certset_look look;

	memset(&look, 0, sizeof(look)); /* all zeros: it is not there */
	for (size_t k = 0; k < NFILES; k++) {
		struct stat st;

		if (!path_of(c, pair, k) || stat(path_of(c, pair, k), &st) < 0)
			continue;
		look.file[k].dev = st.st_dev;
		look.file[k].inode = st.st_ino;
		look.file[k].size = (unsigned long long)st.st_size;
		look.file[k].mtime_ns = ns(st.st_mtim);
		look.file[k].ctime_ns = ns(st.st_ctim); /* of a chmod: it may be readable now */
	}
	return look;
}

struct certset_look certset_read_look(const struct certset *c, size_t pair)
{
	return c->pairs[pair].look;
}

bool certset_look_same(const struct certset_look *a, const struct certset_look *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool same_bytes(int a, int b)
{
	char x[4096], y[4096];
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(a, x, sizeof(x), at), m = pread(b, y, sizeof(y), at);

		if (n != m || n < 0 || memcmp(x, y, (size_t)n) != 0)
			return false;
		if (n == 0)
			return true;
		at += n;
	}
}

bool certset_pair_same(const struct certset *a, const struct certset *b, size_t pair)
{
	for (size_t k = 0; k < NFILES; k++) {
		int x = a->pairs[pair].file[k].fd, y = b->pairs[pair].file[k].fd;

		if (path_of(a, pair, k) && (x < 0 || y < 0 || !same_bytes(x, y)))
			return false;
	}
	return true;
}

/* ---- handing on */

void certset_add_pair(const struct certset *c, size_t pair, struct inherit *in)
{
	char name[TLS_FILES_NAME_MAX];

	for (size_t k = 0; k < NFILES; k++)
		if (path_of(c, pair, k) && c->pairs[pair].file[k].fd < 0)
			return;
	for (size_t k = 0; k < NFILES; k++) {
		if (!path_of(c, pair, k))
			continue;
		name_of(pair, k, name);
		inherit_add_fd(in, INHERIT_FILE,
			       fcntl(c->pairs[pair].file[k].fd, F_DUPFD_CLOEXEC, 3), name, NULL);
	}
}

void certset_add(const struct certset *c, struct inherit *in)
{
	for (size_t i = 0; i < c->files.n; i++)
		certset_add_pair(c, i, in);
}

void certset_take_pair(struct certset *c, struct certset *from, size_t pair)
{
	pair_close(&c->pairs[pair]);
	c->pairs[pair] = from->pairs[pair];
	for (size_t k = 0; k < NFILES; k++)
		from->pairs[pair].file[k].fd = -1;
}
