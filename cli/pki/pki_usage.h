/*
 * pki_usage - which component uses which key, certificate and bundle, and whether they fit.
 */
#ifndef CLI_PKI_PKI_USAGE_H
#define CLI_PKI_PKI_USAGE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* A block for each certificate of the configuration in dir (json: an object a line). ERR_FORMAT,
 * ERR_IO: the configuration. */
enum err pki_usage(const char *dir, bool json, struct str *out, struct str *why);

#endif
