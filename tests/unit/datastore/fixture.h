/*
 * fixture - what the datastore's tests share: a folder of its own, packed keys and items, and a
 * VFS of SQLite that fails on demand.
 */
#ifndef TESTS_DATASTORE_FIXTURE_H
#define TESTS_DATASTORE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "datastore/db.h"
#include "datastore/schema.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"

#define S(text) slice_str(text)

struct fixture {
	char dir[128];
	char path[160];
};

static inline int fixture_remove_one(const char *path, const struct stat *st, int flag,
				     struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	remove(path);
	return 0;
}

static inline void fixture_remove_dir(const char *dir)
{
	nftw(dir, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void fixture_init(struct fixture *f)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(f->dir, sizeof(f->dir), "%s/rh-store-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/roundhouse.db", f->dir);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	fixture_init(f);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	fixture_remove_dir(f->dir);
	free(f);
	return 0;
}

static inline struct db *fixture_open(const struct fixture *f)
{
	struct str why = STR_INIT;
	struct db *d = NULL;

	if (schema_open(&d, f->path, SCHEMA_CHECK_QUICK, &why) != ERR_OK)
		fail_msg("%s", why.data);
	str_clear(&why);
	return d;
}

/* Keys of one hash whose bytes are made of seed. */
static inline void fixture_put_key(struct str *out, const char *hash, char seed)
{
	char salt[16], stored[32], server[32];
	size_t n = strcmp(hash, "SHA-1") == 0 ? 20 : 32;

	memset(salt, seed, sizeof(salt));
	memset(stored, seed + 1, sizeof(stored));
	memset(server, seed + 2, sizeof(server));
	db_scram_put(out, &(struct db_scram){S(hash), 4096, slice_of(salt, sizeof(salt)),
					     slice_of(stored, n), slice_of(server, n)});
}

static inline struct str fixture_keys(char seed)
{
	struct str s = STR_INIT;

	fixture_put_key(&s, "SHA-1", seed);
	fixture_put_key(&s, "SHA-256", seed);
	return s;
}

/* A packed item with up to two groups (NULL = none). */
static inline struct str fixture_item(const char *jid, const char *name, uint8_t subscription,
				      const char *group1, const char *group2)
{
	struct str groups = STR_INIT, s = STR_INIT;
	struct db_roster_item item = {.jid = S(jid), .name = S(name), .subscription = subscription};

	if (group1)
		codec_put_str(&groups, S(group1));
	if (group2)
		codec_put_str(&groups, S(group2));
	item.ngroups = (uint16_t)(!!group1 + !!group2);
	item.groups = str_slice(&groups);
	db_roster_item_put(&s, &item);
	str_clear(&groups);
	return s;
}

static inline char *fixture_read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *data;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	data = xmalloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	*len = (size_t)st.st_size;
	return data;
}

static inline void fixture_write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

#endif
