/*
 * stanza_error - the defined conditions of RFC 6120 8.3.3 and their elements.
 */
#ifndef XMPP_STANZA_ERROR_H
#define XMPP_STANZA_ERROR_H

#include "base/slice.h"
#include "base/str.h"

enum stanza_error {
#define STANZA_ERROR(NAME, condition, type) STANZA_ERROR_##NAME,
#include "xmpp/stanza_error.def"
#undef STANZA_ERROR
};

const char *stanza_error_condition(enum stanza_error e);
const char *stanza_error_type(enum stanza_error e);

/* The number for a condition's name; STANZA_ERROR_UNDEFINED_CONDITION when unknown. */
enum stanza_error stanza_error_find(struct slice condition);

/* Appends <error type='..'><condition xmlns='..'/><text ..>text</text></error>; text may be NULL.
 * The element is of the content namespace (no xmlns), so it is inner of an error stanza. */
void stanza_error_write(struct str *out, enum stanza_error e, const char *text);

#endif
