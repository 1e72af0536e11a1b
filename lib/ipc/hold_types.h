/*
 * hold_types - the bodies behind hold.h, shared by the files of hold only: hold.c (custody),
 * hold_sm.c (XEP-0198), hold_poison.c (suspects).
 */
#ifndef IPC_HOLD_TYPES_H
#define IPC_HOLD_TYPES_H

#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "ipc/hold.h"
#include "ipc/hold_ring.h"

struct blob;

struct hold_session {
	struct list link; /* hold.sessions or hold.ended, in order of arrival */
	struct hold *hold;
	uint64_t sid;
	uint64_t epoch;
	uint8_t kind;
	uint8_t state; /* enum session_state */
	char *jid, *conn, *addr;
	struct blob *blob;
	void *stream; /* NULL once ended */
	bool moved;   /* ended, because another cm has it */

	struct hold_out out; /* accepted from the stream, not settled */
	size_t out_bytes;
	struct hold_in in;    /* from the router, not forgotten */
	uint64_t announced_q; /* numbers below were known to an earlier router */
	uint64_t told_seq;    /* ended: the link record that says so */
	size_t in_reported;   /* as counted in hold.books.unforgotten */

	/* Suspects (CUSTODY 11) */
	struct list waiting; /* hold.waiting, while wait_n is not 0 */
	uint64_t wait_n;     /* this one, a suspect, and what is behind are not on the link */
	char *unbind_reason; /* ended meanwhile: UNBIND is owed */

	/* XEP-0198 */
	bool enabling; /* ENABLE is out */
	bool enabled;
	bool want_resume;
	char *resume_id; /* NULL = cannot be resumed */
	uint32_t max_s;
	uint64_t in_base;     /* n at <enable/> */
	uint64_t out_base;    /* the first q that the client counts */
	uint64_t held_n;      /* the router holds everything up to here */
	uint64_t boot_held_n; /* this one has said so */
};

/* The suspect that the router was asked about; sid 0 = none. */
struct hold_trial {
	uint64_t sid, n;
	bool sent; /* it is there, alone */
};

struct hold {
	struct link *link; /* to the router; borrowed */
	const struct hold_events *events;
	struct map64 by_sid;
	struct list sessions;
	struct list ended;
	struct map64 had; /* sid -> struct hold_in: RESUME_HAVEs, until RESUMED */
	size_t total;
	struct hold_books books;

	bool isolate;	     /* hold_isolate() */
	void *arg;	     /* of on_quarantine */
	struct list waiting; /* sessions with a suspect in front */
	struct str aside;    /* the next record of one of them */
	struct hold_trial trial;
	uint32_t resent, tried; /* to this router; alone */
};

/* hold.c */
/* The stream is gone: what remains of the session is kept in that state. Returns its hold. */
struct hold *hold_leave(struct hold_session **sp, uint8_t state);
void hold_free_if_done(struct hold_session *s);
void hold_tell_delivered(struct hold_session *s, uint64_t upto);

/* Forgets what is newer than n: another owner has it, or it came too late. */
void hold_release_after(struct hold_session *s, uint64_t n);
void hold_count_reported(struct hold_session *s); /* after a change of s->in */

/* hold_sm.c */
void hold_put_enable(const struct hold_session *s); /* also again, to a fresh router */
void hold_on_enabled(struct hold *h, struct slice body);
void hold_on_detach(struct hold *h, struct slice body);
void hold_on_released(struct hold *h, struct slice body);
void hold_on_resume_have(struct hold *h, struct slice body);
void hold_had_clear(struct hold *h); /* of a router that died before its RESUMED */

/* hold_poison.c */
void hold_new_boot(struct hold *h);	      /* counts the one that died */
void hold_resend(struct hold_session *s);     /* up to its first suspect */
void hold_try_next(struct hold *h);	      /* asks for the next suspect, or says RESEND_END */
void hold_wait_check(struct hold_session *s); /* after something newest was dropped */
void hold_on_try(struct hold *h, struct slice body);

#endif
