/*
 * motd - the message of the day: what each session is told when it becomes available for the first
 * time (`xmpp motd`), and never again: not after a resume, nor by the next router.
 */
#ifndef SESSION_MOTD_H
#define SESSION_MOTD_H

#include "session/manager.h"

#define MOTD_CHARACTERS 2048

/* text: NULL or empty = none. What is no text, or longer, is refused with a line in the log. */
void motd_configure(struct session_manager *m, const char *text);

/* Of an available presence that is in hand, before the session's blob is told: number is its
 * number. Sends nothing yet. */
void motd_note(const struct inbound *in, bool initial, uint64_t number);

/* Sends it, if that presence is the one: also of one that is judged again after a crash, then who
 * has had it recognises it (CUSTODY 6). */
void motd_send(const struct inbound *in, uint64_t number);

#endif
