/*
 * pki_inspect - says what is in a file of keys, certificates or requests, PEM or DER.
 *
 * Private keys are named by kind and size only.
 */
#ifndef CLI_PKI_PKI_INSPECT_H
#define CLI_PKI_PKI_INSPECT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

#define PKI_INSPECT_FILE_MAX ((size_t)1024 * 1024)

/* Appends one block of "Label : value" lines for each object (json: one object a line).
 * ERR_FORMAT: nothing known in it. */
enum err pki_inspect_bytes(struct slice bytes, bool json, struct str *out);

/* The same for a file: as named, else in dir/pki/ (dir may be NULL). why says what to do next.
 * ERR_CORRUPT: cut off; out has what could be read. */
enum err pki_inspect_file(const char *file, const char *dir, bool json, struct str *out,
			  struct str *why);

#endif
