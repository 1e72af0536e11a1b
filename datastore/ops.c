#include "datastore/ops.h"

static const char sql_find[] =
	"SELECT result, text, body FROM ops WHERE op_boot = ?1 AND op_n = ?2";
static const char sql_add[] = "INSERT INTO ops(op_boot, op_n, result, text, body, time)"
			      " VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
static const char sql_probe[] = "INSERT INTO ops(op_boot, op_n, result, text, body, time)"
				" VALUES(0, 0, 0, '', x'', ?1)"
				" ON CONFLICT DO UPDATE SET time = excluded.time";
static const char sql_count[] = "SELECT count(*) FROM ops";
static const char sql_prune[] = "DELETE FROM ops WHERE (op_boot, op_n) IN"
				" (SELECT op_boot, op_n FROM ops WHERE time < ?1"
				"  ORDER BY time LIMIT ?2)";
static const char sql_prune_oldest[] = "DELETE FROM ops WHERE (op_boot, op_n) IN"
				       " (SELECT op_boot, op_n FROM ops ORDER BY time LIMIT ?1)";

enum err ops_find(struct db *d, uint64_t boot, uint64_t n, enum err *result, struct str *text,
		  struct str *body)
{
	sqlite3_stmt *st = db_stmt(d, sql_find);
	enum err e;

	db_bind_int(st, 1, boot);
	db_bind_int(st, 2, n);
	e = db_row(d, st);
	if (e == ERR_OK) {
		*result = (enum err)db_int(st, 0);
		str_add_slice(text, db_text(st, 1));
		str_add_slice(body, db_blob(st, 2));
	}
	db_end(st);
	return e;
}

enum err ops_add(struct db *d, uint64_t boot, uint64_t n, enum err result, struct slice text,
		 struct slice body, uint64_t now_ms)
{
	sqlite3_stmt *st = db_stmt(d, sql_add);

	db_bind_int(st, 1, boot);
	db_bind_int(st, 2, n);
	db_bind_int(st, 3, result);
	db_bind_text(st, 4, text);
	db_bind_blob(st, 5, body);
	db_bind_int(st, 6, now_ms);
	return db_run(d, st);
}

enum err ops_probe(struct db *d, uint64_t now_ms)
{
	sqlite3_stmt *st = db_stmt(d, sql_probe);

	db_bind_int(st, 1, now_ms);
	return db_run(d, st);
}

static enum err count_rows(struct db *d, uint64_t *out)
{
	sqlite3_stmt *st = db_stmt(d, sql_count);
	enum err e = db_row(d, st);

	if (e == ERR_OK)
		*out = db_int(st, 0);
	db_end(st);
	return e;
}

enum err ops_prune(struct db *d, uint64_t before_ms, uint64_t max_rows, uint32_t limit)
{
	sqlite3_stmt *st = db_stmt(d, sql_prune);
	uint64_t rows = 0, over;
	enum err e;

	db_bind_int(st, 1, before_ms);
	db_bind_int(st, 2, limit);
	e = db_run(d, st);
	if (e == ERR_OK)
		e = count_rows(d, &rows);
	if (e != ERR_OK || rows <= max_rows)
		return e;
	over = rows - max_rows;
	st = db_stmt(d, sql_prune_oldest);
	db_bind_int(st, 1, over < limit ? over : limit);
	return db_run(d, st);
}
