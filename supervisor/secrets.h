/*
 * secrets - a file that one service is given opened, because its own user may not read it: the
 * shared secret of the call bridge.
 */
#ifndef SUPERVISOR_SECRETS_H
#define SUPERVISOR_SECRETS_H

#include <stdbool.h>

#include "base/str.h"

struct config;
struct inherit;
struct table_row;

/* Adds the row's file, if it has one. false: why names it, the reason and what to do. */
bool secrets_add(const struct table_row *row, const struct config *cfg, struct inherit *in,
		 struct str *why);

/* Whether one that this configuration needs cannot be opened. */
bool secrets_missing(const struct config *cfg, struct str *why);

#endif
