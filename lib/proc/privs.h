/*
 * privs - giving up rights for good, and checking that they are gone.
 */
#ifndef PROC_PRIVS_H
#define PROC_PRIVS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/* Becomes uid and gid with no other group, and can never gain rights by exec. uid -1: only the
 * latter. On failure why names the call and the reason: the process must end. */
enum err privs_drop(int64_t uid, int64_t gid, struct str *why);

/* Looks names up. ERR_NOTFOUND, or ERR_DENIED for root itself, with the reason and what to do. */
enum err privs_find(const char *user, const char *group, uid_t *uid, gid_t *gid, struct str *why);

#endif
