#include "datastore/shelf.h"

#include "datastore/page.h"
#include "ipc/db_pack.h"

static const char sql_size[] = "SELECT bytes FROM shelf_size";
static const char sql_resize[] = "UPDATE shelf_size SET bytes = ?1";
static const char sql_one[] = "SELECT length(body) FROM shelf"
			      " WHERE sid = ?1 AND kind = ?2 AND n = ?3";
static const char sql_put[] = "INSERT INTO shelf(sid, kind, n, body) VALUES(?1, ?2, ?3, ?4)"
			      " ON CONFLICT DO UPDATE SET body = excluded.body";
/* Not RETURNING: SQLite would journal every statement for itself, in a list that it walks. */
static const char sql_sum[] = "SELECT count(*), ifnull(sum(length(body)), 0) FROM shelf"
			      " WHERE sid = ?1 AND kind = ?2 AND n BETWEEN ?3 AND ?4";
static const char sql_del[] = "DELETE FROM shelf"
			      " WHERE sid = ?1 AND kind = ?2 AND n BETWEEN ?3 AND ?4";
static const char sql_get[] = "SELECT sid, kind, n, body FROM shelf"
			      " WHERE (sid, kind, n) > (?1, ?2, ?3) ORDER BY sid, kind, n";

/* SQLite's integers are signed: turned around so, they have the order of the unsigned ones. */
static uint64_t ordered(uint64_t v)
{
	return v ^ (UINT64_C(1) << 63);
}

static sqlite3_stmt *stmt_of_key(struct db *d, const char *sql, uint64_t sid, uint8_t kind,
				 uint64_t n)
{
	sqlite3_stmt *st = db_stmt(d, sql);

	db_bind_int(st, 1, ordered(sid));
	db_bind_int(st, 2, kind);
	db_bind_int(st, 3, ordered(n));
	return st;
}

/* The sum of all bodies, kept so that nobody has to scan them. */
static enum err size_get(struct db *d, uint64_t *bytes)
{
	sqlite3_stmt *st = db_stmt(d, sql_size);
	enum err e = db_row(d, st);

	if (e == ERR_OK)
		*bytes = db_int(st, 0);
	db_end(st);
	return e == ERR_NOTFOUND ? ERR_CORRUPT : e;
}

static enum err size_set(struct db *d, uint64_t bytes)
{
	sqlite3_stmt *st = db_stmt(d, sql_resize);

	db_bind_int(st, 1, bytes);
	return db_run(d, st);
}

static enum err put(struct db *d, const struct db_shelf_change *c, uint64_t *bytes)
{
	sqlite3_stmt *st = stmt_of_key(d, sql_one, c->sid, c->kind, c->n);
	enum err e = db_row(d, st);

	if (e == ERR_OK)
		*bytes -= db_int(st, 0);
	db_end(st);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		return e;
	*bytes += c->body.len;
	st = stmt_of_key(d, sql_put, c->sid, c->kind, c->n);
	db_bind_blob(st, 4, c->body);
	return db_run(d, st);
}

static sqlite3_stmt *stmt_of_range(struct db *d, const char *sql, const struct db_shelf_change *c)
{
	sqlite3_stmt *st = stmt_of_key(d, sql, c->sid, c->kind, c->n);

	db_bind_int(st, 4, ordered(c->upto));
	return st;
}

static enum err del(struct db *d, const struct db_shelf_change *c, uint64_t *bytes)
{
	sqlite3_stmt *st = stmt_of_range(d, sql_sum, c);
	enum err e = db_row(d, st);
	uint64_t rows = 0;

	if (e == ERR_OK) {
		rows = db_int(st, 0);
		*bytes -= db_int(st, 1);
	}
	db_end(st);
	return e == ERR_OK && rows ? db_run(d, stmt_of_range(d, sql_del, c)) : e;
}

static enum err check_one(const struct db_shelf_change *c, bool deletions_only, struct str *why)
{
	const char *wrong = NULL;

	if (c->op != SHELF_PUT && c->op != SHELF_DEL)
		wrong = "a change of the shelf is neither a row nor a deletion";
	else if (c->op == SHELF_PUT && deletions_only)
		wrong = "only deletions are taken by DB_SHELF_DEL; send rows as DB_SHELF";
	else if (c->op == SHELF_PUT && c->sid == 0 && c->kind == 0 && c->n == 0)
		wrong = "no row of the shelf may have the key 0, 0, 0: reading starts behind it";
	if (wrong)
		str_adds(why, wrong);
	return wrong ? ERR_FORMAT : ERR_OK;
}

/* All of them, before the first is done. */
static enum err check_all(struct slice changes, bool deletions_only, struct str *why)
{
	struct db_shelf_change c;
	enum err e = ERR_OK;

	while (e == ERR_OK && changes.len > 0) {
		if (!db_shelf_change_get(&changes, &c)) {
			str_adds(why, "the packed changes of the shelf are malformed");
			return ERR_FORMAT;
		}
		e = check_one(&c, deletions_only, why);
	}
	return e;
}

enum err shelf_apply(struct db *d, struct slice changes, bool deletions_only, uint64_t max_bytes,
		     struct str *why)
{
	struct db_shelf_change c;
	uint64_t before = 0, after;
	enum err e = check_all(changes, deletions_only, why);

	if (e == ERR_OK)
		e = size_get(d, &before);
	after = before;
	while (e == ERR_OK && changes.len > 0 && db_shelf_change_get(&changes, &c))
		e = c.op == SHELF_PUT ? put(d, &c, &after) : del(d, &c, &after);
	if (e == ERR_OK && after > before && after > max_bytes) {
		str_addf(why,
			 "the shelf holds %llu bytes for sessions that are away; raise "
			 "datastore.shelf_bytes (%llu) if that should not be enough",
			 (unsigned long long)before, (unsigned long long)max_bytes);
		return ERR_FULL;
	}
	return e == ERR_OK && after != before ? size_set(d, after) : e;
}

/* A row is always smaller than the request that wrote it, so it fits into an answer. */
static void put_row(struct str *out, sqlite3_stmt *st)
{
	struct db_shelf_row row = {.sid = ordered(db_int(st, 0)),
				   .kind = (uint8_t)db_int(st, 1),
				   .n = ordered(db_int(st, 2)),
				   .body = db_blob(st, 3)};

	db_shelf_row_put(out, &row);
}

enum err shelf_get(struct db *d, uint64_t sid, uint8_t kind, uint64_t n, uint32_t bytes,
		   struct str *out, uint32_t *count, bool *more)
{
	return page_fill(d, stmt_of_key(d, sql_get, sid, kind, n), put_row, bytes, out, count,
			 more);
}
