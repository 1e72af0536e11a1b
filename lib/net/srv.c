#include "net/srv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/random.h"
#include "base/xmem.h"

static int by_priority(const void *va, const void *vb)
{
	const struct srv_record *a = va, *b = vb;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	/* RFC 2782: weight 0 first, so that its small chance is a chance at all. */
	return (a->weight != 0) - (b->weight != 0);
}

static int by_target(const void *va, const void *vb)
{
	const struct srv_record *a = va, *b = vb;
	int r = strcasecmp(a->target, b->target);

	if (r == 0)
		r = (a->port > b->port) - (a->port < b->port);
	if (r == 0)
		r = (a->tag > b->tag) - (a->tag < b->tag);
	if (r == 0)
		r = (a->priority > b->priority) - (a->priority < b->priority);
	return r ? r : (a->weight < b->weight) - (a->weight > b->weight);
}

static size_t without_duplicates(struct srv_record *list, size_t n)
{
	size_t kept = 0;

	qsort(list, n, sizeof(*list), by_target);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && strcasecmp(list[kept - 1].target, list[i].target) == 0 &&
		    list[kept - 1].port == list[i].port && list[kept - 1].tag == list[i].tag)
			continue;
		list[kept++] = list[i];
	}
	return kept;
}

/* The running sums of RFC 2782: the first record whose sum is not less than the number drawn from
 * 0 .. the sum of all. */
static size_t draw(const struct srv_record *list, size_t n, srv_random *random, void *arg)
{
	uint32_t total = 0, sum = 0, drawn;
	size_t i;

	for (i = 0; i < n; i++)
		total += list[i].weight;
	drawn = random(arg, total + 1);
	for (i = 0; i + 1 < n; i++) {
		sum += list[i].weight;
		if (sum >= drawn)
			break;
	}
	return i;
}

size_t srv_order(const struct srv_record *in, size_t n, srv_random *random, void *arg,
		 struct srv_record out[SRV_TARGETS_MAX])
{
	struct srv_record *list = xcalloc(n ? n : 1, sizeof(*list));
	size_t used = 0, first = 0;

	if (n > 0)
		memcpy(list, in, n * sizeof(*list));
	n = without_duplicates(list, n);
	qsort(list, n, sizeof(*list), by_priority);
	while (first < n && used < SRV_TARGETS_MAX) {
		size_t same = 1, i;

		while (first + same < n && list[first + same].priority == list[first].priority)
			same++;
		i = first + draw(list + first, same, random, arg);
		out[used++] = list[i];
		/* The order of the others stays as it was: those of weight 0 in front. */
		memmove(list + first + 1, list + first, (i - first) * sizeof(*list));
		first++;
	}
	free(list);
	return used;
}

uint32_t srv_random_system(void *arg, uint32_t bound)
{
	uint32_t limit = UINT32_MAX - UINT32_MAX % bound, r;

	(void)arg;
	do {
		random_bytes(&r, sizeof(r));
	} while (r >= limit);
	return r % bound;
}
