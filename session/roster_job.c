#include "session/roster_job.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"
#include "session/blocking.h"
#include "session/contacts.h"
#include "session/manager.h"
#include "xmpp/jid.h"

struct roster_queue {
	struct list jobs; /* the first one is under way */
	struct slice bare;
	char text[];
};

static void job_run(struct roster_job *j);

static struct roster_queue *queue_get(struct session_manager *m, struct slice bare)
{
	struct roster_queue *q = map_find(&m->roster_queues, bare);

	if (q)
		return q;
	q = xmalloc(sizeof(*q) + bare.len);
	memcpy(q->text, bare.data, bare.len);
	q->bare = slice_of(q->text, bare.len);
	list_init(&q->jobs);
	map_put(&m->roster_queues, bare, q);
	return q;
}

static void job_end(struct roster_job *j)
{
	list_remove(&j->link);
	list_remove(&j->all);
	j->ops->free(j);
}

/* The next one's turn, until one has to wait; the queue goes when there is none. When the datastore
 * did not answer (status), those that are here have waited as well and are told now, not one
 * deadline after the other. */
static void queue_run(struct session_manager *m, struct roster_queue *q, enum err status)
{
	struct list *next;

	while ((next = list_first(&q->jobs)) != NULL) {
		struct roster_job *j = list_entry(next, struct roster_job, link);

		if (!j->ops->ready || !j->ops->ready(j)) {
			if (status != ERR_TIMEOUT) {
				job_run(j);
				return;
			}
			j->ops->failed(j, status);
		}
		job_end(j);
	}
	map_remove(&m->roster_queues, q->bare);
	free(q);
}

/* j is done: out with it, on with the next. */
static void job_finish(struct roster_job *j, enum err status)
{
	struct session_manager *m = j->m;
	struct roster_queue *q = j->queue;

	job_end(j);
	queue_run(m, q, status);
}

static void on_read(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct roster_job *j = arg;
	struct msg_db_roster roster;

	if (!j->m) {
		j->ops->free(j);
		return;
	}
	if (status == ERR_OK &&
	    (type != MSG_DB_ROSTER || msg_db_roster_get(body, &roster) != ERR_OK))
		status = ERR_FORMAT;
	if (status == ERR_OK) {
		blocking_learn(j->m, j->queue->bare, roster.blocked);
		j->ops->loaded(j, &roster);
		blocking_spread(j->m, j->queue->bare);
		blocking_go_on(j->m, j->queue->bare);
	} else {
		j->ops->failed(j, status);
	}
	if (!j->writing)
		job_finish(j, status);
}

/* What a change has made: the version of the roster, or the blocklist. */
static enum err change_made(struct roster_job *j, uint16_t type, struct slice body,
			    uint64_t *version)
{
	struct msg_db_roster_changed changed;
	struct msg_db_blocked blocked;

	*version = 0;
	if (j->blocking) {
		if (type != MSG_DB_BLOCKED || msg_db_blocked_get(body, &blocked) != ERR_OK)
			return ERR_FORMAT;
		blocking_learn(j->m, j->queue->bare, blocked.blocked);
		return ERR_OK;
	}
	if (type != MSG_DB_ROSTER_CHANGED || msg_db_roster_changed_get(body, &changed) != ERR_OK)
		return ERR_FORMAT;
	*version = changed.version;
	return ERR_OK;
}

static void on_written(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct roster_job *j = arg;
	uint64_t version;

	if (!j->m) {
		j->ops->free(j);
		return;
	}
	if (status == ERR_OK)
		status = change_made(j, type, body, &version);
	/* Whether the change was made is not known: what is in memory may be wrong. (The blocklist
	 * stays in force as it was: chat goes on, and every read of the roster brings it anew.) */
	if (status != ERR_OK && !j->blocking)
		contacts_lost(j->m, j->queue->bare);
	if (status == ERR_OK)
		j->ops->written(j, version);
	else
		j->ops->failed(j, status);
	job_finish(j, status);
}

static void job_run(struct roster_job *j)
{
	struct slice bare = j->queue->bare;
	struct str record = STR_INIT;

	msg_db_roster_get_put(&record,
			      &(struct msg_db_roster_get){.user = jid_text_local(bare),
							  .domain = jid_text_domain(bare)});
	j->m->host.store(j->m->ctx, str_slice(&record), ROSTER_DEADLINE_MS, on_read, j);
	str_clear(&record);
}

void roster_job_start_take(struct session_manager *m, struct slice bare, struct roster_job *j)
{
	struct roster_queue *q = queue_get(m, bare);
	bool idle = list_empty(&q->jobs);

	j->m = m;
	j->queue = q;
	j->writing = j->blocking = false;
	list_append(&q->jobs, &j->link);
	list_append(&m->roster_jobs, &j->all);
	if (idle)
		queue_run(m, q, ERR_OK);
}

struct slice roster_job_owner(const struct roster_job *j)
{
	return j->queue->bare;
}

static void job_write(struct roster_job *j, const struct str *record)
{
	check(!j->writing);
	j->writing = true;
	j->m->host.store(j->m->ctx, str_slice(record), ROSTER_DEADLINE_MS, on_written, j);
}

void roster_job_put(struct roster_job *j, const struct db_roster_item *item)
{
	struct slice bare = j->queue->bare;
	struct str packed = STR_INIT, record = STR_INIT;

	db_roster_item_put(&packed, item);
	msg_db_roster_set_put(&record, &(struct msg_db_roster_set){.user = jid_text_local(bare),
								   .domain = jid_text_domain(bare),
								   .item = str_slice(&packed)});
	job_write(j, &record);
	str_clear(&record);
	str_clear(&packed);
}

void roster_job_delete(struct roster_job *j, struct slice jid)
{
	struct slice bare = j->queue->bare;
	struct str record = STR_INIT;

	msg_db_roster_del_put(&record, &(struct msg_db_roster_del){.user = jid_text_local(bare),
								   .domain = jid_text_domain(bare),
								   .jid = jid});
	job_write(j, &record);
	str_clear(&record);
}

void roster_job_block(struct roster_job *j, struct slice jids)
{
	struct slice bare = j->queue->bare;
	struct str record = STR_INIT;

	j->blocking = true;
	msg_db_block_put(&record, &(struct msg_db_block){.user = jid_text_local(bare),
							 .domain = jid_text_domain(bare),
							 .jids = jids});
	job_write(j, &record);
	str_clear(&record);
}

void roster_job_unblock(struct roster_job *j, struct slice jids)
{
	struct slice bare = j->queue->bare;
	struct str record = STR_INIT;

	j->blocking = true;
	msg_db_unblock_put(&record, &(struct msg_db_unblock){.user = jid_text_local(bare),
							     .domain = jid_text_domain(bare),
							     .jids = jids});
	job_write(j, &record);
	str_clear(&record);
}

bool roster_job_find(const struct msg_db_roster *roster, struct slice jid,
		     struct db_roster_item *item)
{
	struct slice list = roster->list;

	while (db_roster_item_get(&list, item)) {
		if (slice_eq(item->jid, jid))
			return true;
	}
	*item = (struct db_roster_item){.jid = jid};
	return false;
}

void roster_job_orphan_all(struct session_manager *m)
{
	struct roster_queue *q;
	struct list *l;
	size_t it = 0;

	while ((l = list_first(&m->roster_jobs)) != NULL) {
		struct roster_job *j = list_entry(l, struct roster_job, all);
		bool under_way = list_first(&j->queue->jobs) == &j->link;

		j->m = NULL;
		list_remove(&j->all);
		if (!under_way) {
			list_remove(&j->link);
			j->ops->free(j);
		}
	}
	while (map_next(&m->roster_queues, &it, NULL, (void **)&q))
		free(q);
	map_clear(&m->roster_queues);
}
