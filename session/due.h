/*
 * due - sessions for which something happens at a time: a heap, earliest first (equal times: by
 * session id), so that looking is free and 50,000 of them cost nothing while nothing is due.
 *
 * Pure data. A session is in it at most once (session.due_at); it does not own them.
 */
#ifndef SESSION_DUE_H
#define SESSION_DUE_H

#include <stddef.h>

#include "base/monotime.h"

struct session;

struct due {
	struct session **heap;
	size_t count, cap;
};

void due_init(struct due *d);
void due_clear(struct due *d);

/* At that time; a session that was in it already gets the new time. */
void due_put(struct due *d, struct session *s, struct monotime when);

/* Harmless when it is not in it. */
void due_remove(struct due *d, struct session *s);

/* Takes out the earliest whose time has come, or NULL. */
struct session *due_take(struct due *d, struct monotime now);

#endif
