/*
 * sup_loop - the supervisor as a process: its event loop from start to end.
 */
#ifndef SUPERVISOR_SUP_LOOP_H
#define SUPERVISOR_SUP_LOOP_H

#include <stdbool.h>

struct sup_options {
	const char *bin;       /* where the services' programs are */
	const char *shown_bin; /* the same and the instance directory as the user typed them */
	const char *shown_dir;
	int pid_fd;    /* run/supervisor.pid, locked */
	int report;    /* where the words for `start` go */
	bool detached; /* report ends with "=CODE" and is closed when the start is over */
};

/* Working directory = the instance. Returns the exit code. */
int sup_run(const struct sup_options *o);

#endif
