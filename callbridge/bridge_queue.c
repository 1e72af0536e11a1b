#include "callbridge/bridge_queue.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"

#define FIRST_CAP  64
#define KEEP_BYTES (64 * 1024) /* memory that an empty queue may keep */

void bridge_queue_init(struct bridge_queue *q)
{
	*q = (struct bridge_queue){.bytes = STR_INIT};
}

void bridge_queue_clear(struct bridge_queue *q)
{
	str_clear(&q->bytes);
	free(q->ring);
	bridge_queue_init(q);
}

static struct bridge_queue_item *item(const struct bridge_queue *q, size_t i)
{
	return &q->ring[(q->first + i) & (q->cap - 1)];
}

static void grow(struct bridge_queue *q)
{
	size_t cap = q->cap ? 2 * q->cap : FIRST_CAP;
	struct bridge_queue_item *ring = xmalloc(cap * sizeof(*ring));

	for (size_t i = 0; i < q->count; i++)
		ring[i] = *item(q, i);
	free(q->ring);
	q->ring = ring;
	q->cap = cap;
	q->first = 0;
}

/* The room in front is used again when it is the larger half: each byte moves once at most. */
static void compact(struct bridge_queue *q)
{
	if (q->count == 0) {
		q->head = q->at = 0;
		str_reset(&q->bytes);
		if (q->bytes.cap > KEEP_BYTES)
			str_clear(&q->bytes);
	} else if (q->head > q->bytes.len / 2 && q->head > 4096) {
		str_consume(&q->bytes, q->head);
		q->at -= q->head;
		q->head = 0;
	}
}

void bridge_queue_add(struct bridge_queue *q, struct slice stanza)
{
	if (q->count == q->cap)
		grow(q);
	*item(q, q->count) = (struct bridge_queue_item){.len = (uint32_t)stanza.len};
	q->count++;
	q->held_bytes += stanza.len;
	str_add_slice(&q->bytes, stanza);
}

bool bridge_queue_next(const struct bridge_queue *q, struct slice *stanza)
{
	if (q->written == q->count)
		return false;
	*stanza = slice_of(q->bytes.data + q->at, item(q, q->written)->len);
	return true;
}

void bridge_queue_wrote(struct bridge_queue *q, uint64_t upto)
{
	struct bridge_queue_item *it = item(q, q->written);

	check(q->written < q->count);
	it->upto = upto;
	q->at += it->len;
	q->written++;
}

void bridge_queue_arrived(struct bridge_queue *q, size_t n)
{
	check(n <= q->written);
	for (size_t i = 0; i < n; i++) {
		q->head += item(q, i)->len;
		q->held_bytes -= item(q, i)->len;
	}
	q->first += n;
	q->count -= n;
	q->written -= n;
	compact(q);
}

size_t bridge_queue_arrived_upto(struct bridge_queue *q, uint64_t upto)
{
	size_t n = 0;

	while (n < q->written && item(q, n)->upto <= upto)
		n++;
	if (n)
		bridge_queue_arrived(q, n);
	return n;
}

void bridge_queue_rewind(struct bridge_queue *q)
{
	q->written = 0;
	q->at = q->head;
}

size_t bridge_queue_unwritten(const struct bridge_queue *q)
{
	return q->bytes.len - q->at;
}

struct slice bridge_queue_stream(const struct bridge_queue *q, size_t part)
{
	return slice_of(q->bytes.data + q->head + part, q->bytes.len - q->head - part);
}

size_t bridge_queue_streamed(struct bridge_queue *q, size_t n, size_t *part)
{
	size_t whole = 0;

	*part += n;
	while (whole < q->count && *part >= item(q, whole)->len) {
		*part -= item(q, whole)->len;
		whole++;
	}
	check(*part == 0 || whole < q->count);
	for (size_t i = 0; i < whole; i++)
		q->at += item(q, i)->len;
	q->written = whole;
	if (whole)
		bridge_queue_arrived(q, whole);
	return whole;
}

void bridge_queue_keep(struct bridge_queue *q, size_t n)
{
	check(q->written <= n);
	while (q->count > n) {
		uint32_t len = item(q, --q->count)->len;

		q->held_bytes -= len;
		q->bytes.len -= len;
		q->bytes.data[q->bytes.len] = '\0';
	}
	compact(q);
}
