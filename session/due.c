#include "session/due.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "session/registry.h"

void due_init(struct due *d)
{
	*d = (struct due){0};
}

void due_clear(struct due *d)
{
	free(d->heap);
	due_init(d);
}

static bool before(const struct session *a, const struct session *b)
{
	if (a->due.us != b->due.us)
		return a->due.us < b->due.us;
	return a->sid < b->sid;
}

/* due_at is one more than the place, so that a fresh session is in no heap. */
static void place(struct due *d, size_t i, struct session *s)
{
	d->heap[i] = s;
	s->due_at = (uint32_t)i + 1;
}

static void up(struct due *d, size_t i, struct session *s)
{
	while (i > 0 && before(s, d->heap[(i - 1) / 2])) {
		place(d, i, d->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(d, i, s);
}

static void down(struct due *d, size_t i, struct session *s)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < d->count && before(d->heap[child + 1], d->heap[child]))
			child++;
		if (child >= d->count || !before(d->heap[child], s))
			break;
		place(d, i, d->heap[child]);
		i = child;
	}
	place(d, i, s);
}

void due_put(struct due *d, struct session *s, struct monotime when)
{
	due_remove(d, s);
	s->due = when;
	if (d->count == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 64;
		d->heap = xrealloc(d->heap, d->cap * sizeof(struct session *));
	}
	d->count++;
	up(d, d->count - 1, s);
}

void due_remove(struct due *d, struct session *s)
{
	size_t i = s->due_at;
	struct session *last;

	if (i-- == 0)
		return;
	s->due_at = 0;
	last = d->heap[--d->count];
	if (last == s)
		return;
	if (i > 0 && before(last, d->heap[(i - 1) / 2]))
		up(d, i, last);
	else
		down(d, i, last);
}

struct session *due_take(struct due *d, struct monotime now)
{
	struct session *s = d->count ? d->heap[0] : NULL;

	if (!s || monotime_before(now, s->due))
		return NULL;
	due_remove(d, s);
	return s;
}
