/*
 * map - byte strings to pointers, and map64 - numbers to pointers.
 *
 * Open addressing, a keyed hash (SipHash-1-3, key drawn at start) so that strangers who choose
 * names cannot choose collisions. A map owns copies of its keys, never the values. Values are not
 * NULL. Changing a map while iterating over it is a bug, except removing all of it afterwards.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct map_slot {
	uint64_t hash;
	char *key; /* NULL = free */
	size_t len;
	void *value;
};

struct map {
	struct map_slot *slots;
	size_t cap;
	size_t count;
};

void map_init(struct map *m);
void map_clear(struct map *m); /* frees keys and table; the map is empty and usable again */

/* Borrowed value or NULL. */
void *map_find(const struct map *m, struct slice key);

/* Stores value under key and returns what stood there before, or NULL. */
void *map_put(struct map *m, struct slice key, void *value);

/* Takes the entry out and returns its value, or NULL. */
void *map_remove(struct map *m, struct slice key);

/* Iteration: start with *it = 0; false at the end. key may be NULL. */
bool map_next(const struct map *m, size_t *it, struct slice *key, void **value);

struct map64_slot {
	uint64_t key;
	void *value; /* NULL = free */
};

struct map64 {
	struct map64_slot *slots;
	size_t cap;
	size_t count;
};

void map64_init(struct map64 *m);
void map64_clear(struct map64 *m);
void *map64_find(const struct map64 *m, uint64_t key);
void *map64_put(struct map64 *m, uint64_t key, void *value);
void *map64_remove(struct map64 *m, uint64_t key);
bool map64_next(const struct map64 *m, size_t *it, uint64_t *key, void **value);

/* The keyed hash itself. */
uint64_t map_hash(struct slice key);

#endif
