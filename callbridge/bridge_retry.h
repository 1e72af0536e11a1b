/*
 * bridge_retry - how long to wait before something that failed is tried again. Pure.
 */
#ifndef CALLBRIDGE_BRIDGE_RETRY_H
#define CALLBRIDGE_BRIDGE_RETRY_H

#include <stdint.h>

#define BRIDGE_RETRY_DNS_MS 64000 /* FEATURES 2.4: what the guides' logs show */

/* failures: in a row before this one. min_ms doubled for each of them, plus up to half of that by
 * chance (random: any number), so that many who lost one server do not come back as one; never more
 * than max_ms. */
uint32_t bridge_retry_ms(uint32_t min_ms, uint32_t max_ms, uint32_t failures, uint32_t random);

#endif
