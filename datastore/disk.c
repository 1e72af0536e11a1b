#include "datastore/disk.h"

#include <errno.h>
#include <sqlite3.h>
#include <sys/statvfs.h>

struct state_row {
	const char *name;
	enum err err;
	const char *text;
};

static const struct state_row states[] = {
	[DISK_OK] = {"ok", ERR_OK, ""},
	[DISK_LOW] = {"low", ERR_NOSPACE,
		      "little space is left on the disk of data/ (datastore.min_free_bytes); free "
		      "some, writing resumes by itself"},
	[DISK_FULL] = {"full", ERR_NOSPACE,
		       "the disk of data/ is full; free some space, writing resumes by itself"},
	[DISK_READONLY] = {"readonly", ERR_IO,
			   "data/ cannot be written (read-only or not ours); mount it read-write "
			   "and check its owner, writing resumes by itself"},
	[DISK_BUSY] = {"busy", ERR_AGAIN,
		       "another program holds a lock on data/roundhouse.db; close it (sqlite3, a "
		       "backup), writing resumes by itself"},
	[DISK_IO] = {"io", ERR_IO,
		     "the disk of data/ does not take or give data; see the kernel's log and the "
		     "disk's health, writing resumes by itself"},
	[DISK_DAMAGED] = {"damaged", ERR_CORRUPT,
			  "data/roundhouse.db is damaged; stop the service, keep a copy of the "
			  "file, restore a backup"},
	[DISK_FSYNC] = {"fsync", ERR_IO,
			"a sync of data/roundhouse.db failed, what is on the disk is unknown; the "
			"datastore restarts from what the disk kept; check the disk"},
};

static enum disk_state judge_errno(int sys_errno)
{
	switch (sys_errno) {
	case ENOSPC:
	case EDQUOT:
		return DISK_FULL;
	case EROFS:
	case EACCES:
	case EPERM:
		return DISK_READONLY;
	default:
		return DISK_IO;
	}
}

enum disk_state disk_judge(int sqlite_code, int sys_errno)
{
	/* Never retried on the same descriptor: the kernel marks the pages clean after telling
	 * once, so a second fsync would succeed without having written anything. */
	if (sqlite_code == SQLITE_IOERR_FSYNC || sqlite_code == SQLITE_IOERR_DIR_FSYNC)
		return DISK_FSYNC;
	switch (sqlite_code & 0xff) {
	case SQLITE_FULL:
		return DISK_FULL;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return DISK_READONLY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return DISK_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return DISK_DAMAGED;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return judge_errno(sys_errno);
	default:
		return DISK_OK;
	}
}

const char *disk_name(enum disk_state s)
{
	return states[s].name;
}

enum err disk_err(enum disk_state s)
{
	return states[s].err;
}

const char *disk_text(enum disk_state s)
{
	return states[s].text;
}

enum err disk_free_bytes(const char *path, uint64_t *out)
{
	struct statvfs v;

	if (statvfs(path, &v) < 0)
		return ERR_IO;
	*out = (uint64_t)v.f_bavail * v.f_frsize;
	return ERR_OK;
}

bool disk_is_low(uint64_t free_bytes, uint64_t min_free, bool was_low)
{
	return free_bytes < (was_low ? min_free + min_free / 4 : min_free);
}
