/*
 * detached - sessions whose connection broke and may be resumed; the clock of all grace times.
 */
#ifndef SESSION_DETACHED_H
#define SESSION_DETACHED_H

#include "session/manager.h"

struct session;

/* s was announced. If others have been told that it is unavailable it is shown again in a moment,
 * unless it turns out to be detached still. */
void detached_announced(struct session_manager *m, struct session *s, struct monotime now);

#endif
