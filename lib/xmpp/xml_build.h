/*
 * xml_build - makes a tree (xml_tree.h) of what xml_push tells. Internal to lib/xmpp.
 */
#ifndef XMPP_XML_BUILD_H
#define XMPP_XML_BUILD_H

#include "base/str.h"
#include "xmpp/xml_push.h"
#include "xmpp/xml_tree.h"

struct xml_build {
	struct xml_node *root; /* owned until taken */
	struct xml_node *open;
	struct xml_arena *arena;
	struct str text; /* character data since the last tag */
};

void xml_build_init(struct xml_build *b);
void xml_build_clear(struct xml_build *b); /* frees a tree that was not taken */

/* The callbacks; arg is the struct xml_build. */
const struct xml_sink *xml_build_sink(void);

/* The finished tree: the caller's from now on. */
struct xml_node *xml_build_take(struct xml_build *b);

/* NULL-safe. Wipes what it frees: trees also hold passwords. */
void xml_arena_free(struct xml_arena *a);

#endif
