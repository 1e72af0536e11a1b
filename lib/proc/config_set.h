/*
 * config_set - some keys of the configuration with their values, and no others: what
 * conf/managed.conf is made of.
 *
 * Pure data but for config_set_load(). Names are `section.key`, or `key` at top level; a name or
 * kind that options.def does not have is a bug. Bounds are judged when the written text is loaded.
 */
#ifndef PROC_CONFIG_SET_H
#define PROC_CONFIG_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct config_set;

struct config_set *config_set_new(void);
void config_set_free(struct config_set **sp); /* NULL-safe */

/* Adds what a file sets; one that is missing sets nothing. ERR_FORMAT: file, line and reason. */
enum err config_set_load(struct config_set *s, const char *path, struct str *why);

/* Copies. A list is NULL-terminated. */
void config_set_text(struct config_set *s, const char *name, const char *value);
void config_set_number(struct config_set *s, const char *name, int64_t value);
void config_set_flag(struct config_set *s, const char *name, bool value);
void config_set_list(struct config_set *s, const char *name, const char *const *values);
void config_set_remove(struct config_set *s, const char *name);
bool config_set_has(const struct config_set *s, const char *name);

/* As a file that config_load() reads. */
void config_set_format(struct str *out, const struct config_set *s);

/* A number of the bytes of a file, to see whether it is still the same; 0 = there is none. */
uint64_t config_file_mark(const char *path);

#endif
