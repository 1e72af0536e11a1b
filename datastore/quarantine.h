/*
 * quarantine - a folder of records that killed a process again and again (CUSTODY 11), for people
 * to look at.
 *
 * One private file for each: a line that says what it is, then the bytes. Bounded: beyond
 * QUARANTINE_FILES or QUARANTINE_BYTES the oldest goes. Nothing reads the files back, and nobody
 * waits for the disk: they are not synced.
 */
#ifndef DATASTORE_QUARANTINE_H
#define DATASTORE_QUARANTINE_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

#define QUARANTINE_FILES 100
#define QUARANTINE_BYTES (64u * 1024 * 1024)
#define QUARANTINE_TEXT                                                                      \
	"data/quarantine has records that made a process fail again and again; look at the " \
	"files, report them to the developers, delete them when done"

struct quarantine;

/* dir: "data/quarantine"; made with the first file. */
struct quarantine *quarantine_new(const char *dir);
void quarantine_free(struct quarantine **qp);

/* Writes one file, named after the wall clock. ERR_NOSPACE, ERR_IO: why says what to do. */
enum err quarantine_put(struct quarantine *q, struct slice about, struct slice bytes,
			uint64_t now_ms, struct str *why);

/* Looks at the folder: people delete files. */
void quarantine_look(struct quarantine *q);

/* Files at the last look. */
uint32_t quarantine_count(const struct quarantine *q);

#endif
