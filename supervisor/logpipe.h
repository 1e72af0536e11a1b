/*
 * logpipe - run/log/INSTANCE, the FIFO that a service writes its log to, and its reader.
 *
 * The service holds it open for reading too, so that it keeps its lines while there is no
 * supervisor. Lines are copied to the log file first and taken out of the FIFO after: a supervisor
 * that is killed in between repeats lines, but loses none. While the file cannot be written (disk
 * full) lines wait in the FIFO; what does not fit the service itself counts and tells.
 */
#ifndef SUPERVISOR_LOGPIPE_H
#define SUPERVISOR_LOGPIPE_H

#include <stdbool.h>

#include "base/str.h"

struct logfile;
struct logpipe;
struct loop;

/* file is borrowed and may be shared by the instances of a service. NULL with the reason in why. */
struct logpipe *logpipe_open(struct loop *loop, const char *instance, struct logfile *file,
			     struct str *why);
void logpipe_close(struct logpipe **lp);

/* Gets what has been copied to the log file, whole lines; a supervisor that is killed in between
 * repeats those too. */
void logpipe_tap(struct logpipe *l, void (*tap)(void *arg, struct slice lines), void *arg);

/* A new descriptor for the service's stdout and stderr; the caller closes it. -1 with errno. */
int logpipe_writer(struct logpipe *l);

/* Its writer is dead: takes all that is left, also half a line. */
void logpipe_drain(struct logpipe *l);

bool logpipe_is_stuck(const struct logpipe *l); /* the log file cannot be written */

#endif
