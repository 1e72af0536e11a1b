/*
 * requests - the DB_* records that the datastore answers: decode, one function of a table, encode.
 *
 * Pure over a database: the same database, body, time and limits give the same answer and the same
 * change, whichever thread or node runs it. Times and limits come with the request for that reason.
 */
#ifndef DATASTORE_REQUESTS_H
#define DATASTORE_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/archive.h"
#include "datastore/db.h"
#include "datastore/offline.h"
#include "datastore/userdata.h"

struct request_limits {
	uint32_t max_roster_items;
	uint32_t max_blocked;
	uint32_t max_components;
	uint64_t ops_keep_ms;
	uint64_t ops_max_rows;
	uint64_t shelf_bytes;
	struct offline_quota offline;
	struct archive_limits archive;
	struct userdata_quota userdata;
};

struct request_in {
	struct db *db;
	struct slice body; /* of the DB_* record, behind its type */
	uint64_t now_ms;   /* wall clock at arrival */
	const struct request_limits *limits;
};

/* answer: one encoded record when ERR_OK is returned; text: what to do when it is not. */
struct request_out {
	struct str answer;
	struct str text;
	bool more; /* upkeep: there is something left, soon to be done */
};

struct request {
	bool writes;  /* goes through the writer, its result is kept under its operation id */
	bool grows;   /* makes the store larger: refused below the watermark of free space */
	bool first;   /* and before all others: already below four times that */
	bool again;   /* a repeat may be done again: its result is not kept */
	bool ordered; /* a read that must see the writes before it, answered or not */
	bool slow;    /* a read that may take long: see slow_reads.h */
	enum err (*run)(const struct request_in *in, struct request_out *out);
};

/* NULL: not a request to the datastore. */
const struct request *requests_find(uint16_t type);

/* The writer's own: forgets old operation ids and proves that the disk takes writes. */
const struct request *requests_upkeep(void);

void request_out_clear(struct request_out *out);
void request_out_reset(struct request_out *out);

#endif
