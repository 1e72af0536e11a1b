#include "cli/pki/pki_files.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/xmem.h"

struct pki_dir {
	int fd;
	char *path;
	uid_t owner;
	gid_t group;
};

struct str *pki_files_add(struct pki_files *f, mode_t mode, const char *fmt, ...)
{
	struct pki_file *file = &f->list[f->n];
	va_list ap;

	check(f->n < PKI_FILES_MAX);
	f->n++;
	*file = (struct pki_file){.mode = mode, .bytes = STR_INIT};
	va_start(ap, fmt);
	vsnprintf(file->name, sizeof(file->name), fmt, ap);
	va_end(ap);
	return &file->bytes;
}

void pki_files_clear(struct pki_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->list[i].bytes.cap)
			xwipe(f->list[i].bytes.data, f->list[i].bytes.cap);
		str_clear(&f->list[i].bytes);
	}
	f->n = 0;
}

/* ---- directory */

static enum err io_failed(struct str *why, const char *dir, const char *name, uid_t owner)
{
	const struct passwd *who;
	int e = errno;

	str_addf(why, "%s%s%s: %s; ", dir, *name ? "/" : "", name, strerror(e));
	if (e == EACCES || e == EPERM || e == EROFS) {
		who = owner == (uid_t)-1 ? NULL : getpwuid(owner);
		str_adds(why, "run this as the user that owns the instance");
		if (who)
			str_addf(why, " (%s), or as root", who->pw_name);
		return ERR_DENIED;
	}
	if (e == ENOENT || e == ENOTDIR)
		str_adds(why, "name an existing directory with -C DIR, or make it first");
	else
		str_adds(why, "make room or repair the file system, then run this again");
	return ERR_IO;
}

static uid_t owner_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_uid : (uid_t)-1;
}

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 || S_ISDIR(st.st_mode); /* not seen: what opens it will tell */
}

/* Open to all like ca.pem, which clients read; the keys in it are 0600. */
static enum err make_dir(const char *path, const char *parent, struct str *why)
{
	struct stat st;

	if (mkdir(path, 0755) != 0) {
		if (errno != EEXIST)
			return io_failed(why, path, "", owner_of(parent));
		errno = ENOTDIR;
		return is_dir(path) ? ERR_OK : io_failed(why, path, "", (uid_t)-1);
	}
	if (geteuid() == 0 && stat(parent, &st) == 0 && chown(path, st.st_uid, st.st_gid) != 0)
		return io_failed(why, path, "", (uid_t)-1);
	return ERR_OK;
}

enum err pki_dir_open(struct pki_dir **out, const char *dir, struct str *why)
{
	struct pki_dir *d = xcalloc(1, sizeof(*d));
	enum err e = make_dir(dir, "/", why);
	struct stat st;

	*out = NULL;
	d->fd = -1;
	d->path = xasprintf("%s/pki", dir);
	if (e == ERR_OK)
		e = make_dir(d->path, dir, why);
	if (e == ERR_OK) {
		d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (d->fd < 0 || fstat(d->fd, &st) < 0)
			e = io_failed(why, d->path, "", owner_of(d->path));
		else if (faccessat(d->fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
			e = io_failed(why, d->path, "", st.st_uid);
	}
	if (e != ERR_OK) {
		pki_dir_close(&d);
		return e;
	}
	d->owner = st.st_uid;
	d->group = st.st_gid;
	flock(d->fd, LOCK_EX); /* until it is closed: two at a time would mix their files */
	*out = d;
	return ERR_OK;
}

void pki_dir_close(struct pki_dir **dp)
{
	struct pki_dir *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d);
}

int pki_dir_fd(const struct pki_dir *d)
{
	return d->fd;
}

const char *pki_dir_path(const struct pki_dir *d)
{
	return d->path;
}

/* ---- files */

static void temp_name(char out[PKI_FILES_NAME_MAX + 8], const struct pki_file *f)
{
	snprintf(out, PKI_FILES_NAME_MAX + 8, ".%s.new", f->name);
}

bool pki_files_write_all(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.data, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes = slice_of(bytes.data + n, bytes.len - (size_t)n);
	}
	return true;
}

static bool write_temp(const struct pki_dir *d, const struct pki_file *f)
{
	char name[PKI_FILES_NAME_MAX + 8];
	int fd, e;
	bool ok;

	temp_name(name, f);
	unlinkat(d->fd, name, 0); /* left by one that was killed */
	fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	ok = pki_files_write_all(fd, str_slice(&f->bytes)) &&
	     (geteuid() != 0 || fchown(fd, d->owner, d->group) == 0) && fchmod(fd, f->mode) == 0 &&
	     fsync(fd) == 0;
	e = errno;
	ok = close(fd) == 0 && ok;
	errno = e;
	return ok;
}

static void remove_temps(const struct pki_files *f, const struct pki_dir *d)
{
	char name[PKI_FILES_NAME_MAX + 8];
	int e = errno;

	for (size_t i = 0; i < f->n; i++) {
		temp_name(name, &f->list[i]);
		unlinkat(d->fd, name, 0);
	}
	errno = e;
}

enum err pki_files_refuse_existing(const struct pki_files *f, const struct pki_dir *d,
				   const char *replaces, struct str *why)
{
	for (size_t i = 0; i < f->n; i++) {
		if (faccessat(d->fd, f->list[i].name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		str_addf(why, "%s/%s is there already and was left alone; --force replaces %s",
			 d->path, f->list[i].name, replaces);
		return ERR_CONFLICT;
	}
	return ERR_OK;
}

/* Without force nothing was there before: what already has its name is taken away again. */
static void take_back(const struct pki_files *f, const struct pki_dir *d, size_t done)
{
	int e = errno;

	for (size_t i = 0; i < done; i++)
		unlinkat(d->fd, f->list[i].name, 0);
	errno = e;
}

/* All are on disk under other names before the first gets its own. */
enum err pki_files_write(const struct pki_files *f, const struct pki_dir *d, bool force,
			 struct str *why)
{
	char name[PKI_FILES_NAME_MAX + 8];
	enum err e;

	for (size_t i = 0; i < f->n; i++) {
		if (!write_temp(d, &f->list[i])) {
			remove_temps(f, d);
			return io_failed(why, d->path, f->list[i].name, d->owner);
		}
	}
	for (size_t i = 0; i < f->n; i++) {
		temp_name(name, &f->list[i]);
		if (renameat2(d->fd, name, d->fd, f->list[i].name, force ? 0 : RENAME_NOREPLACE)) {
			e = io_failed(why, d->path, f->list[i].name, d->owner);
			remove_temps(f, d);
			if (!force)
				take_back(f, d, i);
			return e;
		}
	}
	fsync(d->fd);
	return ERR_OK;
}
