/*
 * The framer against libxml2.
 *
 * - However the bytes are split, the same is cut.
 * - What the framer cuts and xml_in accepts is one element for libxml2's tree parser too; and what
 *   that takes as one element (without what RFC 6120 11.1 forbids) is accepted.
 * - A whole document that libxml2 finds well-formed is cut into the children that it has.
 */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <limits.h>

#include "base/check.h"
#include "base/str.h"
#include "xmpp/framer.h"
#include "xmpp/ns.h"
#include "xmpp/xml_in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OPEN  "<s xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'>"
#define CLOSE "</s>"

static const struct framer_limits wide = {
	.bytes = UINT32_MAX, .depth = UINT16_MAX - 2, .attributes = UINT16_MAX - 1};
static const struct framer_limits narrow = {.bytes = 64, .depth = 2, .attributes = 2};

/* libxml2's opinion of a document. */
struct opinion {
	bool well_formed;
	bool namespaces_ok;
	bool restricted; /* comment, PI or DTD */
	bool utf8;
	int children;  /* of the root */
	bool text;     /* something else than white space among them */
	char name[64]; /* of the first child */
};

static void on_error(void *arg, xmlErrorPtr e)
{
	struct opinion *o = arg;

	if (e->code >= XML_NS_ERR_XML_NAMESPACE && e->code <= XML_NS_ERR_COLON)
		o->namespaces_ok = false;
}

static void look_inside(struct opinion *o, const xmlNode *first, int depth)
{
	for (const xmlNode *n = first; n; n = n->next) {
		if (n->type == XML_COMMENT_NODE || n->type == XML_PI_NODE ||
		    n->type == XML_DTD_NODE)
			o->restricted = true;
		if (n->type == XML_ELEMENT_NODE && depth < 300)
			look_inside(o, n->children, depth + 1);
	}
}

static struct opinion ask_libxml2(struct slice text)
{
	struct opinion o = {.namespaces_ok = true};
	xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
	xmlDocPtr doc;

	xmlSetStructuredErrorFunc(&o, on_error);
	doc = xmlCtxtReadMemory(ctxt, text.data, (int)text.len, NULL, NULL, XML_PARSE_NONET);
	o.well_formed = doc && ctxt->wellFormed;
	if (o.well_formed) {
		look_inside(&o, doc->children, 0);
		o.utf8 = !doc->encoding || strcasecmp((const char *)doc->encoding, "UTF-8") == 0;
		for (const xmlNode *n = xmlDocGetRootElement(doc)->children; n; n = n->next) {
			if (n->type == XML_ELEMENT_NODE && o.children++ == 0)
				snprintf(o.name, sizeof(o.name), "%s", (const char *)n->name);
			if (n->type == XML_CDATA_SECTION_NODE ||
			    (n->type == XML_TEXT_NODE && !xmlIsBlankNode(n)))
				o.text = true;
		}
	}
	xmlFreeDoc(doc);
	xmlFreeParserCtxt(ctxt);
	xmlSetStructuredErrorFunc(NULL, NULL);
	return o;
}

/* A slice that was cut as one element. */
static void check_element(struct xml_in *x, struct slice slice)
{
	struct str doc = STR_INIT;
	struct xml_name name;
	struct opinion o;
	enum xml_verdict v;

	v = xml_in_peek(x, slice, NS_CLIENT, &name);
	str_adds(&doc, OPEN);
	str_add_slice(&doc, slice);
	str_adds(&doc, CLOSE);
	o = ask_libxml2(str_slice(&doc));
	if (v == XML_OK) {
		check(o.well_formed && o.namespaces_ok && !o.restricted);
		check(o.children == 1 && !o.text);
		check(strncmp(o.name, name.name.data, sizeof(o.name) - 1) == 0);
	} else if (o.well_formed && o.namespaces_ok && !o.restricted) {
		/* Not one element, or a prefix that only libxml2's tree swallows. */
		check(o.children != 1 || o.text || v == XML_BAD_NAMESPACE_PREFIX);
	}
	str_clear(&doc);
}

struct run {
	struct str trace; /* "E<a/>" and so on; the same for every way to split */
	int elements;
	bool closed;
	bool refused;
};

static void run(struct run *r, struct slice in, uint32_t split, const struct framer_limits *limits,
		struct xml_in *x)
{
	struct str kept = STR_INIT;
	struct framer f;

	framer_init(&f, limits);
	while (in.len > 0 && !r->refused) {
		size_t n = split ? 1 + (split = split * 1664525u + 1013904223u) % 9 : in.len;
		size_t used = SIZE_MAX;
		enum framer_result result;

		n = n < in.len ? n : in.len;
		result = framer_step(&f, in.data, n, &used);
		check(used <= n && (result != FRAMER_MORE || used == n));
		check(result == FRAMER_MORE || result >= FRAMER_NOT_XML || used > 0);
		str_add(&kept, in.data, used);
		in = slice_of(in.data + used, in.len - used);
		if (result == FRAMER_MORE)
			continue;
		r->refused = result >= FRAMER_NOT_XML;
		r->closed = r->closed || result == FRAMER_STREAM_CLOSE;
		r->elements += result == FRAMER_ELEMENT;
		if (result == FRAMER_ELEMENT && x)
			check_element(x, str_slice(&kept));
		while (kept.len > 0 && memchr(" \t\r\n", kept.data[0], 4))
			str_consume(&kept, 1);
		if (result != FRAMER_SPACE)
			str_addf(&r->trace, "%d", (int)result);
		if (result != FRAMER_SPACE && !r->refused)
			str_add_slice(&r->trace, str_slice(&kept));
		str_reset(&kept);
	}
	str_clear(&kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct xml_in *x;
	struct run whole = {.trace = STR_INIT}, parts = {.trace = STR_INIT};
	struct run limited = {.trace = STR_INIT};
	struct opinion o;
	uint32_t seed;
	struct slice in;

	if (size < 4)
		return 0;
	if (!x)
		x = xml_in_new();
	/* The seed stands at the end, so that corpus files begin with readable XML. */
	memcpy(&seed, data + size - 4, 4);
	in = slice_of((const char *)data, size - 4);
	run(&whole, in, 0, &wide, x);
	run(&parts, in, seed | 1, &wide, NULL);
	run(&limited, in, seed | 1, &narrow, NULL);
	check(slice_eq(str_slice(&whole.trace), str_slice(&parts.trace)));
	o = ask_libxml2(in);
	/* An empty root has no closing tag: refused by the framer. For libxml2, NUL is the end. */
	if (o.well_formed && o.utf8 && !o.restricted && !o.text && o.children > 0 &&
	    memchr("< \t\r\n", in.data[0], 5) && !memchr(in.data, '\0', in.len)) {
		check(!whole.refused && whole.closed);
		check(whole.elements == o.children);
	}
	str_clear(&whole.trace);
	str_clear(&parts.trace);
	str_clear(&limited.trace);
	return 0;
}
