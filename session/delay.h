/*
 * delay - the stamp on what was not delivered at once (XEP-0203).
 */
#ifndef SESSION_DELAY_H
#define SESSION_DELAY_H

#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

struct session_stanza;

/* Appends <delay/> by `from` to s: inner and children get the new content, which s then borrows.
 * stamp_ms: since 1970, UTC. */
void delay_stamp(struct session_stanza *s, struct slice from, uint64_t stamp_ms, struct str *inner,
		 struct str *children);

#endif
