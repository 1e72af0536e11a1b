#include "callbridge/bridge_retry.h"

uint32_t bridge_retry_ms(uint32_t min_ms, uint32_t max_ms, uint32_t failures, uint32_t random)
{
	uint64_t base = min_ms ? min_ms : 1;

	while (failures-- > 0 && base < max_ms)
		base *= 2;
	base += base * ((uint64_t)random % 1024) / 2048;
	return base < max_ms ? (uint32_t)base : max_ms;
}
