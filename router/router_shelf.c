/*
 * router_shelf - the shelf (router/shelf.h) and the datastore: a starting router loads it before it
 * takes announcements, and from then on writes what custody puts there, one batch at a time.
 */
#include <stdlib.h>
#include <time.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/xmem.h"
#include "ipc/db_pack.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "router/router_types.h"
#include "router/shelf.h"

#define PAGE_BYTES	   (1024 * 1024)
#define LOAD_WAIT_MS	   10000 /* then it routes without: better than not at all */
#define STANDALONE_WAIT_MS 200	 /* there may be no datastore at all */
#define RETRY_MS	   1000
#define FETCHES_MAX	   256	 /* rows asked for at once */
#define FETCH_WAIT_MS	   10000 /* for one of them; then again */

static int64_t wall_delta_ms(const struct router *r)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 -
	       (int64_t)(loop_now(r->loop).us / 1000);
}

void shelf_row_free(struct shelf_row *row)
{
	list_remove(&row->link);
	blob_unref(&row->body);
	free(row);
}

/* ---- loading ---- */

static void ask_page(struct router *r, uint64_t sid, uint8_t kind, uint64_t n);

static void load_session(struct router *r, const struct db_shelf_row *row)
{
	struct monotime now = loop_now(r->loop);
	struct session_row s;
	struct endpoint *ep;
	enum err e;

	if (!session_row_get(row->body, &s) || s.m.sid != row->sid) {
		log_err("shelf", "event=bad_row sid=%016llx", (unsigned long long)row->sid);
		shelf_del(r->shelf, row->sid, row->kind, row->n);
		return;
	}
	ep = endpoint_load(r->custody, &s, now);
	if (!ep)
		return;
	router_endpoint_added(r, ep);
	e = router_announce(r, &s.m);
	if (e == ERR_OK && s.m.kind == SESSION_CLIENT)
		session_detached(r->sessions, row->sid, endpoint_detached_at(ep));
	if (e == ERR_OK)
		return;
	log_warn("shelf", "event=session_refused jid=%s error=%s", log_quote(s.m.jid), err_name(e));
	endpoint_remove(r->custody, ep, "recipient-unavailable");
}

void shelf_lost(struct router *r, uint64_t sid, struct slice full, struct slice blob,
		uint32_t seconds)
{
	int64_t until =
		(int64_t)(loop_now(r->loop).us / 1000) + wall_delta_ms(r) + (int64_t)seconds * 1000;
	struct str row = STR_INIT;

	codec_put_str(&row, full);
	codec_put_bytes(&row, blob);
	codec_put_u64(&row, (uint64_t)until);
	shelf_put(r->shelf, sid, SHELF_LOST, 1, str_slice(&row));
	str_clear(&row);
}

static void load_lost(struct router *r, const struct db_shelf_row *row)
{
	struct monotime now = loop_now(r->loop);
	struct slice in = row->body, full, blob;
	uint64_t until;
	int64_t left;

	if (!codec_get_str(&in, &full) || !codec_get_bytes(&in, &blob) ||
	    !codec_get_u64(&in, &until) ||
	    session_announce(r->sessions, row->sid, full, SLICE_NONE, SLICE_NONE, blob, now) !=
		    ERR_OK) {
		shelf_del(r->shelf, row->sid, SHELF_LOST, 1);
		return;
	}
	left = ((int64_t)until - (int64_t)(now.us / 1000) - wall_delta_ms(r)) / 1000;
	session_lost(r->sessions, row->sid, slice_str("not back yet"),
		     left > 1 ? (uint32_t)left : 1, now);
}

static void load_row(struct router *r, const struct db_shelf_row *row)
{
	struct shelf_row *kept;

	if (row->kind == SHELF_SESSION || row->kind == SHELF_LOST) {
		if (row->kind == SHELF_LOST)
			load_lost(r, row);
		else
			load_session(r, row);
		return;
	}
	kept = xcalloc(1, sizeof(*kept));
	kept->sid = row->sid;
	kept->kind = row->kind;
	kept->n = row->n;
	kept->body = blob_new(row->body.data, row->body.len);
	list_append(&r->shelf_rows, &kept->link);
}

static void loaded(struct router *r, const char *how)
{
	size_t rows = 0;

	list_each (it, &r->shelf_rows)
		rows++;
	if (rows || session_count(r->sessions) || strcmp(how, "ok") != 0)
		log_info("shelf", "event=loaded sessions=%zu rows=%zu how=%s",
			 session_count(r->sessions), rows, how);
	barrier_loaded(r);
}

static void on_page(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct router *r = arg;
	struct db_shelf_row row = {0};
	struct msg_db_shelf_rows page;
	struct slice list;

	if (status == ERR_CLOSED || !r->shelf_loading)
		return;
	if (status != ERR_OK || type != MSG_DB_SHELF_ROWS ||
	    msg_db_shelf_rows_get(body, &page) != ERR_OK) {
		log_err("shelf",
			"event=not_loaded error=%s reason=\"sessions that were away and what was "
			"kept for them are missing until the next start\" hint=\"see the log of "
			"datastore\"",
			err_name(status == ERR_OK ? ERR_FORMAT : status));
		loaded(r, "failed");
		return;
	}
	list = page.list;
	while (list.len && db_shelf_row_get(&list, &row))
		load_row(r, &row);
	if (page.more && page.count)
		ask_page(r, row.sid, row.kind, row.n);
	else
		loaded(r, "ok");
}

static void ask_page(struct router *r, uint64_t sid, uint8_t kind, uint64_t n)
{
	struct str record = STR_INIT;

	msg_db_shelf_get_put(&record, &(struct msg_db_shelf_get){sid, kind, n, PAGE_BYTES});
	store_ops_ask(r->store, str_slice(&record),
		      proc_is_standalone(r->proc) ? STANDALONE_WAIT_MS : LOAD_WAIT_MS, on_page, r,
		      loop_now(r->loop));
	str_clear(&record);
}

void shelf_start(struct router *r)
{
	list_init(&r->shelf_rows);
	r->shelf = shelf_new();
	custody_set_shelf(r->custody, r->shelf, wall_delta_ms(r));
	r->shelf_loading = true;
	ask_page(r, 0, 0, 0);
}

void shelf_end(struct router *r)
{
	list_each_safe (it, &r->shelf_rows)
		shelf_row_free(list_entry(it, struct shelf_row, link));
	shelf_free(&r->shelf);
}

/* What waited for a session of a domain that is over by now is for who serves it. */
static void load_answer(struct router *r, const struct shelf_row *row)
{
	struct endpoint *ep = endpoint_find(r->custody, row->sid);
	struct session_stanza s;

	if (!ep && custody_answer_get(blob_slice(row->body), &s))
		ep = domain_endpoint(r, custody_domain_of(s.to), s.from);
	custody_load_answer_for(r->custody, ep, row->sid, row->n, blob_slice(row->body));
}

void shelf_answers(struct router *r)
{
	list_each_safe (it, &r->shelf_rows) {
		struct shelf_row *row = list_entry(it, struct shelf_row, link);

		if (row->kind == SHELF_STANZA)
			continue;
		load_answer(r, row);
		shelf_row_free(row);
	}
}

/* ---- paging ---- */

struct paging {
	struct router *router;
	struct custody_fetch row;
};

static void on_row(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct paging *p = arg;
	struct router *r = p->router;
	struct custody_fetch want = p->row;
	struct msg_db_shelf_rows page;
	struct db_shelf_row row;
	bool found = false;

	free(p);
	if (status == ERR_CLOSED)
		return;
	r->fetching--;
	if (status != ERR_OK || type != MSG_DB_SHELF_ROWS ||
	    msg_db_shelf_rows_get(body, &page) != ERR_OK) {
		r->fetch_retry = monotime_add_ms(loop_now(r->loop), RETRY_MS);
		custody_fetch_again(r->custody, want.id);
		return;
	}
	if (page.count && db_shelf_row_get(&page.list, &row))
		found = row.sid == want.sid && row.kind == want.kind && row.n == want.n;
	custody_fetched(r->custody, want.id, found, found ? row.body : SLICE_NONE);
}

static void fetch_rows(struct router *r)
{
	struct monotime now = loop_now(r->loop);
	struct str record = STR_INIT;
	struct custody_fetch want;

	if (monotime_before(now, r->fetch_retry))
		return;
	while (r->fetching < FETCHES_MAX && custody_next_fetch(r->custody, &want)) {
		struct paging *p = xcalloc(1, sizeof(*p));

		p->router = r;
		p->row = want;
		r->fetching++;
		str_reset(&record);
		msg_db_shelf_get_put(
			&record, &(struct msg_db_shelf_get){want.sid, want.kind, want.n - 1, 1});
		store_ops_ask(r->store, str_slice(&record), FETCH_WAIT_MS, on_row, p, now);
	}
	str_clear(&record);
}

/* ---- writing ---- */

static void on_written(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct router *r = arg;

	(void)type;
	(void)body;
	if (status == ERR_CLOSED)
		return;
	if (status == ERR_QUARANTINED) {
		log_err("shelf",
			"event=batch_lost reason=\"the datastore died of it three times\" "
			"hint=\"it is in data/quarantine; what it held has no second holder\"");
		status = ERR_OK;
	}
	shelf_done(r->shelf, status == ERR_OK);
	if (status == ERR_OK) {
		if (r->shelf_failed)
			log_info("shelf", "event=written reason=\"the datastore takes it again\"");
		r->shelf_failed = false;
		return;
	}
	if (!r->shelf_failed)
		log_err("shelf",
			"event=behind error=%s bytes=%zu reason=\"what has no second holder is "
			"kept in memory only\" hint=\"see the log of datastore\"",
			err_name(status), shelf_waiting(r->shelf));
	r->shelf_failed = true;
	shelf_shrink(r->shelf);
	r->shelf_retry = monotime_add_ms(loop_now(r->loop), RETRY_MS);
}

void shelf_flush(struct router *r)
{
	struct monotime now = loop_now(r->loop);
	struct str record = STR_INIT;
	struct slice changes;
	bool only_deletes;

	fetch_rows(r);
	if (r->shelf_failed && monotime_before(now, r->shelf_retry))
		return;
	if (!shelf_next(r->shelf, &changes, &only_deletes))
		return;
	if (only_deletes)
		msg_db_shelf_del_put(&record, &(struct msg_db_shelf_del){changes});
	else
		msg_db_shelf_put(&record, &(struct msg_db_shelf){changes});
	store_ops_ask(r->store, str_slice(&record), UINT32_MAX, on_written, r, now);
	str_clear(&record);
}

void shelf_tick(struct router *r)
{
	custody_set_shelf(r->custody, r->shelf, wall_delta_ms(r));
	custody_spool(r->custody, loop_now(r->loop),
		      (uint64_t)proc_config(r->proc)->router_spool_after_ms);
}
