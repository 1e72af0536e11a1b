/*
 * suspects - stanzas that two routers may have died of come one at a time (CUSTODY 11): who may
 * send his now? First come, first served over all connection managers.
 *
 * Pure: no clock of its own, no custody. A peer is known by its link, which must be taken out by
 * suspects_leave() before it goes.
 */
#ifndef ROUTER_SUSPECTS_H
#define ROUTER_SUSPECTS_H

#include "base/monotime.h"
#include "ipc/codec.h"

struct suspects;
struct link;

struct suspects *suspects_new(void);
void suspects_free(struct suspects **sp);

/* A SUSPECT: whatever this peer was let send is dealt with. (0, 0) is answered at once. */
void suspects_ask(struct suspects *s, struct link *from, const struct msg_suspect *m,
		  struct monotime now);

/* It has no more (RESEND_END), or is gone. */
void suspects_leave(struct suspects *s, struct link *from, struct monotime now);

/* Now and then: who does not say within a second that he is done is waited for no longer. */
void suspects_check(struct suspects *s, struct monotime now);

#endif
