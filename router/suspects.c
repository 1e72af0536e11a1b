#include "router/suspects.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "base/xmem.h"
#include "ipc/link.h"

#define TRIAL_MS 1000

struct asking {
	struct list link;
	struct link *from;
	struct msg_suspect m;
};

struct suspects {
	struct list asking;
	struct link *trying; /* NULL = nobody */
	struct monotime since;
};

struct suspects *suspects_new(void)
{
	struct suspects *s = xcalloc(1, sizeof(*s));

	list_init(&s->asking);
	return s;
}

static void asking_free(struct asking *a)
{
	list_remove(&a->link);
	free(a);
}

void suspects_free(struct suspects **sp)
{
	struct suspects *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	list_each_safe (it, &s->asking)
		asking_free(list_entry(it, struct asking, link));
	free(s);
}

static void let_next(struct suspects *s, struct monotime now)
{
	struct asking *a;

	if (s->trying || list_empty(&s->asking))
		return;
	a = list_entry(list_first(&s->asking), struct asking, link);
	s->trying = a->from;
	s->since = now;
	link_put_try(a->from, &(struct msg_try){a->m.sid, a->m.n});
	asking_free(a);
}

static void forget(struct suspects *s, const struct link *from)
{
	if (s->trying == from)
		s->trying = NULL;
	list_each_safe (it, &s->asking) {
		struct asking *a = list_entry(it, struct asking, link);

		if (a->from == from)
			asking_free(a);
	}
}

void suspects_ask(struct suspects *s, struct link *from, const struct msg_suspect *m,
		  struct monotime now)
{
	forget(s, from);
	if (m->sid) {
		struct asking *a = xcalloc(1, sizeof(*a));

		a->from = from;
		a->m = *m;
		list_append(&s->asking, &a->link);
	} else {
		link_put_try(from, &(struct msg_try){0, 0});
	}
	let_next(s, now);
}

void suspects_leave(struct suspects *s, struct link *from, struct monotime now)
{
	forget(s, from);
	let_next(s, now);
}

void suspects_check(struct suspects *s, struct monotime now)
{
	if (!s->trying || monotime_ms_between(s->since, now) < TRIAL_MS)
		return;
	log_warn("-", "event=suspect_late reason=\"a connection manager was to send a suspect "
		      "stanza and did not; the next one may\"");
	s->trying = NULL;
	let_next(s, now);
}
