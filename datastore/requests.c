#include "datastore/requests.h"

#include "base/xmem.h"
#include "datastore/accounts.h"
#include "datastore/archive.h"
#include "datastore/blocklist.h"
#include "datastore/components.h"
#include "datastore/offline.h"
#include "datastore/ops.h"
#include "datastore/rosters.h"
#include "datastore/shelf.h"
#include "datastore/userdata.h"
#include "ipc/codec.h"

#define UPKEEP_ROWS   2000
#define UPKEEP_BLOCKS 256
#define UPKEEP_GONE   128 /* once a second: some ms for each */

void request_out_clear(struct request_out *out)
{
	str_clear(&out->answer);
	str_clear(&out->text);
}

void request_out_reset(struct request_out *out)
{
	str_reset(&out->answer);
	str_reset(&out->text);
	out->more = false;
}

static enum err malformed(struct request_out *out)
{
	str_adds(&out->text, "the request is malformed");
	return ERR_FORMAT;
}

static enum err no_account(struct request_out *out, enum err e)
{
	if (e == ERR_NOTFOUND)
		str_adds(&out->text, "there is no such account");
	return e;
}

static enum err done(struct request_out *out, enum err e)
{
	if (e == ERR_OK)
		msg_db_done_put(&out->answer, &(struct msg_db_done){0});
	return e;
}

static enum err roster_changed(struct request_out *out, enum err e, uint64_t version)
{
	if (e == ERR_OK)
		msg_db_roster_changed_put(&out->answer,
					  &(struct msg_db_roster_changed){.version = version});
	return e;
}

static enum err run_account_add(const struct request_in *in, struct request_out *out)
{
	struct msg_db_account_add m;

	if (msg_db_account_add_get(in->body, &m) != ERR_OK)
		return malformed(out);
	return done(out, accounts_add(in->db, m.user, m.domain, m.scram, in->now_ms, &out->text));
}

static enum err run_account_set(const struct request_in *in, struct request_out *out)
{
	struct msg_db_account_set m;
	enum err e;

	if (msg_db_account_set_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = accounts_set(in->db, m.user, m.domain, m.scram, &out->text);
	return done(out, no_account(out, e));
}

static enum err run_account_del(const struct request_in *in, struct request_out *out)
{
	struct msg_db_account_del m;

	if (msg_db_account_del_get(in->body, &m) != ERR_OK)
		return malformed(out);
	return done(out, no_account(out, accounts_del(in->db, m.user, m.domain)));
}

/* "SCRAM-SHA-256" to "SHA-256": one family at a time, never all keys at once. */
static bool family(struct slice mechanism, struct slice *hash)
{
	static const char prefix[] = "SCRAM-";
	size_t n = sizeof(prefix) - 1;

	if (!slice_is(mechanism, "SCRAM-SHA-1") && !slice_is(mechanism, "SCRAM-SHA-256"))
		return false;
	*hash = slice_of(mechanism.data + n, mechanism.len - n);
	return true;
}

static enum err run_account_get(const struct request_in *in, struct request_out *out)
{
	struct msg_db_account_get m;
	struct msg_db_account a = {0};
	struct slice hash = SLICE_NONE;
	struct str keys = STR_INIT;
	uint64_t id;
	enum err e;

	if (msg_db_account_get_get(in->body, &m) != ERR_OK)
		return malformed(out);
	if (m.mechanism.len && !family(m.mechanism, &hash)) {
		str_adds(&out->text,
			 "keys are kept for SCRAM-SHA-1 and SCRAM-SHA-256; ask for one");
		return ERR_UNSUPPORTED;
	}
	a.user = m.user;
	a.domain = m.domain;
	e = accounts_id(in->db, m.user, m.domain, &id, &a.created);
	if (e == ERR_OK && hash.len)
		e = accounts_keys(in->db, id, hash, &keys);
	if (e == ERR_OK) {
		a.scram = str_slice(&keys);
		msg_db_account_put(&out->answer, &a);
	}
	str_clear(&keys);
	return no_account(out, e);
}

static enum err run_account_list(const struct request_in *in, struct request_out *out)
{
	struct msg_db_account_list m;
	struct msg_db_accounts a = {0};
	struct str list = STR_INIT;
	bool more = false;
	enum err e;

	if (msg_db_account_list_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = accounts_list(in->db, m.domain, m.after, m.limit, &list, &a.count, &more);
	if (e == ERR_OK) {
		a.more = more;
		a.list = str_slice(&list);
		msg_db_accounts_put(&out->answer, &a);
	}
	str_clear(&list);
	return e;
}

static enum err run_roster_get(const struct request_in *in, struct request_out *out)
{
	struct msg_db_roster_get m;
	struct msg_db_roster r = {0};
	struct str list = STR_INIT, blocked = STR_INIT;
	enum err e;

	if (msg_db_roster_get_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = rosters_get(in->db, m.user, m.domain, &list, &r.count, &r.version);
	if (e == ERR_OK)
		e = blocklist_get(in->db, m.user, m.domain, &blocked);
	if (e == ERR_OK) {
		r.list = str_slice(&list);
		r.blocked = str_slice(&blocked);
		msg_db_roster_put(&out->answer, &r);
	}
	str_clear(&list);
	str_clear(&blocked);
	return no_account(out, e);
}

static enum err run_roster_set(const struct request_in *in, struct request_out *out)
{
	struct msg_db_roster_set m;
	uint64_t version = 0;
	enum err e;

	if (msg_db_roster_set_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = rosters_set(in->db, m.user, m.domain, m.item, in->limits->max_roster_items, &version,
			&out->text);
	return roster_changed(out, e, version);
}

static enum err run_roster_del(const struct request_in *in, struct request_out *out)
{
	struct msg_db_roster_del m;
	uint64_t version = 0;
	enum err e;

	if (msg_db_roster_del_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = rosters_del(in->db, m.user, m.domain, m.jid, &version, &out->text);
	return roster_changed(out, e, version);
}

static enum err blocked_now(struct request_out *out, enum err e, struct str *blocked)
{
	if (e == ERR_OK)
		msg_db_blocked_put(&out->answer,
				   &(struct msg_db_blocked){.blocked = str_slice(blocked)});
	str_clear(blocked);
	return e;
}

static enum err run_block(const struct request_in *in, struct request_out *out)
{
	struct str blocked = STR_INIT;
	struct msg_db_block m;
	enum err e;

	if (msg_db_block_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = blocklist_add(in->db, m.user, m.domain, m.jids, in->limits->max_blocked, &blocked,
			  &out->text);
	return blocked_now(out, e, &blocked);
}

static enum err run_unblock(const struct request_in *in, struct request_out *out)
{
	struct str blocked = STR_INIT;
	struct msg_db_unblock m;
	enum err e;

	if (msg_db_unblock_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = blocklist_del(in->db, m.user, m.domain, m.jids, &blocked, &out->text);
	return blocked_now(out, e, &blocked);
}

static enum err run_offline_add(const struct request_in *in, struct request_out *out)
{
	struct msg_db_offline_add m;
	enum err e;

	if (msg_db_offline_add_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = offline_add(in->db, m.user, m.domain, m.message, in->now_ms, &in->limits->offline,
			&out->text);
	return done(out, no_account(out, e));
}

static enum err run_offline_get(const struct request_in *in, struct request_out *out)
{
	struct msg_db_offline_get m;
	struct msg_db_offline page = {0};
	struct str list = STR_INIT;
	bool more;
	enum err e;

	if (msg_db_offline_get_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = offline_get(in->db, m.user, m.domain, m.after, m.bytes, &list, &page.count, &more);
	if (e == ERR_OK) {
		page.more = more;
		page.list = str_slice(&list);
		msg_db_offline_put(&out->answer, &page);
	}
	str_clear(&list);
	return no_account(out, e);
}

static enum err run_offline_del(const struct request_in *in, struct request_out *out)
{
	struct msg_db_offline_del m;
	enum err e;

	if (msg_db_offline_del_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = offline_del(in->db, m.user, m.domain, m.ids, in->now_ms, &out->text);
	return done(out, no_account(out, e));
}

static enum err run_shelf(const struct request_in *in, struct request_out *out)
{
	struct msg_db_shelf m;

	if (msg_db_shelf_get(in->body, &m) != ERR_OK)
		return malformed(out);
	return done(out,
		    shelf_apply(in->db, m.changes, false, in->limits->shelf_bytes, &out->text));
}

static enum err run_shelf_del(const struct request_in *in, struct request_out *out)
{
	struct msg_db_shelf_del m;

	if (msg_db_shelf_del_get(in->body, &m) != ERR_OK)
		return malformed(out);
	return done(out, shelf_apply(in->db, m.changes, true, in->limits->shelf_bytes, &out->text));
}

static enum err run_shelf_get(const struct request_in *in, struct request_out *out)
{
	struct msg_db_shelf_get m;
	struct msg_db_shelf_rows page = {0};
	struct str list = STR_INIT;
	bool more;
	enum err e;

	if (msg_db_shelf_get_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = shelf_get(in->db, m.sid, m.kind, m.n, m.bytes, &list, &page.count, &more);
	if (e == ERR_OK) {
		page.more = more;
		page.list = str_slice(&list);
		msg_db_shelf_rows_put(&out->answer, &page);
	}
	str_clear(&list);
	return e;
}

static enum err run_data_get(const struct request_in *in, struct request_out *out)
{
	struct msg_db_data_get m;
	struct msg_db_data a = {0};
	struct str value = STR_INIT;
	enum err e;

	if (msg_db_data_get_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = userdata_get(in->db, m.user, m.domain, m.kind, m.key, &value, &a.changed_ms);
	if (e == ERR_OK) {
		a.value = str_slice(&value);
		msg_db_data_put(&out->answer, &a);
	} else if (e == ERR_NOTFOUND) {
		str_adds(&out->text, "there is no such value or account");
	}
	str_clear(&value);
	return e;
}

static enum err run_data_set(const struct request_in *in, struct request_out *out)
{
	struct msg_db_data_set m;
	enum err e;

	if (msg_db_data_set_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = userdata_set(in->db, m.user, m.domain, m.kind, m.key, m.value, in->now_ms,
			 &in->limits->userdata, &out->text);
	return done(out, no_account(out, e));
}

static enum err run_data_list(const struct request_in *in, struct request_out *out)
{
	struct msg_db_data_list m;
	struct msg_db_data_rows page = {0};
	struct str list = STR_INIT;
	bool more;
	enum err e;

	if (msg_db_data_list_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = userdata_list(in->db, m.user, m.domain, m.kind, m.after, m.bytes, &list, &page.count,
			  &more);
	if (e == ERR_OK) {
		page.more = more;
		page.list = str_slice(&list);
		msg_db_data_rows_put(&out->answer, &page);
	}
	str_clear(&list);
	return no_account(out, e);
}

static enum err run_archive_add(const struct request_in *in, struct request_out *out)
{
	struct msg_db_archive_add m;

	if (msg_db_archive_add_get(in->body, &m) != ERR_OK)
		return malformed(out);
	return done(out, archive_add(in->db, &m, in->now_ms, &in->limits->archive, &out->text));
}

static enum err run_archive_query(const struct request_in *in, struct request_out *out)
{
	struct msg_db_archive_query m;
	struct msg_db_archive_page page;
	struct str list = STR_INIT;
	enum err e;

	if (msg_db_archive_query_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = archive_query(in->db, &m, in->now_ms, &in->limits->archive, &page, &list, &out->text);
	if (e == ERR_OK)
		msg_db_archive_page_put(&out->answer, &page);
	str_clear(&list);
	return e;
}

static enum err run_archive_ends(const struct request_in *in, struct request_out *out)
{
	struct msg_db_archive_ends m;
	struct msg_db_archive_page page;
	struct str list = STR_INIT;
	enum err e;

	if (msg_db_archive_ends_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = archive_ends(in->db, m.user, m.domain, in->now_ms, &in->limits->archive, &page, &list);
	if (e == ERR_OK)
		msg_db_archive_page_put(&out->answer, &page);
	str_clear(&list);
	return no_account(out, e);
}

static enum err run_component_add(const struct request_in *in, struct request_out *out)
{
	struct msg_db_component_add m;

	if (msg_db_component_add_get(in->body, &m) != ERR_OK)
		return malformed(out);
	return done(out,
		    components_add(in->db, &m, in->limits->max_components, in->now_ms, &out->text));
}

static enum err run_component_set(const struct request_in *in, struct request_out *out)
{
	struct msg_db_component_set m;

	if (msg_db_component_set_get(in->body, &m) != ERR_OK)
		return malformed(out);
	return done(out, components_set(in->db, &m, &out->text));
}

static enum err run_component_del(const struct request_in *in, struct request_out *out)
{
	struct msg_db_component_del m;

	if (msg_db_component_del_get(in->body, &m) != ERR_OK)
		return malformed(out);
	return done(out, components_del(in->db, m.name, &out->text));
}

static enum err run_component_get(const struct request_in *in, struct request_out *out)
{
	struct msg_db_component_get m;
	enum err e;

	if (msg_db_component_get_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = components_get(in->db, m.jid, &out->answer);
	if (e == ERR_NOTFOUND)
		str_adds(&out->text, "no component may serve this domain");
	return e;
}

static enum err run_component_list(const struct request_in *in, struct request_out *out)
{
	struct msg_db_component_list m;
	struct msg_db_components a = {0};
	struct str list = STR_INIT;
	enum err e;

	if (msg_db_component_list_get(in->body, &m) != ERR_OK)
		return malformed(out);
	e = components_list(in->db, m.secrets, &list, &a.count);
	if (e == ERR_OK) {
		a.list = str_slice(&list);
		msg_db_components_put(&out->answer, &a);
	}
	xwipe(list.data, list.len);
	str_clear(&list);
	return e;
}

static enum err run_upkeep(const struct request_in *in, struct request_out *out)
{
	uint64_t keep = in->limits->ops_keep_ms;
	uint64_t before = in->now_ms > keep ? in->now_ms - keep : 0;
	enum err e = ops_prune(in->db, before, in->limits->ops_max_rows, UPKEEP_ROWS);

	if (e == ERR_OK)
		e = offline_prune(in->db, before, UPKEEP_ROWS);
	if (e == ERR_OK)
		e = archive_prune(in->db, in->now_ms, &in->limits->archive, UPKEEP_BLOCKS);
	if (e == ERR_OK)
		e = archive_remove_gone(in->db, UPKEEP_GONE, &out->more);
	return done(out, e == ERR_OK ? ops_probe(in->db, in->now_ms) : e);
}

static const struct request table[] = {
	[MSG_DB_ACCOUNT_ADD] = {.writes = true, .grows = true, .run = run_account_add},
	[MSG_DB_ACCOUNT_SET] = {.writes = true, .grows = true, .run = run_account_set},
	[MSG_DB_ACCOUNT_DEL] = {.writes = true, .run = run_account_del},
	[MSG_DB_ACCOUNT_GET] = {.run = run_account_get},
	[MSG_DB_ACCOUNT_LIST] = {.run = run_account_list},
	[MSG_DB_ROSTER_GET] = {.run = run_roster_get},
	[MSG_DB_ROSTER_SET] = {.writes = true, .grows = true, .run = run_roster_set},
	[MSG_DB_ROSTER_DEL] = {.writes = true, .run = run_roster_del},
	[MSG_DB_OFFLINE_ADD] = {.writes = true, .grows = true, .run = run_offline_add},
	[MSG_DB_OFFLINE_GET] = {.run = run_offline_get},
	[MSG_DB_OFFLINE_DEL] = {.writes = true, .run = run_offline_del},
	/* Repeated they give the same list. */
	[MSG_DB_BLOCK] = {.writes = true, .grows = true, .again = true, .run = run_block},
	[MSG_DB_UNBLOCK] = {.writes = true, .again = true, .run = run_unblock},
	[MSG_DB_SHELF] = {.writes = true, .grows = true, .again = true, .run = run_shelf},
	[MSG_DB_SHELF_DEL] = {.writes = true, .again = true, .run = run_shelf_del},
	/* What a client asks behind a change of its own shows that change (RFC 6120 10.1). */
	[MSG_DB_DATA_GET] = {.again = true, .ordered = true, .run = run_data_get},
	[MSG_DB_DATA_SET] = {.writes = true, .grows = true, .run = run_data_set},
	[MSG_DB_DATA_LIST] = {.again = true, .ordered = true, .run = run_data_list},
	[MSG_DB_ARCHIVE_ADD] = {.writes = true,
				.grows = true,
				.first = true,
				.run = run_archive_add},
	[MSG_DB_ARCHIVE_QUERY] = {.slow = true, .run = run_archive_query},
	[MSG_DB_ARCHIVE_ENDS] = {.slow = true, .run = run_archive_ends},
	[MSG_DB_COMPONENT_ADD] = {.writes = true, .grows = true, .run = run_component_add},
	[MSG_DB_COMPONENT_SET] = {.writes = true, .grows = true, .run = run_component_set},
	[MSG_DB_COMPONENT_DEL] = {.writes = true, .run = run_component_del},
	[MSG_DB_COMPONENT_GET] = {.run = run_component_get},
	[MSG_DB_COMPONENT_LIST] = {.run = run_component_list},
	/* A starting router reads what its predecessor may still be writing. */
	[MSG_DB_SHELF_GET] = {.again = true, .ordered = true, .run = run_shelf_get},
};

const struct request *requests_find(uint16_t type)
{
	if (type >= sizeof(table) / sizeof(table[0]) || !table[type].run)
		return NULL;
	return &table[type];
}

const struct request *requests_upkeep(void)
{
	static const struct request upkeep = {.writes = true, .run = run_upkeep};

	return &upkeep;
}
