/*
 * stanza - the packed index of a stanza's direct children, for who inserts or strips elements
 * without parsing.
 */
#ifndef XMPP_STANZA_H
#define XMPP_STANZA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

/* One direct child: offset and length in inner; ns and name are numbers of xmpp/ns.h (0 = a
 * namespace, or name, not in that list). */
struct stanza_child {
	uint16_t ns;
	uint16_t name;
	uint32_t offset;
	uint32_t length;
};

#define STANZA_CHILD_MAX 64 /* further children are not indexed */

void stanza_child_put(struct str *out, const struct stanza_child *c);
bool stanza_child_get(struct slice *index, struct stanza_child *c);

#endif
