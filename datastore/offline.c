#include "datastore/offline.h"

#include "datastore/blocklist.h"
#include "datastore/page.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"

static const char sql_head[] = "SELECT id, offline_messages, offline_bytes FROM accounts"
			       " WHERE domain = ?1 AND user = ?2";
static const char sql_count[] = "UPDATE accounts SET offline_messages = ?2, offline_bytes = ?3"
				" WHERE id = ?1";
static const char sql_seen[] =
	"SELECT 1 FROM offline WHERE origin_sid = ?1 AND origin_n = ?2"
	" UNION ALL SELECT 1 FROM offline_done WHERE origin_sid = ?1 AND origin_n = ?2";
static const char sql_add[] =
	"INSERT INTO offline(account, origin_sid, origin_n, stamp, bytes, kind, type, flags,"
	" sender, addressee, stanza_id, lang, children, inner)"
	" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
static const char sql_get[] =
	"SELECT id, origin_sid, origin_n, stamp, kind, type, flags, sender, addressee, stanza_id,"
	" lang, children, inner FROM offline WHERE account = ?1 AND id > ?2 ORDER BY id";
static const char sql_del[] = "DELETE FROM offline WHERE account = ?1 AND id = ?2"
			      " RETURNING origin_sid, origin_n, bytes";
static const char sql_done[] = "INSERT INTO offline_done(origin_sid, origin_n, time)"
			       " VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING";
static const char sql_prune[] = "DELETE FROM offline_done WHERE (origin_sid, origin_n) IN"
				" (SELECT origin_sid, origin_n FROM offline_done WHERE time < ?1"
				"  ORDER BY time LIMIT ?2)";

/* What accounts says of a user's messages: it spares a scan of them. */
struct head {
	uint64_t account;
	uint64_t messages;
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
		*h = (struct head){db_int(st, 0), db_int(st, 1), db_int(st, 2)};
	db_end(st);
	return e;
}

static enum err head_set(struct db *d, const struct head *h)
{
	sqlite3_stmt *st = db_stmt(d, sql_count);

	db_bind_int(st, 1, h->account);
	db_bind_int(st, 2, h->messages);
	db_bind_int(st, 3, h->bytes);
	return db_run(d, st);
}

static uint64_t size_of(const struct db_offline *o)
{
	return o->from.len + o->to.len + o->stanza_id.len + o->lang.len + o->children.len +
	       o->inner.len;
}

static bool text_ok(struct slice s)
{
	return s.len == 0 || !memchr(s.data, 0, s.len);
}

static enum err unpack(struct slice packed, struct db_offline *o, struct str *why)
{
	if (db_offline_get(&packed, o) && packed.len == 0 && text_ok(o->from) && text_ok(o->to) &&
	    text_ok(o->stanza_id) && text_ok(o->lang))
		return ERR_OK;
	str_adds(why, "the packed message is malformed");
	return ERR_FORMAT;
}

/* ERR_OK: this origin was here before. */
static enum err seen(struct db *d, const struct db_offline *o)
{
	sqlite3_stmt *st = db_stmt(d, sql_seen);
	enum err e;

	db_bind_int(st, 1, o->origin_sid);
	db_bind_int(st, 2, o->origin_n);
	e = db_row(d, st);
	db_end(st);
	return e;
}

static enum err insert(struct db *d, uint64_t account, const struct db_offline *o, uint64_t now_ms)
{
	sqlite3_stmt *st = db_stmt(d, sql_add);

	db_bind_int(st, 1, account);
	db_bind_int(st, 2, o->origin_sid);
	db_bind_int(st, 3, o->origin_n);
	db_bind_int(st, 4, o->stamp_ms ? o->stamp_ms : now_ms);
	db_bind_int(st, 5, size_of(o));
	db_bind_int(st, 6, o->kind);
	db_bind_int(st, 7, o->type);
	db_bind_int(st, 8, o->flags);
	db_bind_text(st, 9, o->from);
	db_bind_text(st, 10, o->to);
	db_bind_text(st, 11, o->stanza_id);
	db_bind_text(st, 12, o->lang);
	db_bind_blob(st, 13, o->children);
	db_bind_blob(st, 14, o->inner);
	return db_run(d, st);
}

enum err offline_add(struct db *d, struct slice user, struct slice domain, struct slice packed,
		     uint64_t now_ms, const struct offline_quota *quota, struct str *why)
{
	struct db_offline o;
	struct head h;
	enum err e = unpack(packed, &o, why);

	if (e == ERR_OK)
		e = head_get(d, user, domain, &h);
	if (e != ERR_OK)
		return e;
	e = seen(d, &o);
	if (e != ERR_NOTFOUND)
		return e;
	e = blocklist_judge(d, h.account, user, domain, o.from);
	if (e != ERR_OK)
		return e;
	h.messages++;
	h.bytes += size_of(&o);
	if (h.messages > quota->messages || h.bytes > quota->bytes) {
		str_addf(why,
			 "the user has %llu messages waiting; raise datastore.offline_messages "
			 "(%llu) "
			 "or datastore.offline_bytes (%llu) if that should not be enough",
			 (unsigned long long)h.messages - 1, (unsigned long long)quota->messages,
			 (unsigned long long)quota->bytes);
		return ERR_FULL;
	}
	e = insert(d, h.account, &o, now_ms);
	return e == ERR_OK ? head_set(d, &h) : e;
}

static void put_row(struct str *out, sqlite3_stmt *st)
{
	struct db_offline o = {.id = db_int(st, 0),
			       .origin_sid = db_int(st, 1),
			       .origin_n = db_int(st, 2),
			       .stamp_ms = db_int(st, 3),
			       .kind = (uint8_t)db_int(st, 4),
			       .type = (uint8_t)db_int(st, 5),
			       .flags = (uint16_t)db_int(st, 6),
			       .from = db_text(st, 7),
			       .to = db_text(st, 8),
			       .stanza_id = db_text(st, 9),
			       .lang = db_text(st, 10),
			       .children = db_blob(st, 11),
			       .inner = db_blob(st, 12)};

	db_offline_put(out, &o);
}

enum err offline_get(struct db *d, struct slice user, struct slice domain, uint64_t after,
		     uint32_t bytes, struct str *out, uint32_t *count, bool *more)
{
	sqlite3_stmt *st;
	struct head h;
	enum err e = head_get(d, user, domain, &h);

	if (e != ERR_OK)
		return e;
	st = db_stmt(d, sql_get);
	db_bind_int(st, 1, h.account);
	db_bind_int(st, 2, after);
	return page_fill(d, st, put_row, bytes, out, count, more);
}

/* One row, if it is there. Its origin stays known: who sent it may not have been told yet that it
 * was stored, and repeats it after a crash (CUSTODY 8). */
static enum err del_one(struct db *d, struct head *h, uint64_t id, uint64_t now_ms)
{
	sqlite3_stmt *st = db_stmt(d, sql_del);
	uint64_t sid, n, bytes;
	enum err e;

	db_bind_int(st, 1, h->account);
	db_bind_int(st, 2, id);
	e = db_row(d, st);
	if (e != ERR_OK)
		return e == ERR_NOTFOUND ? ERR_OK : e;
	sid = db_int(st, 0);
	n = db_int(st, 1);
	bytes = db_int(st, 2);
	e = db_run(d, st);
	if (e != ERR_OK)
		return e;
	h->messages -= h->messages > 0;
	h->bytes -= bytes < h->bytes ? bytes : h->bytes;
	st = db_stmt(d, sql_done);
	db_bind_int(st, 1, sid);
	db_bind_int(st, 2, n);
	db_bind_int(st, 3, now_ms);
	return db_run(d, st);
}

enum err offline_del(struct db *d, struct slice user, struct slice domain, struct slice ids,
		     uint64_t now_ms, struct str *why)
{
	struct head h;
	uint64_t id;
	enum err e = head_get(d, user, domain, &h);

	while (e == ERR_OK && ids.len > 0) {
		if (!codec_get_u64(&ids, &id)) {
			str_adds(why, "the packed ids are malformed");
			return ERR_FORMAT;
		}
		e = del_one(d, &h, id, now_ms);
	}
	return e == ERR_OK ? head_set(d, &h) : e;
}

enum err offline_prune(struct db *d, uint64_t before_ms, uint32_t limit)
{
	sqlite3_stmt *st = db_stmt(d, sql_prune);

	db_bind_int(st, 1, before_ms);
	db_bind_int(st, 2, limit);
	return db_run(d, st);
}
