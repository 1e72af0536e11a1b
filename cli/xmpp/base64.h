/*
 * base64 - RFC 4648 section 4, for keys in files.
 */
#ifndef CLI_XMPP_BASE64_H
#define CLI_XMPP_BASE64_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/str.h"

void base64_write(struct str *out, struct slice bytes);

/* White space around and inside is passed over. false: it is not base64; out is unchanged. */
bool base64_read(struct str *out, struct slice text);

#endif
