/*
 * jid - Jabber identifiers, normalised (RFC 7622 with the stringprep profiles of RFC 6122).
 *
 * A struct jid owns one allocation holding "local@domain/resource"; the parts are slices into it.
 * Two equal JIDs have equal text. ASCII takes a fast path, the rest goes through libidn.
 */
#ifndef XMPP_JID_H
#define XMPP_JID_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

#define JID_PART_MAX 1023

struct jid {
	char *text; /* terminated; NULL = none */
	struct slice local;
	struct slice domain;
	struct slice resource;
};

#define JID_NONE ((struct jid){0})

/* Untrusted text to a normalised JID. ERR_FORMAT: not a JID (empty parts, bad UTF-8, prohibited
 * characters), ERR_TOOBIG: a part over 1023 bytes. On error *out is JID_NONE. */
enum err jid_parse(struct jid *out, struct slice text);

/* One part alone: writes the normalised form to out. */
enum err jid_prepare_local(char out[JID_PART_MAX + 1], struct slice text);
enum err jid_prepare_domain(char out[JID_PART_MAX + 1], struct slice text);
enum err jid_prepare_resource(char out[JID_PART_MAX + 1], struct slice text);

void jid_clear(struct jid *j);
struct slice jid_full(const struct jid *j); /* the whole text */
struct slice jid_bare(const struct jid *j); /* without resource; a prefix of the text */

/* For text that is normalised already (from the bus): splits without checking. Borrowed. */
struct slice jid_text_bare(struct slice text);
struct slice jid_text_domain(struct slice text);
struct slice jid_text_local(struct slice text);
struct slice jid_text_resource(struct slice text);

#endif
