/*
 * data_job - a request to the datastore for a stanza that waits: asked, put aside, gone on with.
 *
 * For what is no roster (that is roster_job): vCards, private XML, passwords. How many may wait is
 * bounded (router.waiting_requests); the datastore gets DATA_DEADLINE_MS, then the asker is told to
 * try later (DESIGN 3).
 */
#ifndef SESSION_DATA_JOB_H
#define SESSION_DATA_JOB_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "session/manager.h"

#define DATA_DEADLINE_MS 5000

struct data_answer {
	enum err status; /* ERR_OK: body is one of the wanted type */
	struct slice body;
	void *state; /* as given; a go that takes it over sets it to NULL */
};

typedef void data_go(struct inbound *in, struct data_answer *a);

struct data_question {
	struct str *record; /* one DB_* record; wiped and cleared */
	uint16_t want;	    /* the type of the answer */
	data_go *go;
	void *state;
	void (*free_state)(void *state); /* NULL: there is none */
};

/* Asks; go gets the stanza and the answer, unless the stanza's sender is gone meanwhile. Too many
 * are waiting: the stanza is refused. state is freed in any case. */
void data_ask(struct inbound *in, const struct data_question *q);

/* The error that a failure of the datastore is for who asked. */
void data_refuse(struct inbound *in, enum err why);

/* Something else that waits for the datastore and counts. false: there are too many. */
bool data_enter(struct session_manager *m);
void data_leave(struct session_manager *m);

/* The same for a stanza: of the senders here nobody has more than a quarter of all places (8 at
 * least). false: it was refused. from: in->s.from. */
bool data_enter_for(struct inbound *in);
void data_leave_for(struct session_manager *m, struct slice from);

/* The manager goes away; what is under way is freed when the datastore answers. */
void data_orphan_all(struct session_manager *m);

#endif
