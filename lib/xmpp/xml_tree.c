#include "xmpp/xml_tree.h"

#include <string.h>

#include "xmpp/ns.h"
#include "xmpp/xml_build.h"
#include "xmpp/xml_in.h"
#include "xmpp/xml_out.h"

void xml_tree_free(struct xml_node **root)
{
	if (*root)
		xml_arena_free((*root)->arena);
	*root = NULL;
}

bool xml_is(const struct xml_node *n, const char *ns, const char *name)
{
	return n && strcmp(n->name, name) == 0 && strcmp(n->ns, ns) == 0;
}

const struct xml_node *xml_child(const struct xml_node *n, const char *ns, const char *name)
{
	for (const struct xml_node *c = n->first; c; c = c->next)
		if (xml_is(c, ns, name))
			return c;
	return NULL;
}

const struct xml_node *xml_child_ns(const struct xml_node *n, const char *ns)
{
	for (const struct xml_node *c = n->first; c; c = c->next)
		if (strcmp(c->ns, ns) == 0)
			return c;
	return NULL;
}

const char *xml_attr(const struct xml_node *n, const char *name)
{
	for (const struct xml_attr *a = n->attrs; a; a = a->next)
		if (!*a->ns && strcmp(a->name, name) == 0)
			return a->value;
	return NULL;
}

const char *xml_child_text(const struct xml_node *n, const char *ns, const char *name)
{
	const struct xml_node *c = xml_child(n, ns, name);

	return c ? c->text : NULL;
}

struct xml_node *xml_tree_parse_inner(struct slice inner, const char *content_ns)
{
	/* One parser for all callers, who are all on the loop thread: making one costs more than
	 * using it. Not state: nothing of a parse is left in it. */
	static struct xml_in *parser;
	struct str doc = STR_INIT;
	struct xml_node *root = NULL;

	if (!parser)
		parser = xml_in_new();
	str_reserve(&doc, inner.len + sizeof("<inner></inner>"));
	str_adds(&doc, "<inner>");
	str_add_slice(&doc, inner);
	str_adds(&doc, "</inner>");
	if (xml_in_tree(parser, str_slice(&doc), content_ns, &root))
		root = NULL;
	str_clear(&doc);
	return root;
}

/* Namespaced attributes get a prefix of their own, declared beside them. */
static void write_attributes(struct str *out, const struct xml_node *n)
{
	unsigned int number = 0;

	for (const struct xml_attr *a = n->attrs; a; a = a->next) {
		char name[32];

		if (!*a->ns) {
			xml_out_attr(out, a->name, slice_str(a->value));
			continue;
		}
		if (strcmp(a->ns, NS_XML) == 0) {
			str_adds(out, " xml:");
		} else {
			snprintf(name, sizeof(name), "xmlns:n%u", ++number);
			xml_out_attr(out, name, slice_str(a->ns));
			str_addf(out, " n%u:", number);
		}
		str_adds(out, a->name);
		str_adds(out, "='");
		xml_out_attr_value(out, slice_str(a->value));
		str_addc(out, '\'');
	}
}

/* "<name ..." without the end of the tag. scope: the default namespace there, NULL = unknown. */
static void write_start(struct str *out, const struct xml_node *n, const char *scope)
{
	str_addc(out, '<');
	str_adds(out, n->name);
	if (!scope || strcmp(n->ns, scope) != 0)
		xml_out_attr(out, "xmlns", slice_str(n->ns));
	write_attributes(out, n);
}

static void write_end(struct str *out, const struct xml_node *n)
{
	xml_out_text(out, slice_str(n->after));
	str_adds(out, "</");
	str_adds(out, n->name);
	str_addc(out, '>');
}

/* Without recursion: how deep a tree is, a peer decides. Every element is written without prefix,
 * so the default namespace inside it is its own. */
void xml_tree_write(struct str *out, const struct xml_node *n, const char *content_ns)
{
	const struct xml_node *at = n;

	for (;;) {
		write_start(out, at, at == n ? content_ns : at->parent->ns);
		if (!at->first && !*at->after) {
			str_adds(out, "/>");
		} else {
			str_addc(out, '>');
			if (at->first) {
				at = at->first;
				xml_out_text(out, slice_str(at->before));
				continue;
			}
			write_end(out, at);
		}
		while (at != n && !at->next) {
			at = at->parent;
			write_end(out, at);
		}
		if (at == n)
			return;
		at = at->next;
		xml_out_text(out, slice_str(at->before));
	}
}
