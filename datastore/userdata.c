#include "datastore/userdata.h"

#include "datastore/page.h"
#include "ipc/codec.h"

static const char sql_head[] =
	"SELECT id, data_bytes FROM accounts WHERE domain = ?1 AND user = ?2";
static const char sql_count[] = "UPDATE accounts SET data_bytes = ?2 WHERE id = ?1";
static const char sql_get[] = "SELECT changed, value FROM userdata"
			      " WHERE account = ?1 AND kind = ?2 AND key = ?3";
static const char sql_set[] =
	"INSERT INTO userdata(account, kind, key, changed, value) VALUES(?1, ?2, ?3, ?4, ?5)"
	" ON CONFLICT DO UPDATE SET changed = excluded.changed, value = excluded.value";
static const char sql_del[] = "DELETE FROM userdata WHERE account = ?1 AND kind = ?2 AND key = ?3";
static const char sql_list[] = "SELECT key, value FROM userdata"
			       " WHERE account = ?1 AND kind = ?2 AND key > ?3 ORDER BY key";

struct head {
	uint64_t account;
	uint64_t bytes;
};

static enum err head_get(struct db *d, struct slice user, struct slice domain, struct head *h)
{
	sqlite3_stmt *st = db_stmt(d, sql_head);
	enum err e;

	db_bind_text(st, 1, domain);
	db_bind_text(st, 2, user);
	e = db_row(d, st);
	if (e == ERR_OK)
		*h = (struct head){db_int(st, 0), db_int(st, 1)};
	db_end(st);
	return e;
}

static enum err head_set(struct db *d, const struct head *h)
{
	sqlite3_stmt *st = db_stmt(d, sql_count);

	db_bind_int(st, 1, h->account);
	db_bind_int(st, 2, h->bytes);
	return db_run(d, st);
}

static sqlite3_stmt *stmt_of_key(struct db *d, const char *sql, uint64_t account, uint8_t kind,
				 struct slice key)
{
	sqlite3_stmt *st = db_stmt(d, sql);

	db_bind_int(st, 1, account);
	db_bind_int(st, 2, kind);
	db_bind_text(st, 3, key);
	return st;
}

static uint64_t size_of(struct slice key, size_t value)
{
	return USERDATA_ROW + key.len + value;
}

enum err userdata_get(struct db *d, struct slice user, struct slice domain, uint8_t kind,
		      struct slice key, struct str *out, uint64_t *changed_ms)
{
	sqlite3_stmt *st;
	struct head h;
	enum err e = head_get(d, user, domain, &h);

	if (e != ERR_OK)
		return e;
	st = stmt_of_key(d, sql_get, h.account, kind, key);
	e = db_row(d, st);
	if (e == ERR_OK) {
		*changed_ms = db_int(st, 0);
		str_add_slice(out, db_blob(st, 1));
	}
	db_end(st);
	return e;
}

/* What the stored value counts for; 0 when there is none. */
static enum err stored_size(struct db *d, uint64_t account, uint8_t kind, struct slice key,
			    uint64_t *size)
{
	sqlite3_stmt *st = stmt_of_key(d, sql_get, account, kind, key);
	enum err e = db_row(d, st);

	*size = e == ERR_OK ? size_of(key, db_blob(st, 1).len) : 0;
	db_end(st);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

static enum err check_value(struct slice key, struct slice value,
			    const struct userdata_quota *quota, struct str *why)
{
	if (key.len > USERDATA_KEY_MAX || (key.len && memchr(key.data, 0, key.len))) {
		str_addf(why, "a key has at most %d bytes and no NUL", USERDATA_KEY_MAX);
		return ERR_FORMAT;
	}
	if (value.len > quota->value) {
		str_addf(why,
			 "the value has %zu bytes; raise datastore.user_data_value_bytes (%llu) if "
			 "that should be possible",
			 value.len, (unsigned long long)quota->value);
		return ERR_TOOBIG;
	}
	return ERR_OK;
}

static enum err count_value(struct head *h, uint64_t old, uint64_t fresh,
			    const struct userdata_quota *quota, struct str *why)
{
	uint64_t before = h->bytes;

	h->bytes = before - (old < before ? old : before) + fresh;
	if (h->bytes <= quota->bytes || fresh <= old)
		return ERR_OK;
	str_addf(why,
		 "the user keeps %llu bytes of his own; raise datastore.user_data_bytes (%llu) if "
		 "that should not be enough",
		 (unsigned long long)before, (unsigned long long)quota->bytes);
	return ERR_FULL;
}

enum err userdata_set(struct db *d, struct slice user, struct slice domain, uint8_t kind,
		      struct slice key, struct slice value, uint64_t now_ms,
		      const struct userdata_quota *quota, struct str *why)
{
	uint64_t old = 0;
	sqlite3_stmt *st;
	struct head h;
	enum err e = check_value(key, value, quota, why);

	if (e == ERR_OK)
		e = head_get(d, user, domain, &h);
	if (e == ERR_OK)
		e = stored_size(d, h.account, kind, key, &old);
	if (e == ERR_OK)
		e = count_value(&h, old, value.len ? size_of(key, value.len) : 0, quota, why);
	if (e != ERR_OK || (value.len == 0 && old == 0))
		return e;
	st = stmt_of_key(d, value.len ? sql_set : sql_del, h.account, kind, key);
	if (value.len) {
		db_bind_int(st, 4, now_ms);
		db_bind_blob(st, 5, value);
	}
	e = db_run(d, st);
	return e == ERR_OK ? head_set(d, &h) : e;
}

static void put_row(struct str *out, sqlite3_stmt *st)
{
	codec_put_str(out, db_text(st, 0));
	codec_put_bytes(out, db_blob(st, 1));
}

enum err userdata_list(struct db *d, struct slice user, struct slice domain, uint8_t kind,
		       struct slice after, uint32_t bytes, struct str *out, uint32_t *count,
		       bool *more)
{
	struct head h;
	enum err e = head_get(d, user, domain, &h);

	if (e != ERR_OK)
		return e;
	return page_fill(d, stmt_of_key(d, sql_list, h.account, kind, after), put_row, bytes, out,
			 count, more);
}
