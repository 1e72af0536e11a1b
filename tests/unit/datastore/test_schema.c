#include "fixture.h"

#include "datastore/accounts.h"
#include "datastore/offline.h"
#include "datastore/rosters.h"
#include "datastore/userdata.h"

static void a_new_file_is_private_complete_and_in_wal_mode(void **state)
{
	struct fixture *f = *state;
	struct db *d = fixture_open(f);
	char unborn[200];
	uint64_t version = 0;
	sqlite3_stmt *st;
	struct stat st_file;

	assert_int_equal(stat(f->path, &st_file), 0);
	assert_int_equal(st_file.st_mode & 07777, 0600);
	assert_int_equal(schema_version(d, &version), ERR_OK);
	assert_int_equal(version, schema_steps_count);
	st = db_stmt(d, "PRAGMA journal_mode");
	assert_int_equal(db_row(d, st), ERR_OK);
	assert_true(slice_is(db_text(st, 0), "wal"));
	db_end(st);
	st = db_stmt(d, "PRAGMA synchronous");
	assert_int_equal(db_row(d, st), ERR_OK);
	assert_int_equal(db_int(st, 0), 2);
	db_end(st);
	db_close(&d);
	snprintf(unborn, sizeof(unborn), "%s.new", f->path);
	assert_int_equal(access(unborn, F_OK), -1);
}

static void what_a_killed_first_start_left_is_no_obstacle(void **state)
{
	struct fixture *f = *state;
	char unborn[200];
	struct db *d;

	snprintf(unborn, sizeof(unborn), "%s.new", f->path);
	fixture_write_file(unborn, "SQLite format 3", 16);
	d = fixture_open(f);
	db_close(&d);
	assert_int_equal(access(unborn, F_OK), -1);
}

static void a_file_that_others_can_read_is_made_private(void **state)
{
	struct fixture *f = *state;
	struct db *d = fixture_open(f);
	struct stat st;

	db_close(&d);
	assert_int_equal(chmod(f->path, 0644), 0);
	d = fixture_open(f);
	db_close(&d);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void migrations_run_once_each_and_stand_where_one_failed(void **state)
{
	static const struct schema_step further[] = {
		{"CREATE TABLE a(x); INSERT INTO a VALUES(1)"},
		{"CREATE TABLE b(x); INSERT INTO b SELECT x + 1 FROM a"},
		{"CREATE TABLE c(x); INSERT INTO nowhere VALUES(1)"},
	};
	struct schema_step steps[32] = {{0}};
	const size_t n = schema_steps_count; /* these are there already */
	struct fixture *f = *state;
	struct db *d = fixture_open(f);
	struct str why = STR_INIT;
	char want[100];
	uint64_t version;
	sqlite3_stmt *st;

	assert_true(n + 3 <= 32);
	memcpy(steps + n, further, sizeof(further));
	assert_int_equal(schema_migrate(d, steps, n + 1, &why), ERR_OK);
	assert_int_equal(schema_migrate(d, steps, n + 1, &why), ERR_OK);
	assert_int_equal(schema_migrate(d, steps, n + 2, &why), ERR_OK);
	st = db_stmt(d, "SELECT x FROM b");
	assert_int_equal(db_row(d, st), ERR_OK);
	assert_int_equal(db_int(st, 0), 2);
	db_end(st);
	assert_int_not_equal(schema_migrate(d, steps, n + 3, &why), ERR_OK);
	snprintf(want, sizeof(want), "schema version %zu cannot be reached: no such table: nowhere",
		 n + 3);
	assert_non_null(strstr(why.data, want));
	assert_int_equal(schema_version(d, &version), ERR_OK);
	assert_int_equal(version, n + 2);
	assert_null(db_stmt(d, "SELECT * FROM c"));
	db_close(&d);
	str_clear(&why);
}

/* A file as release 3 of the schema left it. */
static void fill_3(const struct fixture *f)
{
	static const char rows[] =
		"PRAGMA application_id = 1380467795;"
		"INSERT INTO accounts(id, domain, user, created, roster_version, roster_items,"
		" roster_bytes, offline_messages, offline_bytes)"
		" VALUES(7, 'localhost', 'juliet', 5, 9, 1, 24, 1, 30);"
		"INSERT INTO scram VALUES(7, 'SHA-1', 4096, x'01', zeroblob(20), zeroblob(20));"
		"INSERT INTO roster(account, jid, name, subscription, ask, approved, pending_in,"
		" ngroups, groups) VALUES(7, 'romeo@localhost', 'Romeo', 3, 0, 0, 0, 0, x'');"
		"INSERT INTO offline(account, origin_sid, origin_n, stamp, bytes, kind, type, "
		"flags,"
		" sender, addressee, stanza_id, lang, children, inner)"
		" VALUES(7, 1, 2, 3, 30, 1, 3, 1, 'a@b/c', 'juliet@localhost', '', '', x'', "
		"x'41');";
	struct str why = STR_INIT;
	struct db *d;
	int fd = open(f->path, O_CREAT | O_RDWR, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(db_open(&d, f->path, DB_WRITER, &why), ERR_OK);
	assert_int_equal(schema_migrate(d, schema_steps, 3, &why), ERR_OK);
	assert_int_equal(sqlite3_exec(db_sqlite(d), rows, 0, 0, 0), SQLITE_OK);
	db_close(&d);
	str_clear(&why);
}

static void what_release_3_kept_is_kept(void **state)
{
	static const struct userdata_quota quota = {1000, 1000};
	struct str out = STR_INIT, changed = STR_INIT, why = STR_INIT;
	struct db_roster_item item;
	struct slice list;
	uint64_t version;
	uint32_t count;
	struct db *d;
	bool more;

	fill_3(*state);
	d = fixture_open(*state);
	assert_int_equal(rosters_get(d, S("juliet"), S("localhost"), &out, &count, &version),
			 ERR_OK);
	assert_int_equal(version, 9);
	list = str_slice(&out);
	assert_true(db_roster_item_get(&list, &item));
	assert_true(slice_is(item.name, "Romeo") && item.request.len == 0);
	item.name = S("R");
	db_roster_item_put(&changed, &item);
	assert_int_equal(
		rosters_set(d, S("juliet"), S("localhost"), str_slice(&changed), 5, &version, &why),
		ERR_OK);
	str_reset(&out);
	assert_int_equal(offline_get(d, S("juliet"), S("localhost"), 0, 1000, &out, &count, &more),
			 ERR_OK);
	assert_int_equal(count, 1);
	assert_int_equal(userdata_set(d, S("juliet"), S("localhost"), DB_DATA_VCARD, SLICE_NONE,
				      S("<vCard/>"), 1, &quota, &why),
			 ERR_OK);
	assert_int_equal(accounts_del(d, S("juliet"), S("localhost")), ERR_OK);
	db_close(&d);
	str_clear(&out);
	str_clear(&changed);
	str_clear(&why);
}

static void refused(const struct fixture *f, enum err want, const char *text)
{
	struct str why = STR_INIT;
	struct db *d = (struct db *)1;
	enum err e = schema_open(&d, f->path, SCHEMA_CHECK_QUICK, &why);

	if (e != want || !strstr(why.data, text))
		fail_msg("%s: %s", err_name(e), why.data);
	assert_null(d);
	str_clear(&why);
}

static void accepted(const struct fixture *f)
{
	struct db *d = fixture_open(f);

	db_close(&d);
}

static void a_newer_schema_is_refused(void **state)
{
	struct fixture *f = *state;
	struct db *d = fixture_open(f);
	char want[400];

	assert_int_equal(sqlite3_exec(db_sqlite(d), "PRAGMA user_version = 999", 0, 0, 0), 0);
	db_close(&d);
	snprintf(want, sizeof(want), "%s has schema version 999, this program speaks %zu; install",
		 f->path, schema_steps_count);
	refused(f, ERR_VERSION, want);
}

static void another_programs_database_is_refused(void **state)
{
	struct fixture *f = *state;
	struct db *d = fixture_open(f);
	char want[400];

	assert_int_equal(sqlite3_exec(db_sqlite(d), "PRAGMA application_id = 7", 0, 0, 0), 0);
	db_close(&d);
	snprintf(want, sizeof(want), "%s is the database of another program; move it away",
		 f->path);
	refused(f, ERR_VERSION, want);
}

/* 600 accounts: more pages than one. Closed cleanly, the log is in the file. */
static void fill(struct fixture *f)
{
	struct db *d = fixture_open(f);

	assert_int_equal(
		sqlite3_exec(db_sqlite(d),
			     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
			     "WHERE i < 600) INSERT INTO accounts(domain, user, created, "
			     "roster_version) SELECT 'localhost', 'user' || i || hex(zeroblob(40)),"
			     " 0, 0 FROM n",
			     NULL, NULL, NULL),
		SQLITE_OK);
	db_out_of_service(d);
	db_close(&d);
}

struct damage {
	const char *name;
	const char *reason; /* as the operator reads it; NULL = any */
	void (*harm)(char *data, size_t *len);
};

static void harm_header(char *data, size_t *len)
{
	(void)len;
	memset(data, 0, 100);
}

static void harm_page(char *data, size_t *len)
{
	/* Root pages and leaves behind the first: no page type is 0x5a. */
	memset(data + 4096, 0x5a, *len - 4096);
}

static void harm_truncate(char *data, size_t *len)
{
	(void)data;
	*len -= 4096;
}

static void harm_empty(char *data, size_t *len)
{
	(void)data;
	*len = 0;
}

static void harm_text(char *data, size_t *len)
{
	*len = (size_t)snprintf(data, *len, "this is no database, somebody saved a letter here\n");
}

static const struct damage damages[] = {
	{"header", "file is not a database", harm_header},
	{"page", NULL, harm_page},
	{"truncated", "database disk image is malformed", harm_truncate},
	{"empty", "it is empty", harm_empty},
	{"text", "file is not a database", harm_text},
};

static void damage_is_refused_with_the_way_out_and_not_a_byte_is_changed(void **state)
{
	struct fixture *f = *state;
	char *good, *bad, *after, text[900];
	size_t len, bad_len, after_len;

	fill(f);
	good = fixture_read_file(f->path, &len);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		bad = xmalloc(len);
		memcpy(bad, good, len);
		bad_len = len;
		damages[i].harm(bad, &bad_len);
		fixture_write_file(f->path, bad, bad_len);
		if (damages[i].reason)
			snprintf(text, sizeof(text),
				 "%s is damaged (%s); nothing was changed. Keep a copy of it with "
				 "its -wal and -shm, then put a backup in its place, or save what "
				 "can be read: sqlite3 %s .recover | sqlite3 NEW.db",
				 f->path, damages[i].reason, f->path);
		else
			snprintf(text, sizeof(text), "%s is damaged (", f->path);
		refused(f, ERR_CORRUPT, text);
		after = fixture_read_file(f->path, &after_len);
		if (after_len != bad_len || memcmp(after, bad, bad_len) != 0)
			fail_msg("%s: the file was changed", damages[i].name);
		free(after);
		free(bad);
	}
	fixture_write_file(f->path, good, len);
	free(good);
	accepted(f);
}

/* The log of a damaged file is evidence and perhaps the only good copy of a page. */
static void a_damaged_file_keeps_its_log_apart(void **state)
{
	struct fixture *f = *state;
	char wal[200], *data, *log, *log_after, *after;
	size_t len, log_len, n;
	struct db *d;

	fill(f);
	d = fixture_open(f);
	assert_int_equal(db_exec(d, "UPDATE accounts SET created = 5 WHERE id = 1"), ERR_OK);
	db_close(&d); /* as if killed: the log stays */
	snprintf(wal, sizeof(wal), "%s-wal", f->path);
	log = fixture_read_file(wal, &log_len);
	assert_true(log_len > 4096);
	data = fixture_read_file(f->path, &len);
	assert_true(len > 25 * 4096);
	memset(data + 15 * 4096, 0x5a, 10 * 4096);
	fixture_write_file(f->path, data, len);
	refused(f, ERR_CORRUPT, "is damaged (");
	after = fixture_read_file(f->path, &n);
	assert_int_equal(n, len);
	assert_memory_equal(after, data, len);
	log_after = fixture_read_file(wal, &n);
	assert_int_equal(n, log_len);
	assert_memory_equal(log_after, log, log_len);
	free(data);
	free(log);
	free(after);
	free(log_after);
}

static void a_log_without_its_database_is_refused(void **state)
{
	struct fixture *f = *state;
	char wal[200], want[600];

	snprintf(wal, sizeof(wal), "%s-wal", f->path);
	fixture_write_file(wal, "something", 9);
	snprintf(want, sizeof(want), "%s is missing but %s is there; put the file or a backup",
		 f->path, wal);
	refused(f, ERR_CORRUPT, want);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void a_missing_folder_is_named(void **state)
{
	struct fixture *f = *state;
	struct fixture g = *f;

	snprintf(g.path, sizeof(g.path), "%s/no/where.db", f->dir);
	refused(&g, ERR_IO, "where.db cannot be made: No such file or directory; check that");
}

static void a_table_that_was_taken_away_is_damage(void **state)
{
	struct fixture *f = *state;
	struct db *d = fixture_open(f);

	assert_int_equal(sqlite3_exec(db_sqlite(d), "DROP TABLE scram", 0, 0, 0), SQLITE_OK);
	assert_null(db_stmt(d, "SELECT * FROM scram"));
	assert_int_equal(db_trouble(d), DISK_DAMAGED);
	db_close(&d);
}

#define WITH_DIR(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(a_new_file_is_private_complete_and_in_wal_mode),
		WITH_DIR(what_a_killed_first_start_left_is_no_obstacle),
		WITH_DIR(a_file_that_others_can_read_is_made_private),
		WITH_DIR(migrations_run_once_each_and_stand_where_one_failed),
		WITH_DIR(what_release_3_kept_is_kept),
		WITH_DIR(a_newer_schema_is_refused),
		WITH_DIR(another_programs_database_is_refused),
		WITH_DIR(damage_is_refused_with_the_way_out_and_not_a_byte_is_changed),
		WITH_DIR(a_damaged_file_keeps_its_log_apart),
		WITH_DIR(a_log_without_its_database_is_refused),
		WITH_DIR(a_missing_folder_is_named),
		WITH_DIR(a_table_that_was_taken_away_is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
