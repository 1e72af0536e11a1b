/* lib/xmpp/xml_tree.c and lib/xmpp/xml_build.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/str.h"
#include "xmpp/ns.h"
#include "xmpp/xml_in.h"
#include "xmpp/xml_tree.h"

static struct xml_node *parse(const char *text)
{
	struct xml_in *x = xml_in_new();
	struct xml_node *root;

	if (xml_in_tree(x, slice_str(text), NS_CLIENT, &root))
		fail_msg("refused: %s", text);
	xml_in_free(&x);
	return root;
}

static void a_tree_shows_names_attributes_and_text(void **state)
{
	struct xml_node *n = parse("<iq id='1' type='set' xml:lang='en'> <bind xmlns='" NS_BIND
				   "'><resource>a &amp; b</resource></bind>x<a/>y</iq>");
	const struct xml_node *bind = xml_child(n, NS_BIND, "bind");

	(void)state;
	assert_true(xml_is(n, NS_CLIENT, "iq"));
	assert_false(xml_is(n, NS_CLIENT, "message"));
	assert_false(xml_is(n, NS_BIND, "iq"));
	assert_false(xml_is(NULL, NS_CLIENT, "iq"));
	assert_string_equal(xml_attr(n, "id"), "1");
	assert_string_equal(xml_attr(n, "type"), "set");
	assert_null(xml_attr(n, "to"));
	assert_null(xml_attr(n, "lang")); /* that one is of the xml namespace */
	assert_string_equal(n->text, " xy");
	assert_non_null(bind);
	assert_ptr_equal(bind->parent, n);
	assert_ptr_equal(xml_child_ns(n, NS_BIND), bind);
	assert_null(xml_child_ns(n, NS_SASL));
	assert_null(xml_child(n, NS_BIND, "resource"));
	assert_string_equal(xml_child_text(bind, NS_BIND, "resource"), "a & b");
	assert_null(xml_child_text(bind, NS_BIND, "jid"));
	assert_string_equal(xml_child_text(n, NS_CLIENT, "a"), "");
	assert_true(xml_is(bind->next, NS_CLIENT, "a"));
	assert_ptr_equal(n->last, bind->next);
	xml_tree_free(&n);
	assert_null(n);
	xml_tree_free(&n);
}

/* What is written for content namespace jabber:client. */
static void trees_are_written_without_prefixes(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"<a/>", "<a/>"},
		{"<a></a>", "<a/>"},
		{"<a>x</a>", "<a>x</a>"},
		{"<a b='1' c='2'/>", "<a b='1' c='2'/>"},
		{"<a>1<b/>2<c>3</c>4<d/></a>", "<a>1<b/>2<c>3</c>4<d/></a>"},
		{"<a>&lt;&amp;&gt;<![CDATA[<x>]]></a>", "<a>&lt;&amp;&gt;&lt;x&gt;</a>"},
		{"<a b='&amp;&#38;&lt;&#10;&quot;&apos;'/>",
		 "<a b='&amp;&amp;&lt;&#10;&quot;&apos;'/>"},
		{"<a b='&amp;#38;'/>", "<a b='&amp;#38;'/>"},
		{"<a>&#13;</a>", "<a>&#13;</a>"},
		{"<x xmlns='u'><y/></x>", "<x xmlns='u'><y/></x>"},
		{"<p:x xmlns:p='u'><p:y><z/></p:y></p:x>",
		 "<x xmlns='u'><y><z xmlns='jabber:client'/></y></x>"},
		{"<x xmlns=''><y xmlns='u'/></x>", "<x xmlns=''><y xmlns='u'/></x>"},
		{"<a xmlns:p='u' xmlns:q='v' p:b='1' q:b='2' b='3'/>",
		 "<a xmlns:n1='u' n1:b='1' xmlns:n2='v' n2:b='2' b='3'/>"},
		{"<a xml:lang='de' xml:space='preserve'/>",
		 "<a xml:lang='de' xml:space='preserve'/>"},
		{"<x xmlns='u?a=1&amp;b=2'/>", "<x xmlns='u?a=1&amp;b=2'/>"},
		{"<stream:error/>", "<error xmlns='" NS_STREAM "'/>"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;
		struct xml_node *n = parse(cases[i].in);

		xml_tree_write(&out, n, NS_CLIENT);
		assert_string_equal(out.data, cases[i].out);
		str_clear(&out);
		xml_tree_free(&n);
	}
}

static void an_element_put_elsewhere_declares_its_namespace(void **state)
{
	struct xml_node *n = parse("<a><b/>x</a>");
	struct str out = STR_INIT;

	(void)state;
	xml_tree_write(&out, n, NS_SERVER);
	assert_string_equal(out.data, "<a xmlns='jabber:client'><b/>x</a>");
	str_reset(&out);
	xml_tree_write(&out, n, NULL);
	assert_string_equal(out.data, "<a xmlns='jabber:client'><b/>x</a>");
	str_reset(&out);
	xml_tree_write(&out, n->first, NS_CLIENT); /* a part, without the text around it */
	assert_string_equal(out.data, "<b/>");
	str_clear(&out);
	xml_tree_free(&n);
}

static void the_inner_of_a_stanza_becomes_a_tree(void **state)
{
	struct xml_node *n =
		xml_tree_parse_inner(slice_str("<query xmlns='" NS_ROSTER "'/><b/>"), NS_SERVER);

	(void)state;
	assert_true(xml_is(n, NS_SERVER, "inner"));
	assert_true(xml_is(n->first, NS_ROSTER, "query"));
	assert_true(xml_is(n->first->next, NS_SERVER, "b"));
	xml_tree_free(&n);
	n = xml_tree_parse_inner(SLICE_NONE, NS_CLIENT);
	assert_true(xml_is(n, NS_CLIENT, "inner"));
	assert_null(n->first);
	xml_tree_free(&n);
	assert_null(xml_tree_parse_inner(slice_str("<a>"), NS_CLIENT));
	assert_null(xml_tree_parse_inner(slice_str("</inner><inner>"), NS_CLIENT));
	/* a refusal does not spoil what comes after it */
	n = xml_tree_parse_inner(slice_str("<a/>"), NS_CLIENT);
	assert_true(xml_is(n->first, NS_CLIENT, "a"));
	xml_tree_free(&n);
}

static void large_and_deep_trees_are_kept_whole(void **state)
{
	struct str text = STR_INIT;
	struct str out = STR_INIT;
	struct xml_node *n;

	(void)state;
	for (int i = 0; i < 2000; i++)
		str_adds(&text, "<deep a='value'>");
	for (int i = 0; i < 50000; i++)
		str_adds(&text, "text ");
	for (int i = 0; i < 2000; i++)
		str_adds(&text, "<wide/></deep>");
	n = parse(text.data);
	xml_tree_write(&out, n, NS_CLIENT);
	assert_string_equal(out.data, text.data);
	xml_tree_free(&n);
	str_clear(&text);
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_shows_names_attributes_and_text),
		cmocka_unit_test(trees_are_written_without_prefixes),
		cmocka_unit_test(an_element_put_elsewhere_declares_its_namespace),
		cmocka_unit_test(the_inner_of_a_stanza_becomes_a_tree),
		cmocka_unit_test(large_and_deep_trees_are_kept_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
