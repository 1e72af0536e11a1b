/*
 * crowd - all clients of the ledger, what they send, and the end of it.
 *
 * The structures are shared by crowd.c (the whole), member.c (a client's connections) and talk.c
 * (its stanzas), and by nobody else.
 */
#ifndef LEDGER_CROWD_H
#define LEDGER_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "bench/client.h"
#include "bench/tcp.h"
#include "tests/ledger/judge.h"
#include "tests/ledger/options.h"
#include "tests/ledger/sm.h"

enum habit { STEADY, SLOW, MUTE, DROPPER, CRASHER };

struct crowd;
struct feuds;
struct mam;

struct member {
	struct crowd *crowd;
	uint32_t seat;
	uint32_t account;
	enum habit habit;
	struct part *part; /* NULL: a client */
	bool wants_sm;
	bool wants_carbons;
	struct client *client;
	struct client *ghost; /* the connection before, still open, never read again */
	bool ready;	      /* may send */
	bool sm_on;	      /* counting (XEP-0198) on the present session */
	bool paused;
	uint32_t session; /* the judge's, the last one; JUDGE_NONE before the first */
	bool session_lives;
	uint32_t binds;
	uint32_t tries; /* that failed, since it was online */
	char *jid;	/* full, of that session; a component's address, always the same */
	char *resume_id;
	struct sm sm;
	struct sm anew;	    /* of a session that could not be resumed: to be sent in the next */
	uint32_t ask_after; /* so many stanzas from now an acknowledgement is asked for */
	/* Points in time, ms since the start; 0 = not set. */
	uint32_t connect_at;
	uint32_t begun_at; /* this connection */
	uint32_t habit_at; /* what it does next out of habit */
	uint32_t ask_at;
	uint32_t asked_at; /* and not answered yet */
	uint32_t ghost_until;
};

/* A component's domain. */
struct part {
	struct client_component is;
	char domain[256];
	bool shared;
};

struct crowd {
	const struct options *opts;
	struct tcp *tcp;
	struct judge *judge;
	struct member *members;
	uint32_t count;
	uint32_t clients; /* the first of them; behind them components */
	struct part *parts;
	uint32_t echo; /* the session of --echo: it has what it sent back */
	struct feuds *feuds;
	struct mam *mam; /* while archives are read */
	uint32_t run;	 /* names this run in every message */
	uint64_t random;
	uint64_t start_us;
	uint32_t last_sight; /* when something was last seen or acknowledged */
	uint32_t last_trouble;
	uint32_t cut_at; /* when what serves components was killed or restarted, 0 = never */
	bool calm;	 /* no messages, no habits: before and after */
	bool closing;
};

/* Runs it all. False: it could not be run (said on stderr). */
bool crowd_run(const struct options *o, struct verdict *out);

/* For member.c and talk.c. */
uint32_t crowd_ms(const struct crowd *w);
uint32_t crowd_random(struct crowd *w, uint32_t below);

/* The client that is, or commands for, this account. */
struct member *crowd_member(const struct crowd *w, uint32_t account);

/* Is cm-component dying, or was it a moment ago? */
bool crowd_is_cut(const struct crowd *w);

/* A line of what happens, with --verbose; adds the time and the client. */
void crowd_tell(const struct member *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* part.c: the components' domains; how many seats they take. */
uint32_t part_init(struct crowd *w);
/* What the kernel may have of one connection: written on the one side, not read on the other. */
uint64_t part_buffer(void);
void part_clear(struct crowd *w);
/* Seat number n of them; its habit. */
void part_take(struct member *m, uint32_t n);
/* Its connection could not be had. */
void part_refused(struct member *m, const char *why);
/* Its connection, that was ready, ended. */
void part_broken(struct member *m, const char *why);
/* Does it come back from --echo? */
bool part_is_echo(const struct crowd *w, struct slice stanza);
/* How long it waits before it tries again. */
uint32_t part_pause(struct member *m);

/* member.c */
void member_init(struct member *m, struct crowd *w, uint32_t seat);
void member_clear(struct member *m);
/* Its habits begin. */
void member_wake(struct member *m);
void member_tick(struct member *m, uint32_t now);
/* Out of its own will; forget: it will not resume. */
void member_drop(struct member *m, bool forget, uint32_t away_ms);
/* What was sent on it and not acknowledged is kept to be sent anew. */
void member_lose_session(struct member *m);
/* It may send from now on. */
void member_ready(struct member *m);

/* talk.c */
void talk_take(struct member *m, struct slice stanza);
void talk_enable(struct member *m);
/* A stanza that is not in the ledger. */
void talk_put(struct member *m, struct slice stanza);
/* What is inside stanza from this start tag on. */
struct slice talk_inside(struct slice stanza, const char *start);
/* The message's number in the ledger; JUDGE_NONE when it is not to be used. */
uint32_t talk_token(struct member *m, struct slice message);
void talk_carbons(struct member *m);
void talk_presence(struct member *m);
void talk_ask(struct member *m);
void talk_resent(struct member *m);
void talk_anew(struct member *m);
bool talk_acknowledged(struct member *m, struct slice element);
void talk_goodbye(struct member *m);
/* To --echo. */
void talk_to_echo(struct member *m);
/* to == m: the server. */
void talk_say(struct member *m, enum judge_kind kind, const struct member *to);

#endif
