/*
 * blob - immutable counted bytes: what several queues hold at once without copying.
 *
 * Not thread safe: a blob belongs to the loop thread.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct blob {
	uint32_t refs; /* the highest bit: secret */
	uint32_t len;
	char data[];
};

/* A blob with one reference holding a copy of the bytes. len < 4 GiB. */
struct blob *blob_new(const void *data, size_t len);

/* Its bytes are overwritten when it goes. */
void blob_set_secret(struct blob *b);

struct blob *blob_ref(struct blob *b); /* b itself, one reference more */
void blob_unref(struct blob **bp);     /* NULL-safe; sets *bp to NULL; frees with the last */

static inline struct slice blob_slice(const struct blob *b)
{
	return b ? slice_of(b->data, b->len) : SLICE_NONE;
}

#endif
