/*
 * logfile - log/NAME.log, rotated by size to NAME.log.1, .2, ...
 */
#ifndef SUPERVISOR_LOGFILE_H
#define SUPERVISOR_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct logfile;

/* The file is opened when it is first needed. */
struct logfile *logfile_new(const char *name, size_t rotate_bytes, unsigned int keep);
void logfile_free(struct logfile **fp);
void logfile_limits(struct logfile *f, size_t rotate_bytes, unsigned int keep);

/* Appends whole, or not at all: ERR_NOSPACE, ERR_IO. Rotates before, when it is large enough. */
enum err logfile_write(struct logfile *f, const void *data, size_t len);

/* For a writer of its own (the supervisor's log): rotates when due; the descriptor to write to. */
int logfile_fd(struct logfile *f);

#endif
