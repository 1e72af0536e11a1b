/*
 * pki_list - what lies in an instance's pki/.
 */
#ifndef CLI_PKI_PKI_LIST_H
#define CLI_PKI_PKI_LIST_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* Every file of dir/pki, however it came there (not those that begin with a dot): name, kind,
 * expiry, whom it names; then a line for each that needs something done. json: an object a line. */
enum err pki_list(const char *dir, bool json, struct str *out, struct str *why);

#endif
