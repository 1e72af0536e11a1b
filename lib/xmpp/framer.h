/*
 * framer - finds the end of each first-level child of a stream as bytes arrive (DESIGN 4).
 *
 * Pure; keeps no bytes, only about 40 bytes of state, so an idle stream costs nothing. Knows just
 * enough XML: tags, quotes, CDATA, depth. Refuses what RFC 6120 11.1 forbids (comments, processing
 * instructions, DTDs) and enforces size, depth and attribute limits before anything is parsed.
 * libxml2 (xml_in) judges the slices; whatever both accept is exactly one element.
 */
#ifndef XMPP_FRAMER_H
#define XMPP_FRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct framer_limits {
	uint32_t bytes;	     /* of one stanza or stream header, from its '<' on */
	uint16_t depth;	     /* of nested elements in a first-level child, itself counted */
	uint16_t attributes; /* of one element, namespace declarations included */
};

enum framer_result {
	FRAMER_MORE,	     /* everything consumed, nothing complete */
	FRAMER_STREAM_OPEN,  /* [0, used) ends with the stream header's '>' */
	FRAMER_STREAM_CLOSE, /* [0, used) ends with the closing stream tag (name not compared) */
	FRAMER_ELEMENT,	     /* [0, used) ends a first-level child (leading white space included) */
	FRAMER_SPACE,	     /* [0, used) is white space between children (or before the header,
			      * or after the close) and all that was presented: keepalive */
	FRAMER_NOT_XML,	     /* not-well-formed at offset used */
	FRAMER_RESTRICTED,   /* restricted-xml: comment, PI, DTD */
	FRAMER_TOO_BIG,	     /* policy-violation: bytes */
	FRAMER_TOO_DEEP,     /* policy-violation: depth or attributes */
};

struct framer {
	const struct framer_limits *limits; /* borrowed; must outlive the framer */
	uint32_t bytes;			    /* of the present element so far */
	uint16_t depth;
	uint16_t attributes;
	uint8_t state;
	uint8_t quote;
	uint8_t match; /* progress in "<![CDATA[", "]]>", "<?xml" */
	bool declared; /* the XML declaration was there */
};

/* A new stream (also after STARTTLS or SASL success). */
void framer_init(struct framer *f, const struct framer_limits *limits);

/* Looks at the next bytes, from where the last call stopped. *used = how many belong to the
 * result. The caller keeps the bytes of an unfinished element and presents only new ones. After an
 * error result the framer must not be used again before framer_init(). */
enum framer_result framer_step(struct framer *f, const char *data, size_t len, size_t *used);

/* Is an element begun but not finished? (time limits) */
bool framer_inside(const struct framer *f);

#endif
