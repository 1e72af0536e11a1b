#include "cm/cm_deadlines.h"

#include "base/check.h"

void cm_deadlines_init(struct cm_deadlines *d)
{
	for (int i = 0; i < CM_DEADLINE_CLASSES; i++)
		list_init(&d->queue[i]);
}

void cm_deadline_init(struct cm_deadline *e)
{
	list_init(&e->link);
}

void cm_deadline_set(struct cm_deadlines *d, struct cm_deadline *e, unsigned int of,
		     struct monotime at)
{
	check(of < CM_DEADLINE_CLASSES);
	list_remove(&e->link);
	e->of = of;
	e->at = at;
	list_append(&d->queue[of], &e->link);
}

void cm_deadline_clear(struct cm_deadline *e)
{
	list_remove(&e->link);
}

static struct cm_deadline *head(const struct cm_deadlines *d, int of)
{
	struct list *l = list_first(&d->queue[of]);

	return l ? list_entry(l, struct cm_deadline, link) : NULL;
}

bool cm_deadlines_next(const struct cm_deadlines *d, struct monotime *at)
{
	bool some = false;

	for (int i = 0; i < CM_DEADLINE_CLASSES; i++) {
		const struct cm_deadline *e = head(d, i);

		if (e && (!some || monotime_before(e->at, *at))) {
			*at = e->at;
			some = true;
		}
	}
	return some;
}

struct cm_deadline *cm_deadlines_due(struct cm_deadlines *d, struct monotime now)
{
	for (int i = 0; i < CM_DEADLINE_CLASSES; i++) {
		struct cm_deadline *e = head(d, i);

		if (e && !monotime_before(now, e->at)) {
			list_remove(&e->link);
			return e;
		}
	}
	return NULL;
}
