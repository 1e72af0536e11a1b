#include "cm/cm_rate.h"

#define NS_IN_US 1000

/* In nanoseconds: at 1 GB/s a byte is one. */
static uint64_t ns_for(const struct cm_rate *r, uint64_t n)
{
	return (uint64_t)((unsigned __int128)n * r->per_us * NS_IN_US / r->units);
}

bool cm_rate_is_over(uint64_t paid, const struct cm_rate *r, struct monotime now)
{
	return r->units && paid > now.us * NS_IN_US + ns_for(r, r->burst);
}

bool cm_rate_take(uint64_t *paid, const struct cm_rate *r, uint64_t n, struct monotime now)
{
	uint64_t now_ns = now.us * NS_IN_US;

	if (!r->units)
		return false;
	*paid = (*paid > now_ns ? *paid : now_ns) + ns_for(r, n);
	return cm_rate_is_over(*paid, r, now);
}

bool cm_rate_is_idle(uint64_t paid, struct monotime now)
{
	return paid <= now.us * NS_IN_US;
}
