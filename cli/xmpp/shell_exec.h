/*
 * shell_exec - the programs beside this one: running them, and asking what they can do.
 */
#ifndef CLI_XMPP_SHELL_EXEC_H
#define CLI_XMPP_SHELL_EXEC_H

#include "base/err.h"
#include "base/str.h"

/* Runs argv[0] in the foreground, with -C dir behind it if dir is not NULL; Ctrl-C and Ctrl-\ are
 * for it alone. Its exit code, 128 + the signal that ended it, 127 (said) when it cannot be
 * started. */
int shell_exec(const char *dir, int argc, char *const *argv);

/* What `PROGRAM --commands` prints. ERR_NOTFOUND: it is not installed; ERR_IO. */
enum err shell_exec_list(const char *program, struct str *out);

#endif
