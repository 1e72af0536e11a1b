/*
 * c2s_csi - what is kept back from a client that said that it is inactive (XEP-0352).
 *
 * Pure. Nothing is dropped and nothing changes its place: unimportant stanzas wait, as the bytes
 * they will be written as, until something important comes behind them, the client is active again,
 * they are too many, or too old. To custody they are deliveries that are not written yet: the
 * router and the sender's connection manager hold them, and whoever resumes the session elsewhere
 * gets them there.
 *
 * A sender must not wait for that: what it sent counts against its share of unsettled bytes until
 * it is written here, and a share that is used up stops the reading. Therefore so much of one
 * sender's stanzas (each counted once, however many receivers it has) and so much of all waits in
 * this process; with the limits divided by the number of processes no sender has more than half of
 * its share waiting for inactive clients anywhere.
 */
#ifndef CM_CLIENT_C2S_CSI_H
#define CM_CLIENT_C2S_CSI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/str.h"
#include "cm/cm_deadlines.h"
#include "ipc/codec.h"

struct c2s_csi_limits {
	unsigned int stanzas; /* for one client; 0 = nothing is kept back */
	size_t bytes;	      /* for one client: less than what the router has under way to it */
	size_t sender;	      /* of one sender, in this process */
	size_t total;	      /* in this process: beyond, the oldest queue is written */
};

/* What waits in this process, by sender. */
struct c2s_csi_pool {
	struct map64 stanzas;
	struct map64 senders;
	size_t bytes;
};

/* The queue of one client; there is one only while something waits. */
struct c2s_csi {
	struct cm_deadline deadline;
	void *owner;
	struct str out; /* as it will be written */
	uint64_t last_q;
	unsigned int count;
	unsigned int room;
	struct c2s_csi_stanza **stanzas;
	size_t bytes;
};

void c2s_csi_pool_init(struct c2s_csi_pool *p);
void c2s_csi_pool_clear(struct c2s_csi_pool *p); /* all queues must be freed */
size_t c2s_csi_pool_of(const struct c2s_csi_pool *p, uint64_t sender); /* its bytes that wait */

/* Presence of others; messages without a body that only say what somebody is doing (XEP-0085), or
 * what a node has published (XEP-0163), also as carbon copies. All else is important. */
bool c2s_csi_is_unimportant(const struct msg_deliver *m);

struct c2s_csi *c2s_csi_new(void *owner);
void c2s_csi_free(struct c2s_csi **cp, struct c2s_csi_pool *p); /* NULL-safe */

/* Puts m at the end. True: this queue is to be written now. */
bool c2s_csi_keep(struct c2s_csi *c, struct c2s_csi_pool *p, const struct c2s_csi_limits *l,
		  const struct msg_deliver *m);

#endif
