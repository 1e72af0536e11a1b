/*
 * c2s_base64 - RFC 4648 section 4, strictly: no white space, padding required, nothing after it
 * (RFC 6120 13.9.1 refuses the rest: hidden data, other spellings of the same bytes).
 */
#ifndef CM_CLIENT_C2S_BASE64_H
#define CM_CLIENT_C2S_BASE64_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/str.h"

void c2s_base64_encode(struct str *out, struct slice in);

/* Appends the bytes; false (out unchanged) when in is not base64. */
bool c2s_base64_decode(struct str *out, struct slice in);

#endif
