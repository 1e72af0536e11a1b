/*
 * json - writing strings for JSON (RFC 8259 section 7).
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/slice.h"
#include "base/str.h"

/* Appends "text", quoted and escaped. What is no UTF-8 in it becomes U+FFFD: whoever reads JSON
 * would refuse all of it. */
void json_text(struct str *out, struct slice text);

#endif
