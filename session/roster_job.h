/*
 * roster_job - what is done with one user's roster in the datastore, one thing after the other.
 *
 * A change is "read, decide, write"; two at once would lose one. So each user with work has a
 * queue: a job gets the roster, may write one item, and is finished; then the next one reads.
 */
#ifndef SESSION_ROSTER_JOB_H
#define SESSION_ROSTER_JOB_H

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"

struct session_manager;
struct roster_job;
struct roster_queue;

/* How long the datastore may take; then the asker is told to try later (DESIGN 3). */
#define ROSTER_DEADLINE_MS 5000

struct roster_job_ops {
	/* May be NULL. Its turn has come: can it do without reading the roster? Then it has done
	 * its work and is finished. */
	bool (*ready)(struct roster_job *j);
	/* The roster is there: answer, or call one of the functions that write, once. */
	void (*loaded)(struct roster_job *j, const struct msg_db_roster *roster);
	/* version: of the roster, 0 when it was the blocklist that has changed. */
	void (*written)(struct roster_job *j, uint64_t version);
	/* ERR_NOTFOUND: no such account, or (after a delete) no such item. */
	void (*failed)(struct roster_job *j, enum err why);
	/* Frees the job; j->m is NULL when the manager is gone. */
	void (*free)(struct roster_job *j);
};

/* First member of a larger struct. */
struct roster_job {
	const struct roster_job_ops *ops;
	struct session_manager *m;
	struct roster_queue *queue;
	struct list link; /* in the queue */
	struct list all;  /* in the manager */
	bool writing;
	bool blocking; /* it writes the blocklist, not the roster */
};

/* Takes j, whose ops are set; it is freed when it is finished. bare: the roster's owner. */
void roster_job_start_take(struct session_manager *m, struct slice bare, struct roster_job *j);

struct slice roster_job_owner(const struct roster_job *j);
void roster_job_put(struct roster_job *j, const struct db_roster_item *item);
void roster_job_delete(struct roster_job *j, struct slice jid);

/* Changes whom the owner has blocked: packed JIDs; to unblock none means all. What is in memory is
 * up to date when written() is called. */
void roster_job_block(struct roster_job *j, struct slice jids);
void roster_job_unblock(struct roster_job *j, struct slice jids);

/* The item for jid in a loaded roster; false when there is none (*item is then empty). */
bool roster_job_find(const struct msg_db_roster *roster, struct slice jid,
		     struct db_roster_item *item);

/* The manager goes away; what is under way is freed when the datastore answers. */
void roster_job_orphan_all(struct session_manager *m);

#endif
