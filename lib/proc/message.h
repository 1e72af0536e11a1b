/*
 * message - one line of text between supervisor, services and commands: VERB key=value ...
 *
 * Values are percent-encoded where they hold blanks, '%', control characters or are empty, so a
 * line splits at its blanks. Unknown keys are ignored: an older supervisor and a newer service (or
 * the reverse) understand each other. A message is one record of a SOCK_SEQPACKET socket.
 */
#ifndef PROC_MESSAGE_H
#define PROC_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

#define MESSAGE_MAX 65536

void message_begin(struct str *m, const char *verb); /* empties m first */
void message_add(struct str *m, const char *key, const char *value);
void message_addu(struct str *m, const char *key, uint64_t value);

bool message_is(struct slice m, const char *verb);

/* The decoded value, owned by the caller; NULL when the key is absent. */
char *message_get(struct slice m, const char *key);

/* The number; absent or not a number = otherwise. */
uint64_t message_getu(struct slice m, const char *key, uint64_t otherwise);

#endif
