#include "base/map.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/random.h"
#include "base/siphash.h"
#include "base/xmem.h"

static uint64_t hash_key[2];

static void hash_init(void)
{
	if (hash_key[0] == 0) {
		hash_key[0] = random_u64();
		hash_key[1] = random_u64();
	}
}

uint64_t map_hash(struct slice key)
{
	uint64_t v[4], m;
	size_t i, left;

	hash_init();
	v[0] = 0x736f6d6570736575ULL ^ hash_key[0];
	v[1] = 0x646f72616e646f6dULL ^ hash_key[1];
	v[2] = 0x6c7967656e657261ULL ^ hash_key[0];
	v[3] = 0x7465646279746573ULL ^ hash_key[1];
	for (i = 0; i + 8 <= key.len; i += 8) {
		memcpy(&m, key.data + i, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)key.len << 56;
	for (left = 0; i + left < key.len; left++)
		m |= (uint64_t)(unsigned char)key.data[i + left] << (8 * left);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m)
{
	*m = (struct map){0};
}

void map_clear(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		free(m->slots[i].key);
	free(m->slots);
	map_init(m);
}

/* The slot that holds key, or the free slot where it would go. cap > 0 and never full. */
static size_t map_slot(const struct map *m, uint64_t hash, struct slice key)
{
	size_t i = hash & (m->cap - 1);

	for (; m->slots[i].key; i = (i + 1) & (m->cap - 1)) {
		const struct map_slot *s = &m->slots[i];

		if (s->hash == hash && slice_eq(slice_of(s->key, s->len), key))
			break;
	}
	return i;
}

static void map_grow(struct map *m)
{
	struct map bigger = {.cap = m->cap ? m->cap * 2 : 8, .count = m->count};

	bigger.slots = xcalloc(bigger.cap, sizeof(*bigger.slots));
	for (size_t i = 0; i < m->cap; i++) {
		const struct map_slot *s = &m->slots[i];

		if (s->key)
			bigger.slots[map_slot(&bigger, s->hash, slice_of(s->key, s->len))] = *s;
	}
	free(m->slots);
	*m = bigger;
}

void *map_find(const struct map *m, struct slice key)
{
	if (m->count == 0)
		return NULL;
	return m->slots[map_slot(m, map_hash(key), key)].value;
}

void *map_put(struct map *m, struct slice key, void *value)
{
	uint64_t hash = map_hash(key);
	struct map_slot *s;
	void *old;

	check(value != NULL);
	if ((m->count + 1) * 4 > m->cap * 3)
		map_grow(m);
	s = &m->slots[map_slot(m, hash, key)];
	old = s->value;
	if (!s->key) {
		s->key = xstrndup(key.data ? key.data : "", key.len);
		s->len = key.len;
		s->hash = hash;
		m->count++;
	}
	s->value = value;
	return old;
}

void *map_remove(struct map *m, struct slice key)
{
	size_t i, j, mask = m->cap - 1;
	void *value;

	if (m->count == 0)
		return NULL;
	i = map_slot(m, map_hash(key), key);
	if (!m->slots[i].key)
		return NULL;
	value = m->slots[i].value;
	free(m->slots[i].key);
	for (j = (i + 1) & mask; m->slots[j].key; j = (j + 1) & mask) {
		size_t home = m->slots[j].hash & mask;

		if (((j - home) & mask) >= ((j - i) & mask)) {
			m->slots[i] = m->slots[j];
			i = j;
		}
	}
	m->slots[i] = (struct map_slot){0};
	m->count--;
	return value;
}

bool map_next(const struct map *m, size_t *it, struct slice *key, void **value)
{
	for (; *it < m->cap; (*it)++) {
		const struct map_slot *s = &m->slots[*it];

		if (!s->key)
			continue;
		if (key)
			*key = slice_of(s->key, s->len);
		if (value)
			*value = s->value;
		(*it)++;
		return true;
	}
	return false;
}

static size_t map64_home(const struct map64 *m, uint64_t key)
{
	uint64_t h;

	hash_init();
	h = (key ^ hash_key[0]) * 0x9e3779b97f4a7c15ULL;
	h ^= h >> 32;
	return (h ^ hash_key[1]) & (m->cap - 1);
}

static size_t map64_slot(const struct map64 *m, uint64_t key)
{
	size_t i = map64_home(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void map64_init(struct map64 *m)
{
	*m = (struct map64){0};
}

void map64_clear(struct map64 *m)
{
	free(m->slots);
	map64_init(m);
}

static void map64_grow(struct map64 *m)
{
	struct map64 bigger = {.cap = m->cap ? m->cap * 2 : 8, .count = m->count};

	bigger.slots = xcalloc(bigger.cap, sizeof(*bigger.slots));
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].value)
			bigger.slots[map64_slot(&bigger, m->slots[i].key)] = m->slots[i];
	free(m->slots);
	*m = bigger;
}

void *map64_find(const struct map64 *m, uint64_t key)
{
	return m->count ? m->slots[map64_slot(m, key)].value : NULL;
}

void *map64_put(struct map64 *m, uint64_t key, void *value)
{
	struct map64_slot *s;
	void *old;

	check(value != NULL);
	if ((m->count + 1) * 4 > m->cap * 3)
		map64_grow(m);
	s = &m->slots[map64_slot(m, key)];
	old = s->value;
	if (!old)
		m->count++;
	s->key = key;
	s->value = value;
	return old;
}

void *map64_remove(struct map64 *m, uint64_t key)
{
	size_t i, j, mask = m->cap - 1;
	void *value;

	if (m->count == 0)
		return NULL;
	i = map64_slot(m, key);
	value = m->slots[i].value;
	if (!value)
		return NULL;
	for (j = (i + 1) & mask; m->slots[j].value; j = (j + 1) & mask) {
		size_t home = map64_home(m, m->slots[j].key);

		if (((j - home) & mask) >= ((j - i) & mask)) {
			m->slots[i] = m->slots[j];
			i = j;
		}
	}
	m->slots[i] = (struct map64_slot){0};
	m->count--;
	return value;
}

bool map64_next(const struct map64 *m, size_t *it, uint64_t *key, void **value)
{
	for (; *it < m->cap; (*it)++) {
		const struct map64_slot *s = &m->slots[*it];

		if (!s->value)
			continue;
		if (key)
			*key = s->key;
		if (value)
			*value = s->value;
		(*it)++;
		return true;
	}
	return false;
}
