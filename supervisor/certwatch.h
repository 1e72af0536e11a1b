/*
 * certwatch - certificate and key files that have changed are judged and handed to the services
 * without a command.
 *
 * Looks at the files once a second; what has stood still for a second is read and judged by the
 * services' own program (-n), each pair alone. A good one takes the place of the one in force, here
 * and in the services that run; a bad one is a line in the log and an alarm in `status` until it is
 * mended, and the one before stays in force. Refused files are judged again once a minute: the
 * reason may have been ours (no memory, no time).
 */
#ifndef SUPERVISOR_CERTWATCH_H
#define SUPERVISOR_CERTWATCH_H

#include <stdbool.h>
#include <stddef.h>

struct certset;
struct certwatch;
struct sup;
struct unit;

/* judged: its files have been judged, and services that run have them. Owns set. */
struct certwatch *certwatch_new(struct sup *s, struct certset *set, bool judged);
void certwatch_free(struct certwatch **wp); /* NULL-safe */

/* Another list of files is in force (a reload). Owns set; what stood before is forgotten. */
void certwatch_replace(struct certwatch *w, struct certset *set);

const struct certset *certwatch_set(const struct certwatch *w); /* in force */

/* u has registered and is owed files: it gets all that are in force. */
void certwatch_catch_up(struct certwatch *w, struct unit *u);

void certwatch_tick(struct certwatch *w); /* once a second */

/* Why pair i (0 ..) is not the one on disk; NULL: it is. False at the end. */
bool certwatch_alarm(const struct certwatch *w, size_t i, const char **text);

#endif
