/*
 * crew - many clients logged in together: opts.together at a time, then all stay.
 *
 * Client i is account i modulo opts.users. A client that ends is counted and stays away; the first
 * reason is kept. One that fails to log in is tried again, opts.retry times in all.
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "bench/acks.h"
#include "bench/client.h"
#include "bench/opts.h"

struct crew;
struct tcp;

typedef void crew_on_stanza(void *arg, uint32_t index, struct slice stanza);

/* on_stanza may be NULL. */
struct crew *crew_new(struct tcp *n, const struct opts *o, uint32_t count,
		      crew_on_stanza *on_stanza, void *arg);

/* Ends all connections, each with its closing stream tag, and waits until the server has closed
 * them or two seconds are over. */
void crew_free(struct crew **cp);

/* Logs in clients until upto of them are ready. False: one failed or the time is over (said on
 * stderr). */
bool crew_login(struct crew *crew, uint32_t upto);

struct client *crew_client(struct crew *crew, uint32_t index);

/* With the option sm: what all that are connected have asked and told so far; returns how many sent
 * several stanzas and were acknowledged none. */
uint32_t crew_acks(const struct crew *crew, struct acks_count *sum);

/* How many logins were tried again. */
uint32_t crew_retried(const struct crew *crew);

/* Clients that ended since they were ready; *why is the first one's reason. */
uint32_t crew_lost(const struct crew *crew, const char **why);

#endif
