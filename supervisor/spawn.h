/*
 * spawn - fork and exec of a program of ours, with all that it inherits.
 */
#ifndef SUPERVISOR_SPAWN_H
#define SUPERVISOR_SPAWN_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

struct inherit;

/* argv[0] is the path. stdin is /dev/null; stdout and stderr go to out_fd. in (may be NULL) is
 * passed as inherit.h says, its descriptors stay open in the child. The child leads its own
 * session. On success *pidfd is its pidfd; else -1 with the reason in why. */
pid_t spawn_run(const char *const argv[], const struct inherit *in, int out_fd, int *pidfd,
		struct str *why);

/* Runs a tool to its end, its output on our stderr. ERR_IO with the reason when it fails. */
enum err spawn_wait(const char *const argv[], struct str *why);

/* How a child ended, in words ("exit 0", "signal 11 SIGSEGV"). status as of waitid(). */
void spawn_cause(int code, int status, struct str *out);

/* The directory of the running program's file, where its siblings are. Static. */
const char *spawn_bin_dir(void);

#endif
