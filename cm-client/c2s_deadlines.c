#include "cm-client/c2s_deadlines.h"

void c2s_deadlines_init(struct c2s_deadlines *d)
{
	for (int i = 0; i < C2S_DEADLINE_CLASSES; i++)
		list_init(&d->queue[i]);
}

void c2s_deadline_init(struct c2s_deadline *e)
{
	list_init(&e->link);
}

void c2s_deadline_set(struct c2s_deadlines *d, struct c2s_deadline *e, enum c2s_deadline_class of,
		      struct monotime at)
{
	list_remove(&e->link);
	e->of = of;
	e->at = at;
	list_append(&d->queue[of], &e->link);
}

void c2s_deadline_clear(struct c2s_deadline *e)
{
	list_remove(&e->link);
}

static struct c2s_deadline *head(const struct c2s_deadlines *d, int of)
{
	struct list *l = list_first(&d->queue[of]);

	return l ? list_entry(l, struct c2s_deadline, link) : NULL;
}

bool c2s_deadlines_next(const struct c2s_deadlines *d, struct monotime *at)
{
	bool some = false;

	for (int i = 0; i < C2S_DEADLINE_CLASSES; i++) {
		const struct c2s_deadline *e = head(d, i);

		if (e && (!some || monotime_before(e->at, *at))) {
			*at = e->at;
			some = true;
		}
	}
	return some;
}

struct c2s_deadline *c2s_deadlines_due(struct c2s_deadlines *d, struct monotime now)
{
	for (int i = 0; i < C2S_DEADLINE_CLASSES; i++) {
		struct c2s_deadline *e = head(d, i);

		if (e && !monotime_before(now, e->at)) {
			list_remove(&e->link);
			return e;
		}
	}
	return NULL;
}
