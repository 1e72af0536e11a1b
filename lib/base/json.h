/*
 * json - writing strings for JSON (RFC 8259 section 7).
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/slice.h"
#include "base/str.h"

/* Appends "text", quoted and escaped. text is UTF-8. */
void json_text(struct str *out, struct slice text);

#endif
