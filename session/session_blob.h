/*
 * session_blob - what a session is besides its JID, packed for its cm to keep (CUSTODY 9).
 *
 * Version 1: interested, availability, whether offline messages are under way to it, priority, the
 * last presence, whether it is kept aside (others were told unavailable), whether it wants copies
 * (XEP-0280), targets of directed presence; of a session whose presence this one has inherited the
 * presence and the targets; whom its user has blocked, if that is known, and whether it asked for
 * that list (XEP-0191); the numbers of its presences, and what the last one, if it was unavailable,
 * has ended; the number of the one that was answered with the message of the day.
 * Fields may be added at the end of a version; a reader ignores what it does not know.
 */
#ifndef SESSION_SESSION_BLOB_H
#define SESSION_SESSION_BLOB_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "session/session.h"

struct session;

/* What a session has told others: its last broadcast and to whom it was visible besides. */
struct session_left {
	bool available;
	struct session_stanza last; /* flags, lang, children, inner */
	uint16_t ntargets;
	struct slice targets; /* packed, as in struct session */
};

/* Sends the present state of s to its cm: call after every change of it. */
void session_blob_emit(struct session_manager *m, struct session *s);

void session_blob_pack(const struct session *s, struct str *out);

/* Into a fresh session and its user: two sessions that say different things of whom he has blocked
 * leave that unknown. ERR_VERSION, ERR_FORMAT: s is unchanged. An empty blob is ERR_OK. */
enum err session_blob_restore(struct session *s, struct slice blob);

/* What it has inherited, borrowed from blob; false: nothing. */
bool session_blob_inherited(struct slice blob, struct session_left *out);

#endif
