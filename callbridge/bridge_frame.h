/*
 * bridge_frame - stanzas as lines, for a program at the other end of two pipes (callbridge --exec).
 *
 * To the program: one stanza a line, LF at its end and nowhere else. Attributes of the stanza in
 * this order, each only when there is one: from, to, id, type, xml:lang; JIDs normalised; no xmlns
 * on the stanza nor on elements of its own namespace (<body/>), which is therefore "none" to an XML
 * parser; line ends in text are &#10;.
 *
 * From the program: the same. xmlns='jabber:component:accept' or 'jabber:client' may stand there. A
 * line ends with LF or CR LF; empty lines mean nothing. `from` is the component's own domain when
 * there is none, and must have it otherwise; `to` must be there.
 *
 * Pure.
 */
#ifndef CALLBRIDGE_BRIDGE_FRAME_H
#define CALLBRIDGE_BRIDGE_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "base/str.h"
#include "xmpp/framer.h"
#include "xmpp/xml_in.h"

/* Appends the stanza as a line. */
void bridge_frame_line(struct str *out, const struct stanza_in *st);

/* Appends XML text (what stands between two tags) without line ends. */
void bridge_frame_one_line(struct str *out, struct slice inner);

/* Judges a line and appends the stanza as it goes to the server. jid: the component's. NULL, or why
 * it is refused (static, or valid until the next call on x): nothing is appended then. */
const char *bridge_frame_stanza(struct str *out, struct xml_in *x, struct slice line,
				const char *jid);

/* Whether a server with these limits takes the stanza: one that it does not take would end the
 * stream. NULL, or why not (static). */
const char *bridge_frame_fits(struct slice stanza, const struct framer_limits *limits);

/* Bytes of a pipe to lines. */
struct bridge_lines {
	size_t max;    /* bytes of a line */
	struct str in; /* a line that is not whole */
	bool too_long; /* what comes up to the next LF is thrown away */
};

struct bridge_lines_events {
	/* Without its line end; borrowed; never empty. */
	void (*on_line)(void *arg, struct slice line);
	void (*on_too_long)(void *arg); /* told once a line */
};

void bridge_lines_init(struct bridge_lines *l, size_t max);
void bridge_lines_clear(struct bridge_lines *l);
void bridge_lines_feed(struct bridge_lines *l, struct slice bytes,
		       const struct bridge_lines_events *events, void *arg);

#endif
