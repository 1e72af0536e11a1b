#include "datastore/db.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"

#define DB_STMTS_MAX	128
#define DB_WRITER_WAIT	2000 /* ms that the writer waits for a foreign lock */
#define DB_READER_WAIT	20   /* the reader is the loop's thread: it must not block */
#define DB_CACHE_PRAGMA "PRAGMA cache_size = -8192"

struct db {
	sqlite3 *sql;
	struct {
		const char *text;
		sqlite3_stmt *st;
	} stmts[DB_STMTS_MAX];
	size_t count;
	enum err prepare_err;
	uint32_t wal_pages;
	enum disk_state trouble;
	int trouble_code;
	int trouble_errno;
};

/* The journal of savepoints stays in memory: a service has no temporary directory to itself. */
static void setup_once(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	(void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
}

static int file_errno(struct db *d, int which)
{
	sqlite3_file *f = NULL;
	int n = 0;

	if (sqlite3_file_control(d->sql, "main", which, &f) == SQLITE_OK && f && f->pMethods)
		f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &n);
	return n;
}

/* sqlite3_system_errno() is the errno of now, after SQLite's rollback; the files remember theirs.
 * The log first: it is what is written. */
static int last_errno(struct db *d)
{
	int n = file_errno(d, SQLITE_FCNTL_JOURNAL_POINTER);

	if (n == 0)
		n = file_errno(d, SQLITE_FCNTL_FILE_POINTER);
	return n ? n : sqlite3_system_errno(d->sql);
}

static enum err judge(struct db *d, int rc)
{
	int sys_errno;
	enum disk_state s;

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return ERR_OK;
	case SQLITE_NOMEM: /* no memory = abort, here as everywhere */
		check(!"SQLite has memory");
		return ERR_INTERNAL;
	case SQLITE_CONSTRAINT:
		return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY
			       ? ERR_CONFLICT
			       : ERR_INTERNAL;
	case SQLITE_TOOBIG:
		return ERR_TOOBIG;
	default:
		break;
	}
	sys_errno = last_errno(d);
	s = disk_judge(rc, sys_errno);
	if (s > d->trouble) {
		d->trouble = s;
		d->trouble_code = rc;
		d->trouble_errno = sys_errno;
	}
	return s == DISK_OK ? ERR_INTERNAL : disk_err(s);
}

static int on_wal(void *arg, sqlite3 *sql, const char *name, int pages)
{
	struct db *d = arg;

	(void)sql;
	(void)name;
	d->wal_pages = (uint32_t)pages;
	return SQLITE_OK;
}

static enum err pragma(struct db *d, const char *text, struct str *why)
{
	enum err e = judge(d, sqlite3_exec(d->sql, text, NULL, NULL, NULL));

	if (e != ERR_OK)
		str_adds(why, sqlite3_errmsg(d->sql));
	return e;
}

enum err db_open(struct db **out, const char *path, enum db_mode mode, struct str *why)
{
	struct db *d = xcalloc(1, sizeof(*d));
	enum err e;
	int rc;

	*out = NULL;
	setup_once();
	rc = sqlite3_open_v2(path, &d->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	check(d->sql);
	sqlite3_extended_result_codes(d->sql, 1);
	e = judge(d, rc);
	if (e != ERR_OK) {
		str_adds(why, sqlite3_errmsg(d->sql));
		db_close(&d);
		return e;
	}
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	sqlite3_busy_timeout(d->sql, mode == DB_WRITER ? DB_WRITER_WAIT : DB_READER_WAIT);
	sqlite3_wal_hook(d->sql, on_wal, d);
	/* No mmap: an unreadable sector would be SIGBUS instead of SQLITE_IOERR. */
	e = pragma(d, "PRAGMA mmap_size = 0", why);
	if (e == ERR_OK)
		e = pragma(d, DB_CACHE_PRAGMA, why);
	if (e == ERR_OK && mode == DB_READER)
		e = pragma(d, "PRAGMA query_only = 1", why);
	if (e != ERR_OK)
		db_close(&d);
	*out = d;
	return e;
}

void db_close(struct db **dp)
{
	struct db *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	for (size_t i = 0; i < d->count; i++)
		sqlite3_finalize(d->stmts[i].st);
	check(sqlite3_close(d->sql) == SQLITE_OK);
	free(d);
}

/* A file system without shared memory keeps the old mode and says so only by its answer. */
static enum err enter_wal(struct db *d, struct str *why)
{
	sqlite3_stmt *st = db_stmt(d, "PRAGMA journal_mode = WAL");
	enum err e = db_row(d, st);
	bool wal = e == ERR_OK && slice_is(db_text(st, 0), "wal");

	if (e == ERR_OK)
		e = db_run(d, st); /* to its end: reset before that it keeps a lock */
	if (e == ERR_OK && !wal)
		e = ERR_UNSUPPORTED;
	if (e == ERR_UNSUPPORTED)
		str_adds(why, "its file system does not support SQLite's WAL; use a local one");
	else if (e != ERR_OK)
		str_addf(why, "WAL cannot be used: %s", sqlite3_errmsg(d->sql));
	return e;
}

enum err db_in_service(struct db *d, struct str *why)
{
	/* secure_delete: keys of a deleted account do not stay in free pages. */
	static const char *const pragmas[] = {"PRAGMA synchronous = FULL",
					      "PRAGMA secure_delete = 1"};
	enum err e = enter_wal(d, why);

	for (size_t i = 0; e == ERR_OK && i < sizeof(pragmas) / sizeof(pragmas[0]); i++)
		e = pragma(d, pragmas[i], why);
	if (e != ERR_OK)
		return e;
	/* After a failed fsync the log may be readable from the page cache and yet not be on the
	 * disk. Copied into the file and synced by this process it is; only then may a repeated
	 * operation be answered from it. */
	e = judge(d,
		  sqlite3_wal_checkpoint_v2(d->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
	if (e != ERR_OK)
		str_addf(why, "its log cannot be brought into it: %s", sqlite3_errmsg(d->sql));
	d->wal_pages = 0;
	return e;
}

void db_out_of_service(struct db *d)
{
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
}

enum err db_checkpoint(struct db *d)
{
	int pages = 0, copied = 0;
	int rc =
		sqlite3_wal_checkpoint_v2(d->sql, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied);

	/* Wholly copied: the next commit starts the log from its beginning. Readers in the way:
	 * tried again after the next commit. */
	if (rc == SQLITE_OK)
		d->wal_pages = 0;
	return (rc & 0xff) == SQLITE_BUSY ? ERR_AGAIN : judge(d, rc);
}

sqlite3 *db_sqlite(struct db *d)
{
	return d->sql;
}

uint32_t db_wal_pages(const struct db *d)
{
	return d->wal_pages;
}

sqlite3_stmt *db_stmt(struct db *d, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int rc;

	for (size_t i = 0; i < d->count; i++) {
		if (d->stmts[i].text == sql) {
			sqlite3_reset(d->stmts[i].st);
			sqlite3_clear_bindings(d->stmts[i].st);
			return d->stmts[i].st;
		}
	}
	rc = sqlite3_prepare_v3(d->sql, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);
	/* The statements are ours and tested: a table that they miss was taken away. */
	d->prepare_err = judge(d, rc == SQLITE_ERROR ? SQLITE_CORRUPT : rc);
	if (d->prepare_err != ERR_OK)
		return NULL;
	check(d->count < DB_STMTS_MAX);
	d->stmts[d->count].text = sql;
	d->stmts[d->count++].st = st;
	return st;
}

void db_bind_text(sqlite3_stmt *st, int i, struct slice s)
{
	if (st)
		sqlite3_bind_text(st, i, s.len ? s.data : "", (int)s.len, SQLITE_STATIC);
}

void db_bind_blob(sqlite3_stmt *st, int i, struct slice s)
{
	if (st)
		sqlite3_bind_blob(st, i, s.len ? s.data : "", (int)s.len, SQLITE_STATIC);
}

void db_bind_int(sqlite3_stmt *st, int i, uint64_t v)
{
	if (st)
		sqlite3_bind_int64(st, i, (sqlite3_int64)v);
}

enum err db_row(struct db *d, sqlite3_stmt *st)
{
	int rc;

	if (!st)
		return d->prepare_err;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		return ERR_OK;
	if (rc == SQLITE_DONE) {
		sqlite3_reset(st);
		return ERR_NOTFOUND;
	}
	rc = (int)judge(d, rc);
	sqlite3_reset(st);
	return (enum err)rc;
}

enum err db_run(struct db *d, sqlite3_stmt *st)
{
	enum err e;

	do
		e = db_row(d, st);
	while (e == ERR_OK);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

void db_end(sqlite3_stmt *st)
{
	if (st)
		sqlite3_reset(st);
}

struct slice db_text(sqlite3_stmt *st, int i)
{
	const char *p = (const char *)sqlite3_column_text(st, i);

	return slice_of(p, (size_t)sqlite3_column_bytes(st, i));
}

struct slice db_blob(sqlite3_stmt *st, int i)
{
	const char *p = sqlite3_column_blob(st, i);

	return slice_of(p, (size_t)sqlite3_column_bytes(st, i));
}

uint64_t db_int(sqlite3_stmt *st, int i)
{
	return (uint64_t)sqlite3_column_int64(st, i);
}

enum err db_exec(struct db *d, const char *sql)
{
	return db_run(d, db_stmt(d, sql));
}

enum disk_state db_trouble(const struct db *d)
{
	return d->trouble;
}

int db_trouble_code(const struct db *d)
{
	return d->trouble_code;
}

int db_trouble_errno(const struct db *d)
{
	return d->trouble_errno;
}

void db_trouble_clear(struct db *d)
{
	d->trouble = DISK_OK;
	d->trouble_code = 0;
	d->trouble_errno = 0;
}
