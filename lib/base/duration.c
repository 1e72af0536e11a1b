#include "base/duration.h"

#include <stdbool.h>
#include <stddef.h>

#define UNITS_SHOWN 3

static const struct {
	uint64_t seconds;
	const char *name;
} units[] = {
	{86400, "day"},
	{3600, "hour"},
	{60, "minute"},
	{1, "second"},
};

#define NUNITS (sizeof(units) / sizeof(units[0]))

void duration_write(struct str *out, uint64_t seconds)
{
	size_t first = 0;
	bool any = false;

	while (first < NUNITS - 1 && seconds < units[first].seconds)
		first++;
	for (size_t i = first; i < NUNITS && i < first + UNITS_SHOWN; i++) {
		uint64_t n = seconds / units[i].seconds;

		seconds %= units[i].seconds;
		if (n == 0 && (any || i < NUNITS - 1))
			continue;
		str_addf(out, "%s%llu %s%s", any ? ", " : "", (unsigned long long)n, units[i].name,
			 n == 1 ? "" : "s");
		any = true;
	}
}
