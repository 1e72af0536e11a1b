/*
 * Slices, whether a framer would cut them or not.
 *
 * - Stanza, tree and peek agree about what is XML.
 * - The inside of a stanza, as bytes or written anew, is the same tree as the original's.
 * - The child index points at the children.
 * - A stanza that is written and read again is the same stanza.
 * - A tree that is written and read again is the same tree.
 */
#include "base/check.h"
#include "ipc/stanza_kinds.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_in.h"
#include "xmpp/xml_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_attributes(const struct xml_node *a, const struct xml_node *b)
{
	const struct xml_attr *p = a->attrs, *q = b->attrs;

	for (; p && q; p = p->next, q = q->next)
		check(strcmp(p->ns, q->ns) == 0 && strcmp(p->name, q->name) == 0 &&
		      strcmp(p->value, q->value) == 0);
	check(!p && !q);
}

/* Names and text of the elements that follow each other. */
static void same_children(const struct xml_node *a, const struct xml_node *b)
{
	const struct xml_node *p = a->first, *q = b->first;

	check(strcmp(a->text, b->text) == 0 && strcmp(a->after, b->after) == 0);
	for (; p && q; p = p->next, q = q->next) {
		check(strcmp(p->ns, q->ns) == 0 && strcmp(p->name, q->name) == 0);
		check(strcmp(p->before, q->before) == 0);
		same_attributes(p, q);
		same_children(p, q);
	}
	check(!p && !q);
}

static void check_tree(struct xml_in *x, const struct xml_node *n)
{
	struct str out = STR_INIT;
	struct xml_node *again;

	xml_tree_write(&out, n, NS_CLIENT);
	check(xml_in_tree(x, str_slice(&out), NS_CLIENT, &again) == XML_OK);
	check(xml_is(again, n->ns, n->name));
	same_attributes(n, again);
	same_children(n, again);
	xml_tree_free(&again);
	str_clear(&out);
}

/* other: a parser that does not overwrite what s points to. */
static void check_index(struct xml_in *other, const struct stanza_in *s,
			const struct xml_node *tree)
{
	struct slice index = s->children;
	const struct xml_node *n = tree->first;
	struct stanza_child c;
	struct xml_name name;

	for (int i = 0; i < s->nchildren; i++, n = n->next) {
		check(n && stanza_child_get(&index, &c));
		check((size_t)c.offset + c.length <= s->inner.len);
		check(xml_in_peek(other, slice_of(s->inner.data + c.offset, c.length), NS_CLIENT,
				  &name) == XML_OK);
		check(slice_is(name.name, n->name));
		check((c.ns == NS_ID_CONTENT) == (strcmp(n->ns, NS_CLIENT) == 0));
	}
	check(index.len == 0 && (!n || s->nchildren == STANZA_CHILD_MAX));
}

static void check_written(struct xml_in *other, const struct stanza_in *s)
{
	struct str out = STR_INIT;
	struct stanza_in again;
	struct stanza_out o = {
		.kind = s->kind,
		.type = s->type,
		.to = jid_full(&s->to),
		.from = jid_full(&s->from),
		.id = s->id,
		.lang = s->lang,
		.inner = s->inner,
	};

	xml_out_stanza(&out, &o);
	(void)xml_in_stanza(other, str_slice(&out), NS_CLIENT, &again);
	check(again.root_is_stanza && again.kind == s->kind && again.flags == s->flags);
	check(again.type == s->type || s->type == TYPE_OTHER);
	check(slice_eq(again.id, s->id) && slice_eq(again.lang, s->lang));
	check(slice_eq(jid_full(&again.to), jid_full(&s->to)));
	check(slice_eq(again.inner, s->inner) && slice_eq(again.children, s->children));
	stanza_in_clear(&again);
	str_clear(&out);
}

/* In a stream of another content namespace the direct children change theirs, nothing else. */
static void check_translated(const struct stanza_in *s, const struct xml_node *tree)
{
	struct xml_node *n = xml_tree_parse_inner(s->inner, NS_SERVER);
	const struct xml_node *p = tree->first, *q;

	check(n);
	for (q = n->first; p && q; p = p->next, q = q->next)
		check(strcmp(q->ns, strcmp(p->ns, NS_CLIENT) ? p->ns : NS_SERVER) == 0);
	check(!p && !q);
	xml_tree_free(&n);
}

static void check_stanza(struct xml_in *other, const struct stanza_in *s,
			 const struct xml_node *tree)
{
	struct xml_node *inner = xml_tree_parse_inner(s->inner, NS_CLIENT);

	check(inner);
	same_children(tree, inner);
	xml_tree_free(&inner);
	check_index(other, s, tree);
	check_translated(s, tree);
	check_written(other, s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct xml_in *x, *other;
	struct slice in = slice_of((const char *)data, size);
	struct xml_stream_header h;
	struct xml_node *tree;
	struct xml_name name;
	struct stanza_in s;
	enum xml_verdict v;

	if (!x) {
		x = xml_in_new();
		other = xml_in_new();
	}
	if (xml_in_header(x, in, &h) == XML_OK)
		check(h.name.len > 0);
	v = xml_in_tree(x, in, NS_CLIENT, &tree);
	check(!tree == (v != XML_OK));
	check(xml_in_peek(x, in, NS_CLIENT, &name) == v);
	if (v == XML_OK) {
		check(slice_is(name.name, tree->name) && name.name.len > 0);
		check_tree(x, tree);
	}
	if (xml_in_stanza(x, in, NS_CLIENT, &s) == XML_STANZA_BAD) {
		check(v == XML_OK && s.root_is_stanza && s.condition && s.why && s.kind);
	} else {
		check((v == XML_OK) == (s.root_is_stanza || (tree && s.kind == 0)));
		check(!s.condition);
	}
	if (s.root_is_stanza)
		check_stanza(other, &s, tree);
	stanza_in_clear(&s);
	xml_tree_free(&tree);
	return 0;
}
