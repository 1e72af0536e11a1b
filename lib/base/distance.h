/*
 * distance - how far a mistyped name is from a known one, for "did you mean".
 */
#ifndef BASE_DISTANCE_H
#define BASE_DISTANCE_H

#include <stdbool.h>
#include <stddef.h>

#define DISTANCE_FAR 64

/* Levenshtein; names of DISTANCE_FAR bytes and more are as far away as can be. */
size_t distance_of(const char *a, const char *b);

/* Near enough to be what was meant: two slips, in a short name one. */
bool distance_is_near(const char *typed, const char *known);

#endif
