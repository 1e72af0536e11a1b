#include "supervisor/plan.h"

#include <limits.h>
#include <string.h>

#include "base/check.h"

void plan_begin(struct plan *p, enum plan_kind kind)
{
	memset(p, 0, sizeof(*p));
	p->kind = kind;
}

void plan_add(struct plan *p, size_t who)
{
	check(p->n < PLAN_MAX);
	p->order[p->n++] = who;
}

void plan_add_ranked(struct plan *p, const struct plan_view *views, const bool *pick, size_t n)
{
	int rank = INT_MIN;

	for (;;) {
		int next = INT_MAX;

		for (size_t i = 0; i < n; i++)
			if (pick[i] && views[i].start_rank > rank && views[i].start_rank < next)
				next = views[i].start_rank;
		if (next == INT_MAX)
			return;
		for (size_t i = 0; i < n; i++)
			if (pick[i] && views[i].start_rank == next)
				plan_add(p, i);
		rank = next;
	}
}

static bool is_finished(const struct plan *p, const struct plan_view *v)
{
	return v->state == (p->kind == PLAN_START ? SERVICE_READY : SERVICE_STOPPED);
}

static int rank_of(const struct plan *p, const struct plan_view *v)
{
	return p->kind == PLAN_START ? v->start_rank : v->stop_rank;
}

/* The lowest rank with somebody unfinished: order those not yet ordered, then wait for them. */
static enum plan_verdict step_ranks(struct plan *p, const struct plan_view *views, size_t n,
				    size_t *who)
{
	int rank = INT_MAX;

	for (size_t i = 0; i < n; i++)
		if (!is_finished(p, &views[i]) && rank_of(p, &views[i]) < rank) {
			rank = rank_of(p, &views[i]);
			*who = i;
		}
	if (rank == INT_MAX)
		return PLAN_DONE;
	for (size_t i = 0; i < n; i++) {
		if (rank_of(p, &views[i]) != rank || is_finished(p, &views[i]) || p->asked[i])
			continue;
		p->asked[i] = true;
		*who = i;
		return PLAN_ACT;
	}
	return PLAN_WAIT;
}

static enum plan_verdict step_restart(struct plan *p, const struct plan_view *views, size_t *who)
{
	for (; p->at < p->n; p->at++, p->ordered = false) {
		const struct plan_view *v = &views[p->order[p->at]];

		*who = p->order[p->at];
		if (!p->ordered) {
			p->ordered = true;
			p->boots = v->boots;
			return PLAN_ACT;
		}
		if (v->boots == p->boots || v->state != SERVICE_READY)
			return PLAN_WAIT;
	}
	return PLAN_DONE;
}

enum plan_verdict plan_step(struct plan *p, const struct plan_view *views, size_t n, size_t *who)
{
	check(n <= PLAN_MAX);
	if (p->kind == PLAN_NONE)
		return PLAN_DONE;
	return p->kind == PLAN_RESTART ? step_restart(p, views, who) : step_ranks(p, views, n, who);
}
