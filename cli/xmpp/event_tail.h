/*
 * event_tail - `xmpp log show -f`: what comes to the event log from now on, also after it was
 * rotated or cleared.
 */
#ifndef CLI_XMPP_EVENT_TAIL_H
#define CLI_XMPP_EVENT_TAIL_H

#include <stdbool.h>
#include <stddef.h>

struct event_filter;
struct event_tail;

/* Goes on where event_list_read() has ended. */
struct event_tail *event_tail_new(const char *dir, size_t end);
void event_tail_free(struct event_tail **tp);

/* Prints to the standard output until that is closed. */
void event_tail_follow(struct event_tail *t, const struct event_filter *f, bool json);

#endif
