/*
 * config_table - options.def as a table: what parser, writer and comparison walk over.
 *
 * Private to lib/proc/config*.c.
 */
#ifndef PROC_CONFIG_TABLE_H
#define PROC_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/config.h"

enum config_kind {
	CONFIG_KIND_BOOL,
	CONFIG_KIND_INT,
	CONFIG_KIND_STR,
	CONFIG_KIND_ENUM,
	CONFIG_KIND_LIST,
};

struct config_option {
	const char *section; /* "" = top level */
	const char *key;
	enum config_kind kind;
	size_t offset; /* of the field in struct config */
	int64_t def_int;
	int64_t min;
	int64_t max;
	const char *def_str; /* lists: separated by commas */
	const char *choices; /* enums: "a|b|c" */
	const char *help;
};

extern const struct config_option config_table[];
extern const size_t config_table_len;

static inline void *config_field(struct config *cfg, const struct config_option *o)
{
	return (char *)cfg + o->offset;
}

static inline const void *config_field_const(const struct config *cfg,
					     const struct config_option *o)
{
	return (const char *)cfg + o->offset;
}

const struct config_option *config_option_find(const char *section, const char *key); /* NULL */

/* Judges path and puts what it sets into cfg; set (as config_table, may be NULL) gets true for
 * each key. On failure cfg may hold some of it. */
bool config_read_file_into(struct config *cfg, const char *path, bool *set, struct str *why);

/* The keys with set[i], as a file. */
void config_format_keys(struct str *out, const struct config *cfg, const bool *set);

/* Whether both hold the same value for o. */
bool config_same(const struct config *a, const struct config *b, const struct config_option *o);

#endif
