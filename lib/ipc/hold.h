/*
 * hold - custody in a connection manager: what it keeps until it is settled (CUSTODY 1, 2, 6, 8).
 *
 * For each session: the stanzas accepted from its stream and not yet settled (encoded, sent again
 * to a new router), the origins of stanzas delivered to the stream and not yet forgotten (so that
 * a repeat is recognised), the session blob. The same for clients, components and echo services:
 * they only differ in their streams. Handles the records HELD SETTLED DELIVER FORGET BOUND BLOB.
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

struct hold_events {
	/* A new stanza for this session's stream: write it, then call hold_delivered(). Slices are
	 * borrowed: copy what outlives the call. */
	void (*on_deliver)(void *stream, const struct msg_deliver *m);
	/* The router holds everything up to n: <a h='n'/> may say so (XEP-0198). May be NULL. */
	void (*on_held)(void *stream, uint64_t n);
	/* Stanza n is settled: unsettled bytes went down, a paused stream may read again. */
	void (*on_settled)(void *stream, uint64_t n, uint8_t how);
};

/* link: to the router (bus_link()), borrowed; it outlives the hold. */
struct hold *hold_new(struct link *link, const struct hold_events *events);
void hold_free(struct hold **hp);

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

/* Bytes accepted and not settled: above the session's share stop reading that stream. */
size_t hold_unsettled(const struct hold_session *s);
size_t hold_total(const struct hold *h);

/* Delivered, and not yet forgotten by leave of the router: tends to 0 when idle. */
size_t hold_reported(const struct hold_session *s);

/* The stream has delivered everything up to q (CUSTODY, Words). */
void hold_delivered(struct hold_session *s, uint64_t q);

/* q cannot be delivered; reason is a stanza error condition. */
void hold_undeliverable(struct hold_session *s, uint64_t q, const char *reason);

/* A record from the router: true if it was one of custody's and is dealt with. */
bool hold_record(struct hold *h, uint16_t type, struct slice body);

/* A fresh router: announces all sessions, then sends again what is unsettled. */
void hold_announce(struct hold *h);

uint64_t hold_sid(const struct hold_session *s);
uint64_t hold_epoch(const struct hold_session *s);
struct hold_session *hold_find(const struct hold *h, uint64_t sid);

#endif
