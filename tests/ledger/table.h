/*
 * table - the verdict for people or as one JSON object.
 */
#ifndef LEDGER_TABLE_H
#define LEDGER_TABLE_H

#include "tests/ledger/judge.h"
#include "tests/ledger/options.h"

void table_print(const struct options *o, const struct verdict *v);
void table_json(const struct options *o, const struct verdict *v);

#endif
