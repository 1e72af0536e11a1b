/* lib/xmpp/xml_out.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ipc/stanza_kinds.h"
#include "xmpp/xml_out.h"

static void text_and_attributes_are_escaped(void **state)
{
	static const struct {
		const char *in, *text, *attr;
	} cases[] = {
		{"", "", " a=''"},
		{"plain", "plain", " a='plain'"},
		{"<&>'\"", "&lt;&amp;&gt;&apos;&quot;", " a='&lt;&amp;&gt;&apos;&quot;'"},
		{"a&b", "a&amp;b", " a='a&amp;b'"},
		{"]]>", "]]&gt;", " a=']]&gt;'"},
		{"a\r\n\tb", "a&#13;\n\tb", " a='a&#13;&#10;&#9;b'"},
		{"\x01-\x1f", "?-?", " a='?-?'"},
		{"\xc3\xa9\xf0\x9f\x93\xb1", "\xc3\xa9\xf0\x9f\x93\xb1",
		 " a='\xc3\xa9\xf0\x9f\x93\xb1'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;

		xml_out_text(&out, slice_str(cases[i].in));
		assert_string_equal(out.data, cases[i].text);
		str_reset(&out);
		xml_out_attr(&out, "a", slice_str(cases[i].in));
		assert_string_equal(out.data, cases[i].attr);
		str_clear(&out);
	}
}

static void what_must_be_escaped_is_wherever_it_stands(void **state)
{
	char text[25], expected[64];

	(void)state;
	for (size_t len = 1; len < sizeof(text); len++) {
		for (size_t at = 0; at < len; at++) {
			struct str out = STR_INIT;

			memset(text, 'a', len);
			text[at] = '<';
			snprintf(expected, sizeof(expected), "%.*s&lt;%.*s", (int)at, text,
				 (int)(len - at - 1), text + at + 1);
			xml_out_text(&out, slice_of(text, len));
			assert_string_equal(out.data, expected);
			str_reset(&out);
			text[at] = '\n'; /* only in attributes */
			xml_out_text(&out, slice_of(text, len));
			assert_memory_equal(out.data, text, len);
			assert_int_equal(out.len, len);
			str_clear(&out);
		}
	}
}

static void an_absent_attribute_is_not_written(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	xml_out_attr(&out, "a", SLICE_NONE);
	xml_out_text(&out, SLICE_NONE);
	assert_int_equal(out.len, 0);
	str_clear(&out);
}

static void stanzas_have_only_the_attributes_they_need(void **state)
{
	static const struct {
		struct stanza_out s;
		const char *expected;
	} cases[] = {
		{{.kind = STANZA_MESSAGE}, "<message/>"},
		{{.kind = STANZA_PRESENCE, .type = TYPE_UNAVAILABLE, .from = {"a@b/c", 5}},
		 "<presence from='a@b/c' type='unavailable'/>"},
		{{.kind = STANZA_MESSAGE,
		  .type = TYPE_CHAT,
		  .from = {"a@b/'", 5},
		  .to = {"c@d", 3},
		  .id = {"1&2", 3},
		  .lang = {"de", 2},
		  .inner = {"<body>x</body>", 14}},
		 "<message from='a@b/&apos;' to='c@d' id='1&amp;2' type='chat' xml:lang='de'>"
		 "<body>x</body></message>"},
		{{.kind = STANZA_MESSAGE, .type = TYPE_OTHER}, "<message/>"},
		{{.kind = STANZA_IQ, .type = TYPE_RESULT, .id = {"x", 1}},
		 "<iq id='x' type='result'/>"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;

		xml_out_stanza(&out, &cases[i].s);
		assert_string_equal(out.data, cases[i].expected);
		str_clear(&out);
	}
}

static void types_belong_to_kinds(void **state)
{
	static const struct {
		uint8_t kind;
		const char *text;
		uint8_t type;
	} cases[] = {
		{STANZA_MESSAGE, "chat", TYPE_CHAT},
		{STANZA_MESSAGE, "normal", TYPE_NORMAL},
		{STANZA_MESSAGE, "groupchat", TYPE_GROUPCHAT},
		{STANZA_MESSAGE, "headline", TYPE_HEADLINE},
		{STANZA_MESSAGE, "error", TYPE_ERROR},
		{STANZA_MESSAGE, "get", TYPE_OTHER},
		{STANZA_MESSAGE, "", TYPE_OTHER},
		{STANZA_MESSAGE, "Chat", TYPE_OTHER},
		{STANZA_PRESENCE, "unavailable", TYPE_UNAVAILABLE},
		{STANZA_PRESENCE, "subscribe", TYPE_SUBSCRIBE},
		{STANZA_PRESENCE, "subscribed", TYPE_SUBSCRIBED},
		{STANZA_PRESENCE, "unsubscribe", TYPE_UNSUBSCRIBE},
		{STANZA_PRESENCE, "unsubscribed", TYPE_UNSUBSCRIBED},
		{STANZA_PRESENCE, "probe", TYPE_PROBE},
		{STANZA_PRESENCE, "error", TYPE_ERROR},
		{STANZA_PRESENCE, "available", TYPE_OTHER},
		{STANZA_IQ, "get", TYPE_GET},
		{STANZA_IQ, "set", TYPE_SET},
		{STANZA_IQ, "result", TYPE_RESULT},
		{STANZA_IQ, "error", TYPE_ERROR},
		{STANZA_IQ, "chat", TYPE_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t type = stanza_type_parse(cases[i].kind, slice_str(cases[i].text));

		assert_int_equal(type, cases[i].type);
		if (type != TYPE_OTHER)
			assert_string_equal(stanza_type_name(type), cases[i].text);
	}
}

static void unknown_numbers_have_no_name(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 256; i++) {
		assert_non_null(stanza_kind_name((uint8_t)i));
		assert_non_null(stanza_type_name((uint8_t)i));
	}
	assert_string_equal(stanza_kind_name(0), "");
	assert_string_equal(stanza_kind_name(STANZA_IQ), "iq");
	assert_string_equal(stanza_type_name(TYPE_NONE), "");
	assert_string_equal(stanza_type_name(TYPE_OTHER), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_attributes_are_escaped),
		cmocka_unit_test(what_must_be_escaped_is_wherever_it_stands),
		cmocka_unit_test(an_absent_attribute_is_not_written),
		cmocka_unit_test(stanzas_have_only_the_attributes_they_need),
		cmocka_unit_test(types_belong_to_kinds),
		cmocka_unit_test(unknown_numbers_have_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
