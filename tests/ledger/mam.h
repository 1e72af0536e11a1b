/*
 * mam - at the end every account's archive is read, page by page, for the judge (XEP-0313).
 */
#ifndef LEDGER_MAM_H
#define LEDGER_MAM_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/ledger/crowd.h"

/* All of them, or as many as can be read in ms; turn is called meanwhile. */
void mam_read(struct crowd *w, uint32_t ms, void (*turn)(struct crowd *w));

/* A message with a result, and the answer to a query. */
void mam_take(struct member *m, struct slice message);
void mam_answered(struct member *m, uint32_t account, bool done, struct slice iq);

#endif
