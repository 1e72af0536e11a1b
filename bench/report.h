/*
 * report - a result as a table for people or as one JSON object for bench/run.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/fleet.h"
#include "bench/load.h"
#include "bench/opts.h"

void report_table(const struct opts *o, const struct result *r);
void report_json(const struct opts *o, const struct result *r);

/* One line, at once: whoever drives the steps waits for it. */
void report_step(const struct step *s);

#endif
