#include "xmpp/xml_in.h"

#include <stdlib.h>
#include <string.h>

#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_build.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_push.h"

#define ID_MAX	 1023 /* a record's id has 16 bits of length; nobody needs even this */
#define LANG_MAX 63

/* Whom stanzas went to lately, and who a component said they were from, by a hash of what was
 * written: most go where another has gone. */
#define KNOWN	  64
#define KNOWN_MAX 255 /* longer ones are not kept */

struct known {
	char *text; /* as written; NULL = none */
	size_t len;
	struct jid jid;
};

/* Each attribute has its own: what one points to the other must not replace. */
struct addresses {
	struct known known[KNOWN];
	struct jid spare; /* one that is not kept, until the next stanza */
};

struct xml_in {
	struct xml_push *push;
	struct addresses to, from;
	struct str text;  /* decoded values that results point to */
	struct str index; /* packed children */
	struct str inner; /* a re-serialised inside */
};

/* A decoded value in x->text, which may still move. */
struct span {
	bool set;
	size_t at;
	size_t len;
};

struct xml_in *xml_in_new(void)
{
	struct xml_in *x = xmalloc(sizeof(*x));

	*x = (struct xml_in){
		.push = xml_push_new(), .text = STR_INIT, .index = STR_INIT, .inner = STR_INIT};
	return x;
}

static void addresses_clear(struct addresses *a)
{
	for (int i = 0; i < KNOWN; i++) {
		free(a->known[i].text);
		jid_clear(&a->known[i].jid);
	}
	jid_clear(&a->spare);
}

void xml_in_free(struct xml_in **xp)
{
	struct xml_in *x = *xp;

	if (!x)
		return;
	xml_push_free(&x->push);
	addresses_clear(&x->to);
	addresses_clear(&x->from);
	str_clear(&x->text);
	str_clear(&x->index);
	str_clear(&x->inner);
	free(x);
	*xp = NULL;
}

/* strcmp() when it is worth the call. */
static inline bool same(const char *a, const char *b)
{
	return a[0] == b[0] && strcmp(a, b) == 0;
}

static void span_set(struct span *s, struct str *text, struct slice raw)
{
	s->set = true;
	s->at = text->len;
	xml_push_value(text, raw);
	s->len = text->len - s->at;
	str_addc(text, '\0'); /* so that present but empty is not at the same place as absent */
}

static struct slice span_slice(const struct span *s, const struct str *text)
{
	return s->set ? slice_of(text->data + s->at, s->len) : SLICE_NONE;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static struct slice without_leading_space(struct slice s)
{
	while (s.len > 0 && is_space(s.data[0]))
		s = slice_of(s.data + 1, s.len - 1);
	return s;
}

static bool is_xml_lang(const struct xml_attribute *a)
{
	return a->prefix && same(a->prefix, "xml") && same(a->name, "lang");
}

static void end_ignored(void *arg, int depth, size_t offset)
{
	(void)arg;
	(void)depth;
	(void)offset;
}

/* The stream header */

struct header_scan {
	struct str *text;
	struct span ns, name, content, prefix, to, from, id, version, lang;
};

static struct span *header_attribute(struct header_scan *h, const struct xml_attribute *a)
{
	if (is_xml_lang(a))
		return &h->lang;
	if (a->prefix)
		return NULL;
	if (same(a->name, "to"))
		return &h->to;
	if (same(a->name, "from"))
		return &h->from;
	if (same(a->name, "id"))
		return &h->id;
	return same(a->name, "version") ? &h->version : NULL;
}

static void header_start(void *arg, int depth, const struct xml_start *e)
{
	struct header_scan *h = arg;

	if (depth > 0)
		return;
	span_set(&h->ns, h->text, slice_str(e->ns));
	span_set(&h->name, h->text, slice_str(e->name));
	span_set(&h->prefix, h->text, slice_str(e->prefix));
	for (int i = 0; i < e->nnamespaces; i++) {
		const char *prefix;
		const char *ns = xml_push_namespace(e, i, &prefix);

		if (!prefix)
			span_set(&h->content, h->text, slice_str(ns));
	}
	for (int i = 0; i < e->nattributes; i++) {
		struct xml_attribute a = xml_push_attribute(e, i);
		struct span *s = header_attribute(h, &a);

		if (s)
			span_set(s, h->text, a.raw);
	}
}

enum xml_verdict xml_in_header(struct xml_in *x, struct slice bytes, struct xml_stream_header *out)
{
	static const struct xml_sink sink = {.start = header_start, .end = end_ignored};
	struct header_scan h = {.text = &x->text};
	enum xml_verdict v;

	*out = (struct xml_stream_header){0};
	str_reset(&x->text);
	v = xml_push_header(x->push, without_leading_space(bytes), &sink, &h);
	if (v)
		return v;
	out->ns = span_slice(&h.ns, &x->text);
	out->name = span_slice(&h.name, &x->text);
	out->content = span_slice(&h.content, &x->text);
	out->prefix = span_slice(&h.prefix, &x->text);
	out->to = span_slice(&h.to, &x->text);
	out->from = span_slice(&h.from, &x->text);
	out->id = span_slice(&h.id, &x->text);
	out->version = span_slice(&h.version, &x->text);
	out->lang = span_slice(&h.lang, &x->text);
	return XML_OK;
}

/* Trees and names */

enum xml_verdict xml_in_tree(struct xml_in *x, struct slice bytes, const char *content_ns,
			     struct xml_node **out)
{
	struct xml_build b;
	enum xml_verdict v;

	xml_build_init(&b);
	v = xml_push_element(x->push, without_leading_space(bytes), content_ns, xml_build_sink(),
			     &b);
	*out = v ? NULL : xml_build_take(&b);
	xml_build_clear(&b);
	return v;
}

struct peek_scan {
	struct str *text;
	struct span ns, name;
};

static void peek_start(void *arg, int depth, const struct xml_start *e)
{
	struct peek_scan *p = arg;

	if (depth > 0)
		return;
	span_set(&p->ns, p->text, slice_str(e->ns));
	span_set(&p->name, p->text, slice_str(e->name));
}

enum xml_verdict xml_in_peek(struct xml_in *x, struct slice bytes, const char *content_ns,
			     struct xml_name *out)
{
	static const struct xml_sink sink = {.start = peek_start, .end = end_ignored};
	struct peek_scan p = {.text = &x->text};
	enum xml_verdict v;

	*out = (struct xml_name){SLICE_NONE, SLICE_NONE};
	str_reset(&x->text);
	v = xml_push_element(x->push, without_leading_space(bytes), content_ns, &sink, &p);
	if (v)
		return v;
	out->ns = span_slice(&p.ns, &x->text);
	out->name = span_slice(&p.name, &x->text);
	return XML_OK;
}

/* Stanzas */

struct stanza_scan {
	struct xml_in *x;
	const char *content_ns;
	struct slice bytes;
	struct stanza_in *out;
	struct span to, from, id, type, lang;
	size_t inner_at;
	size_t mark;	   /* behind the start tag or the last child */
	bool rewrite;	   /* the bytes of the inside would mean something else in another stream */
	uint32_t children; /* also those that the index has no room for */
	struct stanza_child child;
};

struct number {
	const char *text;
	uint16_t number;
};

static const struct number namespaces[] = {
	{NS_CHATSTATES, NS_ID_CHATSTATES},
	{NS_RECEIPTS, NS_ID_RECEIPTS},
	{NS_HINTS, NS_ID_HINTS},
	{NS_CARBONS, NS_ID_CARBONS},
	{NS_DELAY, NS_ID_DELAY},
	{NS_STANZA_ID, NS_ID_STANZA_ID},
	{NS_CAPS, NS_ID_CAPS},
	{NS_PING, NS_ID_PING},
	{NS_MARKERS, NS_ID_MARKERS},
	{NS_MUC_USER, NS_ID_MUC_USER},
	{NS_CONFERENCE, NS_ID_CONFERENCE},
	{NS_REGISTER, NS_ID_REGISTER},
	{NULL, NS_ID_OTHER},
};

static const struct number names[] = {
	{"body", NAME_ID_BODY},
	{"subject", NAME_ID_SUBJECT},
	{"thread", NAME_ID_THREAD},
	{"error", NAME_ID_ERROR},
	{"priority", NAME_ID_PRIORITY},
	{"show", NAME_ID_SHOW},
	{"status", NAME_ID_STATUS},
	{"delay", NAME_ID_DELAY},
	{"no-store", NAME_ID_NO_STORE},
	{"no-copy", NAME_ID_NO_COPY},
	{"private", NAME_ID_PRIVATE},
	{"store", NAME_ID_STORE},
	{"no-permanent-store", NAME_ID_NO_PERMANENT_STORE},
	{"stanza-id", NAME_ID_STANZA_ID},
	{"ping", NAME_ID_PING},
	{"x", NAME_ID_X},
	{NULL, NAME_ID_OTHER},
};

static const struct number kinds[] = {
	{"message", STANZA_MESSAGE},
	{"presence", STANZA_PRESENCE},
	{"iq", STANZA_IQ},
	{NULL, 0},
};

static uint16_t number_of(const struct number *table, const char *text)
{
	while (table->text && !same(table->text, text))
		table++;
	return table->number;
}

/* XEP-0334 */
static uint16_t hint_flags(uint16_t name)
{
	switch (name) {
	case NAME_ID_NO_STORE:
		return STANZA_NO_STORE | STANZA_NO_ARCHIVE;
	case NAME_ID_NO_PERMANENT_STORE:
		return STANZA_NO_ARCHIVE;
	case NAME_ID_STORE:
		return STANZA_STORE;
	case NAME_ID_NO_COPY:
		return STANZA_PRIVATE;
	default:
		return 0;
	}
}

/* What a child of the content namespace (ns NS_ID_CONTENT) or of another says to routing. */
static uint16_t child_flags(uint8_t kind, const struct stanza_child *c)
{
	switch (c->ns) {
	case NS_ID_CONTENT:
		return kind == STANZA_MESSAGE && c->name == NAME_ID_BODY ? STANZA_HAS_BODY : 0;
	case NS_ID_CHATSTATES:
		return STANZA_CHAT_STATE;
	case NS_ID_RECEIPTS:
		return STANZA_RECEIPT;
	case NS_ID_DELAY:
		return c->name == NAME_ID_DELAY ? STANZA_DELAYED : 0;
	case NS_ID_CARBONS:
		return c->name == NAME_ID_PRIVATE ? STANZA_PRIVATE : 0;
	case NS_ID_HINTS:
		return hint_flags(c->name);
	case NS_ID_MARKERS:
		return STANZA_MARKER;
	case NS_ID_STANZA_ID:
		return c->name == NAME_ID_STANZA_ID ? STANZA_HAS_SID : 0;
	case NS_ID_MUC_USER:
		return c->name == NAME_ID_X ? STANZA_MUC_USER : 0;
	case NS_ID_CONFERENCE:
		return c->name == NAME_ID_X ? STANZA_INVITE : 0;
	case NS_ID_REGISTER:
		return kind == STANZA_IQ ? STANZA_SECRET : 0;
	default:
		return 0;
	}
}

static void stanza_attributes(struct stanza_scan *s, const struct xml_start *e)
{
	for (int i = 0; i < e->nattributes; i++) {
		struct xml_attribute a = xml_push_attribute(e, i);
		struct span *to = NULL;

		if (is_xml_lang(&a))
			to = &s->lang;
		else if (a.prefix)
			continue;
		else if (same(a.name, "to"))
			to = &s->to;
		else if (same(a.name, "from"))
			to = &s->from;
		else if (same(a.name, "id"))
			to = &s->id;
		else if (same(a.name, "type"))
			to = &s->type;
		if (to)
			span_set(to, &s->x->text, a.raw);
	}
}

static void root_start(struct stanza_scan *s, const struct xml_start *e)
{
	uint16_t kind = same(e->ns, s->content_ns) ? number_of(kinds, e->name) : 0;

	s->out->kind = (uint8_t)kind;
	if (kind == 0)
		return;
	s->out->root_is_stanza = true;
	/* With a prefix, the default namespace inside is not known to be the content namespace; and
	 * a prefix that is declared here may be used inside. */
	s->rewrite = e->prefix;
	for (int i = 0; i < e->nnamespaces; i++) {
		const char *prefix;
		const char *ns = xml_push_namespace(e, i, &prefix);

		s->rewrite = s->rewrite || prefix || !same(ns, s->content_ns);
	}
	stanza_attributes(s, e);
	s->inner_at = s->mark = e->offset + 1;
}

/* The next tag at this level begins at the next "<" that does not begin a CDATA section. */
static size_t next_tag(struct slice b, size_t from)
{
	while (from < b.len) {
		const char *p = memchr(b.data + from, '<', b.len - from);

		if (!p)
			break;
		from = (size_t)(p - b.data);
		if (b.len - from < 9 || memcmp(p, "<![CDATA[", 9) != 0)
			return from;
		p = memmem(p + 9, b.len - from - 9, "]]>", 3);
		if (!p)
			break;
		from = (size_t)(p - b.data) + 3;
	}
	return b.len;
}

static void child_start(struct stanza_scan *s, const struct xml_start *e)
{
	bool content = same(e->ns, s->content_ns);

	s->children++;
	s->child.ns = content ? NS_ID_CONTENT : number_of(namespaces, e->ns);
	s->child.name = number_of(names, e->name);
	s->child.offset = (uint32_t)next_tag(s->bytes, s->mark);
	s->out->flags |= child_flags(s->out->kind, &s->child);
	if (!content)
		return;
	/* <c:body/>, or <body xmlns='jabber:client'/>, which is another thing in jabber:server. */
	s->rewrite = s->rewrite || e->prefix;
	for (int i = 0; i < e->nnamespaces; i++) {
		const char *prefix;

		xml_push_namespace(e, i, &prefix);
		s->rewrite = s->rewrite || !prefix;
	}
}

/* "stream:" is declared by the stream, but not by every stream to which the inside may go. */
static bool uses_stream_prefix(const struct xml_start *e)
{
	if (e->prefix && same(e->ns, NS_STREAM))
		return true;
	for (int i = 0; i < e->nattributes; i++) {
		struct xml_attribute a = xml_push_attribute(e, i);

		if (a.prefix && same(a.ns, NS_STREAM))
			return true;
	}
	return false;
}

static void stanza_start(void *arg, int depth, const struct xml_start *e)
{
	struct stanza_scan *s = arg;

	if (depth == 0) {
		root_start(s, e);
		return;
	}
	if (!s->out->root_is_stanza)
		return;
	if (depth == 1)
		child_start(s, e);
	else if (depth == 2 && s->child.ns == NS_ID_MUC_USER && s->child.name == NAME_ID_X &&
		 same(e->name, "invite") && same(e->ns, NS_MUC_USER))
		s->out->flags |= STANZA_INVITE;
	s->rewrite = s->rewrite || uses_stream_prefix(e);
}

static void stanza_end(void *arg, int depth, size_t offset)
{
	struct stanza_scan *s = arg;

	if (depth != 1 || !s->out->root_is_stanza)
		return;
	s->mark = offset;
	if (s->out->nchildren == STANZA_CHILD_MAX)
		return;
	s->child.length = (uint32_t)(offset - s->child.offset);
	s->child.offset -= (uint32_t)s->inner_at;
	stanza_child_put(&s->x->index, &s->child);
	s->out->nchildren++;
}

/* The bytes between the tags. The last "<" of a stanza begins its end tag. */
static struct slice inner_as_written(const struct stanza_scan *s)
{
	const char *end = memrchr(s->bytes.data, '<', s->bytes.len);
	const char *from = s->bytes.data + s->inner_at;

	return end > from ? slice_of(from, (size_t)(end - from)) : SLICE_NONE;
}

/* The same inside written anew, without prefixes, with an index that fits it. Rare, so at the cost
 * of a second pass. */
static enum xml_verdict rewrite_inner(struct stanza_scan *s)
{
	struct xml_in *x = s->x;
	struct slice old = str_slice(&x->index);
	struct xml_node *root;
	struct str index = STR_INIT;
	enum xml_verdict v = xml_in_tree(x, s->bytes, s->content_ns, &root);

	if (v)
		return v;
	for (const struct xml_node *n = root->first; n; n = n->next) {
		struct stanza_child c;

		xml_out_text(&x->inner, slice_str(n->before));
		if (!stanza_child_get(&old, &c)) {
			xml_tree_write(&x->inner, n, s->content_ns);
			continue;
		}
		c.offset = (uint32_t)x->inner.len;
		xml_tree_write(&x->inner, n, s->content_ns);
		c.length = (uint32_t)x->inner.len - c.offset;
		stanza_child_put(&index, &c);
	}
	xml_out_text(&x->inner, slice_str(root->after));
	xml_tree_free(&root);
	str_clear(&x->index);
	x->index = index;
	s->out->inner = str_slice(&x->inner);
	return XML_OK;
}

/* What is at its ends and between differs among addresses. */
static struct known *known_place(struct addresses *a, struct slice text)
{
	uint64_t first = 0, last = 0;
	size_t n = text.len < 8 ? text.len : 8;

	memcpy(&first, text.data, n);
	memcpy(&last, text.data + text.len - n, n);
	first = (first ^ last * 0x9e3779b97f4a7c15ULL ^ text.len) * 0x9e3779b97f4a7c15ULL;
	return &a->known[first >> 58];
}

/* *out is the parser's: until the next stanza. */
static bool parse_jid(struct addresses *a, struct jid *out, const struct span *s,
		      const struct str *decoded)
{
	struct slice text = s->set ? span_slice(s, decoded) : SLICE_NONE;
	struct known *k;

	if (!s->set)
		return true;
	jid_clear(&a->spare);
	if (text.len == 0 || text.len > KNOWN_MAX) {
		if (jid_parse(&a->spare, text) != ERR_OK)
			return false;
		*out = a->spare;
		return true;
	}
	k = known_place(a, text);
	if (!k->text || !slice_eq(text, slice_of(k->text, k->len))) {
		struct jid jid;

		if (jid_parse(&jid, text) != ERR_OK)
			return false;
		free(k->text);
		jid_clear(&k->jid);
		*k = (struct known){xstrndup(text.data, text.len), text.len, jid};
	}
	*out = k->jid;
	return true;
}

/* RFC 6120 8.1, 8.2.3; RFC 6121 4.7.1: why this is no stanza that can be handled, NULL if it is. */
static const char *rule_broken(const struct stanza_scan *s)
{
	const struct stanza_in *out = s->out;

	if (s->id.len > ID_MAX)
		return "the id is longer than 1023 bytes";
	if (s->lang.len > LANG_MAX)
		return "the xml:lang is longer than 63 bytes";
	if (out->kind == STANZA_PRESENCE && out->type == TYPE_OTHER)
		return "unknown type of presence";
	if (out->kind != STANZA_IQ)
		return NULL;
	if (!s->id.set)
		return "an iq must have an id";
	if (out->type == TYPE_NONE || out->type == TYPE_OTHER)
		return "an iq must have the type get, set, result or error";
	if ((out->type == TYPE_GET || out->type == TYPE_SET) && s->children != 1)
		return "an iq of type get or set must have exactly one child";
	return NULL;
}

static enum xml_verdict judge(struct stanza_scan *s)
{
	struct stanza_in *out = s->out;
	struct xml_in *x = s->x;

	if (!parse_jid(&x->to, &out->to, &s->to, &x->text)) {
		out->condition = "jid-malformed";
		out->why = "the to attribute is not a JID";
		out->from_malformed = !parse_jid(&x->from, &out->from, &s->from, &x->text);
	} else if (!parse_jid(&x->from, &out->from, &s->from, &x->text)) {
		out->condition = "jid-malformed";
		out->why = "the from attribute is not a JID";
		out->from_malformed = true;
	} else {
		out->why = rule_broken(s);
		out->condition = out->why ? "bad-request" : NULL;
	}
	return out->condition ? XML_STANZA_BAD : XML_OK;
}

enum xml_verdict xml_in_stanza(struct xml_in *x, struct slice bytes, const char *content_ns,
			       struct stanza_in *out)
{
	static const struct xml_sink sink = {.start = stanza_start, .end = stanza_end};
	struct stanza_scan s = {
		.x = x,
		.content_ns = content_ns,
		.bytes = without_leading_space(bytes),
		.out = out,
	};
	enum xml_verdict v;

	*out = (struct stanza_in){0};
	str_reset(&x->text);
	str_reset(&x->index);
	str_reset(&x->inner);
	v = xml_push_element(x->push, s.bytes, content_ns, &sink, &s);
	if (v == XML_OK && s.rewrite)
		v = rewrite_inner(&s);
	else if (v == XML_OK && out->root_is_stanza)
		out->inner = inner_as_written(&s);
	if (v) {
		*out = (struct stanza_in){0};
		return v;
	}
	if (!out->root_is_stanza)
		return XML_OK;
	out->id = s.id.len <= ID_MAX ? span_slice(&s.id, &x->text) : SLICE_NONE;
	out->lang = s.lang.len <= LANG_MAX ? span_slice(&s.lang, &x->text) : SLICE_NONE;
	out->type_text = span_slice(&s.type, &x->text);
	out->type = s.type.set ? stanza_type_parse(out->kind, out->type_text) : TYPE_NONE;
	out->children = str_slice(&x->index);
	/* XEP-0334 section 5: those in an error are of the stanza that it is about. */
	if (out->type == TYPE_ERROR)
		out->flags &= (uint16_t) ~(STANZA_STORE | STANZA_NO_STORE | STANZA_NO_ARCHIVE);
	return judge(&s);
}

void stanza_in_clear(struct stanza_in *s)
{
	*s = (struct stanza_in){0};
}
