#include "router/shelf.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "base/xmem.h"
#include "ipc/db_pack.h"

#define BATCH_BYTES (1024 * 1024)
#define FULL_BYTES  (64u * 1024 * 1024)

struct batch {
	struct list link;
	struct str changes;
	uint64_t last; /* number of its newest change */
	bool puts;
};

struct shelf {
	struct list batches; /* the first may be out */
	bool out;
	uint64_t last;
	uint64_t synced;
	size_t waiting;
};

struct shelf *shelf_new(void)
{
	struct shelf *s = xcalloc(1, sizeof(*s));

	list_init(&s->batches);
	return s;
}

static void batch_free(struct batch *b)
{
	list_remove(&b->link);
	str_clear(&b->changes);
	free(b);
}

void shelf_free(struct shelf **sp)
{
	struct shelf *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	list_each_safe (it, &s->batches)
		batch_free(list_entry(it, struct batch, link));
	free(s);
}

static struct batch *batch_new(struct shelf *s)
{
	struct batch *b = xcalloc(1, sizeof(*b));

	str_init(&b->changes);
	list_append(&s->batches, &b->link);
	return b;
}

/* The batch that takes the next change: not the one that is out, and not a full one. */
static struct batch *open_batch(struct shelf *s)
{
	struct batch *b = NULL;

	if (!list_empty(&s->batches))
		b = list_entry(s->batches.prev, struct batch, link);
	if (b && b->changes.len < BATCH_BYTES && !(s->out && list_first(&s->batches) == &b->link))
		return b;
	return batch_new(s);
}

static uint64_t add(struct shelf *s, const struct db_shelf_change *c)
{
	struct batch *b = open_batch(s);
	size_t before = b->changes.len;

	db_shelf_change_put(&b->changes, c);
	s->waiting += b->changes.len - before;
	b->puts |= c->op == SHELF_PUT;
	b->last = ++s->last;
	return s->last;
}

uint64_t shelf_put(struct shelf *s, uint64_t sid, uint8_t kind, uint64_t n, struct slice body)
{
	return add(s, &(struct db_shelf_change){
			      .op = SHELF_PUT, .sid = sid, .kind = kind, .n = n, .body = body});
}

uint64_t shelf_del(struct shelf *s, uint64_t sid, uint8_t kind, uint64_t n)
{
	return add(s, &(struct db_shelf_change){
			      .op = SHELF_DEL, .sid = sid, .kind = kind, .n = n, .upto = n});
}

uint64_t shelf_last(const struct shelf *s)
{
	return s->last;
}

uint64_t shelf_synced(const struct shelf *s)
{
	return s->synced;
}

bool shelf_is_full(const struct shelf *s)
{
	return s->waiting >= FULL_BYTES;
}

size_t shelf_waiting(const struct shelf *s)
{
	return s->waiting;
}

bool shelf_next(struct shelf *s, struct slice *changes, bool *only_deletes)
{
	struct batch *b;

	if (s->out || list_empty(&s->batches))
		return false;
	s->out = true;
	b = list_entry(list_first(&s->batches), struct batch, link);
	*changes = str_slice(&b->changes);
	*only_deletes = !b->puts;
	return true;
}

void shelf_done(struct shelf *s, bool applied)
{
	struct batch *b;

	check(s->out);
	s->out = false;
	if (!applied)
		return;
	b = list_entry(list_first(&s->batches), struct batch, link);
	s->synced = b->last;
	s->waiting -= b->changes.len;
	batch_free(b);
}

struct row_key {
	uint64_t sid, n, kind;
};

/* Calls fn for each change of the batches; at tells it from all others. */
static void each_change(const struct list *batches,
			void (*fn)(struct shelf *s, struct map *newest,
				   const struct db_shelf_change *c, struct slice key, void *at),
			struct shelf *s, struct map *newest)
{
	list_each (it, batches) {
		struct str *changes = &list_entry(it, struct batch, link)->changes;
		struct slice left = str_slice(changes);
		struct db_shelf_change c;
		char *at = changes->data;

		while (left.len && db_shelf_change_get(&left, &c)) {
			struct row_key key = {c.sid, c.n, c.kind};

			fn(s, newest, &c, slice_of((const char *)&key, sizeof(key)), at);
			at = changes->data + (changes->len - left.len);
		}
	}
}

static void note_newest(struct shelf *s, struct map *newest, const struct db_shelf_change *c,
			struct slice key, void *at)
{
	(void)s;
	(void)c;
	map_put(newest, key, at);
}

static void keep_deletion(struct shelf *s, struct map *newest, const struct db_shelf_change *c,
			  struct slice key, void *at)
{
	if (c->op == SHELF_DEL && map_find(newest, key) == at)
		add(s, c);
}

static void keep_put(struct shelf *s, struct map *newest, const struct db_shelf_change *c,
		     struct slice key, void *at)
{
	if (c->op == SHELF_PUT && map_find(newest, key) == at)
		add(s, c);
}

/* Their order is another one now: only the last batch may say that anything is done. */
void shelf_shrink(struct shelf *s)
{
	uint64_t last = s->last;
	struct map newest;
	struct list old;

	check(!s->out);
	if (list_empty(&s->batches))
		return;
	old = s->batches;
	old.next->prev = old.prev->next = &old;
	list_init(&s->batches);
	s->waiting = 0;
	map_init(&newest);
	each_change(&old, note_newest, s, &newest);
	each_change(&old, keep_deletion, s, &newest);
	batch_new(s);
	each_change(&old, keep_put, s, &newest);
	list_each (it, &s->batches)
		list_entry(it, struct batch, link)->last = s->synced;
	list_entry(s->batches.prev, struct batch, link)->last = s->last = last;
	map_clear(&newest);
	list_each_safe (it, &old)
		batch_free(list_entry(it, struct batch, link));
}
