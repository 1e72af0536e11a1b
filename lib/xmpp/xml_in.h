/*
 * xml_in - libxml2's verdict on a slice that the framer cut, and what routing needs to know of it.
 *
 * One libxml2 context per struct xml_in, one struct xml_in per process (xml_push.h says how it is
 * kept clean and small). Every slice is parsed inside a header that declares the stream's
 * namespaces: the content namespace as default and "stream"; other prefixes of the peer's header
 * are not bound. Refuses: not well-formed, bad UTF-8, unbound prefixes (libxml2 does not), DTD,
 * comment, PI, entities but the predefined, anything beside the one element but white space before
 * it.
 */
#ifndef XMPP_XML_IN_H
#define XMPP_XML_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "xmpp/jid.h"
#include "xmpp/xml_tree.h"

struct xml_in;

struct xml_in *xml_in_new(void);
void xml_in_free(struct xml_in **xp);

enum xml_verdict {
	XML_OK,
	XML_NOT_WELL_FORMED,
	XML_BAD_NAMESPACE_PREFIX,
	XML_RESTRICTED,
	XML_UNSUPPORTED_ENCODING,
	XML_STANZA_BAD, /* well-formed, but not a stanza we can take: see stanza_condition */
};

/* The stream header, as cut by the framer (XML declaration included). Slices are copies inside x,
 * valid until the next call on x. */
struct xml_stream_header {
	struct slice ns;      /* of the root element */
	struct slice name;    /* "stream" */
	struct slice content; /* default namespace */
	struct slice prefix;  /* of the root element: "stream", may be empty */
	struct slice to, from, id, version, lang;
};
enum xml_verdict xml_in_header(struct xml_in *x, struct slice bytes, struct xml_stream_header *out);

/* One first-level child as a tree (stream negotiation, SASL, bind). *out is the caller's to free.
 * content_ns: the stream's default namespace; the prefix "stream" is bound as usual. */
enum xml_verdict xml_in_tree(struct xml_in *x, struct slice bytes, const char *content_ns,
			     struct xml_node **out);

/* The root name and namespace of a first-level child, without building anything: what is it? */
struct xml_name {
	struct slice ns;
	struct slice name;
};
enum xml_verdict xml_in_peek(struct xml_in *x, struct slice bytes, const char *content_ns,
			     struct xml_name *out);

/*
 * A stanza on the hot path: judged, summarised and cut in one pass.
 *
 * inner = the bytes between the stanza's tags in a form that stands in any stream: a slice of the
 * input when neither the stanza nor a direct child uses a prefix for, or redeclares, the content
 * namespace and no prefix declared on the stanza is used inside; otherwise re-serialised (into a
 * buffer of x). In inner, elements of the content namespace carry no xmlns: they take that of the
 * stream they are written to (jabber:client, jabber:server, jabber:component:accept).
 * Slices are valid until the next call on x or as long as bytes.
 */
struct stanza_in {
	uint8_t kind;		/* enum stanza_kind */
	uint8_t type;		/* enum stanza_type */
	uint16_t flags;		/* STANZA_* */
	struct jid to;		/* normalised; JID_NONE when absent; valid like the slices */
	struct jid from;	/* as the peer claims; JID_NONE when absent; valid likewise */
	struct slice id;	/* unescaped; at most 1023 bytes */
	struct slice lang;	/* unescaped; at most 63 bytes */
	struct slice type_text; /* as written, for the error text */
	struct slice inner;
	struct slice children; /* packed child index, see stanza.h */
	uint16_t nchildren;
	bool root_is_stanza; /* false: not message/presence/iq of content_ns: nothing else is set */
	/* XML_STANZA_BAD: the stanza error condition ("jid-malformed", "bad-request") and why; the
	 * rest is set as far as it goes, so that the error can be answered (but never one of type
	 * error or result). */
	const char *condition;
	const char *why;
	bool from_malformed; /* it is the from that is not a JID (stream error invalid-from) */
};

enum xml_verdict xml_in_stanza(struct xml_in *x, struct slice bytes, const char *content_ns,
			       struct stanza_in *out);
void stanza_in_clear(struct stanza_in *s);

#endif
