/*
 * secret - what a component and the server share: made, asked for, or read from a file. Who has one
 * wipes it.
 */
#ifndef CLI_XMPP_SECRET_H
#define CLI_XMPP_SECRET_H

#include "base/str.h"
#include "cli/common/password.h"

#define SECRET_MAX	 1024 /* bytes */
#define SECRET_GENERATED 24   /* letters and digits: 142 bits */

void secret_generate(char out[PASSWORD_SIZE]);

/* An enum command_exit each; what is wrong was said: empty, too long, not text. */

/* Without echo on a terminal, one line of standard input when that is none. */
int secret_ask(char out[PASSWORD_SIZE], const char *prompt);

/* The first line; "-" = standard input. */
int secret_read(char out[PASSWORD_SIZE], const char *path);

/* Prints out, which may hold secrets, then wipes and clears it. */
void secret_print(struct str *out);

#endif
