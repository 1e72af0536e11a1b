/*
 * pool - memory for what is made and freed with every stanza: entries, deliveries, blobs.
 *
 * One free list per size, each thread its own, in front of malloc(): what a burst has used is used
 * again by the next. malloc() alone spends an eighth of a message's CPU on splitting and joining
 * chunks, because its own lists keep seven of a size. What is large, or too much, goes back to it.
 * With sanitizers everything does, so that they see each use after free.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

/* size bytes, not initialised. Never NULL (as xmalloc()). */
void *pool_alloc(size_t size);

/* p came from pool_alloc(size): with the same size, in the same thread or another. */
void pool_free(void *p, size_t size);

#endif
