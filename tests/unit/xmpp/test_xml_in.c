/* lib/xmpp/xml_in.c and lib/xmpp/xml_push.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <string.h>

#include "ipc/stanza_kinds.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_in.h"

#define STREAMS " xmlns='jabber:client' xmlns:stream='" NS_STREAM "'"

static int make_parser(void **state)
{
	*state = xml_in_new();
	return 0;
}

static int free_parser(void **state)
{
	struct xml_in *x = *state;

	xml_in_free(&x);
	assert_null(x);
	return 0;
}

static const char *const verdicts[] = {
	[XML_OK] = "ok",
	[XML_NOT_WELL_FORMED] = "not-well-formed",
	[XML_BAD_NAMESPACE_PREFIX] = "bad-prefix",
	[XML_RESTRICTED] = "restricted",
	[XML_UNSUPPORTED_ENCODING] = "encoding",
	[XML_STANZA_BAD] = "bad",
};

static void stanzas_are_summarised(void **state)
{
	static const struct {
		const char *in;
		uint8_t kind, type;
		uint16_t flags, nchildren;
		const char *to, *from, *id, *lang, *inner;
	} cases[] = {
		{"<message/>", STANZA_MESSAGE, TYPE_NONE, 0, 0, "", "", "", "", ""},
		{"<message></message>", STANZA_MESSAGE, TYPE_NONE, 0, 0, "", "", "", "", ""},
		{" \n\t<message to='A@B/C' from=\"d@e\" id='&lt;1&amp;2&quot;' type='chat' "
		 "xml:lang='de'><body>hi</body></message>",
		 STANZA_MESSAGE, TYPE_CHAT, STANZA_HAS_BODY, 1, "a@b/C", "d@e", "<1&2\"", "de",
		 "<body>hi</body>"},
		{"<message xmlns='jabber:client'><body/></message >", STANZA_MESSAGE, TYPE_NONE,
		 STANZA_HAS_BODY, 1, "", "", "", "", "<body/>"},
		{"<message type='odd'/>", STANZA_MESSAGE, TYPE_OTHER, 0, 0, "", "", "", "", ""},
		{"<message type='normal'/>", STANZA_MESSAGE, TYPE_NORMAL, 0, 0, "", "", "", "", ""},
		{"<presence/>", STANZA_PRESENCE, TYPE_NONE, 0, 0, "", "", "", "", ""},
		{"<presence><body/></presence>", STANZA_PRESENCE, TYPE_NONE, 0, 1, "", "", "", "",
		 "<body/>"},
		{"<iq type='get' id=''><ping xmlns='urn:xmpp:ping'/></iq>", STANZA_IQ, TYPE_GET, 0,
		 1, "", "", "", "", "<ping xmlns='urn:xmpp:ping'/>"},
		{"<iq type='result' id='1'/>", STANZA_IQ, TYPE_RESULT, 0, 0, "", "", "1", "", ""},
		{"<iq type='error' id='1'><a/><error/></iq>", STANZA_IQ, TYPE_ERROR, 0, 2, "", "",
		 "1", "", "<a/><error/>"},
		{"<message>t<a/> &lt; <![CDATA[<b>]]><b><c/></b>u</message>", STANZA_MESSAGE,
		 TYPE_NONE, 0, 2, "", "", "", "", "t<a/> &lt; <![CDATA[<b>]]><b><c/></b>u"},
		{"<message other='x' stream:y='z'/>", STANZA_MESSAGE, TYPE_NONE, 0, 0, "", "", "",
		 "", ""},
		{"<message><x xmlns='u'><c:body xmlns:c='jabber:client'/></x></message>",
		 STANZA_MESSAGE, TYPE_NONE, 0, 1, "", "", "", "",
		 "<x xmlns='u'><c:body xmlns:c='jabber:client'/></x>"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stanza_in s;
		enum xml_verdict v = xml_in_stanza(*state, slice_str(cases[i].in), NS_CLIENT, &s);

		if (v != XML_OK)
			fail_msg("%s: %s", cases[i].in, verdicts[v]);
		assert_true(s.root_is_stanza);
		assert_int_equal(s.kind, cases[i].kind);
		assert_int_equal(s.type, cases[i].type);
		assert_int_equal(s.flags, cases[i].flags);
		assert_int_equal(s.nchildren, cases[i].nchildren);
		assert_int_equal(s.children.len, 12 * s.nchildren);
		assert_true(slice_is(jid_full(&s.to), cases[i].to));
		assert_true(slice_is(jid_full(&s.from), cases[i].from));
		assert_true(slice_is(s.id, cases[i].id));
		assert_true(slice_is(s.lang, cases[i].lang));
		if (!slice_is(s.inner, cases[i].inner))
			fail_msg("%s: inner %.*s", cases[i].in, SLICE_ARG(s.inner));
		assert_null(s.condition);
		stanza_in_clear(&s);
	}
}

/* XEP-0077: so that it is never written to a disk. */
static void an_iq_that_may_have_a_password_says_so(void **state)
{
	static const struct {
		const char *stanza;
		uint16_t flags;
	} cases[] = {
		{"<iq type='set' id='1'><query xmlns='jabber:iq:register'/></iq>", STANZA_SECRET},
		{"<iq type='set' id='1'><r:query xmlns:r='jabber:iq:register'/></iq>",
		 STANZA_SECRET},
		{"<iq type='set' id='1'><query xmlns='jabber:iq:roster'/></iq>", 0},
		{"<message><query xmlns='jabber:iq:register'/></message>", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stanza_in s;

		assert_int_equal(xml_in_stanza(*state, slice_str(cases[i].stanza), NS_CLIENT, &s),
				 XML_OK);
		assert_int_equal(s.flags, cases[i].flags);
		stanza_in_clear(&s);
	}
}

static void children_tell_routing_what_it_needs(void **state)
{
	static const struct {
		const char *child;
		uint16_t flags;
	} cases[] = {
		{"<body>x</body>", STANZA_HAS_BODY},
		{"<body xmlns='u'>x</body>", 0},
		{"<x><body/></x>", 0},
		{"<no-store xmlns='urn:xmpp:hints'/>", STANZA_NO_STORE | STANZA_NO_ARCHIVE},
		{"<no-permanent-store xmlns='urn:xmpp:hints'/>", STANZA_NO_ARCHIVE},
		{"<store xmlns='urn:xmpp:hints'/>", STANZA_STORE},
		{"<no-copy xmlns='urn:xmpp:hints'/>", STANZA_PRIVATE},
		{"<other xmlns='urn:xmpp:hints'/>", 0},
		{"<no-store/>", 0},
		{"<private xmlns='urn:xmpp:carbons:2'/>", STANZA_PRIVATE},
		{"<sent xmlns='urn:xmpp:carbons:2'/>", 0},
		{"<request xmlns='urn:xmpp:receipts'/>", STANZA_RECEIPT},
		{"<received xmlns='urn:xmpp:receipts' id='1'/>", STANZA_RECEIPT},
		{"<composing xmlns='http://jabber.org/protocol/chatstates'/>", STANZA_CHAT_STATE},
		{"<delay xmlns='urn:xmpp:delay'/>", STANZA_DELAYED},
		{"<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", STANZA_MARKER},
		{"<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='a@b'/>", STANZA_HAS_SID},
		{"<s:stanza-id xmlns:s='urn:xmpp:sid:0' id='1' by='a@b'/>", STANZA_HAS_SID},
		{"<origin-id xmlns='urn:xmpp:sid:0' id='1'/>", 0},
		{"<stanza-id id='1' by='a@b'/>", 0},
		{"<x xmlns='http://jabber.org/protocol/muc#user'/>", STANZA_MUC_USER},
		{"<x xmlns='http://jabber.org/protocol/muc#user'><item/></x>", STANZA_MUC_USER},
		{"<x xmlns='http://jabber.org/protocol/muc#user'><invite to='a@b'/></x>",
		 STANZA_MUC_USER | STANZA_INVITE},
		{"<x xmlns='http://jabber.org/protocol/muc#user'><a><invite/></a></x>",
		 STANZA_MUC_USER},
		{"<x xmlns='http://jabber.org/protocol/muc#user'><invite xmlns='u'/></x>",
		 STANZA_MUC_USER},
		{"<x xmlns='u'><invite/></x>", 0},
		{"<x xmlns='jabber:x:conference' jid='room@b'/>", STANZA_INVITE},
		{"<h:store xmlns:h='urn:xmpp:hints'/><body/>", STANZA_STORE | STANZA_HAS_BODY},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str text = STR_INIT;
		struct stanza_in s;

		str_addf(&text, "<message>%s</message>", cases[i].child);
		assert_int_equal(xml_in_stanza(*state, str_slice(&text), NS_CLIENT, &s), XML_OK);
		if (s.flags != cases[i].flags)
			fail_msg("%s: %x", cases[i].child, s.flags);
		stanza_in_clear(&s);
		str_clear(&text);
	}
}

/* XEP-0334 section 5: an error often has the payload of what it is about. */
static void hints_in_an_error_are_ignored(void **state)
{
	static const char text[] = "<message type='error'><body/><store xmlns='urn:xmpp:hints'/>"
				   "<no-store xmlns='urn:xmpp:hints'/></message>";
	struct stanza_in s;

	assert_int_equal(xml_in_stanza(*state, slice_str(text), NS_CLIENT, &s), XML_OK);
	assert_int_equal(s.flags, STANZA_HAS_BODY);
	stanza_in_clear(&s);
}

/* "ns.name=bytes" of each indexed child. */
static void write_index(struct str *out, const struct stanza_in *s)
{
	struct slice index = s->children;
	struct stanza_child c;

	while (stanza_child_get(&index, &c)) {
		assert_true((size_t)c.offset + c.length <= s->inner.len);
		str_addf(out, "%u.%u=%.*s;", c.ns, c.name, (int)c.length, s->inner.data + c.offset);
	}
}

static void the_index_points_at_every_child(void **state)
{
	static const struct {
		const char *in, *expected;
	} cases[] = {
		{"<message><body>a</body></message>", "1.1=<body>a</body>;"},
		{"<message> <body>a</body>\n<active "
		 "xmlns='http://jabber.org/protocol/chatstates'/> "
		 "</message>",
		 "1.1=<body>a</body>;6.0=<active xmlns='http://jabber.org/protocol/chatstates'/>;"},
		{"<message><![CDATA[<body>]]>]]&gt;<a b='>'><a></a></a><![CDATA[]]><subject "
		 "/></message>",
		 "1.0=<a b='>'><a></a></a>;1.2=<subject />;"},
		{"<message><stanza-id xmlns='urn:xmpp:sid:0' id='1'/><x xmlns='u'/></message>",
		 "7.14=<stanza-id xmlns='urn:xmpp:sid:0' id='1'/>;0.16=<x xmlns='u'/>;"},
		/* re-serialised */
		{"<c:message xmlns:c='jabber:client'>&lt;<c:body a='1'>&amp;</c:body><x "
		 "xmlns='u'/></c:message>",
		 "1.1=<body a='1'>&amp;</body>;0.16=<x xmlns='u'/>;"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;
		struct stanza_in s;

		assert_int_equal(xml_in_stanza(*state, slice_str(cases[i].in), NS_CLIENT, &s),
				 XML_OK);
		write_index(&out, &s);
		assert_string_equal(out.data, cases[i].expected);
		stanza_in_clear(&s);
		str_clear(&out);
	}
}

static void children_beyond_the_index_are_kept(void **state)
{
	static const char *const roots[] = {"message", "c:message"};

	for (size_t r = 0; r < 2; r++) {
		struct str text = STR_INIT;
		struct stanza_in s;

		str_addf(&text, "<%s%s>", roots[r], r ? " xmlns:c='jabber:client'" : "");
		for (int i = 0; i < STANZA_CHILD_MAX + 5; i++)
			str_addf(&text, "<x xmlns='u' n='%d'/>", i);
		str_adds(&text, "<body xmlns='jabber:client'/>");
		str_addf(&text, "</%s>", roots[r]);
		assert_int_equal(xml_in_stanza(*state, str_slice(&text), NS_CLIENT, &s), XML_OK);
		assert_int_equal(s.nchildren, STANZA_CHILD_MAX);
		assert_int_equal(s.flags, STANZA_HAS_BODY);
		assert_memory_equal(s.inner.data + s.inner.len - 7, "<body/>", 7);
		stanza_in_clear(&s);
		str_clear(&text);
	}
}

static void an_address_is_the_same_whoever_was_written_to_before(void **state)
{
	struct stanza_in s;

	for (int i = 0; i < 3000; i++) {
		int n = i * 7 % 300;
		struct str text = STR_INIT, expected = STR_INIT;

		/* alike at both ends, or too long to be kept; sometimes as it is not normalised */
		str_addf(&expected, "romeo%d@example.%s/orchard", n, n % 2 ? "com" : "net");
		for (int k = 0; n % 5 == 0 && k < 300; k++)
			str_addc(&expected, 'x');
		str_addf(&text, "<message to='%s%.*s'/>", i % 3 ? "r" : "R", (int)expected.len - 1,
			 expected.data + 1);
		assert_int_equal(xml_in_stanza(*state, str_slice(&text), NS_CLIENT, &s), XML_OK);
		assert_true(slice_eq(jid_full(&s.to), str_slice(&expected)));
		assert_int_equal(s.to.local.len, n < 10 ? 6 : n < 100 ? 7 : 8);
		stanza_in_clear(&s);
		str_clear(&text);
		str_clear(&expected);
		if (i % 10 == 0) {
			assert_int_equal(xml_in_stanza(*state, slice_str("<message to='@'/>"),
						       NS_CLIENT, &s),
					 XML_STANZA_BAD);
			assert_null(s.to.text);
			stanza_in_clear(&s);
		}
	}
}

/* The inside must mean the same in a stream of another content namespace. */
static void an_inside_that_depends_on_its_surroundings_is_written_anew(void **state)
{
	static const struct {
		const char *in, *inner;
	} cases[] = {
		{"<c:message xmlns:c='jabber:client'><c:body>x</c:body></c:message>",
		 "<body>x</body>"},
		{"<c:message xmlns:c='jabber:client' xmlns='u'><c:body/><x/></c:message>",
		 "<body/><x xmlns='u'/>"},
		{"<message><c:body xmlns:c='jabber:client'>x</c:body></message>", "<body>x</body>"},
		{"<message><body xmlns='jabber:client'>x</body></message>", "<body>x</body>"},
		{"<message xmlns:p='u'><p:x/><x p:a='1'/></message>",
		 "<x xmlns='u'/><x xmlns:n1='u' n1:a='1'/>"},
		{"<message xmlns:p='u'><x xmlns='v'><y><p:z/></y></x></message>",
		 "<x xmlns='v'><y><z xmlns='u'/></y></x>"},
		{"<message><stream:x><y/></stream:x></message>",
		 "<x xmlns='" NS_STREAM "'><y xmlns='jabber:client'/></x>"},
		{"<message><x xmlns='u' stream:a='1'/></message>",
		 "<x xmlns='u' xmlns:n1='" NS_STREAM "' n1:a='1'/>"},
		{"<c:message xmlns:c='jabber:client'/>", ""},
		{"<message xmlns:p='u'>a<b/>c&lt;</message>", "a<b/>c&lt;"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stanza_in s;

		assert_int_equal(xml_in_stanza(*state, slice_str(cases[i].in), NS_CLIENT, &s),
				 XML_OK);
		if (!slice_is(s.inner, cases[i].inner))
			fail_msg("%s: %.*s", cases[i].in, SLICE_ARG(s.inner));
		stanza_in_clear(&s);
	}
}

static void bad_xml_is_refused_for_its_reason(void **state)
{
	static const struct {
		const char *in;
		enum xml_verdict verdict;
	} cases[] = {
		{"", XML_NOT_WELL_FORMED},
		{"<a", XML_NOT_WELL_FORMED},
		{"<message>", XML_NOT_WELL_FORMED},
		{"<a></b>", XML_NOT_WELL_FORMED},
		{"<a><b></a></b>", XML_NOT_WELL_FORMED},
		{"<a/><b/>", XML_NOT_WELL_FORMED},
		{"<a/>x", XML_NOT_WELL_FORMED},
		{"<a/> ", XML_NOT_WELL_FORMED},
		{"x<a/>", XML_NOT_WELL_FORMED},
		{"<![CDATA[x]]><a/>", XML_NOT_WELL_FORMED},
		{"<a/></stream:stream>", XML_NOT_WELL_FORMED},
		{"</stream:stream>", XML_NOT_WELL_FORMED},
		{"</stream:stream><a/>", XML_NOT_WELL_FORMED},
		{"<a b='1' b='2'/>", XML_NOT_WELL_FORMED},
		{"<a b=1/>", XML_NOT_WELL_FORMED},
		{"<a b='<'/>", XML_NOT_WELL_FORMED},
		{"<a>]]></a>", XML_NOT_WELL_FORMED},
		{"<a>\x01</a>", XML_NOT_WELL_FORMED},
		{"<a>\xc3</a>", XML_NOT_WELL_FORMED},
		{"<a>\xc0\xaf</a>", XML_NOT_WELL_FORMED},
		{"<a>\xed\xa0\x80</a>", XML_NOT_WELL_FORMED},
		{"<a b='\xff'/>", XML_NOT_WELL_FORMED},
		{"<a><![CDATA[\xc1\xb9]]></a>", XML_NOT_WELL_FORMED}, /* libxml2 takes it */
		{"<a>&#0;</a>", XML_NOT_WELL_FORMED},
		{"<a>&#xFFFF;</a>", XML_NOT_WELL_FORMED},
		{"<a>&amp</a>", XML_NOT_WELL_FORMED},
		{"<a>&</a>", XML_NOT_WELL_FORMED},
		{"<a>&x;</a>", XML_RESTRICTED},
		{"<a b='&x;'/>", XML_RESTRICTED},
		{"<a><!-- --></a>", XML_RESTRICTED},
		{"<a><?x y?></a>", XML_RESTRICTED},
		{"<!-- --><a/>", XML_RESTRICTED},
		{"<?x?><a/>", XML_RESTRICTED},
		{"<!DOCTYPE a><a/>", XML_RESTRICTED},
		{"<a><!DOCTYPE a></a>", XML_NOT_WELL_FORMED},
		{"<p:a/>", XML_BAD_NAMESPACE_PREFIX},
		{"<a p:b='1'/>", XML_BAD_NAMESPACE_PREFIX},
		{"<a><p:b/></a>", XML_BAD_NAMESPACE_PREFIX},
		{"<a xmlns:p=''/>", XML_BAD_NAMESPACE_PREFIX},
		{"<a xmlns:xml='u'/>", XML_BAD_NAMESPACE_PREFIX},
		{"<a xmlns:xmlns='u'/>", XML_BAD_NAMESPACE_PREFIX},
		{"<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", XML_BAD_NAMESPACE_PREFIX},
		{"<p:b:c xmlns:p='u'/>", XML_BAD_NAMESPACE_PREFIX},
		{"<a xmlns='relative'/>", XML_OK},
		{"<a xmlns='not a uri'/>", XML_OK},
		{"<a/>", XML_OK},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice text = slice_str(cases[i].in);
		struct stanza_in s;
		struct xml_node *n;
		struct xml_name name;
		enum xml_verdict v = xml_in_stanza(*state, text, NS_CLIENT, &s);

		if (v != cases[i].verdict)
			fail_msg("%s: %s", cases[i].in, verdicts[v]);
		assert_int_equal(xml_in_tree(*state, text, NS_CLIENT, &n), v);
		assert_true(!n == (v != XML_OK));
		xml_tree_free(&n);
		assert_int_equal(xml_in_peek(*state, text, NS_CLIENT, &name), v);
		/* what was refused leaves nothing behind */
		assert_int_equal(
			xml_in_stanza(*state, slice_str("<message to='a@b'/>"), NS_CLIENT, &s),
			XML_OK);
		assert_true(slice_is(jid_full(&s.to), "a@b"));
		stanza_in_clear(&s);
	}
}

static void stanzas_against_the_rules_can_be_answered(void **state)
{
	static const struct {
		const char *in;
		uint8_t kind, type;
		const char *id, *condition;
		bool from;
	} cases[] = {
		{"<message to='@' id='1' type='chat'/>", STANZA_MESSAGE, TYPE_CHAT, "1",
		 "jid-malformed", false},
		{"<message to='' id='1'/>", STANZA_MESSAGE, TYPE_NONE, "1", "jid-malformed", false},
		{"<iq to='a b@c' id='1' type='get'/>", STANZA_IQ, TYPE_GET, "1", "jid-malformed",
		 false},
		{"<message from='@' id='1'/>", STANZA_MESSAGE, TYPE_NONE, "1", "jid-malformed",
		 true},
		{"<presence type='odd' id='1'/>", STANZA_PRESENCE, TYPE_OTHER, "1", "bad-request",
		 false},
		{"<iq id='1'><a/></iq>", STANZA_IQ, TYPE_NONE, "1", "bad-request", false},
		{"<iq id='1' type='odd'><a/></iq>", STANZA_IQ, TYPE_OTHER, "1", "bad-request",
		 false},
		{"<iq type='get'><a/></iq>", STANZA_IQ, TYPE_GET, "", "bad-request", false},
		{"<iq id='1' type='get'/>", STANZA_IQ, TYPE_GET, "1", "bad-request", false},
		{"<iq id='1' type='set'><a/><b/></iq>", STANZA_IQ, TYPE_SET, "1", "bad-request",
		 false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stanza_in s;

		assert_int_equal(xml_in_stanza(*state, slice_str(cases[i].in), NS_CLIENT, &s),
				 XML_STANZA_BAD);
		assert_int_equal(s.kind, cases[i].kind);
		assert_int_equal(s.type, cases[i].type);
		assert_true(slice_is(s.id, cases[i].id));
		assert_string_equal(s.condition, cases[i].condition);
		assert_non_null(s.why);
		assert_int_equal(s.from_malformed, cases[i].from);
		stanza_in_clear(&s);
	}
}

static void an_id_or_lang_that_fits_no_record_is_refused(void **state)
{
	static const char *const names[] = {"id", "xml:lang"};
	static const size_t most[] = {1023, 63};

	for (size_t i = 0; i < 2; i++) {
		for (size_t more = 0; more < 2; more++) {
			struct str text = STR_INIT;
			struct stanza_in s;

			str_addf(&text, "<message %s='", names[i]);
			for (size_t n = 0; n < most[i] + more; n++)
				str_addc(&text, 'x');
			str_adds(&text, "'/>");
			assert_int_equal(xml_in_stanza(*state, str_slice(&text), NS_CLIENT, &s),
					 more ? XML_STANZA_BAD : XML_OK);
			assert_int_equal(i ? s.lang.len : s.id.len, more ? 0 : most[i]);
			stanza_in_clear(&s);
			str_clear(&text);
		}
	}
}

static void what_is_no_stanza_is_said_to_be_none(void **state)
{
	static const char *const cases[] = {
		"<r xmlns='urn:xmpp:sm:3'/>",
		"<message xmlns='jabber:server'/>",
		"<message xmlns=''/>",
		"<stream:error/>",
		"<stream:message/>",
		"<messages/>",
		"<Message/>",
		"<p:iq xmlns:p='u' to='@'><a/></p:iq>",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stanza_in s;

		assert_int_equal(xml_in_stanza(*state, slice_str(cases[i]), NS_CLIENT, &s), XML_OK);
		assert_false(s.root_is_stanza);
		assert_int_equal(s.kind, 0);
		stanza_in_clear(&s);
	}
}

static void the_content_namespace_is_the_streams(void **state)
{
	static const char *const all[] = {NS_CLIENT, NS_SERVER, NS_COMPONENT, NS_CLIENT};

	for (size_t i = 0; i < 4; i++) {
		struct stanza_in s;

		assert_int_equal(
			xml_in_stanza(*state, slice_str("<message><body/></message>"), all[i], &s),
			XML_OK);
		assert_true(s.root_is_stanza);
		assert_int_equal(s.flags, STANZA_HAS_BODY);
		stanza_in_clear(&s);
		assert_int_equal(xml_in_stanza(*state,
					       slice_str("<message xmlns='jabber:client'/>"),
					       all[i], &s),
				 XML_OK);
		assert_int_equal(s.root_is_stanza, strcmp(all[i], NS_CLIENT) == 0);
		stanza_in_clear(&s);
	}
}

static void stream_headers_are_read(void **state)
{
	static const struct {
		const char *in;
		enum xml_verdict verdict;
		const char *ns, *name, *content, *prefix, *to, *from, *id, *version, *lang;
	} cases[] = {
		{"<stream:stream" STREAMS " to='a&amp;b' version='1.0'>", XML_OK, NS_STREAM,
		 "stream", "jabber:client", "stream", "a&b", "", "", "1.0", ""},
		{" <?xml version='1.0'?>\n<stream:stream" STREAMS
		 " from='a' id='x' xml:lang='en' foo='bar'>",
		 XML_OK, NS_STREAM, "stream", "jabber:client", "stream", "", "a", "x", "", "en"},
		{"<?xml version='1.0' encoding='utf-8' standalone='yes'?><stream xmlns='" NS_STREAM
		 "'>",
		 XML_OK, NS_STREAM, "stream", NS_STREAM, "", "", "", "", "", ""},
		{"<abc>", XML_OK, "", "abc", "", "", "", "", "", "", ""},
		{"<a/>", XML_NOT_WELL_FORMED, "", "", "", "", "", "", "", "", ""},
		{"<a></a>", XML_NOT_WELL_FORMED, "", "", "", "", "", "", "", "", ""},
		{"<a><b>", XML_NOT_WELL_FORMED, "", "", "", "", "", "", "", "", ""},
		{"<a", XML_NOT_WELL_FORMED, "", "", "", "", "", "", "", "", ""},
		{"<a b='\xff'>", XML_NOT_WELL_FORMED, "", "", "", "", "", "", "", "", ""},
		{"<?xml?><a>", XML_NOT_WELL_FORMED, "", "", "", "", "", "", "", "", ""},
		{"<stream:stream>", XML_BAD_NAMESPACE_PREFIX, "", "", "", "", "", "", "", "", ""},
		{"<!DOCTYPE a><a>", XML_RESTRICTED, "", "", "", "", "", "", "", "", ""},
		{"<!-- --><a>", XML_RESTRICTED, "", "", "", "", "", "", "", "", ""},
		{"<?xml version='1.0'?><?x?><a>", XML_RESTRICTED, "", "", "", "", "", "", "", "",
		 ""},
		{"<?xml version='1.0' encoding='iso-8859-1'?><a>", XML_UNSUPPORTED_ENCODING, "", "",
		 "", "", "", "", "", "", ""},
		{"<?xml version='1.0' encoding='utf-16'?><a>", XML_UNSUPPORTED_ENCODING, "", "", "",
		 "", "", "", "", "", ""},
		{"<?xml version='1.0' encoding='nonsense'?><a>", XML_UNSUPPORTED_ENCODING, "", "",
		 "", "", "", "", "", "", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct xml_stream_header h;
		struct stanza_in s;
		enum xml_verdict v = xml_in_header(*state, slice_str(cases[i].in), &h);

		if (v != cases[i].verdict)
			fail_msg("%s: %s", cases[i].in, verdicts[v]);
		assert_true(slice_is(h.ns, cases[i].ns));
		assert_true(slice_is(h.name, cases[i].name));
		assert_true(slice_is(h.content, cases[i].content));
		assert_true(slice_is(h.prefix, cases[i].prefix));
		assert_true(slice_is(h.to, cases[i].to));
		assert_true(slice_is(h.from, cases[i].from));
		assert_true(slice_is(h.id, cases[i].id));
		assert_true(slice_is(h.version, cases[i].version));
		assert_true(slice_is(h.lang, cases[i].lang));
		/* A header, good or bad, is forgotten at once. */
		assert_int_equal(xml_in_stanza(*state, slice_str("<iq id='1' type='result'/>"),
					       NS_CLIENT, &s),
				 XML_OK);
		stanza_in_clear(&s);
	}
}

static void a_child_is_known_by_its_name(void **state)
{
	struct xml_name n;

	assert_int_equal(xml_in_peek(*state, slice_str(" <p:auth xmlns:p='" NS_SASL "'>x</p:auth>"),
				     NS_CLIENT, &n),
			 XML_OK);
	assert_true(slice_is(n.ns, NS_SASL));
	assert_true(slice_is(n.name, "auth"));
	assert_int_equal(xml_in_peek(*state, slice_str("<iq/>"), NS_SERVER, &n), XML_OK);
	assert_true(slice_is(n.ns, NS_SERVER));
}

/* In use on the heap; 0 under sanitizers, whose allocator does not tell. */
static size_t heap_used(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* MEASURED C: libxml2 keeps every name for ever; the parser must be made anew in time. */
static void strangers_names_do_not_pile_up(void **state)
{
	struct str text = STR_INIT;
	struct stanza_in s;
	size_t before = heap_used();

	for (int i = 0; i < 60000; i++) {
		str_reset(&text);
		str_addf(&text, "<message><x%d xmlns='u:%d' a%d='1'/></message>", i, i, i);
		assert_int_equal(xml_in_stanza(*state, str_slice(&text), NS_CLIENT, &s), XML_OK);
		assert_int_equal(s.nchildren, 1);
		stanza_in_clear(&s);
	}
	assert_true(heap_used() < before + (size_t)6 * 1024 * 1024);
	/* The same with few names that are long. */
	for (int i = 0; i < 200; i++) {
		str_reset(&text);
		str_addf(&text, "<message><x%d-", i);
		for (int n = 0; n < 40000; n++)
			str_addc(&text, 'y');
		str_adds(&text, "/></message>");
		assert_int_equal(xml_in_stanza(*state, str_slice(&text), NS_CLIENT, &s), XML_OK);
		stanza_in_clear(&s);
	}
	assert_true(heap_used() < before + (size_t)6 * 1024 * 1024);
	str_clear(&text);
}

int main(void)
{
#define WITH_PARSER(f) cmocka_unit_test_setup_teardown(f, make_parser, free_parser)
	const struct CMUnitTest tests[] = {
		WITH_PARSER(stanzas_are_summarised),
		WITH_PARSER(children_tell_routing_what_it_needs),
		WITH_PARSER(an_iq_that_may_have_a_password_says_so),
		WITH_PARSER(hints_in_an_error_are_ignored),
		WITH_PARSER(the_index_points_at_every_child),
		WITH_PARSER(children_beyond_the_index_are_kept),
		WITH_PARSER(an_address_is_the_same_whoever_was_written_to_before),
		WITH_PARSER(an_inside_that_depends_on_its_surroundings_is_written_anew),
		WITH_PARSER(bad_xml_is_refused_for_its_reason),
		WITH_PARSER(stanzas_against_the_rules_can_be_answered),
		WITH_PARSER(an_id_or_lang_that_fits_no_record_is_refused),
		WITH_PARSER(what_is_no_stanza_is_said_to_be_none),
		WITH_PARSER(the_content_namespace_is_the_streams),
		WITH_PARSER(stream_headers_are_read),
		WITH_PARSER(a_child_is_known_by_its_name),
		WITH_PARSER(strangers_names_do_not_pile_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
