/*
 * router_types - the router's state, shared by its rooms (router*.c) only.
 */
#ifndef ROUTER_ROUTER_TYPES_H
#define ROUTER_ROUTER_TYPES_H

#include <stdbool.h>

#include "base/list.h"
#include "ipc/hub.h"
#include "proc/proc.h"
#include "router/custody.h"
#include "router/route_table.h"
#include "router/store_ops.h"
#include "session/session.h"

struct loop_hook;
struct loop_timer;

/* What hangs on a hub_peer. */
struct router_peer {
	struct hub_peer *hub;
	struct custody_peer *custody; /* connection managers only */
	bool all_in;		      /* RESEND_END has come */
	bool resent;		      /* and was its turn: what follows is new */
};

struct router {
	struct proc *proc;
	struct loop *loop;
	struct hub *hub;
	struct custody *custody;
	struct route_table *routes;
	struct session_manager *sessions;
	struct store_ops *store;
	struct loop_hook *turn;
	struct loop_timer *tick;

	/* A starting router takes announcements only (CUSTODY 5). */
	bool barrier;
	bool restoring; /* until every resend is in */
	struct monotime started;
	struct list resumes; /* RESUME requests that wait (router_resume.c) */
	unsigned int ticks;
	struct list waiting; /* records kept until the barrier is over, in order */

	uint64_t spoofs;
	uint64_t stale; /* records of an older epoch */
	uint64_t dropped;
};

/* router_records.c: the dispatch table. */
void router_record(struct router *r, struct router_peer *p, uint16_t type, struct slice body);
/* Ends every session of a domain or client whose cm has died, and judges what it had. */
void router_peer_sessions_end(struct router *r, struct router_peer *p, const char *reason);

/* router_resume.c: XEP-0198 */
void resume_enable(struct router *r, struct endpoint *ep, const struct msg_enable *m);
void resume_detached(struct router *r, struct endpoint *ep, struct slice reason);
void resume_ask(struct router *r, struct router_peer *p, const struct msg_resume *m);
void resume_check(struct router *r);				   /* those that had to wait */
void resume_forget(struct router *r, const struct router_peer *p); /* NULL = all */
void resume_expire(struct router *r); /* whoever did not come back in time */

/* router_barrier.c */
void barrier_start(struct router *r);
bool barrier_takes(uint16_t type,
		   struct slice body); /* while it stands, these pass and all others wait */
void barrier_keep(struct router *r, struct router_peer *p, uint16_t type, struct slice body);
void barrier_forget(struct router *r, const struct router_peer *p);
void barrier_check(struct router *r, struct monotime now);
void barrier_end(struct router *r);

/* router_host.c: what session/ can do to the world. */
extern const struct session_host router_host;

/* router_admin.c */
void router_admin(struct router *r, struct router_peer *p, const struct msg_admin *m);

#endif
