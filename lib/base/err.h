/*
 * err - the failures that are returned and handled (STYLE 8: input, peers, networks).
 *
 * Bugs use check(), a broken environment at start uses fatal() (lib/base/log.h).
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
#define ERR(name, text) ERR_##name,
#include "base/err.def"
#undef ERR
};

/* The sentence for the log. Never NULL, static. */
const char *err_text(enum err e);

/* The name without prefix ("NOTFOUND"), for key=value. Never NULL, static. */
const char *err_name(enum err e);

#endif
