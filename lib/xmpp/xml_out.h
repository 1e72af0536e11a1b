/*
 * xml_out - writing XML text: escaping, and the tags of stanzas.
 */
#ifndef XMPP_XML_OUT_H
#define XMPP_XML_OUT_H

#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

/* Appends s escaped for character data or an attribute value in single or double quotes. s is
 * UTF-8; control characters, which XML cannot hold, become "?". */
void xml_out_text(struct str *out, struct slice s);

/* The same for attribute values whose TAB and LF must survive normalisation. */
void xml_out_attr_value(struct str *out, struct slice s);

/* Appends " name='value'", escaped. Nothing when value.data is NULL. */
void xml_out_attr(struct str *out, const char *name, struct slice value);

/* A stanza as it goes to a stream whose default namespace is the content namespace: start tag
 * (from, to, id, type, xml:lang: each only when non-empty), inner, end tag; <message .../> when
 * inner is empty. */
struct stanza_out {
	uint8_t kind;
	uint8_t type;
	struct slice from, to, id, lang, inner;
};
void xml_out_stanza(struct str *out, const struct stanza_out *s);

/* "message", "presence", "iq"; "chat", "" for TYPE_NONE. Never NULL. */
const char *stanza_kind_name(uint8_t kind);
const char *stanza_type_name(uint8_t type);
/* The number for a type attribute of this kind; TYPE_OTHER when it is none of them. */
uint8_t stanza_type_parse(uint8_t kind, struct slice text);

#endif
