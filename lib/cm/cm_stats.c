#include "cm/cm_stats.h"

#include "ipc/stanza_kinds.h"

void cm_stats_books(const struct hold *h, struct str *out)
{
	const struct hold_books *b = hold_books(h);

	str_addf(out,
		 " custody_accepted=%llu custody_delivered=%llu custody_stored=%llu "
		 "custody_bounced=%llu custody_consumed=%llu custody_discarded=%llu "
		 "custody_released=%llu custody_held=%llu custody_held_bytes=%zu "
		 "custody_difference=%llu deliveries=%llu repeats=%llu undeliverable=%llu "
		 "unforgotten=%llu suspects=%llu quarantined=%llu",
		 (unsigned long long)b->accepted, (unsigned long long)b->settled[SETTLED_DELIVERED],
		 (unsigned long long)b->settled[SETTLED_STORED],
		 (unsigned long long)b->settled[SETTLED_BOUNCED],
		 (unsigned long long)b->settled[SETTLED_CONSUMED],
		 (unsigned long long)b->settled[SETTLED_DISCARDED], (unsigned long long)b->released,
		 (unsigned long long)b->held, hold_total(h),
		 (unsigned long long)hold_books_difference(b), (unsigned long long)b->deliveries,
		 (unsigned long long)b->repeats, (unsigned long long)b->undeliverable,
		 (unsigned long long)b->unforgotten, (unsigned long long)b->suspects,
		 (unsigned long long)b->quarantined);
}
