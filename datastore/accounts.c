#include "datastore/accounts.h"

#include "ipc/codec.h"
#include "ipc/db_pack.h"

#define SALT_MAX 255

/* Never the number of one whose archive is still being removed. */
static const char sql_add[] =
	"INSERT INTO accounts(id, domain, user, created, roster_version)"
	" VALUES(1 + max((SELECT ifnull(max(id), 0) FROM accounts),"
	" (SELECT ifnull(max(account), 0) FROM archive_gone)), ?1, ?2, ?3, ?3) RETURNING id";
static const char sql_add_key[] =
	"INSERT INTO scram(account, hash, iterations, salt, stored_key, server_key)"
	" VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
static const char sql_del_keys[] = "DELETE FROM scram WHERE account = ?1";
static const char sql_del[] = "DELETE FROM accounts WHERE id = ?1";
static const char sql_id[] = "SELECT id, created FROM accounts WHERE domain = ?1 AND user = ?2";
static const char sql_keys[] = "SELECT hash, iterations, salt, stored_key, server_key FROM scram"
			       " WHERE account = ?1 AND hash = ?2";
static const char sql_list[] = "SELECT user, domain, created FROM accounts"
			       " WHERE (domain, user) > (?1, ?2) ORDER BY domain, user LIMIT ?3";
static const char sql_list_domain[] = "SELECT user, domain, created FROM accounts"
				      " WHERE domain = ?1 AND user > ?2 ORDER BY user LIMIT ?3";

static bool name_ok(struct slice s)
{
	return s.len > 0 && s.len <= ACCOUNTS_PART_MAX && !memchr(s.data, 0, s.len);
}

static size_t hash_size(struct slice hash)
{
	if (slice_is(hash, "SHA-1"))
		return 20;
	return slice_is(hash, "SHA-256") ? 32 : 0;
}

static enum err check_key(const struct db_scram *k, struct str *why)
{
	size_t size = hash_size(k->hash);

	if (size == 0 || k->stored_key.len != size || k->server_key.len != size) {
		str_adds(why, "SCRAM keys must be of SHA-1 (20 bytes) or SHA-256 (32 bytes)");
		return ERR_FORMAT;
	}
	if (k->iterations < ACCOUNTS_MIN_ITERATIONS || k->salt.len == 0 || k->salt.len > SALT_MAX) {
		str_addf(why, "SCRAM keys need a salt and at least %d iterations",
			 ACCOUNTS_MIN_ITERATIONS);
		return ERR_RANGE;
	}
	return ERR_OK;
}

static enum err add_key(struct db *d, uint64_t id, const struct db_scram *k)
{
	sqlite3_stmt *st = db_stmt(d, sql_add_key);

	db_bind_int(st, 1, id);
	db_bind_text(st, 2, k->hash);
	db_bind_int(st, 3, k->iterations);
	db_bind_blob(st, 4, k->salt);
	db_bind_blob(st, 5, k->stored_key);
	db_bind_blob(st, 6, k->server_key);
	return db_run(d, st);
}

static enum err add_keys(struct db *d, uint64_t id, struct slice scram, struct str *why)
{
	struct db_scram k;
	enum err e;

	if (scram.len == 0) {
		str_adds(why, "no SCRAM keys are given");
		return ERR_FORMAT;
	}
	while (scram.len > 0) {
		if (!db_scram_get(&scram, &k)) {
			str_adds(why, "the packed SCRAM keys are malformed");
			return ERR_FORMAT;
		}
		e = check_key(&k, why);
		if (e == ERR_OK)
			e = add_key(d, id, &k);
		if (e == ERR_CONFLICT) {
			str_adds(why, "SCRAM keys of one hash are given twice");
			return ERR_FORMAT;
		}
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

enum err accounts_add(struct db *d, struct slice user, struct slice domain, struct slice scram,
		      uint64_t now_ms, struct str *why)
{
	sqlite3_stmt *st;
	uint64_t id;
	enum err e;

	if (!name_ok(user) || !name_ok(domain)) {
		str_addf(why, "user and domain must have 1 to %d bytes", ACCOUNTS_PART_MAX);
		return ERR_RANGE;
	}
	st = db_stmt(d, sql_add);
	db_bind_text(st, 1, domain);
	db_bind_text(st, 2, user);
	db_bind_int(st, 3, now_ms);
	e = db_row(d, st);
	if (e != ERR_OK) {
		if (e == ERR_CONFLICT)
			str_adds(why, "the account exists");
		return e;
	}
	id = db_int(st, 0);
	e = db_run(d, st);
	return e == ERR_OK ? add_keys(d, id, scram, why) : e;
}

enum err accounts_id(struct db *d, struct slice user, struct slice domain, uint64_t *id,
		     uint64_t *created_ms)
{
	sqlite3_stmt *st = db_stmt(d, sql_id);
	enum err e;

	db_bind_text(st, 1, domain);
	db_bind_text(st, 2, user);
	e = db_row(d, st);
	if (e == ERR_OK) {
		*id = db_int(st, 0);
		*created_ms = db_int(st, 1);
	}
	db_end(st);
	return e;
}

static enum err run_by_id(struct db *d, const char *sql, uint64_t id)
{
	sqlite3_stmt *st = db_stmt(d, sql);

	db_bind_int(st, 1, id);
	return db_run(d, st);
}

enum err accounts_set(struct db *d, struct slice user, struct slice domain, struct slice scram,
		      struct str *why)
{
	uint64_t id, created;
	enum err e = accounts_id(d, user, domain, &id, &created);

	if (e == ERR_OK)
		e = run_by_id(d, sql_del_keys, id);
	return e == ERR_OK ? add_keys(d, id, scram, why) : e;
}

enum err accounts_del(struct db *d, struct slice user, struct slice domain)
{
	uint64_t id, created;
	enum err e = accounts_id(d, user, domain, &id, &created);

	return e == ERR_OK ? run_by_id(d, sql_del, id) : e;
}

enum err accounts_keys(struct db *d, uint64_t id, struct slice hash, struct str *out)
{
	sqlite3_stmt *st = db_stmt(d, sql_keys);
	enum err e;

	db_bind_int(st, 1, id);
	db_bind_text(st, 2, hash);
	while ((e = db_row(d, st)) == ERR_OK) {
		struct db_scram k = {.hash = db_text(st, 0),
				     .iterations = (uint32_t)db_int(st, 1),
				     .salt = db_blob(st, 2),
				     .stored_key = db_blob(st, 3),
				     .server_key = db_blob(st, 4)};

		db_scram_put(out, &k);
	}
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

/* user@domain at the @: a localpart holds none (RFC 7622 3.3.1). */
static void split(struct slice jid, struct slice *user, struct slice *domain)
{
	const char *at = jid.len ? memchr(jid.data, '@', jid.len) : NULL;

	*user = at ? slice_of(jid.data, (size_t)(at - jid.data)) : jid;
	*domain = at ? slice_of(at + 1, jid.len - user->len - 1) : SLICE_NONE;
}

static void put_listed(struct str *out, struct str *jid, sqlite3_stmt *st)
{
	str_reset(jid);
	str_add_slice(jid, db_text(st, 0));
	str_addc(jid, '@');
	str_add_slice(jid, db_text(st, 1));
	codec_put_str(out, str_slice(jid));
	codec_put_u64(out, db_int(st, 2));
}

enum err accounts_list(struct db *d, struct slice domain, struct slice after, uint32_t limit,
		       struct str *out, uint32_t *count, bool *more)
{
	struct slice after_user, after_domain;
	struct str jid = STR_INIT;
	sqlite3_stmt *st;
	enum err e;

	split(after, &after_user, &after_domain);
	if (limit == 0 || limit > ACCOUNTS_PAGE_MAX)
		limit = ACCOUNTS_PAGE_MAX;
	st = db_stmt(d, domain.len ? sql_list_domain : sql_list);
	db_bind_text(st, 1, domain.len ? domain : after_domain);
	db_bind_text(st, 2, after_user);
	db_bind_int(st, 3, limit + 1);
	*count = 0;
	*more = false;
	while ((e = db_row(d, st)) == ERR_OK) {
		if (*count == limit) {
			*more = true;
			break;
		}
		put_listed(out, &jid, st);
		(*count)++;
	}
	db_end(st);
	str_clear(&jid);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}
