/*
 * c2s_worker - one thread that does what would stop the loop: PBKDF2 for SASL PLAIN.
 *
 * One, so that a storm of PLAIN logins costs at most one core; bounded, so that it cannot pile up.
 * Jobs are values: the thread sees nothing of the loop's data.
 */
#ifndef CM_CLIENT_C2S_WORKER_H
#define CM_CLIENT_C2S_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "ipc/db_pack.h"

struct c2s_worker;
struct loop;

/* The thread starts with the first job. */
struct c2s_worker *c2s_worker_new(struct loop *loop, unsigned int queue_max);
void c2s_worker_free(struct c2s_worker **wp); /* waits for the job under way; drops the rest */

/* Does password (SASLprepped) belong to keys (SHA-256)? done is called by the loop. 0: the queue is
 * full. Otherwise a number for c2s_worker_cancel(). Password and keys are copied, wiped after. */
uint64_t c2s_worker_verify(struct c2s_worker *w, struct slice password, const struct db_scram *keys,
			   void (*done)(void *arg, bool right), void *arg);
void c2s_worker_cancel(struct c2s_worker *w, uint64_t job); /* done will not be called */

#endif
