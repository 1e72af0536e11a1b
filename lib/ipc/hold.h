/*
 * hold - custody in a connection manager: what it keeps until it is settled (CUSTODY 1, 2, 6, 8).
 *
 * For each session: the stanzas accepted from its stream and not yet settled (encoded, sent again
 * to a new router), the origins of stanzas delivered to the stream and not yet forgotten (so that
 * a repeat is recognised), the session blob. The same for clients, components and echo services:
 * they only differ in their streams. Handles the records HELD SETTLED SETTLED_RUN DELIVER FORGET
 * BLOB ENABLED DETACH RELEASED TRY.
 *
 * Poison (CUSTODY 11). A stanza counts the router boots that died while they may have been handling
 * it: those it was sent to and that had not reported it as HELD. With the second it is a suspect:
 * it and what is behind it in its session wait, and once everything else is resent the router lets
 * the suspects of all connection managers come one at a time (SUSPECT, TRY), each when the one
 * before has been handled. RESEND_END is said after the last: until then the router recognises what
 * its predecessors had delivered, knows ended sessions and takes stanzas from former owners.
 * One that a router handled without a crash, alone or so that it said HELD, is a suspect again only
 * after six more such deaths. One that was at the router, alone, when that died is quarantined: a
 * REFUSED takes its place, and so its sender gets an error.
 *
 * Is it guilty? It was there at three deaths, at the third as the only one that had been there
 * before. A kill -9 hits an innocent one only within the round trip of its trial (0.2 ms idle, 1 ms
 * under load) with a router whose two predecessors died before they had said HELD of that stanza
 * (20 ms, or their start). Killed every 2 s, with ten suspects and 2 of 100 deaths so close to the
 * one before, that is one death in 10,000. After a death in the start under load suspects may be
 * thousands and a kill among their trials is likely: therefore only the first 32 trials of a boot
 * are proof at once. One that dies later in the row is the first of the next boot: it needs a
 * fourth death.
 */
#ifndef IPC_HOLD_H
#define IPC_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "ipc/codec.h"

struct hold;
struct hold_session;
struct link;

/* A stanza that killed three routers. All borrowed. */
struct hold_quarantined {
	uint64_t sid, n;
	uint8_t kind, type;
	struct slice from, to, id;
	struct slice bytes; /* the whole record; empty with STANZA_SECRET */
};

#define HOLD_BOOKS_HOW 6

/* P1: accepted = settled + released + held. */
struct hold_books {
	uint64_t accepted;		  /* taken into custody from streams */
	uint64_t settled[HOLD_BOOKS_HOW]; /* by enum settled */
	uint64_t released;		  /* another owner has it, or it came too late */
	uint64_t held;			  /* now; their bytes: hold_total() */
	uint64_t deliveries;		  /* taken from the router for streams */
	uint64_t repeats;		  /* of these, such as an earlier router had sent */
	uint64_t undeliverable;
	uint64_t unforgotten; /* now: delivered, their origins kept (CUSTODY 8) */
	uint64_t suspects;    /* tried alone */
	uint64_t quarantined;
};

struct hold_events {
	/* A new stanza for this session's stream: write it, then call hold_delivered(). Slices are
	 * borrowed: copy what outlives the call. */
	void (*on_deliver)(void *stream, const struct msg_deliver *m);
	/* The router holds everything up to n: <a h='n'/> may say so (XEP-0198). May be NULL. */
	void (*on_held)(void *stream, uint64_t n);
	/* Stanzas first .. last are settled: unsettled bytes went down, a paused stream may read
	 * again. */
	void (*on_settled)(void *stream, uint64_t first, uint64_t last, uint8_t how);
	/* XEP-0198 is on: what is delivered from now on is counted. id is empty when the session
	 * cannot be resumed; max_s = how long it can. May be NULL where nobody enables it. */
	void (*on_enabled)(void *stream, struct slice id, uint32_t max_s);
	/* Somebody resumes this session elsewhere: close the connection without </stream:stream>
	 * and call hold_detach() at once. */
	void (*on_detach)(void *stream);
	/* Called from hold_announce(); to be logged, and the bytes kept. May be NULL. */
	void (*on_quarantine)(void *arg, const struct hold_quarantined *q);
};

/* link: to the router (bus_link()), borrowed; it outlives the hold. */
struct hold *hold_new(struct link *link, const struct hold_events *events);
void hold_free(struct hold **hp);

/* Suspects are tried alone from now on; arg is handed to on_quarantine. Only with a router that
 * answers SUSPECT: else everything is resent at once for ever. */
void hold_isolate(struct hold *h, void *arg);

const struct hold_books *hold_books(const struct hold *h);
uint64_t hold_books_difference(const struct hold_books *b); /* 0, or the books are wrong */

/* A session that has just got BOUND (jid: full JID or domain). stream is handed to the events. */
struct hold_session *hold_add(struct hold *h, uint64_t sid, uint64_t epoch, uint8_t kind,
			      struct slice jid, const char *conn, const char *addr, void *stream);

/* The stream is over: UNBIND goes to the router after everything accepted. The session stays here,
 * without a stream, until all it sent is settled; then it is gone. *sp becomes NULL. */
void hold_end(struct hold_session **sp, const char *reason);

/* As hold_end, because the router said CLOSE. */
void hold_closed(struct hold_session **sp);

/* Takes a stanza of the stream into custody and sends it: sid and n of m are filled in here.
 * Returns n. */
uint64_t hold_send(struct hold_session *s, struct msg_stanza *m);

/* A stanza that the stream could not take: it gets a number like any other and its error comes back
 * as a delivery (CUSTODY 10). Returns n. */
uint64_t hold_refuse(struct hold_session *s, uint8_t kind, uint8_t type, struct slice id,
		     const char *condition, const char *text);

/*
 * XEP-0198. hold_enable: asks for it; on_enabled answers, in order with deliveries. From there on
 * hold_delivered() says nothing about counted deliveries: hold_acked() does.
 */
void hold_enable(struct hold_session *s, bool resume, uint32_t max_s);
bool hold_is_enabled(const struct hold_session *s);
bool hold_can_resume(const struct hold_session *s);

/* h for <a/>: stanzas since <enable/> that are secured (the router holds them). */
uint32_t hold_h(const struct hold_session *s);

/* The client's <a h='...'/>. ERR_RANGE: it acknowledges more than it was sent (XEP-0198 section 4:
 * stream error undefined-condition with handled-count-too-high); *sent then is what was sent. */
enum err hold_acked(struct hold_session *s, uint32_t h, uint32_t *sent);

/* Counted deliveries that the client has not acknowledged: ask with <r/>. */
uint64_t hold_unacked(const struct hold_session *s);

/* The connection broke, the session can be resumed: as hold_end, but the router keeps it. */
void hold_detach(struct hold_session **sp, const char *reason);

/* RESUMED came for a stream that sent RESUME: its session is here from now on. What the client did
 * not acknowledge arrives as deliveries. An older remainder of that session here is merged. */
struct hold_session *hold_add_resumed(struct hold *h, const struct msg_resumed *m, const char *conn,
				      const char *addr, void *stream);

/* Bytes accepted and not settled: above the session's share stop reading that stream. */
size_t hold_unsettled(const struct hold_session *s);
size_t hold_total(const struct hold *h);

/* Delivered, and not yet forgotten by leave of the router: tends to 0 when idle. */
size_t hold_reported(const struct hold_session *s);

/* The stream has delivered everything up to q (CUSTODY, Words). */
void hold_delivered(struct hold_session *s, uint64_t q);

/* q cannot be delivered; reason is a stanza error condition. */
void hold_undeliverable(struct hold_session *s, uint64_t q, const char *reason);

/* Lets go of ended sessions that owe nothing any more; once a second is often enough. */
void hold_sweep(struct hold *h);

/* A record from the router: true if it was one of custody's and is dealt with. */
bool hold_record(struct hold *h, uint16_t type, struct slice body);

/* A fresh router: announces all sessions, then sends again what is unsettled. */
void hold_announce(struct hold *h);

uint64_t hold_sid(const struct hold_session *s);
uint64_t hold_epoch(const struct hold_session *s);
struct hold_session *hold_find(const struct hold *h, uint64_t sid);

#endif
