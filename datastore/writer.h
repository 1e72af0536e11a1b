/*
 * writer - the one thread that writes: group commit, results after the sync.
 *
 * Takes what is queued, runs it in one transaction with a savepoint for each operation (one that
 * fails does not spoil the others), commits with synchronous=FULL, then hands the results back in
 * the order of submission. All functions are the loop thread's; the thread itself never logs.
 */
#ifndef DATASTORE_WRITER_H
#define DATASTORE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/monotime.h"
#include "base/str.h"
#include "datastore/db.h"
#include "datastore/requests.h"

struct writer;

struct write_op {
	struct list link;
	uint64_t op_boot; /* 0: the store's own, its result is not kept */
	uint64_t op_n;
	uint16_t type; /* for the log */
	const struct request *request;
	struct request_limits limits;
	uint64_t now_ms;
	struct monotime deadline; /* us 0 = none; not run after it (ERR_TIMEOUT) */
	struct str body;
	/* The result. */
	enum err status;
	bool repeat; /* was answered from what was kept */
	struct request_out out;
};

struct write_op *write_op_new(uint64_t op_boot, uint64_t op_n, const struct request *request,
			      struct slice body);
void write_op_free(struct write_op **op);

struct writer_report {
	enum disk_state state; /* standing trouble; DISK_FSYNC: the thread has ended, so must we */
	int code;	       /* SQLite's extended code and the errno of it */
	int sys_errno;
	uint64_t free_bytes; /* at the last batch */
	uint64_t commits;
	uint64_t failed; /* batches that were rolled back */
	uint64_t queued; /* submitted and not collected */
};

/* Takes d. dir: whose file system is watched; min_free: watermark in bytes, 0 = none. */
struct writer *writer_start_take(struct db *d, const char *dir, uint64_t min_free);

/* Runs what is queued, ends the thread, closes the database; the log is brought into it when it is
 * healthy: as far as the caller (its reads) and the writer know. */
void writer_stop(struct writer **wp, bool healthy);

void writer_submit_take(struct writer *w, struct write_op *op);

/* Readable when there is something to collect. */
int writer_fd(const struct writer *w);

/* Moves finished operations to the end of done; each is the caller's to free. */
void writer_collect(struct writer *w, struct list *done);

void writer_report(struct writer *w, struct writer_report *out);
void writer_set_min_free(struct writer *w, uint64_t min_free);

#endif
