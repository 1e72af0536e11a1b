/*
 * keyrate - how often the SCRAM keys of one user may be read: a login attempt reads them once.
 *
 * A fixed table of token buckets chosen by a keyed hash: bounded whatever strangers send, and two
 * users share a bucket only by a chance that nobody can steer. Pure: time is an argument.
 */
#ifndef DATASTORE_KEYRATE_H
#define DATASTORE_KEYRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"
#include "base/slice.h"

struct keyrate;

struct keyrate *keyrate_new(void);
void keyrate_free(struct keyrate **kp);

/* Takes one token of user's per_minute; false: none is left. */
bool keyrate_take(struct keyrate *k, struct slice user, struct slice domain, uint32_t per_minute,
		  struct monotime now);

#endif
