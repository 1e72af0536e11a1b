/*
 * cm_stats - P1, of this process: what its streams sent into custody and how it ended, as it is
 * told with PONG.
 */
#ifndef CM_CM_STATS_H
#define CM_CM_STATS_H

#include "base/str.h"
#include "ipc/hold.h"

void cm_stats_books(const struct hold *h, struct str *out);

#endif
