/*
 * certset - the contents of the certificate, key and bundle files that services are given.
 *
 * Read as the supervisor's user into sealed memory files: what was judged is what services get,
 * now and when they are restarted, whatever happens to the files meanwhile. Remembers how each
 * file looked (inode, size, times), to see a change. Knows nothing about what is in them.
 */
#ifndef SUPERVISOR_CERTSET_H
#define SUPERVISOR_CERTSET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct certset;
struct config;
struct inherit;

#define CERTSET_FILE_MAX (1024 * 1024)
#define CERTSET_FILES	 3 /* certificate, key, bundle (which a "pair" may have) */

/* Never NULL. A file that cannot be read is missing in it: see certset_missing(). ERR_FORMAT: the
 * configuration's list is wrong, *out is NULL and why says how. */
enum err certset_new(struct certset **out, const struct config *cfg, struct str *why);
void certset_free(struct certset **cp); /* NULL-safe */

/* Whether a pair is not whole; why (may be NULL) gets file, reason and what to do. Pairs that may
 * not be read are passed over with denied_is_fine. */
bool certset_missing(const struct certset *c, bool denied_is_fine, struct str *why);
bool certset_pair_missing(const struct certset *c, size_t pair, struct str *why);

size_t certset_count(const struct certset *c); /* pairs */
const char *certset_cert_path(const struct certset *c, size_t pair);
const char *certset_key_path(const struct certset *c, size_t pair);

/* Adds descriptors of all whole pairs, or of one: copies, the caller's to close. */
void certset_add(const struct certset *c, struct inherit *in);
void certset_add_pair(const struct certset *c, size_t pair, struct inherit *in);

/* How the files of a pair look on disk now. */
struct certset_look {
	struct {
		unsigned long long dev, inode, size, mtime_ns, ctime_ns;
	} file[CERTSET_FILES];
};
struct certset_look certset_look(const struct certset *c, size_t pair);
/* Just before it was read. */
struct certset_look certset_read_look(const struct certset *c, size_t pair);
bool certset_look_same(const struct certset_look *a, const struct certset_look *b);

/* The same pair read anew, alone in a set at its own place. */
struct certset *certset_read_pair(const struct certset *c, size_t pair);

/* Whether a pair holds the same bytes in both. */
bool certset_pair_same(const struct certset *a, const struct certset *b, size_t pair);

/* Moves the pair from the other set into this one. */
void certset_take_pair(struct certset *c, struct certset *from, size_t pair);

#endif
