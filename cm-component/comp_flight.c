#include "cm-component/comp_flight.h"

#include <string.h>

static void add(struct comp_marks *m, uint64_t q, uint64_t upto)
{
	if (m->count == COMP_MARKS)
		m->count--;
	m->item[m->count].q = q;
	m->item[m->count++].upto = upto;
}

/* Takes out what is reached; its last number, 0 = none. */
static uint64_t take(struct comp_marks *m, uint64_t reached)
{
	unsigned int n = 0;
	uint64_t q;

	while (n < m->count && m->item[n].upto <= reached)
		n++;
	if (n == 0)
		return 0;
	q = m->item[n - 1].q;
	m->count -= n;
	memmove(m->item, m->item + n, m->count * sizeof(m->item[0]));
	return q;
}

void comp_flight_queue(struct comp_flight *f, uint64_t q, uint64_t queued)
{
	add(&f->queued, q, queued);
}

void comp_flight_written(struct comp_flight *f, uint64_t written, uint64_t sent)
{
	uint64_t q = take(&f->queued, written);

	if (q)
		add(&f->sent, q, sent);
}

uint64_t comp_flight_left(struct comp_flight *f, uint64_t left)
{
	return take(&f->sent, left);
}

bool comp_flight_is_empty(const struct comp_flight *f)
{
	return f->queued.count == 0 && f->sent.count == 0;
}

bool comp_flight_has_sent(const struct comp_flight *f)
{
	return f->sent.count > 0;
}

void comp_flight_clear(struct comp_flight *f)
{
	f->queued.count = f->sent.count = 0;
}
