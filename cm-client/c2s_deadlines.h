/*
 * c2s_deadlines - one FIFO of deadlines per class: no timer per stream or stanza (DESIGN 4).
 *
 * Pure. Within a class everybody waits equally long, so that the order of arrival is the order of
 * the deadlines and every operation is constant.
 */
#ifndef CM_CLIENT_C2S_DEADLINES_H
#define CM_CLIENT_C2S_DEADLINES_H

#include <stdbool.h>

#include "base/list.h"
#include "base/monotime.h"

enum c2s_deadline_class {
	C2S_DEADLINE_TLS,    /* connected, not yet inside TLS */
	C2S_DEADLINE_LOGIN,  /* the client's turn on the way to a bound resource */
	C2S_DEADLINE_ANSWER, /* our turn: datastore, worker, router */
	C2S_DEADLINE_RESUME, /* the same: a router that waits for its disk before it answers */
	C2S_DEADLINE_IDLE,   /* bound */
	C2S_DEADLINE_ACK,    /* the client's answer to <r/> (XEP-0198) */
	C2S_DEADLINE_ASK,    /* it answered with less than was sent: when to ask again */
	C2S_DEADLINE_SOON,   /* few stanzas are unacknowledged: when to ask for them */
	C2S_DEADLINE_CSI,    /* what is kept back for an inactive client (XEP-0352) */
	C2S_DEADLINE_LINGER, /* closed, waiting for the peer's FIN */
	C2S_DEADLINE_CLASSES,
};

struct c2s_deadline {
	struct list link;
	struct monotime at;
	enum c2s_deadline_class of;
};

struct c2s_deadlines {
	struct list queue[C2S_DEADLINE_CLASSES];
};

void c2s_deadlines_init(struct c2s_deadlines *d);
void c2s_deadline_init(struct c2s_deadline *e);

/* Puts e at the end of its class, out of where it was. at: not before those that wait there, or it
 * comes late. */
void c2s_deadline_set(struct c2s_deadlines *d, struct c2s_deadline *e, enum c2s_deadline_class of,
		      struct monotime at);
void c2s_deadline_clear(struct c2s_deadline *e);

/* The earliest; false when nobody waits. */
bool c2s_deadlines_next(const struct c2s_deadlines *d, struct monotime *at);

/* Takes out one that is due; NULL when none is. */
struct c2s_deadline *c2s_deadlines_due(struct c2s_deadlines *d, struct monotime now);

#endif
