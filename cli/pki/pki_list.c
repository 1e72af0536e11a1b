#include "cli/pki/pki_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/xmem.h"
#include "cli/common/table.h"
#include "cli/pki/pki_what.h"
#include "net/tls_pem.h"

#define EXPIRES_SOON_DAYS 30
#define FILES_MAX	  4096

struct entry {
	char *name;
	struct pki_what what;
};

struct listing {
	struct entry *list;
	size_t n;
};

/* ---- reading */

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* A key that others can read is no secret any more. */
static void judge_mode(struct pki_what *w, const struct stat *st)
{
	if ((w->kind == PKI_KEY || w->has_key) && (st->st_mode & 077))
		str_addf(&w->problem, "%sothers can read the key: chmod 600",
			 w->problem.len ? "; " : "");
}

static void judge_date(struct pki_what *w, time_t now)
{
	const char *more = w->problem.len ? "; " : "";
	long days = (long)((w->expires - now) / 86400);

	if (!w->expires)
		return;
	if (w->expires <= now)
		str_addf(&w->problem, "%shas expired: renew it", more);
	else if (days <= EXPIRES_SOON_DAYS)
		str_addf(&w->problem, "%sexpires in %ld days: renew it", more, days);
}

static void set_unreadable(struct pki_what *w, int error)
{
	pki_what_of(w, SLICE_NONE);
	str_reset(&w->text);
	str_reset(&w->problem);
	w->kind = PKI_UNREADABLE;
	str_adds(&w->text, "not readable");
	str_addf(&w->problem, "%s%s", strerror(error),
		 error == EACCES ? "; ask as the instance's administrator" : "");
}

/* False: a folder, which is not listed. */
static bool read_entry(struct entry *e, int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct str bytes = STR_INIT, why = STR_INIT;
	struct stat st = {0};

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return false;
	}
	e->name = xstrdup(name);
	if (fd < 0) {
		set_unreadable(&e->what, errno);
	} else if (!S_ISREG(st.st_mode)) {
		set_unreadable(&e->what, EINVAL);
	} else if (tls_pem_read(&bytes, fd, name, &why) != ERR_OK) {
		set_unreadable(&e->what, st.st_size > (off_t)TLS_PEM_FILE_MAX ? EFBIG : EIO);
	} else {
		pki_what_of(&e->what, str_slice(&bytes));
		judge_mode(&e->what, &st);
		judge_date(&e->what, time(NULL));
	}
	if (bytes.cap)
		xwipe(bytes.data, bytes.cap);
	str_clear(&bytes);
	str_clear(&why);
	if (fd >= 0)
		close(fd);
	return true;
}

static void listing_clear(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->list[i].name);
		pki_what_clear(&l->list[i].what);
	}
	free(l->list);
}

static enum err read_dir(struct listing *l, const char *dir, struct str *why)
{
	char *path = xasprintf("%s/pki", dir);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names = NULL;
	int n = fd < 0 ? -1 : scandir(path, &names, visible, alphasort);
	enum err e = ERR_OK;

	*l = (struct listing){NULL, 0};
	if (n < 0) {
		str_addf(why, "%s: %s; %s", path, strerror(errno),
			 errno == EACCES ? "ask as the instance's administrator"
					 : "name the instance's directory with -C DIR");
		e = ERR_IO;
	} else if (n > FILES_MAX) {
		str_addf(why,
			 "%s: more than %d files; move those away that are none of keys and "
			 "certificates",
			 path, FILES_MAX);
		e = ERR_TOOBIG;
	} else {
		l->list = xcalloc((size_t)n + 1, sizeof(*l->list));
		for (int i = 0; i < n; i++)
			l->n += read_entry(&l->list[l->n], fd, names[i]->d_name);
	}
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	if (fd >= 0)
		close(fd);
	free(path);
	return e;
}

/* ---- writing */

static void add_date(struct str *out, time_t t)
{
	struct tm tm;
	char when[32];

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	str_adds(out, when);
}

static void add_text(struct str *out, const char *key, const struct str *value)
{
	str_addf(out, ",\"%s\":", key);
	json_text(out, str_slice(value));
}

static void write_json(const struct entry *e, struct str *out)
{
	str_adds(out, "{\"name\":");
	json_text(out, slice_str(e->name));
	str_addf(out, ",\"kind\":\"%s\"", pki_kind_name(e->what.kind));
	add_text(out, "text", &e->what.text);
	if (e->what.expires) {
		str_adds(out, ",\"expires\":\"");
		add_date(out, e->what.expires);
		str_addc(out, '"');
	}
	if (e->what.name.len)
		add_text(out, "subject", &e->what.name);
	if (e->what.issuer.len)
		add_text(out, "issuer", &e->what.issuer);
	if (e->what.problem.len)
		add_text(out, "problem", &e->what.problem);
	str_adds(out, "}\n");
}

static void write_table(const struct listing *l, struct str *out)
{
	struct table t;

	table_init(&t, 5);
	table_add(&t, slice_str("NAME"));
	table_add(&t, slice_str("KIND"));
	table_add(&t, slice_str("EXPIRES"));
	table_add(&t, slice_str("FOR"));
	table_add(&t, slice_str("ISSUER"));
	for (size_t i = 0; i < l->n; i++) {
		const struct pki_what *w = &l->list[i].what;
		struct str date = STR_INIT;

		if (w->expires)
			add_date(&date, w->expires);
		table_add(&t, slice_str(l->list[i].name));
		table_add(&t, str_slice(&w->text));
		table_addf(&t, "%.10s", w->expires ? date.data : "-");
		table_addf(&t, "%s", w->name.len ? w->name.data : "-");
		table_addf(&t, "%s",
			   w->issuer.len		? w->issuer.data
			   : w->kind == PKI_CERTIFICATE ? "itself"
							: "-");
		str_clear(&date);
	}
	table_write(&t, out);
	table_clear(&t);
	for (size_t i = 0; i < l->n; i++) {
		struct str line = STR_INIT;

		if (l->list[i].what.problem.len) {
			str_addf(&line, "WARNING: %s: %s", l->list[i].name,
				 l->list[i].what.problem.data);
			table_raw(out, str_slice(&line));
		}
		str_clear(&line);
	}
}

enum err pki_list(const char *dir, bool json, struct str *out, struct str *why)
{
	struct listing l;
	enum err e = read_dir(&l, dir, why);

	if (e == ERR_OK && !json)
		write_table(&l, out);
	for (size_t i = 0; e == ERR_OK && json && i < l.n; i++)
		write_json(&l.list[i], out);
	listing_clear(&l);
	return e;
}
