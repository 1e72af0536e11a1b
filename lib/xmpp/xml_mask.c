#include "xmpp/xml_mask.h"

#include <stdbool.h>

/* A list of what is harmless, not of what is secret: unknown extensions stay hidden. */
static const char *const shown[] = {
	"action", "affiliation", "ask",	     "by",     "code",	  "complete",	  "from",
	"hash",	  "id",		 "jid",	     "node",   "queryid", "role",	  "seconds",
	"sent",	  "sid",	 "stamp",    "status", "subid",	  "subscription", "to",
	"type",	  "ver",	 "xml:lang", "xmlns",
};

static bool is_shown(struct slice name)
{
	if (name.len > 6 && memcmp(name.data, "xmlns:", 6) == 0)
		return true;
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (slice_is(name, shown[i]))
			return true;
	return false;
}

/* Characters: a reference is one, and the bytes behind the first of a UTF-8 sequence are none. */
static size_t characters(struct slice s)
{
	bool reference = false;
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (!reference && ((unsigned char)c & 0xc0) != 0x80)
			n++;
		if (c == '&')
			reference = true;
		else if (c == ';')
			reference = false;
	}
	return n;
}

static bool starts(struct slice s, const char *with)
{
	size_t n = strlen(with);

	return s.len >= n && memcmp(s.data, with, n) == 0;
}

static void advance(struct slice *in, size_t n)
{
	n = n < in->len ? n : in->len;
	*in = slice_of(in->data + n, in->len - n);
}

static size_t find(struct slice in, const char *what)
{
	const char *at = in.len ? memmem(in.data, in.len, what, strlen(what)) : NULL;

	return at ? (size_t)(at - in.data) : in.len;
}

static size_t span(struct slice in, const char *stop)
{
	size_t n = 0;

	while (n < in.len && !(in.data[n] && strchr(stop, in.data[n])))
		n++;
	return n;
}

/* Text up to the next tag, CDATA sections included. */
static void mask_text(struct slice *in, struct str *out)
{
	size_t n = 0, len;

	for (;;) {
		if (starts(*in, "<![CDATA[")) {
			advance(in, 9);
			len = find(*in, "]]>");
			for (size_t i = 0; i < len; i++)
				n += ((unsigned char)in->data[i] & 0xc0) != 0x80;
			advance(in, len + 3);
		} else if (in->len && *in->data != '<') {
			len = find(*in, "<");
			n += characters(slice_of(in->data, len));
			advance(in, len);
		} else {
			break;
		}
	}
	if (n)
		str_addf(out, "[%zu]", n);
}

/* name='value', with white space before it gone already. */
static void mask_attribute(struct slice *in, struct str *out)
{
	struct slice name = slice_of(in->data, span(*in, "= \t\r\n/>")), value;
	char quote;

	advance(in, name.len ? name.len : 1);
	advance(in, span(*in, "\"'>"));
	if (!in->len || *in->data == '>')
		return;
	quote = *in->data;
	advance(in, 1);
	value = slice_of(in->data, span(*in, quote == '"' ? "\"" : "'"));
	advance(in, value.len + 1);
	str_addf(out, " %.*s='", SLICE_ARG(name));
	if (!is_shown(name))
		str_addf(out, "[%zu]", characters(value));
	else
		for (size_t i = 0; i < value.len; i++)
			if (value.data[i] == '\'')
				str_adds(out, "&apos;");
			else
				str_addc(out, value.data[i]);
	str_addc(out, '\'');
}

static void mask_tag(struct slice *in, struct str *out)
{
	size_t len = span(*in, " \t\r\n/>");

	if (len == 1) /* an end tag */
		len = 2 + span(slice_of(in->data + 2, in->len > 2 ? in->len - 2 : 0), " \t\r\n/>");
	len = len < in->len ? len : in->len;
	str_add(out, in->data, len);
	advance(in, len);
	while (in->len && *in->data != '>') {
		if (*in->data == '/') {
			str_addc(out, '/');
			advance(in, 1);
		} else if (strchr(" \t\r\n", *in->data) && *in->data) {
			advance(in, 1);
		} else {
			mask_attribute(in, out);
		}
	}
	advance(in, 1);
	str_addc(out, '>');
}

void xml_mask(struct str *out, struct slice xml, size_t max)
{
	size_t start = out->len;

	while (xml.len && out->len - start <= max) {
		if (*xml.data == '<' && !starts(xml, "<![CDATA["))
			mask_tag(&xml, out);
		else
			mask_text(&xml, out);
	}
	if (out->len - start <= max)
		return;
	out->len = start + max;
	while (out->len > start && ((unsigned char)out->data[out->len] & 0xc0) == 0x80)
		out->len--; /* not in the middle of a character */
	out->data[out->len] = '\0';
	str_adds(out, "...");
}
