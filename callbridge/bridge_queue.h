/*
 * bridge_queue - the stanzas on their way to the server, oldest first: written ones that are not
 * known to have arrived, then those that are not written yet.
 *
 * Pure. Whether something has arrived is told by XEP-0198 (a number of stanzas) or, without that,
 * by the kernel having taken its last byte (a mark in the connection's count of bytes). When a
 * connection is lost everything that is still here is written again to the next one.
 */
#ifndef CALLBRIDGE_BRIDGE_QUEUE_H
#define CALLBRIDGE_BRIDGE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

struct bridge_queue_item {
	uint32_t len;
	uint64_t upto; /* written: the mark behind its last byte */
};

struct bridge_queue {
	struct str bytes; /* from head on */
	size_t head;
	struct bridge_queue_item *ring;
	size_t cap;	   /* a power of two */
	size_t first;	   /* free-running; ring[first & (cap - 1)] */
	size_t count;	   /* in all */
	size_t written;	   /* of them */
	size_t at;	   /* in bytes, of the first that is not written */
	size_t held_bytes; /* of all */
};

void bridge_queue_init(struct bridge_queue *q);
void bridge_queue_clear(struct bridge_queue *q);

void bridge_queue_add(struct bridge_queue *q, struct slice stanza);

/* The next to be written; false when there is none. Valid until the queue changes. */
bool bridge_queue_next(const struct bridge_queue *q, struct slice *stanza);
void bridge_queue_wrote(struct bridge_queue *q, uint64_t upto);

/* The oldest n have arrived; n must not be more than are written. */
void bridge_queue_arrived(struct bridge_queue *q, size_t n);
/* So have all written ones up to this mark. How many those were. */
size_t bridge_queue_arrived_upto(struct bridge_queue *q, uint64_t upto);

/* The connection is gone: nothing is written. */
void bridge_queue_rewind(struct bridge_queue *q);

/* Bytes that are not written. */
size_t bridge_queue_unwritten(const struct bridge_queue *q);

/* For a pipe, where the bytes of all are one stream and nothing is written but what has arrived:
 * the bytes, and that the first n of them have gone. *part (0 at first) is how much of the oldest
 * has gone. Returns how many went whole. */
struct slice bridge_queue_stream(const struct bridge_queue *q, size_t part);
size_t bridge_queue_streamed(struct bridge_queue *q, size_t n, size_t *part);

/* Forgets all but the oldest n; none of the others is written. */
void bridge_queue_keep(struct bridge_queue *q, size_t n);

#endif
