/*
 * config - conf/roundhouse.conf as one typed, immutable struct; every key is a row of options.def.
 *
 * conf/managed.conf, which commands write, lies over it: a key that stands there wins over the same
 * key in roundhouse.conf; lists are not joined.
 *
 * Parsed by libconfig. A refusal names file, line and reason. The whole file is judged before any
 * of it is used (P3). Unknown keys and sections are refused, with the nearest known one.
 */
#ifndef PROC_CONFIG_H
#define PROC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define OPT_BOOL(section, key, field, def, help)	  bool field;
#define OPT_INT(section, key, field, def, min, max, help) int64_t field;
#define OPT_STR(section, key, field, def, help)		  char *field;
#define OPT_ENUM(section, key, field, def, choices, help) char *field;
#define OPT_LIST(section, key, field, def, help)	  char **field; /* NULL-terminated */
#define OPT_NEEDS_RESTART(section, key)
struct config {
#include "proc/options.def"
};
#undef OPT_BOOL
#undef OPT_INT
#undef OPT_STR
#undef OPT_ENUM
#undef OPT_LIST
#undef OPT_NEEDS_RESTART

#define CONFIG_NAME	    "roundhouse.conf"
#define CONFIG_MANAGED	    "managed.conf"
#define CONFIG_PATH	    "conf/" CONFIG_NAME
#define CONFIG_MANAGED_PATH "conf/" CONFIG_MANAGED
/* What a command wants it to be, until it is judged (cli/common/managed). */
#define CONFIG_CANDIDATE_PATH CONFIG_MANAGED_PATH ".candidate"
#define CONFIG_JUDGED_PATH    CONFIG_MANAGED_PATH ".judged" /* while the supervisor judges it */
/* Both layers as one file, which programs judge when the upper one is not in its place yet. */
#define CONFIG_MERGED_PATH "run/candidate.conf"

/* Reads and judges a file; over one called roundhouse.conf lies the managed.conf beside it, if
 * there is one. On failure *out is NULL and why says "file:line: reason; what to do". A missing
 * file is an error. An `@include "managed.conf"` does nothing: instances of old have it. */
enum err config_load(struct config **out, const char *path, struct str *why);

/* The same with another file over it, which may be missing or NULL. */
enum err config_load_layers(struct config **out, const char *path, const char *over,
			    struct str *why);

/* All defaults. */
struct config *config_defaults(void);
void config_free(struct config **cp);

/* The commented example: every key with its help. With cfg: its values; those that are the default
 * stand commented, except lists. What it writes with a cfg, config_load() reads back equal. */
void config_format(struct str *out, const struct config *cfg);

/* Names the first key that differs and cannot be changed by a reload, in why; false = none. */
bool config_needs_restart(const struct config *old, const struct config *new, struct str *why);

#endif
