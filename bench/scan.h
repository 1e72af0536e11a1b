/*
 * scan - cuts a server's stream into its first-level children, and looks into them.
 *
 * Just enough XML for what a server sends: tags, quotes, CDATA, comments are not expected. It
 * judges nothing; the server is trusted to send a well-formed stream.
 */
#ifndef BENCH_SCAN_H
#define BENCH_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct scan {
	size_t at; /* bytes of the unfinished element already looked at */
	int depth; /* open elements, the stream's included */
	char quote;
	char previous;
	bool in_tag;
	bool closing; /* the tag began with "</" */
	bool special; /* ... with "<?" or "<!" */
};

enum scan_result { SCAN_MORE, SCAN_OPEN, SCAN_CHILD, SCAN_END };

void scan_init(struct scan *s);

/* data: all bytes of the present element that have come so far. SCAN_CHILD, SCAN_OPEN (stream
 * header) and SCAN_END (closing stream tag): *used bytes belong to it, consume them. */
enum scan_result scan_step(struct scan *s, struct slice data, size_t *used);

/* The name of the element, prefix included. */
struct slice scan_name(struct slice element);

/* An attribute of the element's first tag, still escaped; empty when there is none. */
struct slice scan_attribute(struct slice element, const char *name);

/* The text of the first element of that name inside element (or element itself), still escaped. */
struct slice scan_text(struct slice element, const char *name);

bool scan_has(struct slice element, const char *text);

#endif
