#include "xmpp/xml_out.h"

#include "ipc/stanza_kinds.h"

/* What a byte becomes. In text: the five of XML 1.0 section 2.4, and CR, which a parser would
 * normalise away (2.11). In attributes also TAB and LF (3.3.3). Other control characters cannot
 * stand in XML at all. */
static const char *const in_text[256] = {
	['&'] = "&amp;",  ['<'] = "&lt;",    ['>'] = "&gt;",
	['"'] = "&quot;", ['\''] = "&apos;", ['\r'] = "&#13;",
};

/* Which bytes cannot stand as they are: 1 in text and in attributes, 2 only in attributes. */
static const uint8_t special[256] = {
	[0x00 ... 0x08] = 1, ['\t'] = 2, ['\n'] = 2, [0x0b ... 0x1f] = 1, ['&'] = 1,
	['<'] = 1,	     ['>'] = 1,	 ['"'] = 1,  ['\''] = 1,
};

static const char *escape_of(unsigned char c)
{
	if (c >= 0x20 || c == '\r')
		return in_text[c];
	if (c == '\t')
		return "&#9;";
	return c == '\n' ? "&#10;" : "?";
}

static void write_escaped(struct str *out, struct slice s, uint8_t which)
{
	size_t start = 0;

	for (size_t i = 0; i < s.len; i++) {
		const unsigned char *p = (const unsigned char *)s.data + i;
		unsigned char c = *p;

		/* Most is plain: eight at a time. */
		if (s.len - i >= 8 &&
		    !((special[p[0]] | special[p[1]] | special[p[2]] | special[p[3]] |
		       special[p[4]] | special[p[5]] | special[p[6]] | special[p[7]]) &
		      which)) {
			i += 7;
			continue;
		}
		if (!(special[c] & which))
			continue;
		str_add(out, s.data + start, i - start);
		str_adds(out, escape_of(c));
		start = i + 1;
	}
	str_add(out, s.data + start, s.len - start);
}

void xml_out_text(struct str *out, struct slice s)
{
	if (s.len > 0)
		write_escaped(out, s, 1);
}

void xml_out_attr_value(struct str *out, struct slice s)
{
	if (s.len > 0)
		write_escaped(out, s, 1 | 2);
}

void xml_out_attr(struct str *out, const char *name, struct slice value)
{
	if (!value.data)
		return;
	str_addc(out, ' ');
	str_adds(out, name);
	str_add(out, "='", 2);
	xml_out_attr_value(out, value);
	str_addc(out, '\'');
}

static const char *const kinds[] = {
	[STANZA_MESSAGE] = "message",
	[STANZA_PRESENCE] = "presence",
	[STANZA_IQ] = "iq",
};

static const struct {
	uint8_t kind; /* 0 = all of them */
	const char *name;
} types[] = {
	[TYPE_ERROR] = {0, "error"},
	[TYPE_NORMAL] = {STANZA_MESSAGE, "normal"},
	[TYPE_CHAT] = {STANZA_MESSAGE, "chat"},
	[TYPE_GROUPCHAT] = {STANZA_MESSAGE, "groupchat"},
	[TYPE_HEADLINE] = {STANZA_MESSAGE, "headline"},
	[TYPE_UNAVAILABLE] = {STANZA_PRESENCE, "unavailable"},
	[TYPE_SUBSCRIBE] = {STANZA_PRESENCE, "subscribe"},
	[TYPE_SUBSCRIBED] = {STANZA_PRESENCE, "subscribed"},
	[TYPE_UNSUBSCRIBE] = {STANZA_PRESENCE, "unsubscribe"},
	[TYPE_UNSUBSCRIBED] = {STANZA_PRESENCE, "unsubscribed"},
	[TYPE_PROBE] = {STANZA_PRESENCE, "probe"},
	[TYPE_GET] = {STANZA_IQ, "get"},
	[TYPE_SET] = {STANZA_IQ, "set"},
	[TYPE_RESULT] = {STANZA_IQ, "result"},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define TYPES (sizeof(types) / sizeof(types[0]))

const char *stanza_kind_name(uint8_t kind)
{
	return kind < KINDS && kinds[kind] ? kinds[kind] : "";
}

const char *stanza_type_name(uint8_t type)
{
	return type < TYPES && types[type].name ? types[type].name : "";
}

uint8_t stanza_type_parse(uint8_t kind, struct slice text)
{
	for (size_t i = 0; i < TYPES; i++)
		if (types[i].name && (types[i].kind == kind || types[i].kind == 0) &&
		    slice_is(text, types[i].name))
			return (uint8_t)i;
	return TYPE_OTHER;
}

/* lead: " name='" */
static void attr_unless_empty(struct str *out, struct slice lead, struct slice value)
{
	if (value.len == 0)
		return;
	str_add_slice(out, lead);
	xml_out_attr_value(out, value);
	str_addc(out, '\'');
}

#define LEAD(name) slice_of(" " name "='", sizeof(" " name "='") - 1)

void xml_out_stanza(struct str *out, const struct stanza_out *s)
{
	const char *name = stanza_kind_name(s->kind);

	str_reserve(out, s->inner.len + s->from.len + s->to.len + s->id.len + 80);
	str_addc(out, '<');
	str_adds(out, name);
	attr_unless_empty(out, LEAD("from"), s->from);
	attr_unless_empty(out, LEAD("to"), s->to);
	attr_unless_empty(out, LEAD("id"), s->id);
	attr_unless_empty(out, LEAD("type"), slice_str(stanza_type_name(s->type)));
	attr_unless_empty(out, LEAD("xml:lang"), s->lang);
	if (s->inner.len == 0) {
		str_add(out, "/>", 2);
		return;
	}
	str_addc(out, '>');
	str_add_slice(out, s->inner);
	str_add(out, "</", 2);
	str_adds(out, name);
	str_addc(out, '>');
}
