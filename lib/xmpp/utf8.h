/*
 * utf8 - is it UTF-8? (RFC 3629)
 *
 * libidn trusts its input, and libxml2's push parser lets overlong forms pass inside CDATA: so text
 * from outside is checked here before either of them sees it.
 */
#ifndef XMPP_UTF8_H
#define XMPP_UTF8_H

#include <stdbool.h>

#include "base/slice.h"

/* No NUL, no overlong forms, no surrogates, nothing above U+10FFFF, no cut sequence. */
bool utf8_ok(struct slice s);

#endif
