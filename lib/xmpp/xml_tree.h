/*
 * xml_tree - small element trees for what must be looked into: IQ payloads, SASL, features.
 *
 * Not for the hot path: messages pass as bytes. Names, namespaces and text are owned by the tree,
 * in one arena: a tree is freed whole.
 */
#ifndef XMPP_XML_TREE_H
#define XMPP_XML_TREE_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/str.h"

struct xml_attr {
	struct xml_attr *next;
	const char *ns; /* "" = none */
	const char *name;
	const char *value;
};

struct xml_node {
	struct xml_node *parent;
	struct xml_node *next;	/* sibling */
	struct xml_node *first; /* child element */
	struct xml_node *last;
	struct xml_attr *attrs;
	const char *ns;
	const char *name;
	const char *text;   /* all character data directly inside, joined; "" when none */
	const char *before; /* of it what stands between this element and the one before it */
	const char *after;  /* and between the last child and the end tag: for mixed content */
	struct xml_arena *arena;
};

void xml_tree_free(struct xml_node **root); /* NULL-safe; only for the root */

bool xml_is(const struct xml_node *n, const char *ns, const char *name);
const struct xml_node *xml_child(const struct xml_node *n, const char *ns, const char *name);
/* First child element in namespace ns, any name; NULL if none. */
const struct xml_node *xml_child_ns(const struct xml_node *n, const char *ns);
const char *xml_attr(const struct xml_node *n, const char *name); /* NULL when absent */
const char *xml_child_text(const struct xml_node *n, const char *ns,
			   const char *name); /* or NULL */

/* Inner bytes of a stanza (as on the bus) to a tree: the root is an artificial element <inner/> in
 * content_ns whose children are the payload. NULL when it does not parse (cannot happen for bytes
 * that xml_in accepted). For the loop thread only. */
struct xml_node *xml_tree_parse_inner(struct slice inner, const char *content_ns);

/* Appends n as XML, without prefixes. content_ns is the default namespace where it is put: n has
 * no xmlns if it is of that; NULL: it always has. */
void xml_tree_write(struct str *out, const struct xml_node *n, const char *content_ns);

#endif
