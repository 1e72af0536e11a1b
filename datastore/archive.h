/*
 * archive - the tables archive*: the messages that users have sent and received (XEP-0313).
 *
 * An archive is a row of blocks, each of some thousand bytes of packed messages
 * (lib/ipc/db_archive.h) in the order of arrival. New messages are appended to the last block, so a
 * batch of additions costs a few pages for each owner, not a row and three indexes for each
 * message. archive_key says which blocks have messages of a group of ids, or with a certain peer (a
 * hash of his bare JID: what is found is compared). Blocks go as a whole, the oldest first, so
 * there are no holes (XEP-0313 3.2). Every function is one part of the transaction that is open on
 * d (or a read of its own).
 */
#ifndef DATASTORE_ARCHIVE_H
#define DATASTORE_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/db.h"
#include "ipc/codec.h"

#define ARCHIVE_BLOCK_KEPT \
	3000 /* bytes up to which a block that is in the table is written again */
#define ARCHIVE_BLOCK_MAX 12000	      /* and from which one that is being written is complete */
#define ARCHIVE_SPAN_MS	  86400000ull /* a block is of one day */

struct archive_limits {
	uint8_t policy;	       /* enum db_archive_policy, for users without preferences */
	uint64_t retention_ms; /* 0 = for ever */
	uint64_t user_bytes;   /* of packed messages; the oldest go */
};

/* DB_ARCHIVE_ADD. ERR_FORMAT: nothing was added (why says what is wrong). Also removes some of what
 * is older than it should be: about twice as much as it adds. */
enum err archive_add(struct db *d, const struct msg_db_archive_add *m, uint64_t now_ms,
		     const struct archive_limits *limits, struct str *why);

/* DB_ARCHIVE_QUERY: page->list is in out. ERR_NOTFOUND: no such account, or an id is not there. */
enum err archive_query(struct db *d, const struct msg_db_archive_query *m, uint64_t now_ms,
		       const struct archive_limits *limits, struct msg_db_archive_page *page,
		       struct str *out, struct str *why);

/* DB_ARCHIVE_ENDS. */
enum err archive_ends(struct db *d, struct slice user, struct slice domain, uint64_t now_ms,
		      const struct archive_limits *limits, struct msg_db_archive_page *page,
		      struct str *out);

/* Removes up to limit blocks of which everything is too old. */
enum err archive_prune(struct db *d, uint64_t now_ms, const struct archive_limits *limits,
		       uint32_t limit);

/* Removes up to limit blocks of accounts that are gone. *more: there are others. */
enum err archive_remove_gone(struct db *d, uint32_t limit, bool *more);

#endif
