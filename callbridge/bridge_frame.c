#include "callbridge/bridge_frame.h"

#include <string.h>

#include "base/check.h"
#include "ipc/stanza_kinds.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"

/* ---- to the program */

enum place { IN_TEXT, IN_TAG, IN_QUOTES, IN_CDATA };

struct scan {
	enum place place;
	char quote;
};

static const char cdata_open[] = "<![CDATA[", cdata_close[] = "]]>";

static bool begins(struct slice s, size_t i, const char *with)
{
	size_t n = strlen(with);

	return s.len - i >= n && memcmp(s.data + i, with, n) == 0;
}

/* What stands for a line end: in a tag white space is white space, and in an attribute a parser
 * would make it a space (XML 1.0, 3.3.3); no reference can stand in a CDATA section. */
static void add_line_end(struct str *out, enum place place)
{
	if (place == IN_TEXT)
		str_adds(out, "&#10;");
	else if (place == IN_CDATA)
		str_adds(out, "]]>&#10;<![CDATA[");
	else
		str_addc(out, ' ');
}

/* Where the byte at i leads. How many bytes belong together: 1, or a whole CDATA mark. */
static size_t move(struct scan *sc, struct slice s, size_t i)
{
	char c = s.data[i];

	if (sc->place == IN_TEXT && c == '<') {
		sc->place = begins(s, i, cdata_open) ? IN_CDATA : IN_TAG;
		return sc->place == IN_CDATA ? sizeof(cdata_open) - 1 : 1;
	}
	if (sc->place == IN_CDATA && begins(s, i, cdata_close)) {
		sc->place = IN_TEXT;
		return sizeof(cdata_close) - 1;
	}
	if (sc->place == IN_QUOTES && c == sc->quote) {
		sc->place = IN_TAG;
	} else if (sc->place == IN_TAG && (c == '\'' || c == '"')) {
		sc->place = IN_QUOTES;
		sc->quote = c;
	} else if (sc->place == IN_TAG && c == '>') {
		sc->place = IN_TEXT;
	}
	return 1;
}

void bridge_frame_one_line(struct str *out, struct slice inner)
{
	struct scan sc = {.place = IN_TEXT};
	size_t start = 0, i = 0;

	if (inner.len == 0)
		return;
	if (!memchr(inner.data, '\n', inner.len) && !memchr(inner.data, '\r', inner.len)) {
		str_add_slice(out, inner);
		return;
	}
	while (i < inner.len) {
		char c = inner.data[i];

		if (c != '\n' && c != '\r') {
			i += move(&sc, inner, i);
			continue;
		}
		str_add(out, inner.data + start, i - start);
		i += c == '\r' && i + 1 < inner.len && inner.data[i + 1] == '\n' ? 2 : 1;
		start = i;
		add_line_end(out, sc.place);
	}
	str_add(out, inner.data + start, inner.len - start);
}

static struct stanza_out frame_of(const struct stanza_in *st)
{
	return (struct stanza_out){
		.kind = st->kind,
		.type = st->type,
		.from = jid_full(&st->from),
		.to = jid_full(&st->to),
		.id = st->id,
		.lang = st->lang,
	};
}

void bridge_frame_line(struct str *out, const struct stanza_in *st)
{
	struct stanza_out o = frame_of(st);

	xml_out_stanza(out, &o);
	if (st->inner.len) {
		check(out->len > 2 && memcmp(out->data + out->len - 2, "/>", 2) == 0);
		out->len -= 2;
		str_addc(out, '>');
		bridge_frame_one_line(out, st->inner);
		str_adds(out, "</");
		str_adds(out, stanza_kind_name(st->kind));
		str_addc(out, '>');
	}
	str_addc(out, '\n');
}

/* ---- from the program */

static enum xml_verdict read_stanza(struct xml_in *x, struct slice line, struct stanza_in *st)
{
	enum xml_verdict v = xml_in_stanza(x, line, NS_COMPONENT, st);

	if ((v == XML_OK || v == XML_STANZA_BAD) && !st->root_is_stanza) {
		stanza_in_clear(st);
		v = xml_in_stanza(x, line, NS_CLIENT, st);
	}
	return v;
}

static const char *judge(enum xml_verdict v, const struct stanza_in *st, const char *jid)
{
	if (v == XML_RESTRICTED)
		return "comments, processing instructions, DTDs and entities are not allowed";
	if (v == XML_BAD_NAMESPACE_PREFIX)
		return "a namespace prefix is not declared";
	if (v != XML_OK && v != XML_STANZA_BAD)
		return "it is not well-formed XML in UTF-8";
	if (!st->root_is_stanza)
		return "it is no message, presence or iq";
	if (v == XML_STANZA_BAD)
		return st->why ? st->why : st->condition;
	if (!st->to.text)
		return "it has no 'to'";
	if (st->kind == STANZA_IQ && st->id.len == 0)
		return "an iq needs an id";
	if (st->from.text && !slice_is(st->from.domain, jid))
		return "its 'from' is not of this component's domain";
	return NULL;
}

const char *bridge_frame_stanza(struct str *out, struct xml_in *x, struct slice line,
				const char *jid)
{
	struct stanza_in st = {0};
	enum xml_verdict v = read_stanza(x, line, &st);
	const char *why = judge(v, &st, jid);

	if (!why) {
		struct stanza_out o = frame_of(&st);

		o.inner = st.inner;
		if (!st.from.text)
			o.from = slice_str(jid);
		xml_out_stanza(out, &o);
	}
	stanza_in_clear(&st);
	return why;
}

const char *bridge_frame_fits(struct slice stanza, const struct framer_limits *limits)
{
	static const char header[] = "<s>";
	struct framer f;
	size_t used = 0;

	framer_init(&f, limits);
	framer_step(&f, header, sizeof(header) - 1, &used);
	switch (framer_step(&f, stanza.data, stanza.len, &used)) {
	case FRAMER_ELEMENT:
		return NULL;
	case FRAMER_TOO_BIG:
		return "larger than callbridge.stanza_bytes";
	case FRAMER_TOO_DEEP:
		return "deeper than limits.depth, or more attributes than limits.attributes";
	default:
		return "it is not well-formed XML in UTF-8";
	}
}

/* ---- lines */

void bridge_lines_init(struct bridge_lines *l, size_t max)
{
	*l = (struct bridge_lines){.max = max, .in = STR_INIT};
}

void bridge_lines_clear(struct bridge_lines *l)
{
	str_clear(&l->in);
	l->too_long = false;
}

static bool is_blank(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] != ' ' && s.data[i] != '\t')
			return false;
	return true;
}

static void tell(const struct bridge_lines *l, struct slice line,
		 const struct bridge_lines_events *events, void *arg)
{
	if (line.len && line.data[line.len - 1] == '\r')
		line.len--;
	if (line.len > l->max)
		events->on_too_long(arg);
	else if (!is_blank(line))
		events->on_line(arg, line);
}

static void keep(struct bridge_lines *l, struct slice part,
		 const struct bridge_lines_events *events, void *arg)
{
	if (l->too_long)
		return;
	if (l->in.len + part.len > l->max + 1) { /* one more: it may be a CR */
		l->too_long = true;
		str_clear(&l->in);
		events->on_too_long(arg);
	} else {
		str_add_slice(&l->in, part);
	}
}

void bridge_lines_feed(struct bridge_lines *l, struct slice bytes,
		       const struct bridge_lines_events *events, void *arg)
{
	while (bytes.len) {
		const char *lf = memchr(bytes.data, '\n', bytes.len);
		struct slice part =
			slice_of(bytes.data, lf ? (size_t)(lf - bytes.data) : bytes.len);

		if (!lf) {
			keep(l, part, events, arg);
			return;
		}
		if (l->in.len == 0 && !l->too_long) {
			tell(l, part, events, arg);
		} else {
			keep(l, part, events, arg);
			if (!l->too_long)
				tell(l, str_slice(&l->in), events, arg);
			str_clear(&l->in);
			l->too_long = false;
		}
		bytes = slice_of(lf + 1, bytes.len - part.len - 1);
	}
}
