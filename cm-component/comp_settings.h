/*
 * comp_settings - the configuration as this service uses it: domains normalised, limits at hand.
 */
#ifndef CM_COMPONENT_COMP_SETTINGS_H
#define CM_COMPONENT_COMP_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "cm-component/comp_stream.h"
#include "cm/cm_rate.h"
#include "proc/config.h"
#include "xmpp/framer.h"

/* See cm/cm_deadlines.h. */
enum comp_deadline_class {
	COMP_DEADLINE_STEP,   /* the component's turn on the way to <handshake/> */
	COMP_DEADLINE_ANSWER, /* our turn: datastore, router */
	COMP_DEADLINE_PROBED, /* the same: a router that probes the one that is bound already */
	COMP_DEADLINE_RESUME, /* the same: a router that waits for its disk before it answers */
	COMP_DEADLINE_IDLE,   /* bound */
	COMP_DEADLINE_PROBE,  /* something must come from it */
	COMP_DEADLINE_ACK,    /* its answer to <r/> (XEP-0198) */
	COMP_DEADLINE_ASK,    /* it answered with less than was sent: when to ask again */
	COMP_DEADLINE_SOON,   /* few stanzas are unacknowledged: when to ask for them */
	COMP_DEADLINE_LINGER, /* closed, waiting for the peer's FIN */
	COMP_DEADLINE_CLASSES,
};

struct comp_settings {
	char **domains; /* normalised; NULL-terminated */
	struct comp_rules rules;
	struct framer_limits before; /* <handshake/> */
	struct framer_limits after;
	uint64_t wait_ms[COMP_DEADLINE_CLASSES]; /* 0 = no deadline */
	uint64_t keepalive_ms;
	uint64_t idle_ms;
	uint64_t write_timeout_ms;
	size_t session_unsettled;
	size_t unsettled;
	size_t session_queue;
	struct cm_rate rate_before; /* <handshake/> */
	struct cm_rate rate_after;
};

/* ERR_FORMAT with the reason in why; s is unchanged then. Replaces (and frees) what s held, in
 * place: pointers to its parts stay good. s must be zeroed or set. */
enum err comp_settings_load(struct comp_settings *s, const struct config *cfg, struct str *why);
void comp_settings_clear(struct comp_settings *s);

bool comp_settings_serves(const struct comp_settings *s, struct slice domain);

#endif
