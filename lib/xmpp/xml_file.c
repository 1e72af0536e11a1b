#include "xmpp/xml_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <libxml/xmlreader.h>

#include "base/xmem.h"
#include "xmpp/xml_out.h"

#define DEPTH_MAX 200

struct xml_file {
	xmlTextReaderPtr reader;
	int fd;
	bool empty; /* the last start was <x/>: its end is to be told */
	bool bad;
	unsigned int line; /* of the element that began last */
	unsigned int bad_line;
	struct str why;
};

static void on_error(void *arg, const char *message, xmlParserSeverities severity,
		     xmlTextReaderLocatorPtr locator)
{
	struct xml_file *f = arg;
	size_t len = strcspn(message, "\n");
	int line;

	/* A namespace such as vcard-temp is worth a warning to libxml2. */
	if (severity == XML_PARSER_SEVERITY_WARNING ||
	    severity == XML_PARSER_SEVERITY_VALIDITY_WARNING)
		return;
	if (f->why.len)
		return; /* the first one says it, the others follow from it */
	line = xmlTextReaderLocatorLineNumber(locator);
	if (line <= 0)
		line = xmlTextReaderGetParserLineNumber(f->reader);
	f->bad_line = line > 0 ? (unsigned int)line : 0;
	str_add(&f->why, message, len);
}

enum err xml_file_open(struct xml_file **out, const char *path)
{
	struct xml_file *f;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*out = NULL;
	if (fd < 0)
		return ERR_IO;
	f = xcalloc(1, sizeof(*f));
	f->fd = fd;
	str_init(&f->why);
	f->reader = xmlReaderForFd(fd, NULL, NULL, XML_PARSE_NONET);
	if (!f->reader)
		abort(); /* no memory */
	xmlTextReaderSetErrorHandler(f->reader, on_error, f);
	*out = f;
	return ERR_OK;
}

void xml_file_close(struct xml_file **fp)
{
	struct xml_file *f = *fp;

	*fp = NULL;
	if (!f)
		return;
	xmlFreeTextReader(f->reader);
	close(f->fd);
	str_clear(&f->why);
	free(f);
}

static void fail(struct xml_file *f, const char *why)
{
	if (!f->why.len) {
		f->bad_line = (unsigned int)xmlTextReaderGetParserLineNumber(f->reader);
		str_adds(&f->why, why);
	}
	f->bad = true;
}

/* The type of the next node; 0 at the end, -1 when it is bad. */
static int step(struct xml_file *f)
{
	int rc, type;

	if (f->bad)
		return -1;
	rc = xmlTextReaderRead(f->reader);
	if (rc < 0)
		fail(f, "it cannot be read");
	if (rc <= 0)
		return rc;
	type = xmlTextReaderNodeType(f->reader);
	if (type == XML_READER_TYPE_DOCUMENT_TYPE)
		fail(f, "it has a document type declaration (<!DOCTYPE), which is not read here");
	else if (type == XML_READER_TYPE_ENTITY_REFERENCE)
		fail(f, "it has an entity that is not predefined");
	else if (xmlTextReaderDepth(f->reader) > DEPTH_MAX)
		fail(f, "elements are nested too deeply");
	return f->bad ? -1 : type;
}

enum xml_file_event xml_file_next(struct xml_file *f)
{
	int type;

	if (f->empty) {
		f->empty = false;
		return XML_FILE_END;
	}
	while ((type = step(f)) > 0) {
		if (type == XML_READER_TYPE_ELEMENT) {
			f->empty = xmlTextReaderIsEmptyElement(f->reader) == 1;
			f->line = (unsigned int)xmlGetLineNo(xmlTextReaderCurrentNode(f->reader));
			return XML_FILE_START;
		}
		if (type == XML_READER_TYPE_END_ELEMENT)
			return XML_FILE_END;
	}
	return type < 0 ? XML_FILE_BAD : XML_FILE_DONE;
}

static const char *text(const xmlChar *s)
{
	return s ? (const char *)s : "";
}

const char *xml_file_ns(const struct xml_file *f)
{
	return text(xmlTextReaderConstNamespaceUri(f->reader));
}

const char *xml_file_name(const struct xml_file *f)
{
	return text(xmlTextReaderConstLocalName(f->reader));
}

bool xml_file_is(const struct xml_file *f, const char *ns, const char *name)
{
	return strcmp(xml_file_ns(f), ns) == 0 && strcmp(xml_file_name(f), name) == 0;
}

bool xml_file_attr(struct xml_file *f, const char *name, struct str *out)
{
	xmlChar *value = xmlTextReaderGetAttribute(f->reader, (const xmlChar *)name);

	if (!value)
		return false;
	str_adds(out, (const char *)value);
	xwipe(value, strlen((const char *)value)); /* it may be a password */
	xmlFree(value);
	return true;
}

/* ---- one element, whole */

static bool is_xml_ns(const char *ns)
{
	return strcmp(ns, "http://www.w3.org/XML/1998/namespace") == 0;
}

static bool is_declaration(xmlTextReaderPtr r)
{
	return xmlTextReaderIsNamespaceDecl(r) == 1;
}

static void add_attributes(struct xml_file *f, struct str *out)
{
	unsigned int number = 0;

	while (xmlTextReaderMoveToNextAttribute(f->reader) == 1) {
		const char *ns = text(xmlTextReaderConstNamespaceUri(f->reader));
		const char *name = text(xmlTextReaderConstLocalName(f->reader));

		if (is_declaration(f->reader))
			continue;
		if (!*ns)
			str_addf(out, " %s='", name);
		else if (is_xml_ns(ns))
			str_addf(out, " xml:%s='", name);
		else {
			str_addf(out, " xmlns:a%u='", ++number);
			xml_out_text(out, slice_str(ns));
			str_addf(out, "' a%u:%s='", number, name);
		}
		xml_out_attr_value(out, slice_str(text(xmlTextReaderConstValue(f->reader))));
		str_addc(out, '\'');
	}
	xmlTextReaderMoveToElement(f->reader);
}

/* parent: the namespace that holds where the element stands; NULL = declare in any case. */
static void add_start(struct xml_file *f, struct str *out, const char *parent, bool empty)
{
	const char *ns = xml_file_ns(f);

	str_addf(out, "<%s", xml_file_name(f));
	if (!parent || strcmp(parent, ns) != 0) {
		str_adds(out, " xmlns='");
		xml_out_text(out, slice_str(ns));
		str_addc(out, '\'');
	}
	add_attributes(f, out);
	str_adds(out, empty ? "/>" : ">");
}

/* The namespaces and names of the elements that are open. */
struct open {
	char *ns[DEPTH_MAX + 2];
	char *name[DEPTH_MAX + 2];
	int depth;
};

static void open_push(struct open *o, const struct xml_file *f)
{
	o->ns[o->depth] = xstrdup(xml_file_ns(f));
	o->name[o->depth++] = xstrdup(xml_file_name(f));
}

static void open_pop(struct open *o)
{
	o->depth--;
	free(o->ns[o->depth]);
	free(o->name[o->depth]);
}

static void add_node(struct xml_file *f, int type, struct open *o, struct str *out)
{
	bool empty = type == XML_READER_TYPE_ELEMENT && xmlTextReaderIsEmptyElement(f->reader) == 1;

	switch (type) {
	case XML_READER_TYPE_ELEMENT:
		add_start(f, out, o->depth ? o->ns[o->depth - 1] : NULL, empty);
		if (!empty)
			open_push(o, f);
		break;
	case XML_READER_TYPE_END_ELEMENT:
		str_addf(out, "</%s>", o->name[o->depth - 1]);
		open_pop(o);
		break;
	case XML_READER_TYPE_TEXT:
	case XML_READER_TYPE_CDATA:
	case XML_READER_TYPE_WHITESPACE:
	case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
		xml_out_text(out, slice_str(text(xmlTextReaderConstValue(f->reader))));
		break;
	default: /* comments and processing instructions */
		break;
	}
}

enum err xml_file_take(struct xml_file *f, struct str *out, size_t max)
{
	size_t start = out->len;
	struct open o = {.depth = 0};
	bool too_big = false;
	int type = XML_READER_TYPE_ELEMENT;

	f->empty = false;
	do {
		add_node(f, type, &o, out);
		if (out->len - start > max) {
			too_big = true;
			out->len = start;
		}
	} while (o.depth > 0 && (type = step(f)) > 0);
	if (o.depth > 0)
		fail(f, "it ends in the middle of an element");
	while (o.depth > 0)
		open_pop(&o);
	out->len = f->bad || too_big ? start : out->len;
	if (out->cap)
		out->data[out->len] = '\0';
	return f->bad ? ERR_FORMAT : too_big ? ERR_TOOBIG : ERR_OK;
}

enum err xml_file_skip(struct xml_file *f)
{
	int depth = f->empty ? 0 : 1, type;

	f->empty = false;
	while (depth > 0 && (type = step(f)) > 0) {
		if (type == XML_READER_TYPE_ELEMENT && xmlTextReaderIsEmptyElement(f->reader) != 1)
			depth++;
		else if (type == XML_READER_TYPE_END_ELEMENT)
			depth--;
	}
	if (depth > 0)
		fail(f, "it ends in the middle of an element");
	return f->bad ? ERR_FORMAT : ERR_OK;
}

unsigned int xml_file_line(const struct xml_file *f)
{
	return f->bad_line ? f->bad_line : f->line ? f->line : 1;
}

const char *xml_file_why(const struct xml_file *f)
{
	return f->why.data;
}
