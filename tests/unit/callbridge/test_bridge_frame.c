/* bridge_frame: stanzas as lines, and back; bridge_echo. */
#include "tests/support/cmocka_first.h"

#include <string.h>

#include "callbridge/bridge_echo.h"
#include "callbridge/bridge_frame.h"
#include "xmpp/ns.h"

#define JID "cb1.example.org"

static struct xml_in *xml;

static int setup(void **state)
{
	(void)state;
	xml = xml_in_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	xml_in_free(&xml);
	return 0;
}

static void read_stanza(struct stanza_in *st, const char *text)
{
	memset(st, 0, sizeof(*st));
	assert_int_equal(xml_in_stanza(xml, slice_str(text), NS_COMPONENT, st), XML_OK);
	assert_true(st->root_is_stanza);
}

static void a_stanza_is_one_line_in_one_form(void **state)
{
	static const struct {
		const char *stanza, *line;
	} cases[] = {
		{"<message type='chat' id='1' to='cb1.example.org' "
		 "from='Juliet@example.org/x'><body>hi</body></message>",
		 "<message from='juliet@example.org/x' to='cb1.example.org' id='1' "
		 "type='chat'><body>hi</body></message>\n"},
		{"<presence from='a@b' to='cb1.example.org'/>",
		 "<presence from='a@b' to='cb1.example.org'/>\n"},
		/* Line ends in text; in a tag; in an attribute; in a CDATA section. */
		{"<message from='a@b' to='c'><body>one\ntwo\r\nthree\rfour</body></message>",
		 "<message from='a@b' to='c'><body>one&#10;two&#10;three&#10;four</body></message>"
		 "\n"},
		{"<message from='a@b' to='c'><x\n xmlns='u'\n\ta='1\n2' b=\"'\n'\"/></message>",
		 "<message from='a@b' to='c'><x  xmlns='u' \ta='1 2' b=\"' '\"/></message>\n"},
		{"<message from='a@b' to='c'><body><![CDATA[<a>\n]]]>\n</body></message>",
		 "<message from='a@b' to='c'><body><![CDATA[<a>]]>&#10;<![CDATA[]]]>&#10;</body>"
		 "</message>\n"},
		{"<message from='a@b' to='c' id='1&#10;2'/>",
		 "<message from='a@b' to='c' id='1&#10;2'/>\n"},
		{"<c:message xmlns:c='jabber:component:accept' from='a@b' "
		 "to='c'><c:body>x</c:body></c:message>",
		 "<message from='a@b' to='c'><body>x</body></message>\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;
		struct stanza_in st;

		read_stanza(&st, cases[i].stanza);
		bridge_frame_line(&out, &st);
		assert_string_equal(out.data, cases[i].line);
		stanza_in_clear(&st);
		str_clear(&out);
	}
}

static void a_line_becomes_a_stanza_or_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *line, *stanza; /* NULL: refused, why has reason */
		const char *reason;
	} cases[] = {
		{"<message to='juliet@example.org'><body>hi</body></message>",
		 "<message from='cb1.example.org' "
		 "to='juliet@example.org'><body>hi</body></message>",
		 NULL},
		{"<message xmlns='jabber:client' to='a@b' "
		 "from='bot@cb1.example.org'><body>x</body></message>",
		 "<message from='bot@cb1.example.org' to='a@b'><body>x</body></message>", NULL},
		{"<iq xmlns='jabber:component:accept' type='get' id='1' to='b'><q "
		 "xmlns='u'/></iq>",
		 "<iq from='cb1.example.org' to='b' id='1' type='get'><q xmlns='u'/></iq>", NULL},
		{"  <presence to='a@b'/>", "<presence from='cb1.example.org' to='a@b'/>", NULL},
		{"<message><body>hi</body></message>", NULL, "no 'to'"},
		{"<message to='a@b' from='example.org'/>", NULL, "domain"},
		{"<message to='a@b' from='x@evil.cb1.example.org'/>", NULL, "domain"},
		{"<message to='a@b' from='@'/>", NULL, ""},
		{"<message to='@b'/>", NULL, ""},
		{"<message to='a@b'>", NULL, "well-formed"},
		{"<message to='a@b'/><message to='a@b'/>", NULL, "well-formed"},
		{"hello", NULL, "well-formed"},
		{"<message to='a@b'>\xff</message>", NULL, "well-formed"},
		{"<message to='a@b'><!-- x --></message>", NULL, "not allowed"},
		{"<message to='a@b'><x:y/></message>", NULL, "prefix"},
		{"<iq to='a@b' type='get' id=''><q xmlns='u'/></iq>", NULL, "id"},
		{"<foo to='a@b'/>", NULL, "no message"},
		{"<message xmlns='jabber:server' to='a@b'/>", NULL, "no message"},
		{"<iq to='a@b' type='what' id='1'/>", NULL, ""},
		{"</stream:stream>", NULL, "well-formed"},
		{"<message to='a@b'/></stream:stream>", NULL, "well-formed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;
		const char *why = bridge_frame_stanza(&out, xml, slice_str(cases[i].line), JID);

		if (cases[i].stanza) {
			assert_null(why);
			assert_string_equal(out.data, cases[i].stanza);
		} else if (!why || !strstr(why, cases[i].reason)) {
			fail_msg("%s: %s", cases[i].line, why ? why : out.data);
		} else {
			assert_int_equal(out.len, 0);
		}
		str_clear(&out);
	}
}

static void what_a_server_would_end_the_stream_for_does_not_fit(void **state)
{
	static const struct framer_limits limits = {.bytes = 60, .depth = 3, .attributes = 4};
	static const struct {
		const char *stanza, *reason; /* NULL: fits */
	} cases[] = {
		{"<message to='a'><a><b/></a></message>", NULL},
		{"<message to='a'><a><b><c/></b></a></message>", "deeper"},
		{"<message to='a'><a b='1' c='2' d='3' e='4'/></message>", NULL},
		{"<message a='1' b='2' c='3' d='4' e='5'></message>", "attributes"},
		{"<message to='a'><body>1234567890123456789012</body></message>", "larger"},
		{"<message to='a'><body>12345678901234567890</body></message>", NULL},
		{"<message to='a'><![CDATA[<a><a><a><a>]]></message>", NULL},
		{"<message to='a'>", "well-formed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *why = bridge_frame_fits(slice_str(cases[i].stanza), &limits);

		if (!cases[i].reason ? why != NULL : !why || !strstr(why, cases[i].reason))
			fail_msg("%s: %s", cases[i].stanza, why ? why : "fits");
	}
}

struct seen {
	struct str text;
};

static void on_line(void *arg, struct slice line)
{
	str_addf(&((struct seen *)arg)->text, "[%.*s]", SLICE_ARG(line));
}

static void on_too_long(void *arg)
{
	str_adds(&((struct seen *)arg)->text, "!");
}

static void bytes_become_the_same_lines_however_they_come(void **state)
{
	static const char in[] = "ab\ncd\r\n\n  \nabcdefgh\nabcdefghi\nx\nabcdefgh\r\n"
				 "abcdefghijklmnopqrst\nlast\nrest";
	static const char expected[] = "[ab][cd][abcdefgh]![x][abcdefgh]![last]";
	static const struct bridge_lines_events events = {on_line, on_too_long};

	(void)state;
	for (size_t step = 1; step < sizeof(in); step++) {
		struct seen seen = {STR_INIT};
		struct bridge_lines l;

		bridge_lines_init(&l, 8);
		for (size_t at = 0; at < sizeof(in) - 1; at += step) {
			size_t n = sizeof(in) - 1 - at < step ? sizeof(in) - 1 - at : step;

			bridge_lines_feed(&l, slice_of(in + at, n), &events, &seen);
			assert_true(l.in.len <= 9);
		}
		assert_string_equal(seen.text.data, expected);
		bridge_lines_clear(&l);
		str_clear(&seen.text);
	}
}

static void the_echo_answers_as_rfc_6120_8_says(void **state)
{
	static const struct {
		const char *stanza, *answer; /* NULL: none */
	} cases[] = {
		{"<message from='a@b/c' to='x@cb1' type='chat' id='7' xml:lang='de'><body>hi "
		 "&lt;</body><x xmlns='u'>\n</x></message>",
		 "<message from='x@cb1' to='a@b/c' id='7' type='chat' xml:lang='de'><body>hi "
		 "&lt;</body><x xmlns='u'>\n</x></message>"},
		{"<message from='a@b' to='cb1' type='error'><error/></message>", NULL},
		{"<message from='r@b/n' to='cb1' type='groupchat'><body>x</body></message>", NULL},
		{"<iq from='a@b' to='cb1' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
		 "<iq from='cb1' to='a@b' id='1' type='result'/>"},
		{"<iq from='a@b' to='cb1' type='get' id='1'><query "
		 "xmlns='http://jabber.org/protocol/disco#items'/></iq>",
		 "<iq from='cb1' to='a@b' id='1' type='result'><query "
		 "xmlns='http://jabber.org/protocol/disco#items'/></iq>"},
		{"<iq from='a@b' to='cb1' type='set' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
		 "<iq from='cb1' to='a@b' id='1' type='error'><error "
		 "type='cancel'><service-unavailable "
		 "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"},
		{"<iq from='a@b' to='cb1' type='result' id='1'/>", NULL},
		{"<iq from='a@b' to='cb1' type='error' id='1'/>", NULL},
		{"<presence from='a@b' to='cb1' type='subscribe'/>",
		 "<presence from='cb1' to='a@b' type='subscribed'/>"},
		{"<presence from='a@b/c' to='cb1'/>", NULL},
		{"<message to='cb1'><body>from nobody</body></message>", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;
		struct stanza_in st;
		bool answered;

		read_stanza(&st, cases[i].stanza);
		answered = bridge_echo(&out, &st, "cb1");
		assert_int_equal(answered, cases[i].answer != NULL);
		assert_string_equal(out.data, cases[i].answer ? cases[i].answer : "");
		stanza_in_clear(&st);
		str_clear(&out);
	}
}

static void the_echo_tells_what_it_is(void **state)
{
	struct str out = STR_INIT;
	struct stanza_in st;

	(void)state;
	read_stanza(&st, "<iq from='a@b' to='cb1' type='get' id='1'><query "
			 "xmlns='http://jabber.org/protocol/disco#info'/></iq>");
	assert_true(bridge_echo(&out, &st, "cb1"));
	assert_non_null(strstr(out.data, "category='component'"));
	assert_non_null(strstr(out.data, "name='cb1'"));
	assert_non_null(strstr(out.data, "<feature var='urn:xmpp:ping'/>"));
	stanza_in_clear(&st);
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stanza_is_one_line_in_one_form),
		cmocka_unit_test(a_line_becomes_a_stanza_or_is_refused_with_a_reason),
		cmocka_unit_test(what_a_server_would_end_the_stream_for_does_not_fit),
		cmocka_unit_test(bytes_become_the_same_lines_however_they_come),
		cmocka_unit_test(the_echo_answers_as_rfc_6120_8_says),
		cmocka_unit_test(the_echo_tells_what_it_is),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
