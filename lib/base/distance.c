#include "base/distance.h"

#include <string.h>

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t distance_of(const char *a, const char *b)
{
	size_t row[DISTANCE_FAR], la = strlen(a), lb = strlen(b);

	if (la >= DISTANCE_FAR || lb >= DISTANCE_FAR)
		return DISTANCE_FAR;
	for (size_t i = 0; i <= lb; i++)
		row[i] = i;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t k = 1; k <= lb; k++) {
			size_t up = row[k];

			row[k] = min3(up + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
			diagonal = up;
		}
	}
	return row[lb];
}

bool distance_is_near(const char *typed, const char *known)
{
	return distance_of(typed, known) <= (strlen(known) > 4 ? 2u : 1u);
}
