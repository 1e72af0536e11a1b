/*
 * cm_deadlines - one FIFO of deadlines per class: no timer per stream or stanza (DESIGN 4).
 *
 * Pure. Within a class everybody waits equally long, so that the order of arrival is the order of
 * the deadlines and every operation is constant.
 */
#ifndef CM_CM_DEADLINES_H
#define CM_CM_DEADLINES_H

#include <stdbool.h>

#include "base/list.h"
#include "base/monotime.h"

#define CM_DEADLINE_CLASSES 16 /* their numbers are the program's own */

struct cm_deadline {
	struct list link;
	struct monotime at;
	unsigned int of;
};

struct cm_deadlines {
	struct list queue[CM_DEADLINE_CLASSES];
};

void cm_deadlines_init(struct cm_deadlines *d);
void cm_deadline_init(struct cm_deadline *e);

/* Puts e at the end of its class, out of where it was. at: not before those that wait there, or it
 * comes late. */
void cm_deadline_set(struct cm_deadlines *d, struct cm_deadline *e, unsigned int of,
		     struct monotime at);
void cm_deadline_clear(struct cm_deadline *e);

/* The earliest; false when nobody waits. */
bool cm_deadlines_next(const struct cm_deadlines *d, struct monotime *at);

/* Takes out one that is due; NULL when none is. */
struct cm_deadline *cm_deadlines_due(struct cm_deadlines *d, struct monotime now);

#endif
