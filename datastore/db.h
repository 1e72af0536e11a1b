/*
 * db - one SQLite connection with its kept statements, and SQLite's codes as enum err.
 *
 * Belongs to one thread at a time. Trouble with the disk is remembered until asked for, so that
 * the tables need not tell it from "no such row": their callers look once per operation.
 */
#ifndef DATASTORE_DB_H
#define DATASTORE_DB_H

#include <stdbool.h>
#include <stdint.h>
#include <sqlite3.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/disk.h"

struct db;

enum db_mode { DB_WRITER, DB_READER };

/* Opens an existing database. A reader refuses to write. On failure *out is NULL and why gets
 * SQLite's words. Nothing is written by opening or closing (no checkpoint at close) before
 * db_in_service() was called. */
enum err db_open(struct db **out, const char *path, enum db_mode mode, struct str *why);
void db_close(struct db **dp);

/* WAL, synchronous=FULL, no checkpoint but ours; what the log holds is brought into the file. */
enum err db_in_service(struct db *d, struct str *why);

/* A healthy database is left tidy: closing brings the log into the file and removes it. */
void db_out_of_service(struct db *d);

/* Copies the log into the file and syncs it, as far as readers allow. */
enum err db_checkpoint(struct db *d);

sqlite3 *db_sqlite(struct db *d);
uint32_t db_wal_pages(const struct db *d); /* size of the log after the last commit */

/* A kept statement, reset and without bindings; sql must be a static string. NULL when it could
 * not be prepared: the functions below then return why. */
sqlite3_stmt *db_stmt(struct db *d, const char *sql);
void db_bind_text(sqlite3_stmt *st, int i, struct slice s);
void db_bind_blob(sqlite3_stmt *st, int i, struct slice s);
void db_bind_int(sqlite3_stmt *st, int i, uint64_t v);

/* Runs it to its end and resets it. ERR_CONFLICT: a unique key stands in the way. */
enum err db_run(struct db *d, sqlite3_stmt *st);

/* The next row: ERR_OK; ERR_NOTFOUND at the end (it is reset then), or another failure. */
enum err db_row(struct db *d, sqlite3_stmt *st);
void db_end(sqlite3_stmt *st); /* done before the end; NULL-safe */

/* Borrowed until the next db_row() or db_end(). */
struct slice db_text(sqlite3_stmt *st, int i);
struct slice db_blob(sqlite3_stmt *st, int i);
uint64_t db_int(sqlite3_stmt *st, int i);

/* db_run(db_stmt(sql)). */
enum err db_exec(struct db *d, const char *sql);

/* The worst that the disk did since db_trouble_clear(). */
enum disk_state db_trouble(const struct db *d);
int db_trouble_code(const struct db *d);  /* SQLite's extended code of it */
int db_trouble_errno(const struct db *d); /* and the errno */
void db_trouble_clear(struct db *d);

#endif
