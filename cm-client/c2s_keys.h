/*
 * c2s_keys - SCRAM keys of one user for one login, asked of the datastore over the bus.
 *
 * A request is sent again to a fresh router (same operation id: the first answer stands). Nothing
 * is kept after the answer. A source for c2s_sasl.
 */
#ifndef CM_CLIENT_C2S_KEYS_H
#define CM_CLIENT_C2S_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "cm-client/c2s_sasl.h"

struct bus;
struct c2s_keys;

struct c2s_keys *c2s_keys_new(struct bus *bus);
void c2s_keys_free(struct c2s_keys **kp);

struct c2s_key_source c2s_keys_source(struct c2s_keys *k);

/* A STORED record came. */
void c2s_keys_stored(struct c2s_keys *k, struct slice body);

/* A fresh router: asks again what is unanswered. */
void c2s_keys_ask_again(struct c2s_keys *k);

size_t c2s_keys_waiting(const struct c2s_keys *k);

#endif
