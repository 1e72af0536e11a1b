/*
 * Lines of a program (callbridge --exec) to stanzas, and stanzas to lines.
 *
 * - However the bytes are split, the same lines come out, and none is longer than allowed.
 * - An accepted line is one stanza with a `to` and a `from` of the component's domain.
 * - As a line it has one LF, at its end, and says the same to an XML parser.
 */
#include "base/check.h"
#include "callbridge/bridge_echo.h"
#include "callbridge/bridge_frame.h"
#include "xmpp/ns.h"
#include "xmpp/xml_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define JID	 "cb1.example.org"
#define LINE_MAX 300

struct run {
	struct xml_in *xml;
	struct str lines;
};

static void write_tree(struct xml_in *x, struct slice text, struct str *out)
{
	struct xml_node *tree = NULL;

	check(xml_in_tree(x, text, NS_COMPONENT, &tree) == XML_OK);
	xml_tree_write(out, tree, NULL);
	xml_tree_free(&tree);
}

static void check_stanza(struct xml_in *x, struct slice stanza)
{
	struct str line = STR_INIT, before = STR_INIT, after = STR_INIT, answer = STR_INIT;
	struct stanza_in st = {0};

	check(xml_in_stanza(x, stanza, NS_COMPONENT, &st) == XML_OK && st.root_is_stanza);
	check(st.to.text && st.from.text && slice_is(st.from.domain, JID));
	bridge_frame_line(&line, &st);
	bridge_echo(&answer, &st, "cb1");
	stanza_in_clear(&st);
	check(memchr(line.data, '\n', line.len) == line.data + line.len - 1);
	check(!memchr(line.data, '\r', line.len));
	write_tree(x, stanza, &before);
	write_tree(x, slice_of(line.data, line.len - 1), &after);
	check(slice_eq(str_slice(&before), str_slice(&after)));
	if (answer.len) {
		str_reset(&after);
		write_tree(x, str_slice(&answer), &after);
	}
	str_clear(&line);
	str_clear(&before);
	str_clear(&after);
	str_clear(&answer);
}

static void on_line(void *arg, struct slice line)
{
	struct run *r = arg;
	struct str out = STR_INIT;

	check(line.len > 0 && line.len <= LINE_MAX && !memchr(line.data, '\n', line.len));
	str_addf(&r->lines, "%zu:", line.len);
	str_add_slice(&r->lines, line);
	if (r->xml && !bridge_frame_stanza(&out, r->xml, line, JID))
		check_stanza(r->xml, str_slice(&out));
	str_clear(&out);
}

static void on_too_long(void *arg)
{
	str_adds(&((struct run *)arg)->lines, "!");
}

static void feed(struct run *r, struct slice in, uint32_t split)
{
	static const struct bridge_lines_events events = {on_line, on_too_long};
	struct bridge_lines l;

	bridge_lines_init(&l, LINE_MAX);
	while (in.len) {
		size_t n = split ? 1 + (split = split * 1664525u + 1013904223u) % 9 : in.len;

		n = n < in.len ? n : in.len;
		bridge_lines_feed(&l, slice_of(in.data, n), &events, r);
		in = slice_of(in.data + n, in.len - n);
	}
	bridge_lines_clear(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct xml_in *x;
	struct run whole = {.lines = STR_INIT}, parts = {.lines = STR_INIT};
	struct slice in;
	uint32_t seed;

	if (size < 4)
		return 0;
	if (!x)
		x = xml_in_new();
	memcpy(&seed, data + size - 4, 4);
	in = slice_of((const char *)data, size - 4);
	whole.xml = x;
	feed(&whole, in, 0);
	feed(&parts, in, seed | 1);
	check(slice_eq(str_slice(&whole.lines), str_slice(&parts.lines)));
	str_clear(&whole.lines);
	str_clear(&parts.lines);
	return 0;
}
