#include "xmpp/xml_push.h"

#include <libxml/parser.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/xmem.h"
#include "xmpp/ns.h"
#include "xmpp/utf8.h"
#include "xmpp/xml_out.h"

/* When the context is created anew (about 10 µs): names are limited in number, because the hash
 * table degrades, and in bytes, because one name may have 50,000. */
#define RECYCLE_SLICES	   100000
#define RECYCLE_NAMES	   20000
#define RECYCLE_NAME_BYTES ((size_t)4 * 1024 * 1024)

struct xml_push {
	xmlParserCtxtPtr ctxt;
	unsigned int slices;
	char *content_ns; /* of the open document; NULL = none is open */
	/* of the slice being parsed */
	const struct xml_sink *sink; /* NULL: our own header */
	void *arg;
	size_t len;
	int depth;
	int roots;
	size_t end; /* offset behind the element at depth 0; 0 = it has not ended */
	enum xml_verdict verdict;
};

static void refuse(struct xml_push *p, enum xml_verdict v)
{
	if (p->verdict == XML_OK)
		p->verdict = v;
	xmlStopParser(p->ctxt);
}

/* The slice was given in one piece and needs no conversion, so what libxml2 has not read yet is its
 * tail. */
static size_t offset_now(const struct xml_push *p)
{
	size_t rest = (size_t)(p->ctxt->input->end - p->ctxt->input->cur);

	return rest <= p->len ? p->len - rest : 0;
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
		     int nnamespaces, const xmlChar **namespaces, int nattributes, int ndefaulted,
		     const xmlChar **attributes)
{
	struct xml_push *p = ctx;
	struct xml_start e;

	(void)ndefaulted;
	if (!p->sink || p->verdict)
		return;
	if (prefix && !uri) {
		refuse(p, XML_BAD_NAMESPACE_PREFIX);
		return;
	}
	if (p->depth == 0 && p->roots++ > 0) {
		refuse(p, XML_NOT_WELL_FORMED);
		return;
	}
	e = (struct xml_start){
		.name = (const char *)name,
		.prefix = (const char *)prefix,
		.ns = uri ? (const char *)uri : "",
		.offset = offset_now(p),
		.nnamespaces = nnamespaces,
		.nattributes = nattributes,
		.namespaces = namespaces,
		.attributes = attributes,
	};
	p->sink->start(p->arg, p->depth, &e);
	p->depth++;
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct xml_push *p = ctx;
	size_t at;

	(void)name;
	(void)prefix;
	(void)uri;
	if (p->verdict)
		return;
	if (!p->sink || p->depth == 0) { /* the slice closes the element around it */
		refuse(p, XML_NOT_WELL_FORMED);
		return;
	}
	at = offset_now(p);
	p->depth--;
	if (p->depth == 0)
		p->end = at;
	p->sink->end(p->arg, p->depth, at);
}

static void on_text(void *ctx, const xmlChar *s, int len)
{
	struct xml_push *p = ctx;

	if (!p->verdict && p->depth > 0)
		p->sink->text(p->arg, (const char *)s, (size_t)len);
}

/* RFC 6120 11.1. Stopping at once means that no entity is ever declared. */
static void on_comment(void *ctx, const xmlChar *text)
{
	(void)text;
	refuse(ctx, XML_RESTRICTED);
}

static void on_instruction(void *ctx, const xmlChar *target, const xmlChar *data)
{
	(void)target;
	(void)data;
	refuse(ctx, XML_RESTRICTED);
}

static void on_dtd(void *ctx, const xmlChar *name, const xmlChar *id, const xmlChar *system)
{
	(void)name;
	(void)id;
	(void)system;
	refuse(ctx, XML_RESTRICTED);
}

/* What libxml2 says, in our words. It goes on after errors of namespaces: we do not. */
static void on_error(void *ctx, xmlErrorPtr error)
{
	struct xml_push *p = ctx;

	switch (error->code) {
	case XML_ERR_UNDECLARED_ENTITY: /* RFC 6120 11.1: only the predefined ones */
	case XML_WAR_UNDECLARED_ENTITY:
		refuse(p, XML_RESTRICTED);
		return;
	case XML_ERR_UNKNOWN_ENCODING:
	case XML_ERR_UNSUPPORTED_ENCODING:
	case XML_ERR_INVALID_ENCODING:
		/* Also said of bad UTF-8 anywhere later. */
		refuse(p, p->ctxt->instate == XML_PARSER_START ? XML_UNSUPPORTED_ENCODING
							       : XML_NOT_WELL_FORMED);
		return;
	case XML_NS_ERR_XML_NAMESPACE:
	case XML_NS_ERR_UNDEFINED_NAMESPACE:
	case XML_NS_ERR_QNAME:
	case XML_NS_ERR_ATTRIBUTE_REDEFINED:
	case XML_NS_ERR_EMPTY:
	case XML_NS_ERR_COLON:
		refuse(p, XML_BAD_NAMESPACE_PREFIX);
		return;
	default:
		if (error->level == XML_ERR_FATAL)
			refuse(p, XML_NOT_WELL_FORMED);
	}
}

static void context_new(struct xml_push *p)
{
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.comment = on_comment,
		.processingInstruction = on_instruction,
		.internalSubset = on_dtd,
		.serror = on_error,
	};

	if (p->ctxt)
		xmlFreeParserCtxt(p->ctxt);
	p->ctxt = xmlCreatePushParserCtxt(&sax, p, NULL, 0, NULL);
	check(p->ctxt); /* no memory */
	xmlCtxtUseOptions(p->ctxt, XML_PARSE_NONET);
	p->slices = 0;
}

static void document_close(struct xml_push *p)
{
	free(p->content_ns);
	p->content_ns = NULL;
}

struct xml_push *xml_push_new(void)
{
	struct xml_push *p = xcalloc(1, sizeof(*p));

	xmlInitParser();
	context_new(p);
	return p;
}

void xml_push_free(struct xml_push **pp)
{
	struct xml_push *p = *pp;

	if (!p)
		return;
	document_close(p);
	xmlFreeParserCtxt(p->ctxt);
	free(p);
	*pp = NULL;
}

static void begin(struct xml_push *p, const struct xml_sink *sink, void *arg, size_t len)
{
	p->sink = sink;
	p->arg = arg;
	p->len = len;
	p->depth = 0;
	p->roots = 0;
	p->end = 0;
	p->verdict = XML_OK;
	p->ctxt->sax->characters = sink && sink->text ? on_text : NULL;
	/* The same for both: libxml2 then does not look whether white space is ignorable. */
	p->ctxt->sax->ignorableWhitespace = p->ctxt->sax->characters;
}

static bool worn(const struct xml_push *p)
{
	return p->slices >= RECYCLE_SLICES || xmlDictSize(p->ctxt->dict) > RECYCLE_NAMES ||
	       xmlDictGetUsage(p->ctxt->dict) > RECYCLE_NAME_BYTES;
}

/* A fresh document; the context too when it is worn. */
static void document_reset(struct xml_push *p)
{
	document_close(p);
	if (worn(p))
		context_new(p);
	else
		check(xmlCtxtResetPush(p->ctxt, NULL, 0, NULL, NULL) == 0);
}

static void document_open(struct xml_push *p, const char *content_ns)
{
	struct str header = STR_INIT;

	document_reset(p);
	str_adds(&header, "<stream:stream");
	xml_out_attr(&header, "xmlns", slice_str(content_ns));
	xml_out_attr(&header, "xmlns:stream", slice_str(NS_STREAM));
	str_addc(&header, '>');
	begin(p, NULL, NULL, header.len);
	xmlParseChunk(p->ctxt, header.data, (int)header.len, 0);
	check(p->ctxt->wellFormed && p->ctxt->input->cur == p->ctxt->input->end);
	str_clear(&header);
	p->content_ns = xstrdup(content_ns);
}

static void feed(struct xml_push *p, struct slice bytes)
{
	p->slices++;
	xmlParseChunk(p->ctxt, bytes.data, (int)bytes.len, 0);
	if (p->verdict == XML_OK &&
	    (!p->ctxt->wellFormed || p->ctxt->input->cur != p->ctxt->input->end))
		p->verdict = XML_NOT_WELL_FORMED;
}

/* A tag at both ends, so no text before or behind; libxml2 wants 4 bytes to begin with. */
static bool may_be_xml(struct slice bytes)
{
	return bytes.len >= 4 && bytes.len <= INT_MAX && bytes.data[0] == '<' &&
	       bytes.data[bytes.len - 1] == '>' && utf8_ok(bytes);
}

enum xml_verdict xml_push_element(struct xml_push *p, struct slice bytes, const char *content_ns,
				  const struct xml_sink *sink, void *arg)
{
	if (!may_be_xml(bytes))
		return XML_NOT_WELL_FORMED;
	if (bytes.data[1] == '!' || bytes.data[1] == '?')
		return memcmp(bytes.data, "<![", 3) == 0 ? XML_NOT_WELL_FORMED : XML_RESTRICTED;
	if (!p->content_ns || strcmp(p->content_ns, content_ns) != 0 || worn(p))
		document_open(p, content_ns);
	begin(p, sink, arg, bytes.len);
	feed(p, bytes);
	if (p->verdict == XML_OK && p->end != bytes.len)
		p->verdict = XML_NOT_WELL_FORMED;
	if (p->verdict)
		document_close(p);
	return p->verdict;
}

enum xml_verdict xml_push_header(struct xml_push *p, struct slice bytes,
				 const struct xml_sink *sink, void *arg)
{
	if (!may_be_xml(bytes))
		return XML_NOT_WELL_FORMED;
	document_reset(p);
	begin(p, sink, arg, bytes.len);
	feed(p, bytes);
	/* RFC 6120 11.6: UTF-8 only. libxml2 would convert. */
	if (p->verdict == XML_OK && (p->ctxt->input->buf->encoder || p->ctxt->input->encoding))
		p->verdict = XML_UNSUPPORTED_ENCODING;
	if (p->verdict == XML_OK && (p->roots != 1 || p->depth != 1))
		p->verdict = XML_NOT_WELL_FORMED;
	return p->verdict;
}

const char *xml_push_namespace(const struct xml_start *e, int i, const char **prefix)
{
	const char *const *n = e->namespaces;

	n += (ptrdiff_t)2 * i;
	*prefix = n[0];
	return n[1] ? n[1] : "";
}

struct xml_attribute xml_push_attribute(const struct xml_start *e, int i)
{
	const char *const *a = (const char *const *)e->attributes + (ptrdiff_t)5 * i;

	return (struct xml_attribute){
		.name = a[0],
		.prefix = a[1],
		.ns = a[2] ? a[2] : "",
		.raw = slice_of(a[3], (size_t)(a[4] - a[3])),
	};
}

void xml_push_value(struct str *out, struct slice raw)
{
	static const char amp[] = "&#38;";
	const char *p;

	while (raw.len > 0 && (p = memchr(raw.data, '&', raw.len))) {
		size_t n = (size_t)(p - raw.data) + 1;
		size_t skip = raw.len - n + 1 >= 5 && memcmp(p, amp, 5) == 0 ? n + 4 : n;

		str_add(out, raw.data, n);
		raw = slice_of(raw.data + skip, raw.len - skip);
	}
	str_add_slice(out, raw);
}
