/*
 * feud - who blocks whom (XEP-0191), and the commands for it.
 *
 * One client of an account commands for it. Half of the blocks stand before the first message is
 * sent and stay; the others come and go. A command that was refused, or whose session was lost, is
 * given again until it is answered: till then nobody knows whether it is in force.
 */
#ifndef LEDGER_FEUD_H
#define LEDGER_FEUD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/ledger/crowd.h"

void feud_init(struct crowd *w);
void feud_clear(struct crowd *w);

/* Every turn. */
void feud_tick(struct crowd *w, uint32_t now);

/* Is none being changed? */
bool feud_quiet(const struct crowd *w);

/* The answer to command number of this client. */
void feud_answered(struct member *m, uint32_t number, bool done);

/* Two clients of which one has blocked the other, now and then. False: nobody has. */
bool feud_pick(struct crowd *w, struct member **from, struct member **to);

#endif
