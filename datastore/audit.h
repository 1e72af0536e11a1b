/*
 * audit - what the log keeps of changes of accounts and components, and of secrets that people were
 * shown: who or which, never keys or secrets.
 */
#ifndef DATASTORE_AUDIT_H
#define DATASTORE_AUDIT_H

#include <stdint.h>

#include "base/slice.h"

/* A request that has changed something. */
void audit_written(uint16_t type, struct slice body);

/* A request that is answered. */
void audit_read(uint16_t type, struct slice body);

#endif
