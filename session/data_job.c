#include "session/data_job.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "session/registry.h"
#include "session/reply.h"

#define USERS_SHARE 4 /* a quarter, */
#define USERS_LEAST 8

struct data_job {
	struct list all;	   /* in the manager */
	struct session_manager *m; /* NULL: it is gone */
	struct parked *parked;
	uint16_t want;
	data_go *go;
	void *state;
	void (*free_state)(void *state);
};

bool data_enter(struct session_manager *m)
{
	if (m->data_waiting < m->data_max) {
		m->data_waiting++;
		return true;
	}
	if (!m->data_full)
		log_warn("-",
			 "event=requests-refused waiting=%u hint=\"the datastore is away or slow: "
			 "see its log; router.waiting_requests is the limit\"",
			 m->data_waiting);
	m->data_full = true;
	return false;
}

void data_leave(struct session_manager *m)
{
	if (--m->data_waiting < m->data_max / 2)
		m->data_full = false;
}

static bool has_place(const struct user *u, const struct session_manager *m)
{
	return !u || u->requests < USERS_LEAST || u->requests < m->data_max / USERS_SHARE;
}

bool data_enter_for(struct inbound *in)
{
	struct user *u = in->sender ? in->sender->user : NULL;

	if (has_place(u, in->m) && data_enter(in->m)) {
		if (u)
			u->requests++;
		return true;
	}
	reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
		    "The server has too much to do; try again later.",
		    "too many requests wait for the datastore");
	return false;
}

/* He may have gone and come back meanwhile: then fewer are counted than there are. */
void data_leave_for(struct session_manager *m, struct slice from)
{
	struct user *u = registry_user(m, from);

	if (u && u->requests)
		u->requests--;
	data_leave(m);
}

static void job_free(struct data_job *j)
{
	struct inbound in;

	if (j->m) {
		reply_resume(j->parked, j->m, &in);
		data_leave_for(j->m, in.s.from);
		list_remove(&j->all);
	}
	reply_unpark(&j->parked, j->m);
	if (j->state && j->free_state)
		j->free_state(j->state);
	free(j);
}

static void on_answer(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct data_job *j = arg;
	struct data_answer a = {status, body, j->state};
	struct inbound in;

	if (!j->m) {
		job_free(j);
		return;
	}
	if (status == ERR_OK && type != j->want)
		a.status = ERR_FORMAT;
	reply_resume(j->parked, j->m, &in);
	if (reply_orphaned(j->parked, &in))
		reply_drop(&in, "request of a session that is gone");
	else
		j->go(&in, &a);
	j->state = a.state;
	job_free(j);
}

static void record_end(struct str *record)
{
	xwipe(record->data, record->len); /* may hold a password */
	str_clear(record);
}

void data_ask(struct inbound *in, const struct data_question *q)
{
	struct session_manager *m = in->m;
	struct data_job *j;

	if (!data_enter_for(in)) {
		if (q->state && q->free_state)
			q->free_state(q->state);
		record_end(q->record);
		return;
	}
	j = xcalloc(1, sizeof(*j));
	j->m = m;
	j->parked = reply_park(in);
	j->want = q->want;
	j->go = q->go;
	j->state = q->state;
	j->free_state = q->free_state;
	list_append(&m->data_jobs, &j->all);
	m->host.store(m->ctx, str_slice(q->record), DATA_DEADLINE_MS, on_answer, j);
	record_end(q->record);
}

void data_refuse(struct inbound *in, enum err why)
{
	switch (why) {
	case ERR_NOTFOUND:
		reply_error(in, STANZA_ERROR_ITEM_NOT_FOUND, NULL, "no such data or account");
		break;
	case ERR_FULL:
	case ERR_TOOBIG:
		reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
			    "What is kept for you here would be too much; remove something first.",
			    "user data full");
		break;
	case ERR_IO:
	case ERR_CORRUPT:
	case ERR_FORMAT:
	case ERR_INTERNAL:
	case ERR_QUARANTINED:
		reply_error(in, STANZA_ERROR_INTERNAL_SERVER_ERROR,
			    "This could not be read or written; try again later.",
			    "user data store failed");
		break;
	default:
		reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
			    "The server's storage cannot be reached now; try again later.",
			    "user data store away");
	}
}

void data_orphan_all(struct session_manager *m)
{
	list_each_safe (it, &m->data_jobs) {
		struct data_job *j = list_entry(it, struct data_job, all);

		list_remove(&j->all);
		if (j->state && j->free_state)
			j->free_state(j->state);
		j->state = NULL;
		j->m = NULL;
	}
}
