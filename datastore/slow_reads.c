#include "datastore/slow_reads.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/str.h"
#include "base/xmem.h"

struct slow_read {
	struct list link;
	struct msg_store m; /* its body is in text */
	struct slice who;
	char text[];
};

struct slow_reads {
	struct list waiting;
	unsigned int count;
	size_t bytes;
	struct str last; /* whose turn it was */
};

struct slow_reads *slow_reads_new(void)
{
	struct slow_reads *q = xcalloc(1, sizeof(*q));

	list_init(&q->waiting);
	str_init(&q->last);
	return q;
}

void slow_read_free(struct slow_read **rp)
{
	free(*rp);
	*rp = NULL;
}

void slow_reads_free(struct slow_reads **qp)
{
	struct slow_reads *q = *qp;

	*qp = NULL;
	if (!q)
		return;
	list_each_safe (it, &q->waiting)
		free(list_entry(it, struct slow_read, link));
	str_clear(&q->last);
	free(q);
}

bool slow_reads_put(struct slow_reads *q, const struct msg_store *m, struct slice who)
{
	struct slow_read *r;

	if (q->count >= SLOW_READS_MAX || q->bytes + m->body.len > SLOW_READS_BYTES)
		return false;
	r = xmalloc(sizeof(*r) + m->body.len);
	memcpy(r->text, m->body.data, m->body.len);
	r->m = *m;
	r->m.body = slice_of(r->text, m->body.len);
	r->who = slice_of(r->text + (who.data - m->body.data), who.len);
	list_append(&q->waiting, &r->link);
	q->count++;
	q->bytes += m->body.len;
	return true;
}

struct slow_read *slow_reads_take(struct slow_reads *q)
{
	struct slow_read *r = NULL;

	if (list_empty(&q->waiting))
		return NULL;
	list_each (it, &q->waiting) {
		r = list_entry(it, struct slow_read, link);
		if (!slice_eq(r->who, str_slice(&q->last)))
			break;
		r = NULL;
	}
	if (!r)
		r = list_entry(list_first(&q->waiting), struct slow_read, link);
	list_remove(&r->link);
	q->count--;
	q->bytes -= r->m.body.len;
	str_reset(&q->last);
	str_add_slice(&q->last, r->who);
	return r;
}

const struct msg_store *slow_read_request(const struct slow_read *r)
{
	return &r->m;
}

bool slow_reads_empty(const struct slow_reads *q)
{
	return list_empty(&q->waiting);
}
