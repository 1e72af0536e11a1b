/*
 * bridge_status - how the connection is, in the words of the guides (FEATURES 2.4). Pure.
 */
#ifndef CALLBRIDGE_BRIDGE_STATUS_H
#define CALLBRIDGE_BRIDGE_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "callbridge/bridge_cause.h"

enum bridge_condition {
	BRIDGE_STARTING, /* nothing has failed yet, nothing has succeeded */
	BRIDGE_CONNECTED,
	BRIDGE_FAILED,
};

struct bridge_status {
	enum bridge_condition condition;
	enum bridge_cause cause; /* of a failure */
	struct slice host;	 /* the server; empty while DNS has not named one */
	uint64_t seconds;	 /* since it is so */
};

/* "connected to localhost for 2 minutes", "failed to connect to  due to DNS error (28 seconds
 * ago)", "connecting to localhost". */
void bridge_status_text(struct str *out, const struct bridge_status *s);

/* "connected", "failed", "connecting": for --json. */
const char *bridge_status_word(enum bridge_condition c);

/* The standing fault: XMPP connection to "" failed. */
void bridge_status_fault(struct str *out, struct slice host);

/* The lines of the log (A58), without the first: n = 0, 1. false: there are no more. */
bool bridge_status_log(struct str *out, enum bridge_cause cause, int n);

#endif
