#include "datastore/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"

#define SCHEMA_APPLICATION_ID 0x52484453 /* "RHDS" */

/* Steps are history: never changed once released, only added to.
 * accounts.roster_version starts at the account's creation in ms, so that an account made again
 * under the same name never repeats a version that a client has cached (RFC 6121 2.6). */
const struct schema_step schema_steps[] = {
	{"CREATE TABLE accounts("
	 " id INTEGER PRIMARY KEY, domain TEXT NOT NULL, user TEXT NOT NULL,"
	 " created INTEGER NOT NULL,"
	 " roster_version INTEGER NOT NULL,"
	 " roster_items INTEGER NOT NULL DEFAULT 0,"
	 " roster_bytes INTEGER NOT NULL DEFAULT 0,"
	 " UNIQUE(domain, user)) STRICT;"
	 "CREATE TABLE scram("
	 " account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
	 " hash TEXT NOT NULL, iterations INTEGER NOT NULL, salt BLOB NOT NULL,"
	 " stored_key BLOB NOT NULL, server_key BLOB NOT NULL,"
	 " PRIMARY KEY(account, hash)) STRICT, WITHOUT ROWID;"
	 "CREATE TABLE roster("
	 " account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
	 " jid TEXT NOT NULL, name TEXT NOT NULL, subscription INTEGER NOT NULL,"
	 " ask INTEGER NOT NULL, approved INTEGER NOT NULL, pending_in INTEGER NOT NULL,"
	 " ngroups INTEGER NOT NULL, groups BLOB NOT NULL,"
	 " PRIMARY KEY(account, jid)) STRICT, WITHOUT ROWID;"
	 "CREATE TABLE ops("
	 " op_boot INTEGER NOT NULL, op_n INTEGER NOT NULL, result INTEGER NOT NULL,"
	 " text TEXT NOT NULL, body BLOB NOT NULL, time INTEGER NOT NULL,"
	 " PRIMARY KEY(op_boot, op_n)) STRICT, WITHOUT ROWID;"
	 "CREATE INDEX ops_time ON ops(time);"},
	/* AUTOINCREMENT: the id of a message that is gone never comes again, so a late
	 * DB_OFFLINE_DEL cannot hit another one. */
	{"ALTER TABLE accounts ADD COLUMN offline_messages INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE accounts ADD COLUMN offline_bytes INTEGER NOT NULL DEFAULT 0;"
	 "CREATE TABLE offline("
	 " id INTEGER PRIMARY KEY AUTOINCREMENT,"
	 " account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
	 " origin_sid INTEGER NOT NULL, origin_n INTEGER NOT NULL,"
	 " stamp INTEGER NOT NULL, bytes INTEGER NOT NULL,"
	 " kind INTEGER NOT NULL, type INTEGER NOT NULL, flags INTEGER NOT NULL,"
	 " sender TEXT NOT NULL, addressee TEXT NOT NULL, stanza_id TEXT NOT NULL,"
	 " lang TEXT NOT NULL, children BLOB NOT NULL, inner BLOB NOT NULL,"
	 " UNIQUE(origin_sid, origin_n)) STRICT;"
	 "CREATE INDEX offline_account ON offline(account, id);"
	 "CREATE TABLE offline_done("
	 " origin_sid INTEGER NOT NULL, origin_n INTEGER NOT NULL, time INTEGER NOT NULL,"
	 " PRIMARY KEY(origin_sid, origin_n)) STRICT, WITHOUT ROWID;"
	 "CREATE INDEX offline_done_time ON offline_done(time);"},
	/* sid and n are unsigned: kept with their highest bit turned (shelf.c). With a rowid, since
	 * sids are random: rows lie in the order of arrival and a batch fills few pages; in the
	 * order of their keys each would be in a page of its own (measured: twice the writing). */
	{"CREATE TABLE shelf("
	 " sid INTEGER NOT NULL, kind INTEGER NOT NULL, n INTEGER NOT NULL, body BLOB NOT NULL,"
	 " PRIMARY KEY(sid, kind, n)) STRICT;"
	 "CREATE TABLE shelf_size("
	 " one INTEGER PRIMARY KEY CHECK(one = 1), bytes INTEGER NOT NULL) STRICT;"
	 "INSERT INTO shelf_size(one, bytes) VALUES(1, 0);"},
	/* archive: blocks of some messages of one account, numbered from 1; id = account * 2^32 +
	 * number. A row for each message and its indexes would cost five times the CPU and the log
	 * (datastore/archive.h). archive_gone: accounts that are gone and of which there are still
	 * blocks: they go in pieces, and until then nobody gets that number (accounts_add). */
	{"ALTER TABLE accounts ADD COLUMN data_bytes INTEGER NOT NULL DEFAULT 0;"
	 "CREATE TABLE userdata("
	 " account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
	 " kind INTEGER NOT NULL, key TEXT NOT NULL, changed INTEGER NOT NULL,"
	 " value BLOB NOT NULL, PRIMARY KEY(account, kind, key)) STRICT, WITHOUT ROWID;"
	 "ALTER TABLE roster ADD COLUMN request BLOB NOT NULL DEFAULT x'';"
	 "CREATE TABLE blocked("
	 " account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
	 " jid TEXT NOT NULL, PRIMARY KEY(account, jid)) STRICT, WITHOUT ROWID;"
	 "CREATE TABLE archive("
	 " id INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL,"
	 " messages INTEGER NOT NULL, body BLOB NOT NULL) STRICT;"
	 "CREATE INDEX archive_first ON archive(first);"
	 "CREATE TABLE archive_key("
	 " account INTEGER NOT NULL, key INTEGER NOT NULL, block INTEGER NOT NULL,"
	 " PRIMARY KEY(account, key, block)) STRICT, WITHOUT ROWID;"
	 "CREATE TABLE archive_owner("
	 " account INTEGER PRIMARY KEY, next INTEGER NOT NULL,"
	 " bytes INTEGER NOT NULL, messages INTEGER NOT NULL) STRICT;"
	 "CREATE TABLE archive_gone(account INTEGER PRIMARY KEY) STRICT;"
	 "CREATE TRIGGER archive_goes AFTER DELETE ON accounts"
	 " WHEN EXISTS(SELECT 1 FROM archive_owner WHERE account = old.id) BEGIN"
	 " INSERT INTO archive_gone(account) VALUES(old.id) ON CONFLICT DO NOTHING;"
	 "END;"},
	/* Secrets as they are: a component proves with a digest of its secret that it has it
	 * (XEP-0114 section 3), so a digest in their place would not do. */
	{"CREATE TABLE components("
	 " id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE,"
	 " domain TEXT NOT NULL, jid TEXT NOT NULL UNIQUE, secret BLOB NOT NULL,"
	 " mode INTEGER NOT NULL, hidden INTEGER NOT NULL, max INTEGER NOT NULL,"
	 " bytes_per_second INTEGER NOT NULL, created INTEGER NOT NULL) STRICT;"},
};
const size_t schema_steps_count = sizeof(schema_steps) / sizeof(schema_steps[0]);

static enum err say_damaged(struct str *why, const char *path, const char *reason)
{
	str_reset(why);
	str_addf(why,
		 "%s is damaged (%s); nothing was changed. Keep a copy of it with its -wal and "
		 "-shm, then put a backup in its place, or save what can be read: "
		 "sqlite3 %s .recover | sqlite3 NEW.db",
		 path, reason, path);
	return ERR_CORRUPT;
}

static enum err pragma_number(struct db *d, const char *sql, uint64_t *out)
{
	sqlite3_stmt *st = db_stmt(d, sql);
	enum err e = db_row(d, st);

	if (e == ERR_OK)
		*out = db_int(st, 0);
	db_end(st);
	return e;
}

enum err schema_version(struct db *d, uint64_t *out)
{
	return pragma_number(d, "PRAGMA user_version", out);
}

static enum err migrate_one(struct db *d, const struct schema_step *step, size_t to,
			    struct str *why)
{
	char set_version[64];
	sqlite3 *sql = db_sqlite(d);
	enum disk_state state;
	int rc;

	snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %zu; COMMIT", to);
	rc = sqlite3_exec(sql, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(sql, step->sql, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(sql, set_version, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return ERR_OK;
	state = disk_judge(rc, sqlite3_system_errno(sql));
	str_addf(why, "schema version %zu cannot be reached: %s", to, sqlite3_errmsg(sql));
	if (!sqlite3_get_autocommit(sql))
		sqlite3_exec(sql, "ROLLBACK", NULL, NULL, NULL);
	return state == DISK_OK ? ERR_INTERNAL : disk_err(state);
}

enum err schema_migrate(struct db *d, const struct schema_step *steps, size_t count,
			struct str *why)
{
	uint64_t version = 0;
	enum err e = schema_version(d, &version);
	bool is_new = version == 0;

	if (e == ERR_OK && version > count) {
		str_addf(why,
			 "has schema version %llu, this program speaks %zu; install the newer "
			 "program again or put back the backup made before its first start",
			 (unsigned long long)version, count);
		return ERR_VERSION;
	}
	while (e == ERR_OK && version < count) {
		e = migrate_one(d, &steps[version], version + 1, why);
		version += e == ERR_OK;
		if (e == ERR_OK && !is_new)
			log_info("-", "event=migrated schema=%llu", (unsigned long long)version);
	}
	return e;
}

static enum err sync_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err e = fd >= 0 && fsync(fd) == 0 ? ERR_OK : ERR_IO;

	if (fd >= 0)
		close(fd);
	free(dir);
	return e;
}

static void remove_unborn(const char *path)
{
	char *journal = xasprintf("%s-journal", path);

	unlink(journal);
	unlink(path);
	free(journal);
}

static enum err errno_err(void)
{
	return errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE : ERR_IO;
}

/* Fills a new, empty database file. Its journal is a rollback journal until it is in service. */
static enum err fill_new(const char *path, struct str *why)
{
	struct db *d = NULL;
	char set_id[64];
	enum err e = db_open(&d, path, DB_WRITER, why);

	if (e != ERR_OK)
		return e;
	snprintf(set_id, sizeof(set_id), "PRAGMA application_id = %d", SCHEMA_APPLICATION_ID);
	e = schema_migrate(d, schema_steps, schema_steps_count, why);
	if (e == ERR_OK && sqlite3_exec(db_sqlite(d), set_id, NULL, NULL, NULL) != SQLITE_OK) {
		str_adds(why, sqlite3_errmsg(db_sqlite(d)));
		e = ERR_IO;
	}
	db_close(&d);
	return e;
}

static enum err create(const char *path, struct str *why)
{
	char *unborn = xasprintf("%s.new", path);
	struct str detail = STR_INIT;
	enum err e = ERR_OK;
	int fd;

	remove_unborn(unborn);
	fd = open(unborn, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		e = errno_err();
		str_addf(why,
			 "%s cannot be made: %s; check that its folder exists, belongs to "
			 "this service's user and has space",
			 path, strerror(errno));
		goto out;
	}
	close(fd);
	e = fill_new(unborn, &detail);
	if (e != ERR_OK)
		str_addf(why, "%s cannot be made: %s (%s)", path, detail.data, err_text(e));
	else if (rename(unborn, path) < 0 || sync_directory_of(path) != ERR_OK) {
		e = errno_err();
		str_addf(why, "%s cannot be put in place: %s", path, strerror(errno));
	}
	if (e != ERR_OK)
		remove_unborn(unborn);
out:
	str_clear(&detail);
	free(unborn);
	return e;
}

/* A log without its database would be played into a new one, or be lost with it. */
static enum err refuse_orphan_log(const char *path, struct str *why)
{
	char *wal = xasprintf("%s-wal", path);
	struct stat st;
	bool there = stat(wal, &st) == 0 && st.st_size > 0;

	if (there)
		str_addf(why,
			 "%s is missing but %s is there; put the file or a backup in its place "
			 "(move the -wal away only if its accounts may be forgotten)",
			 path, wal);
	free(wal);
	return there ? ERR_CORRUPT : ERR_OK;
}

static enum err check_file(const char *path, struct str *why)
{
	struct stat st;
	enum err e;

	if (stat(path, &st) < 0) {
		if (errno != ENOENT) {
			str_addf(why, "%s: %s; check the rights of its folder", path,
				 strerror(errno));
			return ERR_IO;
		}
		e = refuse_orphan_log(path, why);
		return e == ERR_OK ? create(path, why) : e;
	}
	if (st.st_size == 0)
		return say_damaged(why, path, "it is empty");
	if ((st.st_mode & 077) && chmod(path, 0600) == 0)
		log_warn("-",
			 "event=mode path=%s was=%04o now=0600 reason=\"others could read it\"",
			 path, (unsigned int)(st.st_mode & 07777));
	return ERR_OK;
}

static enum err check_content(struct db *d, const char *path, enum schema_check check,
			      struct str *why)
{
	sqlite3_stmt *st;
	enum err e;

	if (check == SCHEMA_CHECK_NONE)
		return ERR_OK;
	st = db_stmt(d, check == SCHEMA_CHECK_FULL ? "PRAGMA integrity_check(1)"
						   : "PRAGMA quick_check(1)");
	e = db_row(d, st);
	if (e == ERR_OK && !slice_is(db_text(st, 0), "ok")) {
		char *reason = xstrndup(db_text(st, 0).data, db_text(st, 0).len);

		e = say_damaged(why, path, reason);
		free(reason);
	}
	db_end(st);
	return e;
}

static enum err check_owner(struct db *d, const char *path, struct str *why)
{
	uint64_t id = 0;
	enum err e = pragma_number(d, "PRAGMA application_id", &id);

	if (e == ERR_OK && id != SCHEMA_APPLICATION_ID) {
		str_addf(why, "%s is the database of another program; move it away", path);
		e = ERR_VERSION;
	}
	return e;
}

enum err schema_open(struct db **out, const char *path, enum schema_check check, struct str *why)
{
	struct str detail = STR_INIT;
	struct db *d = NULL;
	enum err e = check_file(path, why);

	*out = NULL;
	if (e != ERR_OK)
		goto out;
	e = db_open(&d, path, DB_WRITER, &detail);
	if (e == ERR_OK)
		e = check_owner(d, path, why);
	if (e == ERR_OK)
		e = check_content(d, path, check, why);
	if (e == ERR_OK)
		e = schema_migrate(d, schema_steps, schema_steps_count, &detail);
	if (e == ERR_OK)
		e = db_in_service(d, &detail);
	if (e != ERR_OK && why->len == 0 && e == ERR_CORRUPT)
		say_damaged(why, path, d ? sqlite3_errmsg(db_sqlite(d)) : detail.data);
	else if (e != ERR_OK && why->len == 0)
		str_addf(why, "%s %s%s%s", path, detail.data, detail.len ? "; " : "",
			 d && db_trouble(d) ? disk_text(db_trouble(d)) : err_text(e));
	if (e == ERR_OK)
		*out = d;
	else
		db_close(&d);
out:
	str_clear(&detail);
	return e;
}
