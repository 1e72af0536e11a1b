/*
 * slow_reads - reads that may take long (archive queries), waiting for their turn.
 *
 * Pure data. One is done in a turn of the loop, so that logins do not wait for many of them; users
 * take turns, so that nobody waits for all that one user asks.
 */
#ifndef DATASTORE_SLOW_READS_H
#define DATASTORE_SLOW_READS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "ipc/codec.h"

#define SLOW_READS_MAX	 4096
#define SLOW_READS_BYTES (16u * 1024 * 1024)

struct slow_reads;
struct slow_read;

struct slow_reads *slow_reads_new(void);
void slow_reads_free(struct slow_reads **qp);

/* Copies the request. who: for whom it is, a part of m->body. false: too much is waiting. */
bool slow_reads_put(struct slow_reads *q, const struct msg_store *m, struct slice who);

/* The next one, or NULL. To be freed. */
struct slow_read *slow_reads_take(struct slow_reads *q);
const struct msg_store *slow_read_request(const struct slow_read *r);
void slow_read_free(struct slow_read **rp);

bool slow_reads_empty(const struct slow_reads *q);

#endif
