/*
 * bridge_cause - why a connection could not be made, or ended: its code and its words.
 */
#ifndef CALLBRIDGE_BRIDGE_CAUSE_H
#define CALLBRIDGE_BRIDGE_CAUSE_H

enum bridge_cause {
#define CAUSE(NAME, code, status, log) BRIDGE_CAUSE_##NAME,
#include "callbridge/bridge_cause.def"
#undef CAUSE
	BRIDGE_CAUSES
};

int bridge_cause_code(enum bridge_cause c);
const char *bridge_cause_status(enum bridge_cause c); /* "DNS error" */
const char *bridge_cause_log(enum bridge_cause c);    /* "dns error" */

#endif
