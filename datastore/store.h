/*
 * store - the datastore without its bus: requests in, answers out, on one event loop.
 *
 * Reads are answered at once from a connection of their own; writes go through the writer and are
 * answered after the sync. A read that comes after a write's answer sees that write; one sent
 * before the answer may overtake it (but no reading of the shelf or of user data). Every request
 * gets exactly one answer, except when the process must end (on_broken): those are repeated by
 * whoever asked.
 */
#ifndef DATASTORE_STORE_H
#define DATASTORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "datastore/requests.h"
#include "datastore/schema.h"
#include "ipc/codec.h"

struct loop;
struct store;

struct store_options {
	const char *path; /* "data/roundhouse.db"; only at open */
	enum schema_check check;
	uint64_t min_free; /* bytes; 0 = no watermark */
	uint32_t key_reads_per_minute;
	struct request_limits limits;
};

struct store_events {
	/* m is borrowed. May come from within store_request(). */
	void (*on_answer)(void *arg, const struct msg_stored *m);
	/* The standing trouble in words, NULL when it is over. */
	void (*on_alarm)(void *arg, const char *text);
	/* A sync failed: end the process now, without closing anything. */
	void (*on_broken)(void *arg);
	/* The last write under way was answered. */
	void (*on_idle)(void *arg);
};

/* On failure *out is NULL and why is the line for the operator (schema_open()). */
enum err store_open(struct store **out, struct loop *loop, const struct store_options *options,
		    const struct store_events *events, void *arg, struct str *why);

/* Waits for the writes under way; their answers are not given any more. */
void store_close(struct store **sp);

void store_request(struct store *s, const struct msg_store *m);
bool store_idle(const struct store *s);

/* What waits a little, to be written with others, is written now. */
void store_flush(struct store *s);

/* Takes over all but path and check. */
void store_set_options(struct store *s, const struct store_options *options);

/* Appends "store_ops=.. store_reads=.. ..." */
void store_add_stats(struct store *s, struct str *out);

#endif
