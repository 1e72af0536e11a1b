/*
 * fleet - many clients with XEP-0198 that log in, lose their connections and resume, all together.
 *
 * Session i belongs to account i modulo opts.users. Each function runs the loop until it is done or
 * opts.deadline is over, and puts what was not as it should be into the errors of struct step.
 */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/opts.h"
#include "bench/usage.h"

struct fleet;
struct tcp;

/* What one step came to. */
struct step {
	const char *name;
	double seconds;
	double delivered; /* resume: seconds until the last message that had waited was there */
	uint32_t ready;	  /* sessions with a connection now */
	uint32_t refused; /* resume: sessions the server no longer had */
	uint32_t retried; /* connections that failed before the session was there, tried again */
	uint64_t messages;
	uint64_t bytes; /* of them, as sent */
	uint64_t errors;
	char why[256]; /* the first of them */
	struct usage used;
};

void step_error(struct step *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* opts must outlive the fleet and have sm set. */
struct fleet *fleet_new(struct tcp *n, const struct opts *o);
void fleet_free(struct fleet **fp);

/* All have their session, everything they sent is acknowledged and nothing comes any more. */
void fleet_login(struct fleet *f, struct step *s);

/* Until the server has closed all connections. */
void fleet_broken(struct fleet *f, struct step *s);

/* opts.together at a time. A session that is refused binds anew. Messages that were announced with
 * fleet_expect() are waited for. */
void fleet_resume(struct fleet *f, struct step *s);

/* Each session is to get that many messages, with the ids that fleet_id() gives for n = 0, 1, ...
 * Others are left over from earlier runs and not looked at. */
void fleet_expect(struct fleet *f, uint32_t each);
void fleet_id(const struct fleet *f, char *out, size_t size, uint32_t n);

const char *fleet_jid(const struct fleet *f, uint32_t i);

#endif
