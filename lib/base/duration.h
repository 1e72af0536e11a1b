/*
 * duration - a length of time for people, as the guides write it: "1 day, 17 hours, 41 minutes".
 */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include <stdint.h>

#include "base/str.h"

/* Appends days, hours, minutes and seconds: at most the three largest units, those that are zero
 * left out, each in singular or plural; "0 seconds" when nothing is left. */
void duration_write(struct str *out, uint64_t seconds);

#endif
