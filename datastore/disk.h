/*
 * disk - what goes wrong with a disk, in words: SQLite's codes judged, free space measured.
 *
 * Pure but for disk_free_bytes(). Knows nothing of tables or threads. A state is standing: it ends
 * when a write succeeds again, so nobody has to restart anything (DESIGN 6).
 */
#ifndef DATASTORE_DISK_H
#define DATASTORE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum disk_state {
	DISK_OK,       /* no trouble */
	DISK_LOW,      /* below the watermark: what makes the store grow is refused */
	DISK_FULL,     /* ENOSPC, EDQUOT */
	DISK_READONLY, /* the file system or the file takes no writes */
	DISK_BUSY,     /* another program holds a lock on the database */
	DISK_IO,       /* EIO and its like */
	DISK_DAMAGED,  /* what was read is not what was written */
	DISK_FSYNC     /* a sync failed: what is on the disk is unknown, the process must end */
};

/* Judges an extended SQLite result code and the errno beside it. DISK_OK for codes that say
 * nothing about the disk (constraint, too big, misuse). */
enum disk_state disk_judge(int sqlite_code, int sys_errno);

/* "low", "full", ... for event=disk state=. Static. */
const char *disk_name(enum disk_state s);

/* What the requester is told: status, and a sentence that says what to do. Static. */
enum err disk_err(enum disk_state s);
const char *disk_text(enum disk_state s);

/* Bytes that this process may still use on the file system of path. */
enum err disk_free_bytes(const char *path, uint64_t *out);

/* Is free below the watermark? was_low gives it a hysteresis of a quarter. 0 = no watermark. */
bool disk_is_low(uint64_t free_bytes, uint64_t min_free, bool was_low);

#endif
