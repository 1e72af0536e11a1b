/*
 * cm_effects - what the core of a stream decided, for its shell to do in order; and the pieces of
 * XML that every stream says (RFC 6120 4.9).
 *
 * Pure. The kinds that all connection managers have are here; a program's own begin with CM_FX_OWN.
 */
#ifndef CM_CM_EFFECTS_H
#define CM_CM_EFFECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

enum cm_effect_kind {
	CM_FX_WRITE,	 /* bytes [from, from + len) of effects.bytes */
	CM_FX_START_TLS, /* after what was written */
	CM_FX_RESTART,	 /* a new stream begins: the framer forgets */
	CM_FX_BIND,	 /* data = wished resource, normalised; may be empty */
	CM_FX_SEND,	 /* the event's stanza goes to the router */
	CM_FX_REFUSE,	/* the event's stanza is counted and answered with name = condition, text */
	CM_FX_ENABLE,	/* ask the router: has_data = resumable, number = wished seconds */
	CM_FX_RESUME,	/* ask the router: data = resumption id, number = h */
	CM_FX_ACKED,	/* number = h */
	CM_FX_ACK_WAIT, /* number = enum cm_ack_wait: a timer begins, or none runs */
	CM_FX_NOTE,	/* for the log: data = event, name = condition, text */
	CM_FX_CLOSE,	/* end the connection after what was written; name = condition, text */
	CM_FX_LOST,	/* the same, but the session may be resumed (the stream is not closed) */
	CM_FX_OWN,
};

struct cm_effect {
	unsigned int kind;
	size_t from;
	size_t len;
	const char *name; /* valid until the next step */
	const char *text;
	struct slice data;
	bool has_data;
	uint32_t number;
};

#define CM_EFFECTS_MAX 8

/* Filled by one step of a core; the owner keeps it over many, so that bytes is allocated once. */
struct cm_effects {
	struct cm_effect item[CM_EFFECTS_MAX];
	unsigned int count;
	struct str bytes;
	struct str scratch; /* decoded data that items point to */
};

void cm_effects_init(struct cm_effects *fx);
void cm_effects_clear(struct cm_effects *fx);
void cm_effects_reset(struct cm_effects *fx); /* before a step */

struct cm_effect *cm_effect(struct cm_effects *fx, unsigned int kind);

/* cm_out() is where bytes go; cm_out_end() makes the write of what was added since. */
struct str *cm_out(struct cm_effects *fx);
void cm_out_end(struct cm_effects *fx);

/* A refusal that does not end the stream, for the log. */
void cm_note(struct cm_effects *fx, const char *event, const char *condition, const char *text);

/* Appends <stream:error/> with an application's own element behind the text (4.9.4; "" = none). */
void cm_write_error(struct str *out, const char *condition, const char *text, const char *element);

#endif
