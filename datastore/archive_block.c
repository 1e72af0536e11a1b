#include "datastore/archive_block.h"

#include <string.h>

#define HASH_START 14695981039346656037ull
#define HASH_PRIME 1099511628211ull

static const char sql_owner[] =
	"SELECT next, bytes, messages FROM archive_owner WHERE account = ?1";
static const char sql_owner_set[] = "INSERT INTO archive_owner(account, next, bytes, messages)"
				    " VALUES(?1, ?2, ?3, ?4) ON CONFLICT(account) DO UPDATE"
				    " SET next = ?2, bytes = ?3, messages = ?4";
static const char sql_get[] = "SELECT first, last, messages, body FROM archive WHERE id = ?1";
static const char sql_times[] = "SELECT first, last, messages FROM archive WHERE id = ?1";
static const char sql_insert[] = "INSERT INTO archive(id, first, last, messages, body)"
				 " VALUES(?1, ?2, ?3, ?4, ?5)";
static const char sql_update[] =
	"UPDATE archive SET last = ?2, messages = ?3, body = ?4 WHERE id = ?1";
static const char sql_oldest[] =
	"SELECT id FROM archive WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1";
static const char sql_del[] = "DELETE FROM archive WHERE id = ?1";
static const char sql_key[] = "INSERT INTO archive_key(account, key, block) VALUES(?1, ?2, ?3)"
			      " ON CONFLICT DO NOTHING";
static const char sql_key_del[] =
	"DELETE FROM archive_key WHERE account = ?1 AND key = ?2 AND block = ?3";
static const char sql_key_after[] = "SELECT block FROM archive_key WHERE account = ?1 AND key = ?2"
				    " AND block > ?3 ORDER BY block LIMIT 1";
static const char sql_key_before[] = "SELECT block FROM archive_key WHERE account = ?1 AND key = ?2"
				     " AND block < ?3 ORDER BY block DESC LIMIT 1";

/* The first row, which is the only one. */
static enum err one_number(struct db *d, sqlite3_stmt *st, uint64_t *out)
{
	enum err e = db_row(d, st);

	if (e == ERR_OK)
		*out = db_int(st, 0);
	db_end(st);
	return e;
}

enum err archive_owner_get(struct db *d, uint64_t account, struct archive_owner *o)
{
	sqlite3_stmt *st = db_stmt(d, sql_owner);
	enum err e;

	*o = (struct archive_owner){.account = account, .next = 1};
	db_bind_int(st, 1, account);
	e = db_row(d, st);
	if (e == ERR_OK)
		*o = (struct archive_owner){account, db_int(st, 0), db_int(st, 1), db_int(st, 2)};
	db_end(st);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

enum err archive_owner_set(struct db *d, const struct archive_owner *o)
{
	sqlite3_stmt *st = db_stmt(d, sql_owner_set);

	db_bind_int(st, 1, o->account);
	db_bind_int(st, 2, o->next);
	db_bind_int(st, 3, o->bytes);
	db_bind_int(st, 4, o->messages);
	return db_run(d, st);
}

static enum err get(struct db *d, const char *sql, uint64_t account, uint64_t number,
		    struct archive_block *b)
{
	sqlite3_stmt *st = db_stmt(d, sql);
	enum err e;

	db_bind_int(st, 1, archive_block_id(account, number));
	e = db_row(d, st);
	if (e == ERR_OK) {
		b->number = number;
		b->first_ms = db_int(st, 0);
		b->last_ms = db_int(st, 1);
		b->messages = db_int(st, 2);
	}
	if (e == ERR_OK && sql == sql_get) {
		str_reset(&b->body);
		str_add_slice(&b->body, db_blob(st, 3));
	}
	db_end(st);
	return e;
}

enum err archive_block_get(struct db *d, uint64_t account, uint64_t number, struct archive_block *b)
{
	return get(d, sql_get, account, number, b);
}

enum err archive_block_times(struct db *d, uint64_t account, uint64_t number,
			     struct archive_block *b)
{
	return get(d, sql_times, account, number, b);
}

enum err archive_block_put(struct db *d, uint64_t account, const struct archive_block *b,
			   bool is_new)
{
	sqlite3_stmt *st = db_stmt(d, is_new ? sql_insert : sql_update);
	int i = 1;

	db_bind_int(st, i++, archive_block_id(account, b->number));
	if (is_new)
		db_bind_int(st, i++, b->first_ms);
	db_bind_int(st, i++, b->last_ms);
	db_bind_int(st, i++, b->messages);
	db_bind_blob(st, i, str_slice(&b->body));
	return db_run(d, st);
}

enum err archive_block_oldest(struct db *d, uint64_t account, uint64_t *number)
{
	sqlite3_stmt *st = db_stmt(d, sql_oldest);
	enum err e;

	db_bind_int(st, 1, archive_block_id(account, 0));
	db_bind_int(st, 2, archive_block_id(account + 1, 0));
	e = one_number(d, st, number);
	*number &= UINT32_MAX;
	return e;
}

static enum err key_del(struct db *d, uint64_t account, uint64_t key, uint64_t number)
{
	sqlite3_stmt *st = db_stmt(d, sql_key_del);

	db_bind_int(st, 1, account);
	db_bind_int(st, 2, key);
	db_bind_int(st, 3, number);
	return db_run(d, st);
}

/* Neighbours mostly share their keys. Both of a message's addresses: one of them is its peer. */
static enum err keys_del(struct db *d, uint64_t account, const struct archive_block *b)
{
	uint64_t last[3] = {0};
	struct slice in = str_slice(&b->body);
	struct db_archive_entry m;
	enum err e = ERR_OK;

	while (e == ERR_OK && in.len && db_archive_entry_get(&in, &m)) {
		uint64_t keys[3] = {archive_key_group(m.id), archive_key_peer(archive_bare(m.from)),
				    archive_key_peer(archive_bare(m.to))};

		for (int i = 0; e == ERR_OK && i < 3; i++) {
			if (keys[i] != last[i])
				e = key_del(d, account, keys[i], b->number);
			last[i] = keys[i];
		}
	}
	return e;
}

enum err archive_block_del(struct db *d, struct archive_owner *o, uint64_t number)
{
	struct archive_block b = ARCHIVE_BLOCK_INIT;
	enum err e = archive_block_get(d, o->account, number, &b);
	sqlite3_stmt *st;

	if (e == ERR_OK)
		e = keys_del(d, o->account, &b);
	if (e == ERR_OK) {
		st = db_stmt(d, sql_del);
		db_bind_int(st, 1, archive_block_id(o->account, number));
		e = db_run(d, st);
	}
	if (e == ERR_OK) {
		o->bytes -= b.body.len < o->bytes ? b.body.len : o->bytes;
		o->messages -= b.messages < o->messages ? b.messages : o->messages;
	}
	str_clear(&b.body);
	return e;
}

/* FNV-1a. A stranger who makes it collide makes his own messages slow to find. */
uint64_t archive_key_peer(struct slice bare)
{
	uint64_t h = HASH_START;

	for (size_t i = 0; i < bare.len; i++)
		h = (h ^ (unsigned char)bare.data[i]) * HASH_PRIME;
	return h;
}

enum err archive_key_add(struct db *d, uint64_t account, uint64_t key, uint64_t number)
{
	sqlite3_stmt *st = db_stmt(d, sql_key);

	db_bind_int(st, 1, account);
	db_bind_int(st, 2, key);
	db_bind_int(st, 3, number);
	return db_run(d, st);
}

enum err archive_key_next(struct db *d, uint64_t account, uint64_t key, uint64_t *number,
			  bool backward)
{
	sqlite3_stmt *st = db_stmt(d, backward ? sql_key_before : sql_key_after);

	db_bind_int(st, 1, account);
	db_bind_int(st, 2, key);
	db_bind_int(st, 3, *number);
	return one_number(d, st, number);
}

static bool find_in(const struct archive_block *b, struct db_archive_id id, uint32_t *at)
{
	struct slice in = str_slice(&b->body);
	struct db_archive_entry m;

	for (*at = 0; in.len && db_archive_entry_get(&in, &m); ++*at) {
		if (db_archive_id_eq(m.id, id))
			return true;
	}
	return false;
}

enum err archive_find_within(struct db *d, uint64_t account, struct db_archive_id id,
			     struct archive_place *place, struct archive_block *b,
			     unsigned int *blocks)
{
	uint64_t number = 0;
	enum err e;

	place->block = b->number;
	if (b->number && find_in(b, id, &place->at))
		return ERR_OK;
	b->number = 0;
	while ((e = archive_key_next(d, account, archive_key_group(id), &number, false)) ==
	       ERR_OK) {
		if ((*blocks)-- == 0) {
			*blocks = 0;
			return ERR_FULL;
		}
		e = archive_block_get(d, account, number, b);
		if (e != ERR_OK)
			break;
		place->block = number;
		if (find_in(b, id, &place->at))
			break;
	}
	return e;
}

enum err archive_find(struct db *d, uint64_t account, struct db_archive_id id,
		      struct archive_place *place)
{
	struct archive_block b = ARCHIVE_BLOCK_INIT;
	unsigned int blocks = UINT32_MAX;
	enum err e = archive_find_within(d, account, id, place, &b, &blocks);

	str_clear(&b.body);
	return e;
}

struct slice archive_bare(struct slice jid)
{
	const char *slash = jid.len ? memchr(jid.data, '/', jid.len) : NULL;

	return slash ? slice_of(jid.data, (size_t)(slash - jid.data)) : jid;
}

struct slice archive_peer(const struct db_archive_entry *e, struct slice own)
{
	struct slice from = archive_bare(e->from);

	return slice_eq(from, own) ? archive_bare(e->to) : from;
}
