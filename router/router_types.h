/*
 * router_types - the router's state, shared by its rooms (router*.c) only.
 */
#ifndef ROUTER_ROUTER_TYPES_H
#define ROUTER_ROUTER_TYPES_H

#include <stdbool.h>

#include "base/list.h"
#include "base/map.h"
#include "ipc/hub.h"
#include "proc/proc.h"
#include "router/custody.h"
#include "router/route_table.h"
#include "router/store_ops.h"
#include "router/suspects.h"
#include "session/session.h"

struct asked;
struct components;
struct domains;
struct loop_hook;
struct loop_timer;
struct traces;

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
	struct suspects *suspects; /* who may send one (CUSTODY 11) */
	struct shelf *shelf;
	struct loop_hook *turn;
	struct loop_timer *tick;
	struct loop_timer *flush; /* session_flush() is due */
	bool flush_due;

	/* A starting router takes announcements only (CUSTODY 5). */
	bool barrier;
	bool shelf_loading;	/* nor those, before it knows who is away */
	struct map64 ended;	/* sids announced as ended: contacts are told when all are here */
	struct list shelf_rows; /* loaded, and not yet handled (router_shelf.c) */
	struct monotime shelf_retry;
	bool shelf_failed;
	unsigned int fetching; /* rows that were asked for */
	struct monotime fetch_retry;
	bool told_all;	  /* the supervisor has said who is alive */
	bool restoring;	  /* until every resend is in, and has been judged: */
	size_t undecided; /* holds of session/ on resends */
	struct monotime started;
	struct list resumes; /* RESUME requests that wait (router_resume.c) */
	char *alarm;	     /* as it was told; NULL = none */
	unsigned int ticks;
	struct monotime drain_until; /* 0 = it is not told to stop */
	struct list waiting;	     /* records kept until the barrier is over, in order */

	struct domains *domains;       /* router_domain.c */
	struct list binders;	       /* router_binders.c */
	struct components *components; /* router_components.c */
	struct asked *asked;	       /* router_asked.c; NULL: nothing was asked yet */

	struct list removals;  /* `xmpp user del` under way (router_remove.c) */
	struct traces *traces; /* NULL: nobody traces (router_trace.c) */

	const char *abort_id; /* tests: the stanza with this id kills the router (CUSTODY 11) */
	uint64_t spoofs;
	uint64_t stale; /* records of an older epoch */
	uint64_t dropped;
};

/* router_records.c: the dispatch table. */
void router_record(struct router *r, struct router_peer *p, uint16_t type, struct slice body);
/* What the configuration says of the domain of ep. */
void router_endpoint_added(struct router *r, struct endpoint *ep);
/* Ends every session of a domain or client whose cm has died, and judges what it had. */
void router_peer_sessions_end(struct router *r, struct router_peer *p, const char *reason);

/* router_domain.c: who serves which domain (CUSTODY 14). */
struct router_component {
	uint64_t sid; /* 0: it was bound with BIND, not with BIND_DOMAIN */
	struct route_policy policy;
	uint64_t since_ms; /* wall clock */
	/* of domain_next(), borrowed: */
	struct endpoint *ep;
	struct slice jid;
	const char *conn, *addr, *state;
};
void domains_start(struct router *r);
void domains_end(struct router *r);
void domain_bind(struct router *r, struct router_peer *p, const struct msg_bind *m);
/* ERR_CONFLICT, ERR_FULL: as route_table_join(). */
enum err domain_join(struct router *r, struct router_peer *p, const struct msg_bind_domain *m);
/* false: it was not bound with BIND_DOMAIN. 0: before this router. */
bool domain_bound_since(const struct router *r, uint64_t sid, struct monotime *since);
/* UNBIND: what it was not delivered goes to others. Then endpoint_remove(). */
void domain_ended(struct router *r, struct endpoint *ep);
void domain_detached(struct router *r, struct endpoint *ep); /* after endpoint_detach() */
void domain_resumed(struct router *r, struct endpoint *ep, struct slice conn, struct slice addr);
void domain_expired(struct router *r, struct endpoint *ep); /* ep is gone afterwards */
/* Before custody_peer_dead(). */
void domain_peer_dead(struct router *r, struct router_peer *p);
enum err domain_announce(struct router *r, const struct msg_announce *m);
void domain_announced(struct router *r); /* all are, or a late one is */
/* Ends all sessions of a domain, and what waits for it. How many were connected. */
unsigned int domain_close(struct router *r, struct slice jid, const char *condition,
			  const char *text);
void domain_check_local(struct router *r); /* after a new configuration */
/* Components and places: start with *it = 0; false at the end. */
bool domain_next(const struct router *r, size_t *it, struct router_component *out);
size_t domain_count(const struct router *r); /* connected */
/* Who gets what is for domain, on the other side of which is peer; NULL = nobody. */
struct endpoint *domain_endpoint(const struct router *r, struct slice domain, struct slice peer);
/* Who gets what the server answers to e, if ep would get what is new: who asked, while he is there.
 */
struct endpoint *domain_answer_to(const struct router *r, struct endpoint *ep,
				  const struct custody_entry *e);

/* May it have what is for ep, another session (or the same) of that domain, which is not over? */
bool domain_is_sibling(const struct endpoint *who, const struct endpoint *ep);

/* router_asked.c: an iq from the session of a domain, and who gets its answer s, if ep would. */
void asked_note(struct router *r, const struct endpoint *ep, const struct msg_stanza *m);
struct endpoint *asked_by(const struct router *r, struct endpoint *ep,
			  const struct session_stanza *s);
void asked_end(struct router *r);

/* router_binders.c: who has asked for a domain and waits. */
void binders_ask(struct router *r, struct router_peer *p, const struct msg_bind_domain *m);
bool binders_forget(struct router *r, const struct router_peer *p, uint64_t sid); /* UNBIND */
void binders_probed(struct router *r, struct endpoint *ep, bool alive);
void binders_tick(struct router *r);
/* Nobody may have jid (empty: any) any more: whoever waits for it is judged again. */
void binders_check(struct router *r, struct slice jid);
void binders_refuse(struct router *r, struct slice jid, const char *condition, const char *text);
void binders_peer_dead(struct router *r, const struct router_peer *p); /* NULL = all */

/* router_components.c: their accounts. */
void components_start(struct router *r);
void components_end(struct router *r);
void components_list(struct router *r, struct slice jid, struct str *out);
enum err components_close(struct router *r, struct slice jid, struct str *out);
/* ERR_OK: answered later. */
enum err components_set(struct router *r, struct router_peer *p, uint64_t req, struct slice args);
enum err components_del(struct router *r, struct router_peer *p, uint64_t req, struct slice name);
void components_bound(struct router *r); /* one more is; was its account removed meanwhile? */
void components_tick(struct router *r);
void components_peer_dead(struct router *r, const struct router_peer *p);

/* router_resume.c: XEP-0198 */
void resume_enable(struct router *r, struct endpoint *ep, const struct msg_enable *m);
void resume_detached(struct router *r, struct endpoint *ep, struct slice reason);
void resume_ask(struct router *r, struct router_peer *p, const struct msg_resume *m);
void resume_check(struct router *r);				   /* those that had to wait */
void resume_forget(struct router *r, const struct router_peer *p); /* NULL = all */
void resume_expire(struct router *r); /* whoever did not come back in time */

/* router_shelf.c: the shelf (router/shelf.h) and the datastore. */
struct shelf_row {
	struct list link;
	uint64_t sid, n;
	uint8_t kind;
	struct blob *body;
};
void shelf_start(struct router *r); /* loads what is there, then barrier_loaded() */
void shelf_end(struct router *r);
void shelf_flush(struct router *r); /* once a turn */
void shelf_tick(struct router *r);
/* A lost session (session/session.h) keeps its presence for so many seconds. */
void shelf_lost(struct router *r, uint64_t sid, struct slice full, struct slice blob,
		uint32_t seconds);
/* When the barrier is over: deliveries of the server's own; then each stanza row. */
void shelf_answers(struct router *r);
void shelf_row_free(struct shelf_row *row);

/* router_records.c: a stanza that the shelf has held. */
void router_shelved_stanza(struct router *r, const struct shelf_row *row);
/* A session that is on the shelf: to its JID or domain as announced by a cm. */
enum err router_announce(struct router *r, const struct msg_announce *m);

/* router_barrier.c */
void barrier_start(struct router *r);
void barrier_loaded(struct router *r); /* the shelf: what was announced meanwhile is handled */
bool barrier_takes(const struct router *r, uint16_t type,
		   struct slice body); /* while it stands, these pass and all others wait */
void barrier_keep(struct router *r, struct router_peer *p, uint16_t type, struct slice body);
/* Part of an announcement that comes late: it is taken as a whole, at its end, so that nothing gets
 * in between the numbers of a queue. */
bool barrier_is_announcement(uint16_t type);
void barrier_late(struct router *r, const struct router_peer *p); /* ANNOUNCE_END has come */
void barrier_forget(struct router *r, const struct router_peer *p);
void barrier_end_session(struct router *r, uint64_t sid); /* it was announced as ended */
void barrier_check(struct router *r, struct monotime now);
void barrier_end(struct router *r);

/* router_host.c: what session/ can do to the world. */
extern const struct session_host router_host;

/* router_remove.c: ERR_OK: answered later. */
enum err router_remove(struct router *r, struct router_peer *p, uint64_t req, struct slice jid);
void router_remove_peer_dead(struct router *r, const struct router_peer *p);

/* router_trace.c: `xmpp trace` (router/trace.h). */
enum err router_trace_start(struct router *r, struct router_peer *p, uint64_t req,
			    struct slice args, struct str *why);
void router_trace_tick(struct router *r);
void router_trace_peer_up(struct router *r, struct router_peer *p);
void router_trace_peer_dead(struct router *r, const struct router_peer *p);
void router_trace_traced(struct router *r, const struct router_peer *p, const struct msg_traced *m);
/* Only with r->traces: ep may be NULL. */
void router_trace_stanza(struct router *r, const char *dir, const struct endpoint *ep,
			 const struct session_stanza *s);

/* router_admin.c */
void router_add_stats(void *arg, struct str *out); /* "key=value ..." of the router itself */
void router_admin(struct router *r, struct router_peer *p, const struct msg_admin *m);

#endif
