/*
 * xml_push - libxml2's push parser as the judge of one slice at a time. Internal to lib/xmpp.
 *
 * One libxml2 context and inside it one open document, whose root element declares the stream's
 * namespaces: slices are parsed as its children one after the other. Between two slices nothing is
 * left of the first: the element stack and the namespace stack are as before, and no byte is
 * unparsed; whenever that is not so, or a slice was refused, the document is opened anew. (A reset
 * before every slice costs as much as the parsing.) The whole context is created anew after many
 * slices or when its dictionary has grown: libxml2 keeps names for ever (MEASURED C).
 *
 * Knows elements, not stanzas.
 */
#ifndef XMPP_XML_PUSH_H
#define XMPP_XML_PUSH_H

#include <stddef.h>

#include "base/slice.h"
#include "base/str.h"
#include "xmpp/xml_in.h"

struct xml_push;

/* A start tag, valid during the callback. Strings are terminated; ns is "" for none, prefix NULL
 * for none. Namespaces and attributes are read by index. */
struct xml_start {
	const char *name;
	const char *prefix;
	const char *ns;
	size_t offset; /* in the slice: of the '>' or '/>' that ends the tag */
	int nnamespaces;
	int nattributes;
	const void *namespaces;
	const void *attributes;
};

struct xml_attribute {
	const char *name;
	const char *prefix; /* NULL = none */
	const char *ns;	    /* "" = none */
	struct slice raw;   /* the value, but "&" stands as "&#38;": see xml_push_value() */
};

/* Who is told. depth: 0 = the slice's one element. text may be NULL: not wanted; it comes in any
 * number of pieces. */
struct xml_sink {
	void (*start)(void *arg, int depth, const struct xml_start *e);
	void (*end)(void *arg, int depth, size_t offset); /* offset: behind the element */
	void (*text)(void *arg, const char *s, size_t len);
};

struct xml_push *xml_push_new(void);
void xml_push_free(struct xml_push **pp);

/* Exactly one element, as the child of a stream with this default namespace. */
enum xml_verdict xml_push_element(struct xml_push *p, struct slice bytes, const char *content_ns,
				  const struct xml_sink *sink, void *arg);

/* A stream header, XML declaration included: a start tag that stays open. */
enum xml_verdict xml_push_header(struct xml_push *p, struct slice bytes,
				 const struct xml_sink *sink, void *arg);

/* The i-th declaration of the tag: *prefix NULL = the default namespace. Returns the name. */
const char *xml_push_namespace(const struct xml_start *e, int i, const char **prefix);
struct xml_attribute xml_push_attribute(const struct xml_start *e, int i);

/* Appends text that libxml2 gave for an attribute value or namespace name, decoded: without entity
 * replacement it leaves each "&" as "&#38;". */
void xml_push_value(struct str *out, struct slice raw);

#endif
