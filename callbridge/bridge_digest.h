/*
 * bridge_digest - what a component proves its secret with (XEP-0114 section 3).
 */
#ifndef CALLBRIDGE_BRIDGE_DIGEST_H
#define CALLBRIDGE_BRIDGE_DIGEST_H

#include "base/slice.h"

#define BRIDGE_DIGEST_SIZE 41

/* SHA-1 of stream id and secret, in lower-case hex. */
void bridge_digest(char out[BRIDGE_DIGEST_SIZE], struct slice id, struct slice secret);

#endif
