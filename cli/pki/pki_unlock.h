/*
 * pki_unlock - takes the pass phrase off a key, in place.
 */
#ifndef CLI_PKI_PKI_UNLOCK_H
#define CLI_PKI_PKI_UNLOCK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* name as pki_what_read() takes it. The pass phrase is asked for on the terminal without echo, or
 * is the first line of standard input. The file keeps its owner and gets mode 0600. ERR_CONFLICT:
 * has none; ERR_DENIED: not the right one; ERR_FORMAT, ERR_IO. */
enum err pki_unlock(const char *name, const char *dir, bool from_stdin, char **path,
		    struct str *why);

#endif
