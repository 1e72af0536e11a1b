/* Delivering what was kept: see offline_box.h. */
#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "ipc/db_pack.h"
#include "ipc/stanza_kinds.h"
#include "session/delay.h"
#include "session/offline.h"
#include "session/offline_box.h"
#include "session/registry.h"
#include "session/session_blob.h"
#include "xmpp/jid.h"

#define ROW_OVERHEAD 128

/* One message: on the session's queue, then delivered and to be deleted. */
struct offline_row {
	struct list link; /* offline_box.rows or .done */
	struct offline_box *box;
	uint64_t id;
	uint64_t origin_sid, origin_n;
	size_t bytes;
};

static bool takes(const struct offline_box *b, uint64_t sid)
{
	const struct session *s = registry_sid(b->m, sid);

	return s && registry_takes(s);
}

static void row_free(struct offline_row *r)
{
	list_remove(&r->link);
	free(r);
}

static void free_all(struct list *rows)
{
	list_each_safe (it, rows)
		row_free(list_entry(it, struct offline_row, link));
}

void offline_rows_forget(struct offline_box *b)
{
	free_all(&b->rows);
	free_all(&b->done);
}

static void on_settled(void *arg, uint8_t how)
{
	struct offline_row *r = arg;
	struct offline_box *b = r->box;

	b->row_bytes -= r->bytes;
	if (how == SETTLED_DELIVERED) {
		list_remove(&r->link);
		list_append(&b->done, &r->link);
	} else {
		b->lost = true;
		row_free(r);
	}
	offline_step(b);
}

static struct offline_row *row_new(struct offline_box *b, const struct db_offline *o)
{
	struct offline_row *r = xcalloc(1, sizeof(*r));

	r->box = b;
	r->id = o->id;
	r->origin_sid = o->origin_sid;
	r->origin_n = o->origin_n;
	r->bytes = ROW_OVERHEAD + o->inner.len;
	b->row_bytes += r->bytes;
	list_append(&b->rows, &r->link);
	return r;
}

/* On the queue it goes; false: there is no queue any more. */
static bool put_row(struct offline_box *b, const struct db_offline *o, struct str *inner,
		    struct str *children)
{
	const struct session_host *host = &b->m->host;
	struct session_stanza s = {.kind = o->kind,
				   .type = o->type,
				   .flags = o->flags,
				   .from = o->from,
				   .to = o->to,
				   .id = o->stanza_id,
				   .lang = o->lang,
				   .children = o->children,
				   .inner = o->inner};
	struct offline_row *r = row_new(b, o);

	delay_stamp(&s, jid_text_domain(b->bare), o->stamp_ms, inner, children);
	b->after = o->id;
	if (host->originate(b->m->ctx, b->sid, o->origin_sid, o->origin_n, &s, on_settled, r))
		return true;
	b->row_bytes -= r->bytes;
	row_free(r);
	return false;
}

static void put_page(struct offline_box *b, const struct msg_db_offline *page)
{
	struct str inner = STR_INIT, children = STR_INIT;
	struct slice list = page->list;
	struct db_offline o;

	while (list.len && !b->lost) {
		if (!db_offline_get(&list, &o)) {
			log_err("-",
				"event=offline-malformed user=%s after=%llu hint=\"are router and "
				"datastore of the same release?\"",
				log_quote(b->bare), (unsigned long long)b->after);
			b->lost = true;
		} else if (!takes(b, b->sid) || !put_row(b, &o, &inner, &children)) {
			b->lost = true;
		}
	}
	str_clear(&inner);
	str_clear(&children);
}

static void drain(struct offline_box *b)
{
	b->state = OFFLINE_DRAINING;
	offline_release_waiting(b);
}

static void on_page(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct offline_job *j = arg;
	struct offline_box *b = j->box;
	struct msg_db_offline page = {0};

	if (!offline_job_answered(j, status))
		return;
	offline_job_free(j);
	if (status == ERR_OK &&
	    (type != MSG_DB_OFFLINE || msg_db_offline_get(body, &page) != ERR_OK))
		status = ERR_FORMAT;
	b->busy = true;
	if (status == ERR_OK) {
		put_page(b, &page);
	} else {
		b->lost = true;
		log_warn(
			"-",
			"event=offline-not-read user=%s error=%s hint=\"they stay stored; his next "
			"presence tries again; see the log of datastore\"",
			log_quote(b->bare), err_name(status));
	}
	if (page.more && page.count && !b->lost)
		b->state = OFFLINE_PACING;
	else
		drain(b);
	b->busy = false;
	offline_step(b);
}

static void fetch(struct offline_box *b)
{
	struct str record = STR_INIT;

	b->state = OFFLINE_FETCHING;
	msg_db_offline_get_put(&record,
			       &(struct msg_db_offline_get){.user = jid_text_local(b->bare),
							    .domain = jid_text_domain(b->bare),
							    .after = b->after,
							    .bytes = OFFLINE_PAGE_BYTES});
	offline_job_ask(offline_job_new(b), &record, on_page);
}

/* The first n of done are gone from the datastore, or given up there. */
static void forget_done(struct offline_box *b, size_t n)
{
	const struct session_host *host = &b->m->host;

	for (; n > 0; n--) {
		struct offline_row *r = list_entry(b->done.next, struct offline_row, link);

		if (host->noted)
			host->noted(b->m->ctx, r->origin_sid, r->origin_n);
		row_free(r);
	}
}

static void on_deleted(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct offline_job *j = arg;
	struct offline_box *b = j->box;
	size_t n;

	(void)type;
	(void)body;
	if (!offline_job_answered(j, status))
		return;
	offline_job_free(j);
	n = b->deleting;
	b->deleting = 0;
	if (status != ERR_TIMEOUT || ++b->tries >= OFFLINE_DEL_TRIES) {
		if (status != ERR_OK && status != ERR_NOTFOUND)
			log_warn("-",
				 "event=offline-not-deleted user=%s count=%zu error=%s "
				 "hint=\"they are delivered again at the next login; see the log "
				 "of datastore\"",
				 log_quote(b->bare), n, err_name(status));
		forget_done(b, n);
		b->tries = 0;
	}
	offline_step(b);
}

/* One request at a time, for all that were delivered since the last one: what a router that dies
 * would put on the queue again is bounded by the time of one sync. */
static void delete_delivered(struct offline_box *b)
{
	struct str record = STR_INIT, ids = STR_INIT;

	if (b->deleting || list_empty(&b->done))
		return;
	list_each (it, &b->done) {
		codec_put_u64(&ids, list_entry(it, struct offline_row, link)->id);
		b->deleting++;
	}
	msg_db_offline_del_put(&record,
			       &(struct msg_db_offline_del){.user = jid_text_local(b->bare),
							    .domain = jid_text_domain(b->bare),
							    .ids = str_slice(&ids)});
	str_clear(&ids);
	offline_job_ask(offline_job_new(b), &record, on_deleted);
}

static void start(struct offline_box *b, uint64_t sid)
{
	b->state = OFFLINE_STARTING;
	b->sid = sid;
	b->again = b->after = 0;
	b->lost = false;
	b->tries = 0;
}

/*
 * Who gets what is left. A session that is still there has refused it (its queue is full, its
 * datastore did not answer): it is asked again by its next presence, not by a loop here.
 */
static uint64_t next_session(const struct offline_box *b)
{
	const struct user *u = registry_user(b->m, b->bare);

	if (b->again && takes(b, b->again))
		return b->again;
	if (!b->lost || takes(b, b->sid))
		return 0;
	for (struct session *s = user_first(u); s; s = user_after(s)) {
		if (registry_takes(s))
			return s->sid;
	}
	return 0;
}

/* Nothing is kept any more that a restart of the router would have to look for. */
static void all_delivered(struct offline_box *b)
{
	const struct user *u = registry_user(b->m, b->bare);

	for (struct session *s = user_first(u); s; s = user_after(s)) {
		if (!s->backlog)
			continue;
		s->backlog = false;
		session_blob_emit(b->m, s);
	}
}

static void finish(struct offline_box *b)
{
	uint64_t next = next_session(b);

	b->state = OFFLINE_IDLE;
	if (next)
		start(b, next);
	else if (!b->lost)
		all_delivered(b);
}

void offline_step(struct offline_box *b)
{
	if (b->busy)
		return;
	b->busy = true;
	if (b->state == OFFLINE_PACING && (b->lost || !takes(b, b->sid))) {
		b->lost = true;
		drain(b);
	}
	if (b->state == OFFLINE_PACING && b->row_bytes <= OFFLINE_QUEUE_LOW)
		fetch(b);
	delete_delivered(b);
	if (b->state == OFFLINE_DRAINING && list_empty(&b->rows) && list_empty(&b->done))
		finish(b);
	if (b->state == OFFLINE_STARTING && b->adds == 0)
		fetch(b);
	b->busy = false;
	offline_box_put(b);
}

static bool supported(const struct session_manager *m)
{
	return m->host.origin && m->host.originate;
}

bool offline_wanted(const struct session_manager *m, const struct session *s, bool took)
{
	const struct offline_box *b = map_find(&m->offline_boxes, s->user->bare);

	if (!supported(m) || !registry_takes(s))
		return false;
	return !took || (s->backlog && (!b || b->state == OFFLINE_IDLE));
}

void offline_available(struct session_manager *m, struct session *s)
{
	struct offline_box *b = offline_box_get(m, s->user->bare);

	if (b->state != OFFLINE_IDLE) {
		b->again = s->sid;
		return;
	}
	start(b, s->sid);
	offline_step(b);
}
