/*
 * acks - a client's side of XEP-0198: counts what comes and goes, answers <r/>, asks now and then.
 * Pure.
 *
 * As real clients do it: <r/> is answered at once, an <a/> goes unasked when many stanzas came
 * without one, and every few stanzas of our own an <r/> follows unless one is unanswered.
 */
#ifndef BENCH_ACKS_H
#define BENCH_ACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

#define ACKS_TELL_EVERY 16
#define ACKS_ASK_EVERY	10

struct acks_count {
	uint64_t asked_in; /* <r/> that came */
	uint64_t asked_out;
	uint64_t told_in; /* <a/> that came */
	uint64_t told_out;
};

struct acks {
	bool on;
	bool asked;	   /* our last <r/> is not answered yet */
	uint32_t asked_at; /* sent, when it went */
	uint32_t got;	   /* our h */
	uint32_t told;	   /* ... as the server last heard it */
	uint32_t sent;
	uint32_t acked; /* the server's h */
	struct acks_count count;
};

/* From <enabled/>, or from <resumed h=acked/> of a session of which got stanzas had come, on. */
void acks_begin(struct acks *a, uint32_t got, uint32_t acked);

enum acks_kind {
	ACKS_STANZA, /* counted: look at it */
	ACKS_OWN,    /* <r/> or <a/>: done with */
	ACKS_WRONG,  /* an <a/> for more than was sent, or without a number */
};

/* A first-level child from the server. What is to be answered is appended to out. */
enum acks_kind acks_take(struct acks *a, struct slice element, struct str *out);

/* A stanza was appended to out. */
void acks_sent(struct acks *a, struct str *out);

/* <r/> now, unless one is unanswered or nothing is unacknowledged. */
void acks_ask(struct acks *a, struct str *out);

/* The number of an h attribute. False: it is none. */
bool acks_number(struct slice text, uint32_t *n);

#endif
