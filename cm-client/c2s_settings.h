/*
 * c2s_settings - the configuration as this service uses it: domains normalised, limits at hand.
 */
#ifndef CM_CLIENT_C2S_SETTINGS_H
#define CM_CLIENT_C2S_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "cm-client/c2s_csi.h"
#include "cm/cm_deadlines.h"
#include "cm/cm_rate.h"
#include "cm-client/c2s_stream.h"
#include "proc/config.h"
#include "xmpp/framer.h"

/* See cm/cm_deadlines.h. */
enum c2s_deadline_class {
	C2S_DEADLINE_TLS,    /* connected, not yet inside TLS */
	C2S_DEADLINE_LOGIN,  /* the client's turn on the way to a bound resource */
	C2S_DEADLINE_ANSWER, /* our turn: datastore, worker, router */
	C2S_DEADLINE_RESUME, /* the same: a router that waits for its disk before it answers */
	C2S_DEADLINE_IDLE,   /* bound */
	C2S_DEADLINE_ACK,    /* the client's answer to <r/> (XEP-0198) */
	C2S_DEADLINE_ASK,    /* it answered with less than was sent: when to ask again */
	C2S_DEADLINE_SOON,   /* few stanzas are unacknowledged: when to ask for them */
	C2S_DEADLINE_CSI,    /* what is kept back for an inactive client (XEP-0352) */
	C2S_DEADLINE_LINGER, /* closed, waiting for the peer's FIN */
	C2S_DEADLINE_CLASSES,
};

struct c2s_settings {
	char **domains; /* normalised; NULL-terminated */
	struct c2s_rules rules;
	struct framer_limits before; /* login */
	struct framer_limits after;
	uint64_t wait_ms[C2S_DEADLINE_CLASSES]; /* 0 = no deadline */
	uint64_t keepalive_ms;
	uint64_t idle_ms;
	size_t session_unsettled;
	size_t unsettled;
	size_t session_queue;
	struct cm_rate rate_before; /* login */
	struct cm_rate rate_after;
	struct c2s_csi_limits csi;
	unsigned int registrations; /* of one address in an hour */
};

/* ERR_FORMAT with the reason in why; s is unchanged then. Replaces (and frees) what s held, in
 * place: pointers to its parts stay good. s must be zeroed or set. */
enum err c2s_settings_load(struct c2s_settings *s, const struct config *cfg, struct str *why);
void c2s_settings_clear(struct c2s_settings *s);

bool c2s_settings_serves(const struct c2s_settings *s, struct slice domain);

#endif
