/*
 * derive - a thread that makes SCRAM keys of passwords, so that the loop does not (some ms each).
 *
 * All functions are the loop thread's. A password is wiped when its keys are made, or not needed
 * any more.
 */
#ifndef DATASTORE_DERIVE_H
#define DATASTORE_DERIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "base/str.h"

struct derive;
struct loop;

struct derive_job {
	struct list link;
	uint64_t op_boot, op_n; /* whose it is: only carried */
	uint32_t deadline_ms;	/* the same */
	bool create;		/* the same */
	struct str user, domain;
	struct str password;
	/* The result: packed keys, or why there are none. */
	enum err status;
	struct str scram, why;
};

/* done gets each finished job, in order of submission, and frees it. */
struct derive *derive_new(struct loop *loop, unsigned int queue_max,
			  void (*done)(void *arg, struct derive_job *job), void *arg);

/* Waits for the one that is under way; the rest is forgotten. */
void derive_free(struct derive **dp);

struct derive_job *derive_job_new(struct slice user, struct slice domain, struct slice password);
void derive_job_free(struct derive_job **jp);

/* false: too many are waiting, or there can be no thread; the job is freed. */
bool derive_submit_take(struct derive *d, struct derive_job *job);

/* Submitted, and not yet handed to done. */
unsigned int derive_waiting(const struct derive *d);

#endif
