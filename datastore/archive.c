#include "datastore/archive.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "datastore/accounts.h"
#include "datastore/archive_block.h"
#include "datastore/blocklist.h"
#include "ipc/db_pack.h"

#define OWNERS_MAX   65535
#define TRIM_BLOCKS  16 /* of one owner in one batch */
#define PRUNE_BLOCKS 16 /* at least, in one batch */
#define RECENT_KEYS  4
#define ACCOUNT_BITS 32

static const char sql_prefs[] =
	"SELECT value FROM userdata WHERE account = ?1 AND kind = ?2 AND key = ''";
/* A request that is not answered may have a row, but is no item (lib/ipc/db_pack.h). */
static const char sql_contact[] = "SELECT 1 FROM roster WHERE account = ?1 AND jid = ?2"
				  " AND NOT (pending_in = 1 AND approved = 1)";
static const char sql_blocks[] = "SELECT 1 FROM blocked WHERE account = ?1 LIMIT 1";
static const char sql_old[] = "SELECT id FROM archive WHERE first < ?1 ORDER BY first, id LIMIT 1";
static const char sql_gone[] = "SELECT account FROM archive_gone LIMIT 1";
static const char sql_gone_end[] = "DELETE FROM archive_gone WHERE account = ?1";
static const char sql_keys_end[] = "DELETE FROM archive_key WHERE account = ?1";
static const char sql_owner_end[] = "DELETE FROM archive_owner WHERE account = ?1";

/* One of a batch: his last block is in memory until something is known to be behind it. */
struct owner {
	struct slice bare;
	struct archive_owner head;
	struct archive_block tail;
	bool tail_new, tail_changed;
	bool tail_full; /* as it stands in the table */
	enum { UNKNOWN, READY, NOBODY } state;
	uint64_t keys[RECENT_KEYS]; /* the last that were written for this block */
	unsigned int nkeys;
	struct db_archive_prefs prefs;
	struct str prefs_value;
	bool blocks; /* has blocked somebody */
};

struct adding {
	struct db *d;
	const struct archive_limits *limits;
	struct owner *owners;
	size_t nowners;
	unsigned int new_blocks;
};

static struct slice local_part(struct slice bare)
{
	const char *at = bare.len ? memchr(bare.data, '@', bare.len) : NULL;

	return at ? slice_of(bare.data, (size_t)(at - bare.data)) : SLICE_NONE;
}

static enum err account_of(struct db *d, struct slice bare, uint64_t *account)
{
	struct slice user = local_part(bare);
	uint64_t created;

	if (user.len == 0)
		return ERR_NOTFOUND;
	return accounts_id(d, user, slice_of(bare.data + user.len + 1, bare.len - user.len - 1),
			   account, &created);
}

/* Preferences that cannot be read are none: they were written by set. */
static enum err load_prefs(struct adding *a, struct owner *o)
{
	sqlite3_stmt *st = db_stmt(a->d, sql_prefs);
	struct slice in;
	enum err e;

	db_bind_int(st, 1, o->head.account);
	db_bind_int(st, 2, DB_DATA_ARCHIVE_PREFS);
	e = db_row(a->d, st);
	if (e == ERR_OK)
		str_add_slice(&o->prefs_value, db_blob(st, 0));
	db_end(st);
	in = str_slice(&o->prefs_value);
	if (in.len == 0 || !db_archive_prefs_get(&in, &o->prefs))
		o->prefs = (struct db_archive_prefs){.policy = a->limits->policy};
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

static enum err load_blocks(struct adding *a, struct owner *o)
{
	sqlite3_stmt *st = db_stmt(a->d, sql_blocks);
	enum err e;

	db_bind_int(st, 1, o->head.account);
	e = db_row(a->d, st);
	db_end(st);
	o->blocks = e == ERR_OK;
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

static enum err load_tail(struct adding *a, struct owner *o)
{
	enum err e = ERR_NOTFOUND;

	if (o->head.next > 1)
		e = archive_block_get(a->d, o->head.account, o->head.next - 1, &o->tail);
	o->tail_full = o->tail.body.len >= ARCHIVE_BLOCK_KEPT;
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

static enum err owner_load(struct adding *a, struct owner *o)
{
	uint64_t account = 0;
	enum err e = account_of(a->d, o->bare, &account);

	if (e == ERR_NOTFOUND || account >> (63 - ACCOUNT_BITS)) {
		o->state = NOBODY;
		return ERR_OK;
	}
	if (e == ERR_OK)
		e = archive_owner_get(a->d, account, &o->head);
	if (e == ERR_OK)
		e = load_prefs(a, o);
	if (e == ERR_OK)
		e = load_blocks(a, o);
	if (e == ERR_OK)
		e = load_tail(a, o);
	o->state = READY;
	return e;
}

static enum err is_contact(struct adding *a, const struct owner *o, struct slice bare)
{
	sqlite3_stmt *st = db_stmt(a->d, sql_contact);
	enum err e;

	db_bind_int(st, 1, o->head.account);
	db_bind_text(st, 2, bare);
	e = db_row(a->d, st);
	db_end(st);
	return e;
}

/* ERR_OK, or ERR_NOTFOUND: he does not want it. peer: the other address, as written. */
static enum err wanted(struct adding *a, const struct owner *o, struct slice peer)
{
	switch (db_archive_prefs_for(&o->prefs, peer)) {
	case ARCHIVE_NEVER:
		return ERR_NOTFOUND;
	case ARCHIVE_ROSTER:
		return is_contact(a, o, archive_bare(peer));
	default:
		return ERR_OK;
	}
}

static enum err tail_write(struct adding *a, struct owner *o)
{
	enum err e = ERR_OK;

	if (!o->tail_changed)
		return ERR_OK;
	e = archive_block_put(a->d, o->head.account, &o->tail, o->tail_new);
	o->tail_new = o->tail_changed = false;
	o->tail_full = o->tail.body.len >= ARCHIVE_BLOCK_KEPT;
	return e;
}

static bool tail_takes(const struct owner *o, uint64_t stamp_ms)
{
	return o->tail.number && !o->tail_full && o->tail.body.len < ARCHIVE_BLOCK_MAX &&
	       stamp_ms < o->tail.first_ms + ARCHIVE_SPAN_MS;
}

static enum err tail_for(struct adding *a, struct owner *o, uint64_t stamp_ms)
{
	uint64_t first = stamp_ms > o->tail.last_ms ? stamp_ms : o->tail.last_ms;
	enum err e;

	if (tail_takes(o, stamp_ms))
		return ERR_OK;
	e = tail_write(a, o);
	str_reset(&o->tail.body);
	o->tail.number = o->head.next++;
	o->tail.first_ms = o->tail.last_ms = first;
	o->tail.messages = 0;
	o->tail_new = true;
	o->tail_full = false;
	o->nkeys = 0;
	a->new_blocks++;
	return e;
}

static enum err key(struct adding *a, struct owner *o, uint64_t k)
{
	for (unsigned int i = 0; i < RECENT_KEYS && i < o->nkeys; i++) {
		if (o->keys[i] == k)
			return ERR_OK;
	}
	o->keys[o->nkeys++ % RECENT_KEYS] = k;
	return archive_key_add(a->d, o->head.account, k, o->tail.number);
}

static enum err append(struct adding *a, struct owner *o, const struct db_archive_entry *m,
		       struct slice packed)
{
	enum err e = tail_for(a, o, m->stamp_ms);

	if (e == ERR_OK)
		e = key(a, o, archive_key_group(m->id));
	if (e == ERR_OK)
		e = key(a, o, archive_key_peer(archive_peer(m, o->bare)));
	str_add_slice(&o->tail.body, packed);
	o->tail.messages++;
	o->tail_changed = true;
	if (m->stamp_ms > o->tail.last_ms)
		o->tail.last_ms = m->stamp_ms;
	o->head.messages++;
	o->head.bytes += packed.len;
	return e;
}

/* Is it there already? Asked only for what a router that is gone may have added. */
static enum err is_there(struct adding *a, struct owner *o, struct db_archive_id id)
{
	struct archive_place place;
	enum err e = tail_write(a, o);

	return e == ERR_OK ? archive_find(a->d, o->head.account, id, &place) : e;
}

/* One who has sessions was asked by the router; for one who has none the datastore knows. */
static enum err may_reach(struct adding *a, const struct owner *o, struct slice from)
{
	struct slice user = local_part(o->bare);

	if (!o->blocks)
		return ERR_OK;
	return blocklist_judge(a->d, o->head.account, user,
			       slice_of(o->bare.data + user.len + 1, o->bare.len - user.len - 1),
			       from);
}

static enum err add_for(struct adding *a, uint16_t number, const struct db_archive_addition *add,
			const struct db_archive_entry *m, struct slice peer)
{
	struct owner *o = &a->owners[number];
	enum err e = o->state == UNKNOWN ? owner_load(a, o) : ERR_OK;

	if (e != ERR_OK || o->state == NOBODY)
		return e;
	e = wanted(a, o, peer);
	if (e == ERR_OK && number == add->receiver && number != add->sender)
		e = may_reach(a, o, peer);
	if (e == ERR_OK && add->again) {
		e = is_there(a, o, m->id);
		if (e == ERR_OK)
			return ERR_OK;
		e = e == ERR_NOTFOUND ? ERR_OK : e;
	}
	if (e == ERR_OK)
		e = append(a, o, m, add->entry);
	return e == ERR_NOTFOUND || e == ERR_BLOCKED ? ERR_OK : e;
}

static enum err trim(struct adding *a, struct owner *o)
{
	uint64_t number = 0;
	enum err e = ERR_OK;

	for (int i = 0; e == ERR_OK && i < TRIM_BLOCKS && o->head.bytes > a->limits->user_bytes;
	     i++) {
		e = archive_block_oldest(a->d, o->head.account, &number);
		if (e == ERR_OK && number + 1 == o->head.next)
			break; /* his last block stays: it is about one page */
		if (e == ERR_OK)
			e = archive_block_del(a->d, &o->head, number);
	}
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

static enum err owner_finish(struct adding *a, struct owner *o)
{
	enum err e = tail_write(a, o);

	if (e == ERR_OK)
		e = trim(a, o);
	return e == ERR_OK ? archive_owner_set(a->d, &o->head) : e;
}

static bool text_ok(struct slice s)
{
	return s.len == 0 || !memchr(s.data, 0, s.len);
}

static bool addition_get(const struct adding *a, struct slice *in, struct db_archive_addition *add,
			 struct db_archive_entry *m)
{
	struct slice entry;

	if (!db_archive_addition_get(in, add))
		return false;
	entry = add->entry;
	return db_archive_entry_get(&entry, m) && entry.len == 0 && text_ok(m->from) &&
	       text_ok(m->to) && (add->sender == DB_ARCHIVE_NOBODY || add->sender < a->nowners) &&
	       (add->receiver == DB_ARCHIVE_NOBODY || add->receiver < a->nowners);
}

static enum err add_all(struct adding *a, struct slice list, struct str *why)
{
	struct db_archive_addition add;
	struct db_archive_entry m;
	enum err e = ERR_OK;

	while (e == ERR_OK && list.len) {
		if (!addition_get(a, &list, &add, &m)) {
			str_adds(why, "the packed messages are malformed");
			return ERR_FORMAT;
		}
		if (add.sender != DB_ARCHIVE_NOBODY)
			e = add_for(a, add.sender, &add, &m, m.to);
		/* XEP-0313 5.1.1: a message to oneself is there once. */
		if (e == ERR_OK && add.receiver != DB_ARCHIVE_NOBODY && add.receiver != add.sender)
			e = add_for(a, add.receiver, &add, &m, m.from);
	}
	for (size_t i = 0; e == ERR_OK && i < a->nowners; i++) {
		if (a->owners[i].state == READY)
			e = owner_finish(a, &a->owners[i]);
	}
	return e;
}

static bool owners_get(struct adding *a, struct slice list)
{
	struct slice in = list, bare;
	size_t n = 0;

	while (in.len) {
		if (!codec_get_str(&in, &bare) || !text_ok(bare) || ++n > OWNERS_MAX)
			return false;
	}
	a->owners = xcalloc(n + 1, sizeof(*a->owners));
	for (a->nowners = 0; a->nowners < n; a->nowners++) {
		struct owner *o = &a->owners[a->nowners];

		codec_get_str(&list, &o->bare);
		str_init(&o->tail.body);
		str_init(&o->prefs_value);
	}
	return true;
}

enum err archive_add(struct db *d, const struct msg_db_archive_add *m, uint64_t now_ms,
		     const struct archive_limits *limits, struct str *why)
{
	struct adding a = {.d = d, .limits = limits};
	enum err e;

	if (!owners_get(&a, m->owners)) {
		str_adds(why, "the packed owners are malformed");
		return ERR_FORMAT;
	}
	e = add_all(&a, m->list, why);
	if (e == ERR_OK)
		e = archive_prune(d, now_ms, limits, PRUNE_BLOCKS + 2 * a.new_blocks);
	for (size_t i = 0; i < a.nowners; i++) {
		str_clear(&a.owners[i].tail.body);
		str_clear(&a.owners[i].prefs_value);
	}
	free(a.owners);
	return e;
}

/* Of an owner the oldest comes first: where two blocks are equally old, by their numbers. */
static enum err prune_one(struct db *d, uint64_t before_ms)
{
	sqlite3_stmt *st = db_stmt(d, sql_old);
	struct archive_owner o;
	uint64_t id = 0;
	enum err e;

	db_bind_int(st, 1, before_ms);
	e = db_row(d, st);
	if (e == ERR_OK)
		id = db_int(st, 0);
	db_end(st);
	if (e == ERR_OK)
		e = archive_owner_get(d, id >> ACCOUNT_BITS, &o);
	if (e == ERR_OK)
		e = archive_block_del(d, &o, id & UINT32_MAX);
	return e == ERR_OK ? archive_owner_set(d, &o) : e;
}

enum err archive_prune(struct db *d, uint64_t now_ms, const struct archive_limits *limits,
		       uint32_t limit)
{
	enum err e = ERR_OK;

	if (!limits->retention_ms || now_ms < limits->retention_ms + ARCHIVE_SPAN_MS)
		return ERR_OK;
	for (uint32_t i = 0; e == ERR_OK && i < limit; i++)
		e = prune_one(d, now_ms - limits->retention_ms - ARCHIVE_SPAN_MS);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

static enum err gone_account(struct db *d, uint64_t *account)
{
	sqlite3_stmt *st = db_stmt(d, sql_gone);
	enum err e = db_row(d, st);

	if (e == ERR_OK)
		*account = db_int(st, 0);
	db_end(st);
	return e;
}

/* No block of it is left. */
static enum err gone_end(struct db *d, uint64_t account)
{
	static const char *const ends[] = {sql_keys_end, sql_owner_end, sql_gone_end};
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < sizeof(ends) / sizeof(ends[0]); i++) {
		sqlite3_stmt *st = db_stmt(d, ends[i]);

		db_bind_int(st, 1, account);
		e = db_run(d, st);
	}
	return e;
}

enum err archive_remove_gone(struct db *d, uint32_t limit, bool *more)
{
	struct archive_owner o = {0};
	uint64_t number = 0;
	enum err e;

	while ((*more = (e = gone_account(d, &o.account)) == ERR_OK) && limit--) {
		e = archive_block_oldest(d, o.account, &number);
		if (e == ERR_OK)
			e = archive_block_del(d, &o, number);
		else if (e == ERR_NOTFOUND)
			e = gone_end(d, o.account);
		if (e != ERR_OK)
			break;
	}
	return e == ERR_NOTFOUND ? ERR_OK : e;
}
