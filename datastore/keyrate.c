#include "datastore/keyrate.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/xmem.h"

#define BUCKETS	  8192u
#define MS_MINUTE 60000u

/* used counts in 1/60000 of a read, so that a millisecond gives back per_minute of them. */
struct bucket {
	uint64_t last_ms;
	uint64_t used;
};

struct keyrate {
	struct bucket buckets[BUCKETS];
};

struct keyrate *keyrate_new(void)
{
	return xcalloc(1, sizeof(struct keyrate));
}

void keyrate_free(struct keyrate **kp)
{
	free(*kp);
	*kp = NULL;
}

bool keyrate_take(struct keyrate *k, struct slice user, struct slice domain, uint32_t per_minute,
		  struct monotime now)
{
	uint64_t hash = map_hash(user) ^ (map_hash(domain) << 1);
	struct bucket *b = &k->buckets[hash % BUCKETS];
	uint64_t now_ms = now.us / 1000;
	uint64_t back = (now_ms - b->last_ms) * per_minute;

	b->used = b->used > back ? b->used - back : 0;
	b->last_ms = now_ms;
	if (b->used + MS_MINUTE > (uint64_t)per_minute * MS_MINUTE)
		return false;
	b->used += MS_MINUTE;
	return true;
}
