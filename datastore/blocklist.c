#include "datastore/blocklist.h"

#include "datastore/accounts.h"
#include "datastore/rosters.h"
#include "ipc/codec.h"

static const char sql_list[] =
	"SELECT jid FROM blocked WHERE account ="
	" (SELECT id FROM accounts WHERE domain = ?1 AND user = ?2) ORDER BY jid";
static const char sql_add[] = "INSERT INTO blocked(account, jid) VALUES(?1, ?2)"
			      " ON CONFLICT DO NOTHING";
static const char sql_del[] = "DELETE FROM blocked WHERE account = ?1 AND jid = ?2";
static const char sql_del_all[] = "DELETE FROM blocked WHERE account = ?1";
static const char sql_judge[] = "SELECT 1 FROM blocked WHERE account = ?1 AND jid IN (?2, ?3, ?4)";

static enum err list(struct db *d, struct slice user, struct slice domain, struct str *out,
		     uint32_t *count)
{
	sqlite3_stmt *st = db_stmt(d, sql_list);
	enum err e;

	*count = 0;
	db_bind_text(st, 1, domain);
	db_bind_text(st, 2, user);
	while ((e = db_row(d, st)) == ERR_OK) {
		codec_put_str(out, db_text(st, 0));
		(*count)++;
	}
	db_end(st);
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

enum err blocklist_get(struct db *d, struct slice user, struct slice domain, struct str *out)
{
	uint32_t count;

	return list(d, user, domain, out, &count);
}

static enum err account_of(struct db *d, struct slice user, struct slice domain, uint64_t *account,
			   struct str *why)
{
	uint64_t created;
	enum err e = accounts_id(d, user, domain, account, &created);

	if (e == ERR_NOTFOUND)
		str_adds(why, "there is no such account");
	return e;
}

/* The next of the packed jids. ERR_NOTFOUND: that were all. */
static enum err next_jid(struct slice *jids, struct slice *jid, struct str *why)
{
	if (jids->len == 0)
		return ERR_NOTFOUND;
	if (!codec_get_str(jids, jid) || jid->len == 0 || memchr(jid->data, 0, jid->len)) {
		str_adds(why, "the packed JIDs are malformed");
		return ERR_FORMAT;
	}
	if (jid->len > ROSTERS_JID_MAX) {
		str_addf(why, "a JID may have %d bytes", ROSTERS_JID_MAX);
		return ERR_TOOBIG;
	}
	return ERR_OK;
}

/* Runs sql for each of the jids. */
static enum err change(struct db *d, uint64_t account, const char *sql, struct slice jids,
		       struct str *why)
{
	struct slice jid;
	enum err e;

	while ((e = next_jid(&jids, &jid, why)) == ERR_OK) {
		sqlite3_stmt *st = db_stmt(d, sql);

		db_bind_int(st, 1, account);
		db_bind_text(st, 2, jid);
		e = db_run(d, st);
		if (e != ERR_OK)
			return e;
	}
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

enum err blocklist_add(struct db *d, struct slice user, struct slice domain, struct slice jids,
		       uint32_t max, struct str *out, struct str *why)
{
	uint64_t account;
	uint32_t count;
	size_t before = out->len;
	enum err e = account_of(d, user, domain, &account, why);

	if (e == ERR_OK)
		e = change(d, account, sql_add, jids, why);
	if (e == ERR_OK)
		e = list(d, user, domain, out, &count);
	if (e == ERR_OK && (count > max || out->len - before > BLOCKLIST_BYTES_MAX)) {
		str_addf(why,
			 "the list would have %u JIDs in %zu bytes, the limits are %u "
			 "(datastore.max_blocked) and %u",
			 count, out->len - before, max, BLOCKLIST_BYTES_MAX);
		e = ERR_FULL;
	}
	return e;
}

enum err blocklist_del(struct db *d, struct slice user, struct slice domain, struct slice jids,
		       struct str *out, struct str *why)
{
	uint64_t account;
	uint32_t count;
	sqlite3_stmt *st;
	enum err e = account_of(d, user, domain, &account, why);

	if (e == ERR_OK && jids.len == 0) {
		st = db_stmt(d, sql_del_all);
		db_bind_int(st, 1, account);
		e = db_run(d, st);
	} else if (e == ERR_OK) {
		e = change(d, account, sql_del, jids, why);
	}
	return e == ERR_OK ? list(d, user, domain, out, &count) : e;
}

/* Of a normalised JID: what stands before its '/', and of that what stands behind its '@'. */
static void parts(struct slice jid, struct slice *bare, struct slice *domain)
{
	const char *at, *slash = jid.len ? memchr(jid.data, '/', jid.len) : NULL;

	*bare = slash ? slice_of(jid.data, (size_t)(slash - jid.data)) : jid;
	at = bare->len ? memchr(bare->data, '@', bare->len) : NULL;
	*domain = *bare;
	if (at)
		*domain = slice_of(at + 1, (size_t)(bare->data + bare->len - at - 1));
}

/* XEP-0191 section 5: a user is never kept from his own resources; and not from his server, which
 * answers him. */
static bool exempt(struct slice bare, struct slice from_domain, struct slice user,
		   struct slice domain)
{
	if (!slice_eq(from_domain, domain))
		return false;
	if (bare.len == domain.len)
		return true;
	return bare.len == user.len + 1 + domain.len && memcmp(bare.data, user.data, user.len) == 0;
}

enum err blocklist_judge(struct db *d, uint64_t account, struct slice user, struct slice domain,
			 struct slice from)
{
	struct slice bare, from_domain;
	sqlite3_stmt *st;
	enum err e;

	parts(from, &bare, &from_domain);
	if (exempt(bare, from_domain, user, domain))
		return ERR_OK;
	st = db_stmt(d, sql_judge);
	db_bind_int(st, 1, account);
	db_bind_text(st, 2, from);
	db_bind_text(st, 3, bare);
	db_bind_text(st, 4, from_domain);
	e = db_row(d, st);
	db_end(st);
	if (e == ERR_OK)
		return ERR_BLOCKED;
	return e == ERR_NOTFOUND ? ERR_OK : e;
}
