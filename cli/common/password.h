/*
 * password - gets a new password: from the terminal without echo, twice, or from standard input.
 */
#ifndef CLI_COMMON_PASSWORD_H
#define CLI_COMMON_PASSWORD_H

#include <stdio.h>

#include "base/err.h"
#include "base/str.h"

#define PASSWORD_SIZE 1026 /* SCRAM_KEYS_PASSWORD_MAX, one to see that it is longer, NUL */

/* Asks on the controlling terminal, "Password for WHO: " and again. ERR_UNSUPPORTED: there is no
 * terminal; ERR_CONFLICT: the two differ; ERR_CLOSED: interrupted or end of file; why says what to
 * do. The echo is back on whatever happens, signals included. */
enum err password_ask(char out[PASSWORD_SIZE], const char *who, struct str *why);

/* The same, once, with this prompt ("PROMPT: "). */
enum err password_prompt(char out[PASSWORD_SIZE], const char *prompt, struct str *why);

/* The first line of fd, without its end. ERR_FORMAT: a NUL inside; ERR_CLOSED: nothing there;
 * ERR_IO. */
enum err password_read(char out[PASSWORD_SIZE], int fd, struct str *why);

#endif
