/*
 * xml_file - reads a large XML file element by element, in memory for one of them.
 *
 * For files of unknown origin: no DTD, no entities but the predefined, no network. Elements come in
 * the order of the file; what is inside one is entered, taken whole, or skipped, as the caller
 * says. Taken whole it is normalised: no prefixes, comments or processing instructions, each
 * namespace declared where it changes.
 */
#ifndef XMPP_XML_FILE_H
#define XMPP_XML_FILE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct xml_file;

enum xml_file_event {
	XML_FILE_START, /* an element begins: look at it, then take, skip, or go on inside */
	XML_FILE_END,	/* of one that was gone into */
	XML_FILE_DONE,	/* end of the file */
	XML_FILE_BAD,	/* see xml_file_why(); nothing comes any more */
};

/* ERR_IO: it cannot be opened (errno). */
enum err xml_file_open(struct xml_file **out, const char *path);
void xml_file_close(struct xml_file **fp); /* NULL-safe */

/* What comes next; text between elements that are gone into is passed over. */
enum xml_file_event xml_file_next(struct xml_file *f);

/* After XML_FILE_START: borrowed until the next call on f. */
bool xml_file_is(const struct xml_file *f, const char *ns, const char *name);
const char *xml_file_ns(const struct xml_file *f);
const char *xml_file_name(const struct xml_file *f);
/* Appends the value of an attribute without namespace; false when it is not there. */
bool xml_file_attr(struct xml_file *f, const char *name, struct str *out);

/* After XML_FILE_START: appends the whole element, at most max bytes of it. ERR_FORMAT: see
 * xml_file_why(); ERR_TOOBIG: larger than max, and skipped. */
enum err xml_file_take(struct xml_file *f, struct str *out, size_t max);
enum err xml_file_skip(struct xml_file *f);

unsigned int
xml_file_line(const struct xml_file *f); /* of the element that began last, or of what is bad */
const char *xml_file_why(const struct xml_file *f); /* of XML_FILE_BAD, ERR_FORMAT; "" */

#endif
