/*
 * bridge_exec - the program behind a call bridge: started with /bin/sh, fed with lines, read line
 * by line, and started again when it ends (bridge_retry: from 100 ms on, up to 30 s).
 *
 * What waits for it is kept meanwhile; the owner stops adding when bridge_exec_waiting() is too
 * much. A line counts as handled when the program's pipe has taken its last byte; one that was only
 * in part in the pipe of a program that died is written again, whole, to the next. What the program
 * says on standard error goes into the log.
 */
#ifndef CALLBRIDGE_BRIDGE_EXEC_H
#define CALLBRIDGE_BRIDGE_EXEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct bridge_exec;
struct loop;

struct bridge_exec_config {
	const char *command;
	const char *const *env; /* "NAME=value" beside ours; NULL-terminated */
	int cwd;		/* -1 = where we are */
	size_t line_max;
};

struct bridge_exec_events {
	void (*on_line)(void *arg, struct slice line);
	void (*on_too_long)(void *arg);
	void (*on_handled)(void *arg, size_t lines); /* the pipe has taken so many more */
	void (*on_stopped)(void *arg);		     /* after bridge_exec_stop() */
};

/* Copies the config. Starts the program in the loop. */
struct bridge_exec *bridge_exec_new(struct loop *loop, const struct bridge_exec_config *cfg,
				    const struct bridge_exec_events *events, void *arg);
void bridge_exec_free(struct bridge_exec **ep); /* NULL-safe; kills what runs */

/* With its LF. An empty one is nothing to the program, and handled in its turn. */
void bridge_exec_add(struct bridge_exec *e, struct slice line);
void bridge_exec_flush(struct bridge_exec *e);		 /* writes what the pipe takes */
size_t bridge_exec_waiting(const struct bridge_exec *e); /* bytes of memory */
size_t bridge_exec_lines(const struct bridge_exec *e);	 /* lines, a partial one too */

/* Forgets all lines but the oldest so many, and one that is partly written; whether there is one.
 */
bool bridge_exec_forget(struct bridge_exec *e, size_t keep);

/* Does not read what the program says. */
void bridge_exec_pause(struct bridge_exec *e, bool paused);

/* Closes its input, lets it finish (2 s), then ends it. */
void bridge_exec_stop(struct bridge_exec *e);

int bridge_exec_pid(const struct bridge_exec *e); /* 0: it does not run */
unsigned int bridge_exec_starts(const struct bridge_exec *e);

#endif
