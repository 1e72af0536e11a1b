/*
 * plan - in which order several instances are started, stopped or restarted.
 *
 * Pure. Start: rank by rank, the next when all of one are ready. Stop: rank by rank of the stop
 * order, the next when all of one are dead. Restart: one instance at a time, the next when it is
 * ready again. Looks at the instances' states and says whom to order next.
 */
#ifndef SUPERVISOR_PLAN_H
#define SUPERVISOR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/service.h"

#define PLAN_MAX 64

enum plan_kind { PLAN_NONE, PLAN_START, PLAN_STOP, PLAN_RESTART };

enum plan_verdict {
	PLAN_WAIT, /* for *who, at the moment */
	PLAN_ACT,  /* order *who (SERVICE_EV_START, _STOP, _RESTART), then ask again */
	PLAN_DONE,
};

struct plan_view {
	int start_rank;
	int stop_rank;
	enum service_state state;
	uint64_t boots;
};

struct plan {
	enum plan_kind kind;
	size_t at;		/* RESTART: position in order */
	size_t n;		/* RESTART: length of order */
	size_t order[PLAN_MAX]; /* RESTART: indices of the views */
	uint64_t boots;		/* RESTART: of order[at] when it was ordered */
	bool ordered;		/* RESTART: order[at] was ordered */
	bool asked[PLAN_MAX];	/* START, STOP: was ordered */
};

void plan_begin(struct plan *p, enum plan_kind kind);
void plan_add(struct plan *p, size_t who); /* RESTART: in the order wanted; n <= PLAN_MAX */

/* Adds all of views with pick[i] in the order of their start ranks. */
void plan_add_ranked(struct plan *p, const struct plan_view *views, const bool *pick, size_t n);

enum plan_verdict plan_step(struct plan *p, const struct plan_view *views, size_t n, size_t *who);

#endif
