/*
 * fingerprint - a short stand-in for a component's secret, by which lists of several nodes can be
 * compared without the secrets travelling.
 *
 * HMAC-SHA-256 under a fixed label, cut to 8 bytes, as 16 hex digits: the same secret has the same
 * fingerprint everywhere. A generated secret cannot be found from it; a guessable one can.
 */
#ifndef SCRAM_FINGERPRINT_H
#define SCRAM_FINGERPRINT_H

#include "base/slice.h"

#define FINGERPRINT_LEN	 16
#define FINGERPRINT_SIZE (FINGERPRINT_LEN + 1)

void fingerprint(char out[FINGERPRINT_SIZE], struct slice secret);

#endif
