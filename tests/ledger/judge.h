/*
 * judge - the ledger itself: who sent what to whom, what was acknowledged, who has seen it; and
 * the verdict on it.
 *
 * Pure: no socket, no clock; times are milliseconds since the start. A *party* is an account, a
 * *seat* is one client program, a *session* is what one seat has between two binds; a session with
 * XEP-0198 outlives its connections. A component is a party, too, and each of its connections a
 * seat. README.md says which rules it judges by.
 */
#ifndef LEDGER_JUDGE_H
#define LEDGER_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JUDGE_NONE UINT32_MAX

enum judge_kind {
	JUDGE_BARE,   /* message to a bare JID */
	JUDGE_FULL,   /* message to a full JID */
	JUDGE_IQ,     /* request to another client */
	JUDGE_ANSWER, /* its result */
	JUDGE_PING,   /* request to the server; addressee is the sender's own session */
};

/* A copy of a message for another resource (XEP-0280): of its sender or of its addressee. */
enum judge_copy { JUDGE_SENT, JUDGE_RECEIVED };

/* What one party has done to another one (XEP-0191). CHANGING: asked for and not answered yet. */
enum judge_block { JUDGE_UNBLOCKED, JUDGE_CHANGING, JUDGE_BLOCKED };

/* Why it came back: service-unavailable, not-acceptable, resource-constraint. */
enum judge_error { JUDGE_UNAVAILABLE, JUDGE_NOT_ACCEPTABLE, JUDGE_CONSTRAINT, JUDGE_OTHER };

enum weight { BREACH, STRICT, NOTE };

enum count {
#define COUNT(name, weight, key, text) COUNT_##name,
#include "tests/ledger/counts.def"
#undef COUNT
	COUNTS
};

/* Rows of the table: who sent to whom. A bridge is a component with XEP-0198, a part one without.
 */
enum {
	ROW_SM_SM,
	ROW_SM_PLAIN,
	ROW_PLAIN_SM,
	ROW_PLAIN_PLAIN,
	ROW_TO_BRIDGE,
	ROW_OF_BRIDGE,
	ROW_TO_PART,
	ROW_OF_PART,
	ROW_SERVER,
	ROWS
};

struct row {
	uint64_t sent;
	uint64_t acknowledged;
	uint64_t received; /* of all that were sent */
	uint64_t bounced;
	uint64_t apart;	  /* neither, but its addressee was not promised anything */
	uint64_t unknown; /* neither, and not acknowledged either */
	uint64_t lost;
};

struct verdict {
	struct row rows[ROWS];
	uint64_t counts[COUNTS];
};

struct judge;

/* A breach as it is found: one line without newline. May be NULL. */
typedef void judge_on_breach(void *arg, enum count count, const char *text);

struct judge *judge_new(judge_on_breach *on_breach, void *arg);
void judge_free(struct judge **jp);

/* Sessions are numbered from 0 in the order they begin. */
uint32_t judge_session_begin(struct judge *j, uint32_t party, uint32_t seat, bool resumable,
			     uint32_t now);

/* It can never be resumed: a plain connection broke, or its client binds anew. */
void judge_session_end(struct judge *j, uint32_t session, uint32_t now);

/* Entries are numbered from 0, also the order of sending. to_session: JUDGE_NONE for a bare JID. */
uint32_t judge_send(struct judge *j, enum judge_kind kind, uint32_t session, uint32_t to,
		    uint32_t to_session, uint32_t now);

/* The same entry, same id, again in another session of its sender, because nobody knows whether
 * the server has it. */
void judge_send_anew(struct judge *j, uint32_t entry, uint32_t session);

void judge_acknowledge(struct judge *j, uint32_t entry, uint32_t now);
/* name: of its <stanza-id/>, 0 when it had none. */
void judge_see(struct judge *j, uint32_t entry, uint32_t session, uint64_t name, uint32_t now);
void judge_bounce(struct judge *j, uint32_t entry, uint32_t session, enum judge_error error,
		  uint32_t now);

/* The session's wish for copies was answered; it sees one. */
void judge_carbons(struct judge *j, uint32_t session, uint32_t now);
void judge_copy_see(struct judge *j, uint32_t entry, enum judge_copy direction, uint32_t session,
		    uint32_t now);

void judge_block(struct judge *j, uint32_t by, uint32_t against, enum judge_block state,
		 uint32_t now);

/* A party's archive, in its order, under these names; then: that was all of it. */
void judge_archive_see(struct judge *j, uint32_t entry, uint32_t party, uint64_t name,
		       uint32_t now);
void judge_archive_read(struct judge *j, uint32_t party);

/* Something of the server was dying or starting between the two. */
void judge_trouble(struct judge *j, uint32_t from, uint32_t until);

/* The session is a component's, of which there may be several connections (shared). To it
 * everything is sent as to a bare JID, answers too. */
void judge_component(struct judge *j, uint32_t session, bool shared);
/* The size of a stanza; how much of one connection may be in the kernel; what serves components is
 * killed now: what is in there may be lost or come again. */
void judge_weigh(struct judge *j, uint32_t entry, size_t bytes);
void judge_buffer(struct judge *j, uint64_t bytes);
void judge_cut(struct judge *j, uint32_t now);

/* Counts what is not seen in entries. text: for the breach line, may be NULL. */
void judge_count(struct judge *j, enum count count, const char *text);
uint64_t judge_counted(const struct judge *j, enum count count);

uint32_t judge_entries(const struct judge *j);
uint32_t judge_sender_session(const struct judge *j, uint32_t entry);
uint32_t judge_party_of(const struct judge *j, uint32_t session);
uint32_t judge_seat_of(const struct judge *j, uint32_t session);

/* Everything is over. Call once. */
void judge_end(struct judge *j, struct verdict *out);

/* How many of the counts are breaches. */
uint64_t verdict_breaches(const struct verdict *v, bool strict);

#endif
