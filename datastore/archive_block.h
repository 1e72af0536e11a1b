/*
 * archive_block - blocks of an archive, one at a time. Internal to archive*.c (see archive.h).
 */
#ifndef DATASTORE_ARCHIVE_BLOCK_H
#define DATASTORE_ARCHIVE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/db.h"
#include "ipc/db_archive.h"

struct archive_block {
	uint64_t number; /* in the archive, from 1 */
	/* Never less than those of the block before it, whatever the clock did: to search by. */
	uint64_t first_ms, last_ms;
	uint64_t messages;
	struct str body;
};

#define ARCHIVE_BLOCK_INIT ((struct archive_block){.body = STR_INIT})

static inline uint64_t archive_block_id(uint64_t account, uint64_t number)
{
	return account << 32 | number;
}

/* What archive_owner says of an account: next = the number of the next new block. */
struct archive_owner {
	uint64_t account;
	uint64_t next;
	uint64_t bytes;
	uint64_t messages;
};

/* ERR_OK also for an archive that has nothing yet. */
enum err archive_owner_get(struct db *d, uint64_t account, struct archive_owner *o);
enum err archive_owner_set(struct db *d, const struct archive_owner *o);

/* b->body is replaced. ERR_NOTFOUND. */
enum err archive_block_get(struct db *d, uint64_t account, uint64_t number,
			   struct archive_block *b);
enum err archive_block_put(struct db *d, uint64_t account, const struct archive_block *b,
			   bool is_new);

/* Without the body. ERR_NOTFOUND. */
enum err archive_block_times(struct db *d, uint64_t account, uint64_t number,
			     struct archive_block *b);

/* The number of the oldest block. ERR_NOTFOUND: the archive is empty. */
enum err archive_block_oldest(struct db *d, uint64_t account, uint64_t *number);

/* With its keys; o is changed, not written. */
enum err archive_block_del(struct db *d, struct archive_owner *o, uint64_t number);

/* Keys of a message in archive_key. */
static inline uint64_t archive_key_group(struct db_archive_id id)
{
	return id.group;
}
uint64_t archive_key_peer(struct slice bare);

enum err archive_key_add(struct db *d, uint64_t account, uint64_t key, uint64_t number);

/* The next block with this key behind (in front of) number. ERR_NOTFOUND: none. */
enum err archive_key_next(struct db *d, uint64_t account, uint64_t key, uint64_t *number,
			  bool backward);

/* Where a message is: block and place in it. ERR_NOTFOUND. */
struct archive_place {
	uint64_t block;
	uint32_t at;
};
enum err archive_find(struct db *d, uint64_t account, struct db_archive_id id,
		      struct archive_place *place);

/* The same. b: kept between calls, neighbours are often in one block; a group may be all over the
 * archive: ERR_FULL when more than *blocks would have to be read, which are counted down. */
enum err archive_find_within(struct db *d, uint64_t account, struct db_archive_id id,
			     struct archive_place *place, struct archive_block *b,
			     unsigned int *blocks);

/* The bare JID that is not the owner's: for him it is a message with that one. */
struct slice archive_peer(const struct db_archive_entry *e, struct slice own);

/* The part of a JID before its resource. */
struct slice archive_bare(struct slice jid);

#endif
