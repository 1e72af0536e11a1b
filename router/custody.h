/*
 * custody - what the router holds, for whom, and who must still be told (CUSTODY 1, 2, 6, 8).
 *
 * Pure: no socket, no clock, no XML. An endpoint is one session on the bus (client or domain) with
 * its outbound queue, numbered by q; an entry is one stanza from acceptance until it is settled; a
 * delivery ties an entry to a place in an endpoint's queue. Records go straight onto the links of
 * the peers (lib/ipc/link, pure as well). custody_turn() once a loop turn sends the reports.
 */
#ifndef ROUTER_CUSTODY_H
#define ROUTER_CUSTODY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "ipc/codec.h"
#include "session/session.h"

struct custody;
struct custody_entry;
struct custody_peer;
struct endpoint;
struct link;
struct shelf;

/* The domain of a JID in its text form; borrowed from it. */
struct slice custody_domain_of(struct slice jid);

/* A STANZA record as session/ sees it, and the other way round. Slices are borrowed. */
static inline struct session_stanza custody_stanza(const struct msg_stanza *m)
{
	return (struct session_stanza){
		.kind = m->kind,
		.type = m->type,
		.flags = m->flags,
		.from = m->from,
		.to = m->to,
		.id = m->id,
		.lang = m->lang,
		.children = m->children,
		.inner = m->inner,
	};
}

static inline struct msg_stanza custody_record(uint64_t sid, uint64_t n,
					       const struct session_stanza *s)
{
	return (struct msg_stanza){
		.sid = sid,
		.n = n,
		.kind = s->kind,
		.type = s->type,
		.flags = s->flags,
		.from = s->from,
		.to = s->to,
		.id = s->id,
		.lang = s->lang,
		.children = s->children,
		.inner = s->inner,
	};
}

struct custody_limits {
	size_t flight; /* bytes of one endpoint's queue that may be at its cm, undelivered */
	size_t queue;  /* bytes of one endpoint's queue in all; beyond = resource-constraint */
	size_t domain; /* the same for all endpoints of one domain; 0 = no limit */
	size_t total;  /* and of all; what is on the shelf only does not count for these three */
	size_t memory; /* of what waits for somebody who takes nothing, so much stays in memory */
	size_t spool;  /* bytes of one endpoint's queue on the shelf only; 0 = no limit */
};

/* P1: accepted + announced + generated = delivered + stored + bounced + consumed + discarded + held
 */
struct custody_books {
	uint64_t accepted;
	uint64_t announced; /* resent to a new router by those who hold them */
	uint64_t generated;
	uint64_t settled[6]; /* by enum settled */
	uint64_t held;
	uint64_t held_bytes;
	uint64_t queued;  /* bytes waiting to be delivered, in memory */
	uint64_t paged;	  /* and on the shelf only */
	uint64_t repeats; /* recognised by origin and not delivered again */
};

/* A delivery that will not happen: judge the stanza again. e is NULL when only the delivery is left
 * (the stanza was known to an earlier router): nothing can be answered. */
typedef void custody_undelivered_fn(void *ctx, struct custody_entry *e, uint64_t sid,
				    const struct session_stanza *s, const char *reason);

struct custody *custody_new(uint64_t boot, struct custody_limits limits,
			    custody_undelivered_fn *undelivered, void *ctx);
void custody_free(struct custody **cp);
const struct custody_books *custody_books(const struct custody *c);

/* A connection manager: its link is borrowed until custody_peer_dead(). */
struct custody_peer *custody_peer_add(struct custody *c, struct link *link);
struct link *custody_peer_link(const struct custody_peer *p);
/* Calls fn for each endpoint of p; fn may end that one. */
void custody_peer_each(struct custody_peer *p, void (*fn)(void *ctx, struct endpoint *ep),
		       void *ctx);
/* Its clients' endpoints are removed (see endpoint_remove), those of domains and of who can resume
 * detached; nobody there needs reports any more. */
void custody_peer_dead(struct custody *c, struct custody_peer **pp, const char *reason,
		       struct monotime now);

/* ERR-free: NULL when sid is taken. next_q: where its queue starts (1 for a new one). */
struct endpoint *endpoint_add(struct custody *c, struct custody_peer *owner, uint64_t sid,
			      uint64_t epoch, uint8_t kind, uint64_t next_q, struct slice jid);
struct endpoint *endpoint_find(const struct custody *c, uint64_t sid);
struct custody_peer *endpoint_owner(const struct endpoint *ep);
uint64_t endpoint_sid(const struct endpoint *ep);
uint64_t endpoint_epoch(const struct endpoint *ep);
uint8_t endpoint_kind(const struct endpoint *ep);
bool endpoint_ended(const struct endpoint *ep);
uint8_t endpoint_state(const struct endpoint *ep); /* enum session_state */
struct slice endpoint_jid(const struct endpoint *ep);
void endpoint_set_jid(struct endpoint *ep, struct slice jid);
/* durability = disk: what it sends counts as handled when it is settled or on the shelf. */
void endpoint_set_durable(struct endpoint *ep);
size_t endpoint_queued(const struct endpoint *ep); /* bytes not delivered */
/* The same for each domain: start with *it = 0; false at the end. */
bool custody_next_domain(const struct custody *c, size_t *it, struct slice *name, size_t *queued);
void custody_set_limits(struct custody *c, struct custody_limits limits);

/* After a router start: number q of its queue at the cm. In order from base_q to next_q - 1. */
void endpoint_have(struct custody *c, struct endpoint *ep, const struct msg_announce_have *m);

/* All resends of all peers are in: what nobody claimed can be forgotten. */
void custody_restored(struct custody *c);

/* Does somebody who is gone already have e? Then it must not be delivered again: concluded, true.
 */
bool custody_was_delivered(struct custody *c, struct custody_entry *e);

/* Was e answered (an error, a result) before this router started? ANSWERED: its sender has that
 * answer; e must not be handled again and is concluded as bounced. ANSWERED_AGAIN: its cm has it,
 * but perhaps the client has not and nobody has its bytes: e must be answered in the same way
 * again; that one then takes its number. sender NULL: its session is over. domain: of a component,
 * else empty: what it was answered may have been handed over to another session of that. */
enum custody_answered { ANSWERED_NOT, ANSWERED, ANSWERED_AGAIN };
enum custody_answered custody_was_answered(struct custody *c, struct custody_entry *e,
					   const struct endpoint *sender, struct slice domain);

/* The session is over: what it was not delivered is judged again (undelivered), what it sent lives
 * on. Reports for it still go to its cm. ep is invalid afterwards. */
void endpoint_remove(struct custody *c, struct endpoint *ep, const char *reason);

/* A domain's session whose service died is detached: its queue waits for another session of that
 * domain (CUSTODY 14). */
bool endpoint_detached(const struct endpoint *ep);

/*
 * Several sessions of one domain (router/custody_handover.c).
 */
/* Who gets what ep was not delivered, by the digest of the other side's JID (route_table.h); NULL =
 * it stays. */
typedef struct endpoint *custody_heir_fn(void *ctx, struct endpoint *ep, uint64_t digest);

/* Gives everything that ep was not delivered to its heirs, in order, behind what they have. ep goes
 * on as it is; mostly endpoint_remove() follows. */
void endpoint_hand_over(struct custody *c, struct endpoint *ep, custody_heir_fn *heir, void *ctx);
/* Anything of that peer? Only the newest are looked at: unknown, when there are more. */
bool endpoint_owes_to(const struct endpoint *ep, uint64_t digest, bool unknown);
bool endpoint_owes(const struct endpoint *ep); /* has it anything to hand over? */

/* A detached endpoint of the same domain under a sid of its own, for what then waits for the next
 * session; on the shelf at once. NULL: sid is taken. */
struct endpoint *endpoint_wait(struct custody *c, const struct endpoint *ep, uint64_t sid,
			       struct monotime now);
struct endpoint *endpoint_wait_for(struct custody *c, uint64_t sid, struct slice jid,
				   struct slice blob, struct monotime now);

/* What it has sent, and been given. */
uint64_t endpoint_received(const struct endpoint *ep);
uint64_t endpoint_given(const struct endpoint *ep);

/* Calls fn for each detached endpoint; fn may end it. */
void custody_each_detached(struct custody *c, void (*fn)(void *ctx, struct endpoint *ep),
			   void *ctx);

/*
 * XEP-0198 (router/custody_resume.c). A session that can be resumed is detached when its
 * connection or its cm goes: its queue waits, numbers and counters stand (CUSTODY 4, 10, 12).
 */
void endpoint_enable(struct custody *c, struct endpoint *ep, uint64_t in_base, uint32_t max_s,
		     struct slice resume_id);
void endpoint_restore(struct custody *c, struct endpoint *ep, const struct msg_announce *m);
/* Announced as detached: endpoint_detach() follows once its numbers are known. */
void endpoint_announced_detached(struct endpoint *ep);
bool endpoint_is_announced_detached(const struct endpoint *ep);
/* Has its owner had RESUMED? Until then its former owner must keep what it has of it. */
bool endpoint_handed_over(const struct endpoint *ep);
struct custody_peer *endpoint_former(const struct endpoint *ep); /* NULL = none, or dead */
bool endpoint_can_resume(const struct endpoint *ep);
struct endpoint *endpoint_by_resume_id(const struct custody *c, struct slice id);
void endpoint_detach(struct custody *c, struct endpoint *ep, struct monotime now);
struct monotime endpoint_detached_at(const struct endpoint *ep);
uint32_t endpoint_max_s(const struct endpoint *ep);
void endpoint_set_blob(struct custody *c, struct endpoint *ep, struct slice blob);

/* Gives a detached session to a new owner: the client has had what h says, the rest is sent again
 * in the same order. Puts RESUMED first. ERR_RANGE: h is more than was sent; nothing changed. */
enum err endpoint_resume(struct custody *c, struct endpoint *ep, struct custody_peer *owner,
			 uint64_t request, uint32_t h);

/* A detached session is over: its former cm is told. Then endpoint_remove(). */
void endpoint_release(struct endpoint *ep);

/* sid is known to this peer as one that has moved on. */
void custody_peer_former(struct custody_peer *p, uint64_t sid);
bool custody_peer_is_former(const struct custody_peer *p, uint64_t sid);

/* ep is announced again by a newer owner: what it had is kept in mind. The new endpoint. */
struct endpoint *endpoint_supersede(struct custody *c, struct endpoint *ep,
				    struct custody_peer *owner, const struct msg_announce *m);

/* After a router start two announced this session and ep's owner has the higher epoch: the other is
 * told to close (live), and to forget once all is in (CUSTODY 12). */
void endpoint_beat(struct custody *c, struct endpoint *ep, struct custody_peer *loser,
		   uint64_t epoch, uint8_t state);

/* An origin that a former owner announces as delivered. */
void custody_have_former(struct custody *c, const struct msg_announce_have *m);

/* Its cm has said the last of it (UNBIND): an ended endpoint is freed once nothing is owed. */
void endpoint_unbound(struct custody *c, struct endpoint *ep);

/* Takes stanza n of ep into custody. resent: it comes after an announcement. NULL: a repeat, dealt
 * with. The caller handles it and then calls custody_handled(). */
struct custody_entry *custody_accept(struct custody *c, struct custody_peer *from,
				     struct endpoint *ep, uint64_t n, size_t bytes, bool resent);
void custody_handled(struct custody *c, struct custody_entry *e);
uint64_t custody_entry_sender(const struct custody_entry *e);
uint64_t custody_entry_number(const struct custody_entry *e); /* n of its origin */
bool custody_entry_is_resent(const struct custody_entry *e);  /* another router may have had it */

/*
 * The shelf (router/custody_shelf.c, router/shelf.h): what has no second holder any more, or should
 * not burden its sender's cm, is held by the datastore (CUSTODY 3, 4, 13).
 */
/* Borrowed, until custody_free(); delta: wall clock minus monotonic, in ms. Without: no shelf. */
void custody_set_shelf(struct custody *c, struct shelf *shelf, int64_t wall_delta_ms);

/* e is not dealt with at once, and no delivery has all of it: keep what it came as. from is its
 * sender's full JID. After handling, before custody_handled(). */
void custody_keep(struct custody_entry *e, const struct msg_stanza *m, struct slice from);

/* About once a second. Sessions that were detached `after_ms` ago get a row; what waits for them,
 * or for a client that has been delivered nothing for so long, is held by the shelf instead of its
 * senders' cms (who are told that it is stored). */
void custody_spool(struct custody *c, struct monotime now, uint64_t after_ms);

/* A row that custody wants back (router/custody_page.c): its bytes are in memory no longer. Each is
 * given out once; the answer is custody_fetched(), or custody_fetch_again() to have it given out
 * again. found = false: there is no such row, what it held is lost. */
struct custody_fetch {
	uint64_t id;
	uint64_t sid, n;
	uint8_t kind;
};
bool custody_next_fetch(struct custody *c, struct custody_fetch *out);
void custody_fetched(struct custody *c, uint64_t id, bool found, struct slice row);
void custody_fetch_again(struct custody *c, uint64_t id);
bool custody_fetch_is_wanted(const struct custody *c, uint64_t id); /* still */

/* Is all that ep has sent held twice again? (CUSTODY 7) */
bool endpoint_is_secured(const struct custody *c, const struct endpoint *ep);

/* What a starting router loads, before announcements are taken. */
struct session_row {
	struct msg_announce m;
	uint64_t since_ms; /* detached since, wall clock */
	struct slice haves, had;
};
/* Do its numbers add up? */
bool custody_announce_is_sane(const struct msg_announce *m);
bool session_row_get(struct slice row, struct session_row *out);
/* NULL: a newer owner has announced it already. */
struct endpoint *endpoint_load(struct custody *c, const struct session_row *r, struct monotime now);
/* A stanza row. NULL: a repeat, dealt with. As custody_accept(). */
struct custody_entry *custody_accept_shelved(struct custody *c, uint64_t sid, uint64_t n,
					     size_t bytes);
/* A delivery of the server's own; to ep, who has what session sid had (NULL: nobody). */
void custody_load_answer(struct custody *c, uint64_t sid, uint64_t n, struct slice row);
void custody_load_answer_for(struct custody *c, struct endpoint *ep, uint64_t sid, uint64_t n,
			     struct slice row);
/* What is in such a row, borrowed. */
bool custody_answer_get(struct slice row, struct session_stanza *s);
size_t custody_shelved_sessions(const struct custody *c);

/* What session_host promises (session/session.h). */
void custody_deliver(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		     const struct session_stanza *s);
void custody_answer(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		    const struct session_stanza *s);
/* For no stanza: session `of` is over, which its cm tells the next router as well if this one dies
 * before it has receipted that. */
void custody_leave(struct custody *c, uint64_t of, struct endpoint *ep,
		   const struct session_stanza *s);
/* At most one for each ep, and none for who has e itself. instead: session_host.copy. */
void custody_copy(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		  const struct session_stanza *s, bool instead);
/* Has the client of ep had a copy of e, or will it? */
bool custody_had_copy(const struct custody *c, const struct custody_entry *e,
		      const struct endpoint *ep);
/* Was e queued for session sid before? */
bool custody_had(const struct custody_entry *e, uint64_t sid);
/* A stanza of the server's own with an origin of its choice (an offline message): settled() is told
 * once how it ended. Nothing happens to it in an ended endpoint: settled(SETTLED_DISCARDED). */
void custody_originate(struct custody *c, struct endpoint *ep, uint64_t origin_sid,
		       uint64_t origin_n, const struct session_stanza *s,
		       void (*settled)(void *arg, uint8_t how), void *arg);
void custody_conclude(struct custody_entry *e, uint8_t how);
/* Concluded as stored, although more may be made of it: what custody_originate() delivers of the
 * store under its origin is not forgotten before its sender's cm knows that it is settled. */
void custody_stored(struct custody *c, struct custody_entry *e);
/* What custody_originate() delivered under this origin is kept no longer: it may be forgotten. */
void custody_noted(struct custody *c, uint64_t origin_sid, uint64_t origin_n);
void custody_hold(struct custody_entry *e);
void custody_release(struct custody *c, struct custody_entry *e);

/* Reports from the cm that owns ep. */
void custody_delivered(struct custody *c, struct endpoint *ep, uint64_t q);
void custody_undeliverable(struct custody *c, struct endpoint *ep, uint64_t q, const char *reason);

/* Once a loop turn: HELD, FORGET, what waited for room, what did not fit. */
void custody_turn(struct custody *c);

#endif
