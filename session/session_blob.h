/*
 * session_blob - what a session is besides its JID, packed for its cm to keep (CUSTODY 9).
 *
 * Version 1: interested, availability, whether offline messages are under way to it, priority, the
 * last presence, targets of directed presence.
 * Fields may be added at the end of a version; a reader ignores what it does not know.
 */
#ifndef SESSION_SESSION_BLOB_H
#define SESSION_SESSION_BLOB_H

#include "base/err.h"
#include "base/slice.h"

struct session;
struct session_manager;

/* Sends the present state of s to its cm: call after every change of it. */
void session_blob_emit(struct session_manager *m, const struct session *s);

/* Into a fresh session. ERR_VERSION, ERR_FORMAT: s is unchanged. An empty blob is ERR_OK. */
enum err session_blob_restore(struct session *s, struct slice blob);

#endif
