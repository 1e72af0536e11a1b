/*
 * layout - an instance directory: which folders it has, whose they are, and what stands in them.
 */
#ifndef SUPERVISOR_LAYOUT_H
#define SUPERVISOR_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct config;
struct table_row;

/* Working directory = the instance. Makes missing folders, sets owners and modes: as root each
 * service reaches only what it needs, as an ordinary user all is 0700. */
enum err layout_apply(const struct config *cfg, struct str *why);

/* As root: the configuration files are readable for the services again. An editor that replaces
 * one may have lost the group. */
void layout_readable(const struct config *cfg);

/* As root: makes the configured users and group that do not exist, tells each in done. */
enum err layout_make_users(const struct config *cfg, struct str *done, struct str *why);

/* Who a service runs as; -1, -1 as an ordinary user. */
enum err layout_user(const struct table_row *row, const struct config *cfg, int64_t *uid,
		     int64_t *gid, struct str *why);

/* Replaces path by these bytes at once (a new file, synced, renamed). group: readable for the
 * services. */
enum err layout_write_file(const char *path, struct slice bytes, const struct config *cfg,
			   struct str *why);

#endif
