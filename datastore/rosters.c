#include "datastore/rosters.h"

#include "datastore/accounts.h"
#include "datastore/page.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"

static const char sql_head[] = "SELECT id, roster_version, roster_items, roster_bytes"
			       " FROM accounts WHERE domain = ?1 AND user = ?2";
static const char sql_items[] =
	"SELECT jid, name, subscription, ask, approved, pending_in, ngroups, groups,"
	" request FROM roster WHERE account = ?1 ORDER BY jid";
static const char sql_size[] =
	"SELECT length(CAST(jid AS BLOB)) + length(CAST(name AS BLOB))"
	" + length(groups) + length(request) FROM roster WHERE account = ?1 AND jid = ?2";
static const char sql_set[] =
	"INSERT INTO roster(account, jid, name, subscription, ask, approved, pending_in, ngroups,"
	" groups, request) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
	" ON CONFLICT(account, jid) DO UPDATE SET name = excluded.name,"
	" subscription = excluded.subscription, ask = excluded.ask, approved = excluded.approved,"
	" pending_in = excluded.pending_in, ngroups = excluded.ngroups, groups = excluded.groups,"
	" request = excluded.request";
static const char sql_del[] = "DELETE FROM roster WHERE account = ?1 AND jid = ?2";
static const char sql_changed[] = "UPDATE accounts SET roster_version = ?2, roster_items = ?3,"
				  " roster_bytes = ?4 WHERE id = ?1";

/* What accounts says of a roster; items and bytes spare a scan of it at every change. */
struct head {
	uint64_t account;
	uint64_t version;
	uint64_t items;
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
		*h = (struct head){db_int(st, 0), db_int(st, 1), db_int(st, 2), db_int(st, 3)};
	db_end(st);
	return e;
}

static enum err head_set(struct db *d, const struct head *h)
{
	sqlite3_stmt *st = db_stmt(d, sql_changed);

	db_bind_int(st, 1, h->account);
	db_bind_int(st, 2, h->version);
	db_bind_int(st, 3, h->items);
	db_bind_int(st, 4, h->bytes);
	return db_run(d, st);
}

static void put_row(struct str *out, sqlite3_stmt *st)
{
	struct db_roster_item item = {.jid = db_text(st, 0),
				      .name = db_text(st, 1),
				      .subscription = (uint8_t)db_int(st, 2),
				      .ask = (uint8_t)db_int(st, 3),
				      .approved = (uint8_t)db_int(st, 4),
				      .pending_in = (uint8_t)db_int(st, 5),
				      .ngroups = (uint16_t)db_int(st, 6),
				      .groups = db_blob(st, 7),
				      .request = db_blob(st, 8)};

	db_roster_item_put(out, &item);
}

enum err rosters_get(struct db *d, struct slice user, struct slice domain, struct str *out,
		     uint32_t *count, uint64_t *version)
{
	struct head h;
	enum err e = head_get(d, user, domain, &h);
	sqlite3_stmt *st;

	if (e != ERR_OK)
		return e;
	*version = h.version;
	st = db_stmt(d, sql_items);
	db_bind_int(st, 1, h.account);
	return page_fill(d, st, put_row, 0, out, count, NULL);
}

static enum err check_groups(const struct db_roster_item *item, struct str *why)
{
	struct slice rest = item->groups, group;
	uint16_t n = 0;

	for (; rest.len > 0; n++) {
		if (!codec_get_str(&rest, &group) || memchr(group.data, 0, group.len)) {
			str_adds(why, "the packed groups are malformed");
			return ERR_FORMAT;
		}
		if (group.len > ROSTERS_GROUP_MAX) {
			str_addf(why, "a group's name is longer than %d bytes", ROSTERS_GROUP_MAX);
			return ERR_TOOBIG;
		}
	}
	if (n != item->ngroups) {
		str_adds(why, "the number of groups is not what was sent");
		return ERR_FORMAT;
	}
	if (n > ROSTERS_GROUPS_MAX) {
		str_addf(why, "an item has more than %d groups", ROSTERS_GROUPS_MAX);
		return ERR_TOOBIG;
	}
	return ERR_OK;
}

static enum err check_item(const struct db_roster_item *item, struct str *why)
{
	if (item->jid.len == 0 || memchr(item->jid.data, 0, item->jid.len) ||
	    (item->name.len && memchr(item->name.data, 0, item->name.len))) {
		str_adds(why, "the item's JID is empty or holds a NUL");
		return ERR_FORMAT;
	}
	if (item->jid.len > ROSTERS_JID_MAX || item->name.len > ROSTERS_NAME_MAX ||
	    item->request.len > ROSTERS_REQUEST_MAX) {
		str_addf(why, "an item's JID may have %d bytes, its name %d and a request %d",
			 ROSTERS_JID_MAX, ROSTERS_NAME_MAX, ROSTERS_REQUEST_MAX);
		return ERR_TOOBIG;
	}
	if (item->subscription > 3 || item->ask > 1 || item->approved > 1 || item->pending_in > 1) {
		str_adds(why, "the item's subscription state does not exist");
		return ERR_RANGE;
	}
	return check_groups(item, why);
}

/* Bytes that the stored item takes; ERR_NOTFOUND if there is none. */
static enum err stored_size(struct db *d, uint64_t account, struct slice jid, uint64_t *size)
{
	sqlite3_stmt *st = db_stmt(d, sql_size);
	enum err e;

	db_bind_int(st, 1, account);
	db_bind_text(st, 2, jid);
	e = db_row(d, st);
	if (e == ERR_OK)
		*size = db_int(st, 0);
	db_end(st);
	return e;
}

static enum err write_item(struct db *d, uint64_t account, const struct db_roster_item *item)
{
	sqlite3_stmt *st = db_stmt(d, sql_set);

	db_bind_int(st, 1, account);
	db_bind_text(st, 2, item->jid);
	db_bind_text(st, 3, item->name);
	db_bind_int(st, 4, item->subscription);
	db_bind_int(st, 5, item->ask);
	db_bind_int(st, 6, item->approved);
	db_bind_int(st, 7, item->pending_in);
	db_bind_int(st, 8, item->ngroups);
	db_bind_blob(st, 9, item->groups);
	db_bind_blob(st, 10, item->request);
	return db_run(d, st);
}

/* Counts the item into h in place of what is stored under its JID. */
static enum err count_item(struct db *d, struct head *h, const struct db_roster_item *item,
			   uint32_t max_items, struct str *why)
{
	uint64_t old = 0;
	enum err e = stored_size(d, h->account, item->jid, &old);

	if (e == ERR_NOTFOUND && h->items >= max_items) {
		str_addf(why,
			 "the roster has %llu items, the limit is %u "
			 "(datastore.max_roster_items)",
			 (unsigned long long)h->items, max_items);
		return ERR_FULL;
	}
	if (e != ERR_OK && e != ERR_NOTFOUND)
		return e;
	h->items += e == ERR_NOTFOUND;
	h->bytes += item->jid.len + item->name.len + item->groups.len + item->request.len - old;
	if (h->bytes > ROSTERS_BYTES_MAX) {
		str_addf(why, "the roster would be larger than %u bytes", ROSTERS_BYTES_MAX);
		return ERR_FULL;
	}
	return ERR_OK;
}

enum err rosters_set(struct db *d, struct slice user, struct slice domain, struct slice packed,
		     uint32_t max_items, uint64_t *version, struct str *why)
{
	struct db_roster_item item;
	struct head h;
	enum err e;

	if (!db_roster_item_get(&packed, &item) || packed.len != 0) {
		str_adds(why, "the packed roster item is malformed");
		return ERR_FORMAT;
	}
	e = check_item(&item, why);
	if (e == ERR_OK)
		e = head_get(d, user, domain, &h);
	if (e == ERR_NOTFOUND)
		str_adds(why, "there is no such account");
	if (e == ERR_OK)
		e = count_item(d, &h, &item, max_items, why);
	if (e == ERR_OK)
		e = write_item(d, h.account, &item);
	if (e != ERR_OK)
		return e;
	*version = ++h.version;
	return head_set(d, &h);
}

enum err rosters_del(struct db *d, struct slice user, struct slice domain, struct slice jid,
		     uint64_t *version, struct str *why)
{
	sqlite3_stmt *st;
	struct head h;
	uint64_t size = 0;
	enum err e = head_get(d, user, domain, &h);

	if (e == ERR_NOTFOUND)
		str_adds(why, "there is no such account");
	if (e != ERR_OK)
		return e;
	e = stored_size(d, h.account, jid, &size);
	if (e == ERR_NOTFOUND)
		str_adds(why, "the roster has no such item");
	if (e != ERR_OK)
		return e;
	st = db_stmt(d, sql_del);
	db_bind_int(st, 1, h.account);
	db_bind_text(st, 2, jid);
	e = db_run(d, st);
	if (e != ERR_OK)
		return e;
	h.items--;
	h.bytes -= size;
	*version = ++h.version;
	return head_set(d, &h);
}
