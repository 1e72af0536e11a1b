/*
 * custody_types - the bodies behind custody.h, shared by the rooms of custody (custody*.c,
 * endpoint.c).
 */
#ifndef ROUTER_CUSTODY_TYPES_H
#define ROUTER_CUSTODY_TYPES_H

#include "base/list.h"
#include "base/map.h"
#include "router/custody.h"

/* In origin_n of an answer: bit 63 = the final one; bit 62 = a copy for a bystander (of the stanza,
 * or with bit 63 of its error); bits 32 to 61 = a mark of what one of the others says. */
#define CUSTODY_FINAL_ANSWER (1ULL << 63)
#define CUSTODY_COPY	     (1ULL << 62)

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
	struct endpoint *endpoint;   /* NULL: it is gone, d is to be judged */
	uint64_t sid;
	uint64_t origin_sid;
	uint64_t origin_n;
	uint32_t len;
	uint32_t paged; /* bytes that are on the shelf only; then len is 0 */
	uint32_t room;	/* of pool_alloc() */
	uint8_t state;
	char record[]; /* the DELIVER record, of len bytes; 0 = announced by origin only, or paged
			* (then of a domain: delivery_peer()) */
};

/*
 * A cm that had a session before it was detached there or resumed elsewhere. It keeps the session
 * until it is RELEASED: not before the next owner has had RESUMED. Then it keeps the origins up to
 * q until it is told FORGET: not before they are noted.
 */
struct former {
	struct list link;
	struct custody_peer *peer;
	uint64_t epoch;
	uint64_t n; /* nothing after it counts of what it still holds */
	uint64_t q;
	bool released;
};

struct custody_domain {
	size_t queued; /* bytes not delivered, for all its endpoints */
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
	uint32_t entries;     /* accepted from it and not settled */

	/* The queue: numbers [base_q, next_q); below sent_q = put on the link; below done_q =
	 * delivered. */
	struct delivery **slots;
	size_t cap;
	uint64_t base_q, done_q, sent_q, next_q;
	uint64_t forget_told;
	struct custody_domain *domain; /* once something was queued */
	size_t paged;		       /* bytes not delivered, on the shelf only */
	uint64_t page_q;	       /* everything below was looked at by page_out() */
	size_t page_kept;	       /* bytes of those that stayed in memory */
	uint32_t fetching;	       /* rows that were asked for */
	size_t queued;		       /* bytes not delivered */
	size_t flight;		       /* of these, put on the link */

	/* XEP-0198 */
	bool enabled;
	char *resume_id; /* NULL = cannot be resumed */
	uint32_t max_s;
	uint64_t in_base, out_base;
	uint64_t written_q; /* detached: below this the client may have had it */
	bool announced_detached;
	struct blob *blob;
	bool durable;	    /* h counts what is settled or on the shelf, nothing else */
	struct list unsafe; /* entries that are neither, in order */
	bool shelved;	    /* it has a row on the shelf */
	uint64_t shelved_epoch;
	struct str
		had; /* after a start: origins it had at former cms, packed; until they are noted */
	uint64_t secure_seq;  /* the change of the shelf after which all it sent is held twice again
			       */
	uint64_t spool_q;     /* everything below is on the shelf, or need not be */
	uint64_t stuck_q;     /* done_q when custody_spool() looked last */
	struct list formers;  /* struct former, newest last */
	uint64_t former_q;    /* the client had everything up to here when it resumed last */
	uint64_t resumed_seq; /* of RESUMED, while the owner has not receipted it; else 0 */
};

struct custody_peer {
	struct map64 formers; /* sids that moved on from here: late records of them are stale */
	struct list entries;  /* accepted from here, by custody_entry.from_link */
	struct list link_in_custody;
	struct list endpoints;
	struct list noting; /* settled entries, until the peer has had their SETTLED */
	struct {
		uint64_t sid, first, last; /* settled, not told yet: the end of noting */
		uint8_t how;
		bool open;
	} run;
	struct list repeats; /* struct repeat */
	struct link *link;
	bool dead;
};

/* A stanza that this peer held as well: it must know before its receivers may forget it. */
struct repeat {
	struct list link;
	struct custody_entry *entry;
	uint64_t seq; /* of its SETTLED */
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
	/* On the shelf: as a stanza of its origin, or (made) as a delivery to shelf_sid. */
	struct list spooling; /* custody.spooling, until that is on disk */
	struct list unsafe;   /* endpoint.unsafe */
	struct blob *record;  /* the STANZA record, where no delivery has all of it */
	uint64_t put_seq, del_seq;
	uint64_t shelf_sid, shelf_n;
	uint32_t pending; /* deliveries, answers and holds that are not done */
	uint32_t bytes;
	uint8_t how;
	uint8_t repeats; /* struct repeat that are waited for */
	bool resent;	 /* by who held it when this router started: others may hold it too */
	bool of_orphan;	 /* an origin in custody.orphans: counted in orphan_claims */
	struct custody_entry *after; /* must not be noted before this one, which it answers */
	struct copied *copied;	     /* who was given a copy (custody_copy), NULL = nobody */
	struct answered *answered;   /* what was answered to whom, NULL = nothing yet */
	struct list after_link;	     /* its list of those: */
	struct list afters;
	bool made;	 /* by the server itself */
	bool counted;	 /* in its sender's endpoint.entries */
	bool shelved;	 /* it has a row */
	bool stored;	 /* in custody.stored */
	bool instead;	 /* a copy that stands for what it is a copy of (custody_copy) */
	bool from_shelf; /* it came from there when this router started */
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
	struct map stored;	/* the same of those that are stored and not settled yet */
	struct map haves;	/* (origin_sid, origin_n) -> struct delivery, after a start */
	struct list peers;
	struct list detached; /* endpoints, by link_in_peer */
	struct list dirty;
	struct list refused;
	struct list losers;
	bool has_had;		/* some endpoint has endpoint.had */
	uint32_t orphan_claims; /* entries recognised by an orphan: who told of it must wait for
				   them */
	struct list orphans;	/* struct delivery: origins that a session had at another cm */
	struct map resent;	/* (origin_sid, origin_n) -> entry, while restoring */
	struct map domains;	/* -> struct custody_domain */
	struct map resume_ids;	/* -> struct endpoint */
	struct shelf *shelf;	/* NULL = there is none */
	struct list fetches;	/* struct fetch; those that are out are at the end */
	struct map64 fetch_by_id;
	uint64_t fetch_id;
	struct list spooling;	    /* entries whose row is on its way to the disk, in that order */
	struct list unended;	    /* at the end: what session/ held, which is gone */
	struct list unshelving;	    /* settled entries whose row is not yet gone from the disk */
	uint64_t noted_synced;	    /* shelf_synced() when they were looked through */
	bool note_again;	    /* something else has changed since */
	struct monotime spooled_at; /* live sessions were looked at */
	uint64_t answer_n;	    /* the newest number of a SHELF_ANSWER row */
	int64_t wall_delta_ms;	    /* wall clock minus monotonic */
	bool ending;		    /* custody_free(): nobody is told anything */
	bool restoring; /* until all resends are in: nothing is reported as held before */
	struct custody_books books;
	struct str scratch;
};

/* custody_resume.c: tells them (peer NULL), or forgets those of a dead peer. */
void custody_losers_end(struct custody *c, const struct custody_peer *dead);

/* custody_former.c */
/* The last owner, while it may be the only one to have the session; NULL = none, or it is dead. */
struct former *former_unreleased(const struct endpoint *ep);
/* ep is about to be detached from its owner. If that one never had it and is dead, the former owner
 * still has. */
void former_leave(struct endpoint *ep);
/* p announced it as over, and has nothing but origins of it: it keeps them until all are noted. */
void former_over(struct custody *c, struct endpoint *ep, struct custody_peer *p, uint64_t epoch);
void formers_free(struct endpoint *ep);
void formers_remove(struct endpoint *ep, const struct custody_peer *p);
/* Tells those of them what it is time for; also about rows of the shelf. */
void formers_tell(struct custody *c, struct endpoint *ep);
/* p is dead: what it would have announced goes to the shelf. */
void formers_forget(struct custody *c, const struct custody_peer *p);

/* custody_delivery.c: e onto the queue of ep, or tied to what its cm announced. */
void custody_enqueue(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		     const struct session_stanza *s);

/* custody_handover.c: the digest of the other side's JID (route_table.h). */
uint64_t delivery_peer(const struct delivery *d);
/* The session of ep's domain that was announced to have e, or was delivered it and is over; else
 * ep.
 */
struct endpoint *have_sibling(const struct custody *c, const struct custody_entry *e,
			      struct endpoint *ep);

/* custody_resume.c: a number of ep that says nothing: so that those of the others stand. */
struct delivery *placeholder(struct endpoint *ep);

/* custody_have.c: what ep was announced to have of this origin; NULL also when nothing is restored.
 */
struct delivery *have_find(const struct custody *c, const struct endpoint *ep, uint64_t sid,
			   uint64_t n);

/* custody_delivery.c: d has ended well. */
void delivery_done(struct custody *c, struct delivery *d);

/* custody_have.c */
/* What ep had stays known, though ep itself goes: its session is announced by a newer owner, whose
 * queue starts at base_q. */
void have_keep(struct custody *c, struct endpoint *ep, uint64_t base_q, struct str *had);
/* The same: ep, which nobody has, is over before all resends are in. */
void have_leave(struct custody *c, struct endpoint *ep);
/* Such an origin, also into had (which may be NULL). */
void have_orphan(struct custody *c, uint64_t sid, uint64_t origin_sid, uint64_t origin_n,
		 struct str *had);
/* Whoever held what orphans were claimed for knows that: nobody needs them any more. */
void haves_end(struct custody *c);
void have_orphans_free(struct custody *c);
/* A stanza that the cm has announced as its own already is tied to e instead of sent again. */
bool have_claim(struct custody *c, struct custody_entry *e, struct endpoint *ep,
		const struct session_stanza *s);
void have_remove(struct custody *c, struct delivery *d);
/* e is known as delivered by an orphan (or, false, its claim is over). */
void have_orphan_claim(struct custody *c, struct custody_entry *e, bool claims);

/* custody_delivery.c: the DELIVER record into the scratch buffer; a delivery of it. */
void delivery_encode(struct custody *c, const struct endpoint *ep, uint64_t q,
		     const struct session_stanza *s, const struct custody_entry *e);
struct delivery *delivery_make(struct custody *c, struct custody_entry *e, struct endpoint *ep);

/* custody_delivery.c: the DELIVER record of d under another session and number. */
struct delivery *custody_renumber(struct custody *c, struct delivery *d, struct endpoint *ep,
				  uint64_t q);

/* custody_entry.c */
/* Is another copy delivered, or still on its way? (A copy that failed is out of the list.) */
bool entry_has_copy(const struct custody_entry *e);
/* The peer is told what was settled last. */
void settled_tell(struct custody_peer *p);
/* What was told to p up to this receipt is known there. */
void repeats_known(struct custody *c, struct custody_peer *p, uint64_t receipted);

/* custody_entry.c, custody_delivery.c */
bool delivery_is_copy(const struct custody_entry *e, const struct delivery *d);
void delivery_stanza(const struct delivery *d, struct session_stanza *s);
struct session_stanza session_stanza_of(const struct msg_deliver *m);
void entry_noted(struct custody *c, struct custody_entry *e);
/* One more that is held, with the hold of whoever made it (custody_release()). */
struct custody_entry *entry_new(struct custody *c, uint64_t sid, uint64_t n, size_t bytes);

/* custody_have.c: d can be claimed by its origin until custody_restored(). */
void have_add(struct custody *c, struct delivery *d);

/*
 * custody_shelf.c. Where there is no shelf these do nothing.
 */
/* What the dead peer held is held by the shelf instead. Before anything else is done about it. */
void shelve_entries(struct custody *c, struct custody_peer *dead);
void shelve_endpoint(struct custody *c, struct endpoint *ep);
/* A former owner of ep is dead: what it would have announced. */
void shelve_former(struct custody *c, struct endpoint *ep, const struct former *f);
void unshelve_endpoint(struct custody *c, struct endpoint *ep);
/* e is not settled at once: what its sender's endpoint asks for then. */
void shelve_durable(struct custody *c, struct custody_entry *e);
/* e is settled: its row goes. */
void unshelve_entry(struct custody *c, struct custody_entry *e);
/* Its receivers may forget it (entry_noted), once its row is gone from the disk. */
void note_when_unshelved(struct custody *c, struct custody_entry *e);
/* Once a turn: what has reached the disk meanwhile. */
void shelf_progress(struct custody *c);

/* custody_entry.c: answer was spooled, or came from the shelf: question does not wait for it, but
 * it must be known as long as question may be asked again. */
void answer_tie(struct custody_entry *answer, struct custody_entry *question);

/* custody_own.c: a copy has ended, if it is one (custody_copy). */
void copy_over(struct custody_entry *copy, struct custody_entry *of);

/* custody_page.c */
/* Number q, which came from the shelf, need not be in memory (again) before it can be delivered. */
void page_loaded(struct custody *c, struct endpoint *ep, uint64_t q);
void page_out(struct custody *c, struct endpoint *ep);
void page_in(struct custody *c, struct endpoint *ep); /* what is next for ep */
/* A STANZA or DELIVER record as a stanza, borrowed from it. */
bool row_stanza(struct slice row, struct session_stanza *s);
/* e, whose last delivery d is paged, is to be judged when its bytes are here; e stays pending. */
void page_judge(struct custody *c, struct custody_entry *e, const struct delivery *d, uint64_t sid,
		const char *reason);
void pages_free(struct custody *c);
/* custody.c: the rest of a judgement. */
void judge_stanza(struct custody *c, struct custody_entry *e, uint64_t sid,
		  const struct session_stanza *s, const char *reason);
/* endpoint.c: d waits no longer. */
void delivery_unqueue(struct custody *c, struct endpoint *ep, const struct delivery *d);

/* endpoint.c: bytes that wait for ep, in the account of its domain and in total. */
bool queued_fits(struct custody *c, struct endpoint *ep, size_t len);
void queued_add(struct custody *c, struct endpoint *ep, size_t len);
void queued_sub(struct custody *c, struct endpoint *ep, size_t len);
void domains_free(struct custody *c);

/* endpoint.c */
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
