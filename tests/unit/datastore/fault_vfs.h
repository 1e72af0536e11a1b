/*
 * fault_vfs - SQLite's own VFS with faults on demand: a full disk, a broken one, a failing sync.
 *
 * fault_vfs_install() makes it the default of this process. Counters and switches are atomic: the
 * writer's thread meets them.
 */
#ifndef TESTS_DATASTORE_FAULT_VFS_H
#define TESTS_DATASTORE_FAULT_VFS_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sqlite3.h>

struct fault_file {
	sqlite3_file base;
	sqlite3_file *real;
	bool is_log;
};

static atomic_int fault_write_code; /* SQLITE_FULL, SQLITE_IOERR_WRITE ...; 0 = none */
static atomic_int fault_errno;	    /* beside it */
static atomic_int fault_write_min;  /* only writes of transactions after so many writes */
static atomic_int fault_sync_code;
static atomic_int fault_sync_not_log; /* only syncs of the database file, so of checkpoints */
static atomic_int fault_read_code;

static inline sqlite3_file *fault_real(sqlite3_file *f)
{
	return ((struct fault_file *)f)->real;
}

static inline int fault_close(sqlite3_file *f)
{
	int rc = fault_real(f)->pMethods->xClose(fault_real(f));

	sqlite3_free(fault_real(f));
	return rc;
}

static inline int fault_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	if (fault_read_code) {
		errno = fault_errno;
		return fault_read_code;
	}
	return fault_real(f)->pMethods->xRead(fault_real(f), p, n, at);
}

static inline int fault_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	if (fault_write_code && at >= fault_write_min) {
		errno = fault_errno;
		return fault_write_code;
	}
	return fault_real(f)->pMethods->xWrite(fault_real(f), p, n, at);
}

static inline int fault_sync(sqlite3_file *f, int flags)
{
	if (fault_sync_code && !(fault_sync_not_log && ((struct fault_file *)f)->is_log)) {
		errno = EIO;
		return fault_sync_code;
	}
	return fault_real(f)->pMethods->xSync(fault_real(f), flags);
}

#define FAULT_PASS(name, params, args)                     \
	static inline int fault_##name params              \
	{                                                  \
		return fault_real(f)->pMethods->name args; \
	}
FAULT_PASS(xTruncate, (sqlite3_file * f, sqlite3_int64 n), (fault_real(f), n))
FAULT_PASS(xFileSize, (sqlite3_file * f, sqlite3_int64 *n), (fault_real(f), n))
FAULT_PASS(xLock, (sqlite3_file * f, int k), (fault_real(f), k))
FAULT_PASS(xUnlock, (sqlite3_file * f, int k), (fault_real(f), k))
FAULT_PASS(xCheckReservedLock, (sqlite3_file * f, int *k), (fault_real(f), k))
FAULT_PASS(xSectorSize, (sqlite3_file * f), (fault_real(f)))
FAULT_PASS(xDeviceCharacteristics, (sqlite3_file * f), (fault_real(f)))
FAULT_PASS(xShmMap, (sqlite3_file * f, int i, int n, int x, void volatile **p),
	   (fault_real(f), i, n, x, p))
FAULT_PASS(xShmLock, (sqlite3_file * f, int o, int n, int k), (fault_real(f), o, n, k))
FAULT_PASS(xShmUnmap, (sqlite3_file * f, int k), (fault_real(f), k))
#undef FAULT_PASS

static inline int fault_xFileControl(sqlite3_file *f, int k, void *p)
{
	if (k == SQLITE_FCNTL_LAST_ERRNO) {
		*(int *)p = fault_errno;
		return SQLITE_OK;
	}
	return fault_real(f)->pMethods->xFileControl(fault_real(f), k, p);
}

static inline void fault_xShmBarrier(sqlite3_file *f)
{
	fault_real(f)->pMethods->xShmBarrier(fault_real(f));
}

static const sqlite3_io_methods fault_methods = {
	.iVersion = 2,
	.xClose = fault_close,
	.xRead = fault_read,
	.xWrite = fault_write,
	.xTruncate = fault_xTruncate,
	.xSync = fault_sync,
	.xFileSize = fault_xFileSize,
	.xLock = fault_xLock,
	.xUnlock = fault_xUnlock,
	.xCheckReservedLock = fault_xCheckReservedLock,
	.xFileControl = fault_xFileControl,
	.xSectorSize = fault_xSectorSize,
	.xDeviceCharacteristics = fault_xDeviceCharacteristics,
	.xShmMap = fault_xShmMap,
	.xShmLock = fault_xShmLock,
	.xShmBarrier = fault_xShmBarrier,
	.xShmUnmap = fault_xShmUnmap,
};

static inline int fault_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	sqlite3_vfs *real = v->pAppData;
	struct fault_file *ff = (struct fault_file *)f;
	int rc;

	ff->real = sqlite3_malloc(real->szOsFile);
	ff->base.pMethods = NULL;
	ff->is_log = flags & SQLITE_OPEN_WAL;
	rc = real->xOpen(real, name, ff->real, flags, out);
	if (rc == SQLITE_OK)
		ff->base.pMethods = &fault_methods;
	else
		sqlite3_free(ff->real);
	return rc;
}

static inline void fault_vfs_install(void)
{
	static sqlite3_vfs v;
	sqlite3_vfs *real;

	(void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
	real = sqlite3_vfs_find(NULL);
	v = *real;
	v.pNext = NULL;
	v.zName = "fault";
	v.pAppData = real;
	v.szOsFile = sizeof(struct fault_file);
	v.xOpen = fault_open;
	sqlite3_vfs_register(&v, 1);
}

static inline void fault_none(void)
{
	fault_write_code = fault_sync_code = fault_sync_not_log = fault_read_code = fault_errno =
		fault_write_min = 0;
}

#endif
