/*
 * general - what `xmpp general` tells, gathered from supervisor and router; the commands themselves
 * are in event_show.h.
 */
#ifndef CLI_XMPP_GENERAL_H
#define CLI_XMPP_GENERAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct general {
	uint64_t uptime; /* seconds, of the oldest process */
	char version[64];
	uint64_t services, ready, faults;
	bool registered;       /* a datastore with the accounts is linked to the router ... */
	uint64_t registered_s; /* ... for so long */
	bool routing;	       /* the router answers */
	uint64_t sessions, components;
	struct str bridge; /* the call bridge's words; empty = there is none */
};

/* From the answers: JSON lines. */
void general_from_supervisor(struct general *g, struct slice lines);
void general_from_links(struct general *g, struct slice lines);
void general_from_stats(struct general *g, struct slice lines);
void general_from_bridge(struct general *g, struct slice json);

void general_write(const struct general *g, bool json, struct str *out);

#endif
