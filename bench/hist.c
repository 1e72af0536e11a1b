#include "bench/hist.h"

/* Values below HIST_STEPS stand for themselves; above, the top 7 bits choose the bucket. */
static uint32_t bucket_of(uint64_t us)
{
	if (us < HIST_STEPS)
		return (uint32_t)us;
	uint32_t shift = 63 - (uint32_t)__builtin_clzll(us) - 6;
	uint64_t bucket = (uint64_t)(shift + 1) * HIST_STEPS + ((us >> shift) - HIST_STEPS);

	return bucket < HIST_BUCKETS ? (uint32_t)bucket : HIST_BUCKETS - 1;
}

static uint64_t top_of(uint32_t bucket)
{
	if (bucket < HIST_STEPS)
		return bucket;
	uint32_t shift = bucket / HIST_STEPS - 1;

	return ((uint64_t)(bucket % HIST_STEPS + HIST_STEPS + 1) << shift) - 1;
}

void hist_add(struct hist *h, uint64_t us)
{
	h->count++;
	h->buckets[bucket_of(us)]++;
	if (us > h->max)
		h->max = us;
}

uint64_t hist_percentile(const struct hist *h, double share)
{
	uint64_t want = (uint64_t)((double)h->count * share + 0.5);
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	if (want == 0)
		want = 1;
	for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= want)
			return top_of(i) < h->max ? top_of(i) : h->max;
	}
	return h->max;
}
