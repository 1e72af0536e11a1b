/*
 * stamp - moments as text: the DateTime profile of XEP-0082.
 */
#ifndef SESSION_STAMP_H
#define SESSION_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define STAMP_TEXT 40

/* 2002-09-10T23:08:25.120Z; ms since 1970. */
void stamp_format(uint64_t ms, char out[STAMP_TEXT]);

/* Also with an offset, and any number of digits of a second (the first three count). false: not
 * such a text, or a moment before 1970. */
bool stamp_parse(struct slice text, uint64_t *ms);

#endif
