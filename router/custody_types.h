/*
 * custody_types - the bodies behind custody.h, shared by custody.c and endpoint.c only.
 */
#ifndef ROUTER_CUSTODY_TYPES_H
#define ROUTER_CUSTODY_TYPES_H

#include "base/list.h"
#include "base/map.h"
#include "router/custody.h"

/* In origin_n of an answer: bit 63 = the final one; bits 48.. = which one of the others. */
#define CUSTODY_FINAL_ANSWER (1ULL << 63)

enum delivery_state {
	DELIVERY_WAITING, /* in the queue, not yet put on the link */
	DELIVERY_SENT,	  /* at the cm, or on the way */
	DELIVERY_DONE,	  /* delivered; the cm keeps its origin */
	DELIVERY_NOTED,	  /* nobody needs the origin any more */
	DELIVERY_REFUSED, /* did not fit: not in the queue, to be judged */
};

struct delivery {
	struct list link;    /* custody_entry.deliveries */
	struct list refused; /* custody.refused */
	struct delivery *have_next;
	struct custody_entry *entry; /* NULL: known by its origin only, or noted */
	struct endpoint *endpoint;   /* not for DELIVERY_REFUSED */
	uint64_t sid;
	uint64_t origin_sid;
	uint64_t origin_n;
	uint32_t len;
	uint8_t state;
	char record[]; /* the DELIVER record, of len bytes; 0 = announced by origin only */
};

struct endpoint {
	struct list link_in_peer;
	struct list dirty;	    /* custody.dirty, when something is to be reported or sent */
	struct custody_peer *owner; /* NULL = detached, since then */
	struct monotime detached_at;
	uint64_t sid;
	uint64_t epoch;
	char *jid;
	uint8_t kind;
	bool ended;   /* the session is over: nothing new goes into its queue */
	bool unbound; /* and its cm knows: nothing more comes from it */

	uint64_t seen_n; /* the newest stanza accepted from it */
	uint64_t held_told;
	uint64_t announced_n; /* after a router start: what its cm had sent in all */
	struct map64 resent;  /* after a router start: numbers that came again */
	uint32_t entries;     /* accepted from it and not settled */

	/* The queue: numbers [base_q, next_q); below sent_q = put on the link; below done_q =
	 * delivered. */
	struct delivery **slots;
	size_t cap;
	uint64_t base_q, done_q, sent_q, next_q;
	uint64_t forget_told;
	size_t queued; /* bytes not delivered */
	size_t flight; /* of these, put on the link */

	/* XEP-0198 */
	bool enabled;
	char *resume_id; /* NULL = cannot be resumed */
	uint32_t max_s;
	uint64_t in_base, out_base;
	uint64_t written_q; /* detached: below this the client may have had it */
	bool announced_detached;
	struct blob *blob;
	/* The cm that had the session before it was resumed elsewhere: keeps the origins up to
	 * former_q until it is told FORGET. */
	struct custody_peer *former;
	uint64_t former_q;
	uint64_t former_epoch, former_n; /* n after which nothing of it counts; for RELEASED, once
					    the new owner has had RESUMED: */
	uint64_t resumed_seq;		 /* 0 = it has */
};

struct custody_peer {
	struct map64 formers; /* sids that moved on from here: late records of them are stale */
	struct list entries;  /* accepted from here, by custody_entry.from_link */
	struct list link_in_custody;
	struct list endpoints;
	struct list noting; /* settled entries, until the peer has had their SETTLED */
	struct link *link;
	bool dead;
};

/* A cm that announced a session which a newer owner has: told to forget it once all is in. */
struct loser {
	struct list link;
	struct custody_peer *peer;
	uint64_t sid, epoch, q;
};

struct custody_entry {
	struct list link; /* custody_peer.noting */
	struct list deliveries;
	struct list from_link;
	struct custody_peer *from; /* who is told SETTLED; NULL = nobody (it died, or an answer) */
	struct custody_entry *parent; /* the stanza that this one answers */
	uint64_t origin_sid;
	uint64_t origin_n;
	uint64_t noted_seq;
	void (*on_settled)(void *arg, uint8_t how); /* of the server's own (custody_originate) */
	void *arg;
	uint32_t pending; /* deliveries, answers and holds that are not done */
	uint32_t bytes;
	uint8_t how;
	uint16_t answers;
};

struct custody {
	uint64_t boot;
	uint64_t own_n;
	struct custody_limits limits;
	custody_undelivered_fn *undelivered;
	void *ctx;
	struct map64 endpoints; /* by sid */
	struct map unnoted;	/* (origin_sid, origin_n) -> struct custody_entry: delivered, of
				 * custody_originate(), and still kept by who gave it */
	struct map haves;	/* (origin_sid, origin_n) -> struct delivery, after a start */
	struct list peers;
	struct list detached; /* endpoints, by link_in_peer */
	struct list dirty;
	struct list refused;
	struct list losers;
	struct list orphans;   /* struct delivery: origins that a session had at another cm */
	struct map resume_ids; /* -> struct endpoint */
	bool ending;	       /* custody_free(): nobody is told anything */
	bool restoring;	       /* until all resends are in: nothing is reported as held before */
	struct custody_books books;
	struct str scratch;
};

/* custody_resume.c: tells them (peer NULL), or forgets those of a dead peer. */
void custody_losers_end(struct custody *c, const struct custody_peer *dead);

/* custody_resume.c: what the former owner is to be told, when it is time. */
void endpoint_tell_former(struct custody *c, struct endpoint *ep);

/* custody.c: e onto the queue of ep, or tied to what its cm announced. */
void custody_enqueue(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		     const struct session_stanza *s);

/* custody.c: d has ended well. */
void delivery_done(struct custody *c, struct delivery *d);

/* custody_have.c */
/* What ep had stays known, though ep itself goes: its session is announced by a newer owner, whose
 * queue starts at base_q. */
void have_keep(struct custody *c, struct endpoint *ep, uint64_t base_q);
void have_orphans_free(struct custody *c);
/* A stanza that the cm has announced as its own already is tied to e instead of sent again. */
bool have_claim(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		const struct session_stanza *s);
void have_remove(struct custody *c, struct delivery *d);

/* custody.c, for custody_have.c: the DELIVER record into the scratch buffer; a delivery of it. */
void delivery_encode(struct custody *c, const struct endpoint *ep, uint64_t q,
		     const struct session_stanza *s, const struct custody_entry *e);
struct delivery *delivery_make(struct custody *c, struct custody_entry *e, struct endpoint *ep);

/* custody.c, for endpoint.c: the DELIVER record of d under another session and number. */
struct delivery *custody_renumber(struct custody *c, struct delivery *d, struct endpoint *ep,
				  uint64_t q);

/* endpoint.c, for custody.c */
struct delivery *delivery_new(struct endpoint *ep, const char *record, size_t len);
void delivery_free(struct custody *c, struct delivery *d);
/* It cannot be delivered any more and there is nothing to judge: its stanza is not here. */
void delivery_drop(struct custody *c, struct delivery *d);
void queue_push(struct endpoint *ep, struct delivery *d);
struct delivery **queue_at(const struct endpoint *ep, uint64_t q);
void endpoint_dirty(struct custody *c, struct endpoint *ep);
void endpoint_pump(struct custody *c, struct endpoint *ep);    /* puts what may go on the link */
void endpoint_advance(struct custody *c, struct endpoint *ep); /* drops noted ones in front */
void endpoint_detach(struct custody *c, struct endpoint *ep, struct monotime now);
void endpoint_free(struct custody *c, struct endpoint *ep);
void endpoints_advance_all(struct custody *c);
void endpoints_report(struct custody *c);

#endif
