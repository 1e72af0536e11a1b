/*
 * offline_box - what is under way with one user's offline messages. Internal to offline*.c.
 *
 * A box exists only while there is something: additions unanswered, a flush, messages waiting.
 *
 * The flush, to the session that became available:
 *	STARTING  additions are unanswered; they belong to what it is to get
 *	FETCHING  a page is asked for
 *	PACING    there is more, but enough is on the session's queue already
 *	DRAINING  all pages are on the queue; their ends are awaited, delivered ones are deleted
 * Order: until DRAINING everything new for that user waits here, in custody; then it is judged
 * again and comes behind on the queue. So nothing overtakes, nothing new needs the disk, and a
 * failing datastore delays chat by one deadline and stops it never. Bounded: a page or two on the
 * queue, OFFLINE_WAITING_MAX bytes waiting here (more is refused like on a full queue).
 *
 * A row is deleted when it was delivered, so a crash in between repeats it under its origin. What
 * was given up stays for the session that comes next, or is there already.
 */
#ifndef SESSION_OFFLINE_BOX_H
#define SESSION_OFFLINE_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "session/manager.h"

#define OFFLINE_DEADLINE_MS 5000 /* as for rosters (DESIGN 3) */
#define OFFLINE_PAGE_BYTES  (256u * 1024)
#define OFFLINE_QUEUE_LOW   (128u * 1024) /* bytes on the queue below which a page is fetched */
#define OFFLINE_WAITING_MAX (1024u * 1024)
#define OFFLINE_DEL_TRIES   12 /* a minute without an answer */

struct parked;
struct session;

enum offline_state {
	OFFLINE_IDLE,
	OFFLINE_STARTING,
	OFFLINE_FETCHING,
	OFFLINE_PACING,
	OFFLINE_DRAINING
};

struct offline_box {
	struct session_manager *m;
	unsigned int adds;   /* unanswered */
	struct list waiting; /* struct offline_waiting */
	size_t waiting_bytes;
	enum offline_state state;
	uint64_t sid;	  /* who gets it */
	uint64_t again;	  /* who became available meanwhile, 0 = nobody */
	uint64_t after;	  /* the last id that was put on the queue */
	bool lost;	  /* something stays in the datastore */
	bool busy;	  /* this code is at work: step when it is done */
	struct list rows; /* struct offline_row: on the queue */
	size_t row_bytes;
	struct list done; /* struct offline_row: delivered, to be deleted */
	size_t deleting;  /* how many of done are asked for; 0 = no request */
	unsigned int tries;
	struct slice bare;
	char text[];
};

/* A request to the datastore. */
struct offline_job {
	struct list all;	   /* in the manager */
	struct session_manager *m; /* NULL: it is gone */
	struct offline_box *box;
	struct parked *parked; /* of an addition */
	const char *rule;
};

struct offline_box *offline_box_get(struct session_manager *m, struct slice bare);

/* Frees it when nothing is under way any more. */
void offline_box_put(struct offline_box *b);

struct offline_job *offline_job_new(struct offline_box *b);
/* Asks, with a record that is then cleared. */
void offline_job_ask(struct offline_job *j, struct str *record,
		     void (*done)(void *arg, enum err status, uint16_t type, struct slice body));
/* The answer is here: takes j out. false: nobody is left to act on it, j is freed. */
bool offline_job_answered(struct offline_job *j, enum err status);
void offline_job_free(struct offline_job *j);

/* Goes on with a flush, as far as it can. b may be freed. */
void offline_step(struct offline_box *b);
/* Frees all rows: nobody asks for them any more. */
void offline_rows_forget(struct offline_box *b);

/* Everything that waits is judged again. */
void offline_release_waiting(struct offline_box *b);

static inline bool offline_holds(const struct offline_box *b)
{
	return b->state >= OFFLINE_STARTING && b->state <= OFFLINE_PACING;
}

#endif
