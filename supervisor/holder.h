/*
 * holder - which process holds a file or a port: read from /proc.
 */
#ifndef SUPERVISOR_HOLDER_H
#define SUPERVISOR_HOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/monotime.h"
#include "base/str.h"

/* True when another process holds the flock of path. */
bool holder_is_locked(const char *path);

/* The process that has path open (not ourselves), and a pidfd for it that was opened before the
 * last look, so that it is that very process. 0 and -1: none found. */
pid_t holder_of_file(const char *path, int *pidfd);

/* Whether pid has path open. */
bool holder_has_file(pid_t pid, const char *path);

/* "pid 12 (nginx)", or "a process of another user" when /proc does not tell. */
void holder_of_port(const struct sockaddr *sa, struct str *out);

/* When the process began, on the clock of monotime; 0 = no such process. */
struct monotime holder_start(pid_t pid);

#endif
