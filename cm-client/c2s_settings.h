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
#include "cm-client/c2s_deadlines.h"
#include "cm-client/c2s_rate.h"
#include "cm-client/c2s_stream.h"
#include "proc/config.h"
#include "xmpp/framer.h"

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
	struct c2s_rate rate_before; /* login */
	struct c2s_rate rate_after;
	struct c2s_csi_limits csi;
	unsigned int registrations; /* of one address in an hour */
};

/* ERR_FORMAT with the reason in why; s is unchanged then. Replaces (and frees) what s held, in
 * place: pointers to its parts stay good. s must be zeroed or set. */
enum err c2s_settings_load(struct c2s_settings *s, const struct config *cfg, struct str *why);
void c2s_settings_clear(struct c2s_settings *s);

bool c2s_settings_serves(const struct c2s_settings *s, struct slice domain);

#endif
