/*
 * xml_mask - what of a stanza may be shown to an operator: its elements and the attributes that
 * say how it was handled; never what people wrote.
 */
#ifndef XMPP_XML_MASK_H
#define XMPP_XML_MASK_H

#include "base/slice.h"
#include "base/str.h"

/* Appends xml (any bytes; as the bus carries it, well-formed) with all character data, and the
 * values of all attributes that are not known to be harmless, replaced by their length in
 * characters:
 * "<body>[12]</body>". At most max bytes are added, then "...". */
void xml_mask(struct str *out, struct slice xml, size_t max);

#endif
