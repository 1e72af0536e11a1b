/*
 * table - aligned text for people. Cells are shown safely: control characters, which could steer
 * the terminal, appear as \xHH.
 */
#ifndef CLI_COMMON_TABLE_H
#define CLI_COMMON_TABLE_H

#include <stddef.h>

#include "base/slice.h"
#include "base/str.h"

struct table {
	size_t columns;
	size_t cells;
	char **cell;
};

void table_init(struct table *t, size_t columns);
void table_clear(struct table *t);

/* The next cell, left to right, row after row. The first row is the heading. */
void table_add(struct table *t, struct slice text);
void table_addf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Columns are as wide as their widest cell, two spaces apart; a row that is not full is a bug. */
void table_write(const struct table *t, struct str *out);

/* Text as it is, made safe, and a line feed. */
void table_raw(struct str *out, struct slice text);

/* "Label                   : value", the label in 24 columns (FEATURES 1.1). */
void table_label(struct str *out, const char *label, struct slice value);

#endif
