/* bridge_stream: XEP-0114 from the component's side, STARTTLS, and XEP-0198 where it is offered. */
#include "tests/support/cmocka_first.h"

#include <string.h>

#include "callbridge/bridge_digest.h"
#include "callbridge/bridge_stream.h"
#include "xmpp/ns.h"
#include "xmpp/xml_in.h"
#include "xmpp/xml_tree.h"

#define HEADER(attrs)                                                                            \
	"<stream:stream xmlns='jabber:component:accept' "                                        \
	"xmlns:stream='http://etherx.jabber.org/streams' from='cb1.example.org' id='3BF9'" attrs \
	">"
#define FEATURES(inside) "<stream:features>" inside "</stream:features>"
#define STARTTLS	 "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define SM		 "<sm xmlns='urn:xmpp:sm:3'/>"
#define OUR_HEADER                                                                \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "    \
	"xmlns:stream='http://etherx.jabber.org/streams' from='cb1.example.org' " \
	"to='cb1.example.org' version='1.0'>"

struct rig {
	struct xml_in *xml;
	struct bridge_stream stream;
	struct bridge_sm sm;
	struct bridge_effects fx;
	char handshake[80];
};

static void begin(struct rig *r, enum bridge_tls tls)
{
	char digest[BRIDGE_DIGEST_SIZE];

	*r = (struct rig){.xml = xml_in_new()};
	bridge_sm_init(&r->sm);
	bridge_effects_init(&r->fx);
	bridge_stream_open(&r->stream, tls, "cb1.example.org", slice_str("secret"), &r->sm, &r->fx);
	bridge_digest(digest, slice_str("3BF9"), slice_str("secret"));
	snprintf(r->handshake, sizeof(r->handshake), "<handshake>%s</handshake>", digest);
	assert_string_equal(r->fx.write.data, OUR_HEADER);
	assert_true(r->fx.new_stream);
}

/* Another connection, the same bridge. */
static void again(struct rig *r, enum bridge_tls tls)
{
	bridge_stream_clear(&r->stream);
	bridge_stream_open(&r->stream, tls, "cb1.example.org", slice_str("secret"), &r->sm, &r->fx);
}

static void end(struct rig *r)
{
	xml_in_free(&r->xml);
	bridge_stream_clear(&r->stream);
	bridge_sm_clear(&r->sm);
	bridge_effects_clear(&r->fx);
}

static void header(struct rig *r, const char *text)
{
	struct xml_stream_header h;

	assert_int_equal(xml_in_header(r->xml, slice_str(text), &h), XML_OK);
	bridge_stream_step(&r->stream,
			   &(struct bridge_event){.kind = BRIDGE_EV_HEADER, .header = &h}, &r->fx);
}

static void element(struct rig *r, const char *text)
{
	struct xml_node *tree = NULL;

	assert_int_equal(xml_in_tree(r->xml, slice_str(text), NS_COMPONENT, &tree), XML_OK);
	bridge_stream_step(&r->stream,
			   &(struct bridge_event){.kind = BRIDGE_EV_ELEMENT, .tree = tree}, &r->fx);
	xml_tree_free(&tree);
}

static void event(struct rig *r, enum bridge_event_kind kind)
{
	bridge_stream_step(&r->stream, &(struct bridge_event){.kind = kind, .text = "x"}, &r->fx);
}

static void assert_over(const struct rig *r, enum bridge_cause cause, const char *detail)
{
	assert_true(r->fx.over);
	assert_int_equal(r->fx.cause, cause);
	if (!strstr(r->fx.detail.data, detail))
		fail_msg("detail is \"%s\"", r->fx.detail.data);
}

static void the_digest_is_that_of_xep_0114(void **state)
{
	char digest[BRIDGE_DIGEST_SIZE];

	(void)state;
	/* printf '%s' 3BF96D32test | sha1sum */
	bridge_digest(digest, slice_str("3BF96D32"), slice_str("test"));
	assert_string_equal(digest, "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e");
}

static void a_plain_xep_0114_server_takes_us(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, BRIDGE_TLS_NONE);
	header(&r, HEADER(""));
	assert_string_equal(r.fx.write.data, r.handshake);
	assert_int_equal(r.stream.state, BRIDGE_PROVING);
	element(&r, "<handshake/>");
	assert_true(r.fx.live && !r.fx.resumed);
	assert_int_equal(r.fx.write.len, 0);
	end(&r);
}

static void a_server_that_promises_features_and_has_none_is_not_waited_for(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, BRIDGE_TLS_OPTIONAL);
	header(&r, HEADER(" version='1.0'"));
	assert_int_equal(r.fx.write.len, 0);
	assert_int_equal(r.stream.state, BRIDGE_OFFERED);
	event(&r, BRIDGE_EV_LATE);
	assert_string_equal(r.fx.write.data, r.handshake);
	event(&r, BRIDGE_EV_LATE); /* too late to matter */
	assert_int_equal(r.fx.write.len, 0);
	end(&r);
}

static void starttls_is_used_where_it_is_offered_and_wanted(void **state)
{
	static const enum bridge_tls modes[] = {BRIDGE_TLS_REQUIRED, BRIDGE_TLS_OPTIONAL};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct rig r;

		begin(&r, modes[i]);
		header(&r, HEADER(" version='1.0'"));
		element(&r, FEATURES(STARTTLS SM));
		assert_string_equal(r.fx.write.data, STARTTLS);
		element(&r, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
		assert_true(r.fx.start_tls);
		event(&r, BRIDGE_EV_SECURE);
		assert_string_equal(r.fx.write.data, OUR_HEADER);
		assert_true(r.fx.new_stream);
		header(&r, HEADER(" version='1.0'"));
		element(&r, FEATURES(STARTTLS)); /* not a second time */
		assert_string_equal(r.fx.write.data, r.handshake);
		end(&r);
	}
}

static void without_starttls_a_link_that_requires_it_is_given_up_before_the_handshake(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, BRIDGE_TLS_REQUIRED);
	header(&r, HEADER(""));
	assert_over(&r, BRIDGE_CAUSE_TLS, "does not offer STARTTLS");
	assert_int_equal(r.fx.write.len, 0);
	end(&r);

	begin(&r, BRIDGE_TLS_REQUIRED);
	header(&r, HEADER(" version='1.0'"));
	element(&r, FEATURES(STARTTLS));
	element(&r, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	assert_over(&r, BRIDGE_CAUSE_TLS, "refused");
	end(&r);
}

static void direct_tls_needs_no_starttls(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, BRIDGE_TLS_DIRECT);
	header(&r, HEADER(" version='1.0'"));
	element(&r, FEATURES(STARTTLS));
	assert_string_equal(r.fx.write.data, r.handshake);
	end(&r);
}

static void refusals_are_told_apart(void **state)
{
	static const struct {
		const char *condition;
		enum bridge_cause before, live;
	} cases[] = {
		{"not-authorized", BRIDGE_CAUSE_AUTH, BRIDGE_CAUSE_AUTH},
		{"host-unknown", BRIDGE_CAUSE_AUTH, BRIDGE_CAUSE_PROTOCOL},
		{"conflict", BRIDGE_CAUSE_CONFLICT, BRIDGE_CAUSE_CONFLICT},
		{"system-shutdown", BRIDGE_CAUSE_PROTOCOL, BRIDGE_CAUSE_CLOSED},
		{"invalid-from", BRIDGE_CAUSE_PROTOCOL, BRIDGE_CAUSE_PROTOCOL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int live = 0; live < 2; live++) {
			char text[300];
			struct rig r;

			begin(&r, BRIDGE_TLS_NONE);
			header(&r, HEADER(""));
			if (live)
				element(&r, "<handshake/>");
			snprintf(text, sizeof(text),
				 "<stream:error><text xmlns='" NS_STREAMS_ERR
				 "'>so it is</text><%s xmlns='" NS_STREAMS_ERR "'/></stream:error>",
				 cases[i].condition);
			element(&r, text);
			assert_over(&r, live ? cases[i].live : cases[i].before, cases[i].condition);
			assert_over(&r, r.fx.cause, "so it is");
			element(&r, "<handshake/>"); /* nothing happens any more */
			assert_false(r.fx.live);
			end(&r);
		}
}

static void what_is_no_port_for_components_is_told_as_such(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, BRIDGE_TLS_NONE);
	header(&r, "<stream:stream xmlns='jabber:client' id='1' version='1.0' "
		   "xmlns:stream='http://etherx.jabber.org/streams'>");
	assert_over(&r, BRIDGE_CAUSE_PROTOCOL, "no port for components");
	end(&r);

	begin(&r, BRIDGE_TLS_NONE);
	header(&r, "<stream:stream xmlns='jabber:component:accept' "
		   "xmlns:stream='http://etherx.jabber.org/streams'>");
	assert_over(&r, BRIDGE_CAUSE_PROTOCOL, "no id");
	end(&r);
}

static void to_live_with_sm(struct rig *r)
{
	begin(r, BRIDGE_TLS_NONE);
	header(r, HEADER(" version='1.0'"));
	element(r, FEATURES(SM));
	element(r, "<handshake/>");
	assert_true(r->fx.live);
	assert_string_equal(r->fx.write.data, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
	assert_true(r->sm.asked);
	assert_false(r->sm.counts_in);
	element(r, "<enabled xmlns='urn:xmpp:sm:3' resume='true' id='r1'/>");
	assert_true(r->fx.enabled && r->sm.counts_in);
}

static void acknowledgements_go_both_ways(void **state)
{
	struct rig r;

	(void)state;
	to_live_with_sm(&r);
	element(&r, "<r xmlns='urn:xmpp:sm:3'/>");
	assert_true(r.fx.wants_ack);
	element(&r, "<a xmlns='urn:xmpp:sm:3' h='7'/>");
	assert_true(r.fx.has_h);
	assert_int_equal(r.fx.h, 7);
	element(&r, "<a xmlns='urn:xmpp:sm:3' h='x'/>");
	assert_false(r.fx.has_h);
	element(&r, "<a xmlns='urn:xmpp:sm:3' h='4294967296'/>");
	assert_false(r.fx.has_h);
	end(&r);
}

static void a_lost_session_is_resumed_before_the_handshake(void **state)
{
	char expected[200];
	struct rig r;

	(void)state;
	to_live_with_sm(&r);
	r.sm.in = 5;
	again(&r, BRIDGE_TLS_NONE);
	header(&r, HEADER(" version='1.0'"));
	element(&r, FEATURES(SM));
	snprintf(expected, sizeof(expected), "<resume xmlns='urn:xmpp:sm:3' previd='r1' h='5'/>%s",
		 r.handshake);
	assert_string_equal(r.fx.write.data, expected);
	element(&r, "<resumed xmlns='urn:xmpp:sm:3' previd='r1' h='3'/>");
	assert_true(r.fx.live && r.fx.resumed && r.fx.has_h);
	assert_int_equal(r.fx.h, 3);
	assert_int_equal(r.sm.in, 5);
	assert_true(r.sm.counts_in && r.sm.asked);
	end(&r);
}

static void a_session_that_cannot_be_resumed_is_begun_anew(void **state)
{
	struct rig r;

	(void)state;
	to_live_with_sm(&r);
	r.sm.in = 5;
	again(&r, BRIDGE_TLS_NONE);
	header(&r, HEADER(" version='1.0'"));
	element(&r, FEATURES(SM));
	element(&r, "<failed xmlns='urn:xmpp:sm:3' h='2'><item-not-found "
		    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>");
	assert_true(r.fx.has_h && !r.fx.over && !r.fx.live);
	assert_int_equal(r.fx.h, 2);
	element(&r, "<handshake/>");
	assert_true(r.fx.live && !r.fx.resumed);
	assert_int_equal(r.sm.in, 0);
	assert_int_equal(r.sm.id.len, 0);
	end(&r);
}

static void another_server_without_stream_management_is_plain(void **state)
{
	struct rig r;

	(void)state;
	to_live_with_sm(&r);
	again(&r, BRIDGE_TLS_NONE);
	header(&r, HEADER(""));
	assert_string_equal(r.fx.write.data, r.handshake);
	element(&r, "<handshake/>");
	assert_true(r.fx.live);
	assert_int_equal(r.fx.write.len, 0);
	assert_false(r.sm.asked || r.sm.counts_in);
	element(&r, "<r xmlns='urn:xmpp:sm:3'/>");
	assert_false(r.fx.wants_ack);
	end(&r);
}

static void what_was_resumed_must_be_what_was_asked_for(void **state)
{
	struct rig r;

	(void)state;
	to_live_with_sm(&r);
	again(&r, BRIDGE_TLS_NONE);
	header(&r, HEADER(" version='1.0'"));
	element(&r, FEATURES(SM));
	element(&r, "<resumed xmlns='urn:xmpp:sm:3' previd='r2' h='0'/>");
	assert_over(&r, BRIDGE_CAUSE_PROTOCOL, "something else");
	end(&r);
}

static void a_refused_enable_leaves_a_plain_stream(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, BRIDGE_TLS_NONE);
	header(&r, HEADER(" version='1.0'"));
	element(&r, FEATURES(SM));
	element(&r, "<handshake/>");
	element(&r, "<failed xmlns='urn:xmpp:sm:3'/>");
	assert_true(r.fx.disabled && !r.fx.over);
	assert_false(r.sm.asked);
	end(&r);
}

static void a_stream_error_about_content_blames_what_was_sent(void **state)
{
	static const struct {
		const char *condition;
		bool blames;
	} cases[] = {
		{"policy-violation", true},	{"not-well-formed", true},
		{"invalid-from", true},		{"restricted-xml", true},
		{"system-shutdown", false},	{"conflict", false},
		{"resource-constraint", false}, {"internal-server-error", false},
		{"connection-timeout", false},	{"not-authorized", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200];
		struct rig r;

		snprintf(text, sizeof(text),
			 "<stream:error><%s xmlns='" NS_STREAMS_ERR "'/></stream:error>",
			 cases[i].condition);
		begin(&r, BRIDGE_TLS_NONE);
		element(&r, text); /* nothing was sent yet */
		assert_false(r.fx.blames);
		end(&r);
		to_live_with_sm(&r);
		element(&r, text);
		assert_true(r.fx.over);
		assert_int_equal(r.fx.blames, cases[i].blames);
		end(&r);
	}
}

static void the_end_of_the_stream_and_broken_xml_are_ends(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, BRIDGE_TLS_NONE);
	event(&r, BRIDGE_EV_END);
	assert_over(&r, BRIDGE_CAUSE_CLOSED, "closed the stream");
	end(&r);
	begin(&r, BRIDGE_TLS_NONE);
	event(&r, BRIDGE_EV_BROKEN);
	assert_over(&r, BRIDGE_CAUSE_PROTOCOL, "x");
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digest_is_that_of_xep_0114),
		cmocka_unit_test(a_plain_xep_0114_server_takes_us),
		cmocka_unit_test(a_server_that_promises_features_and_has_none_is_not_waited_for),
		cmocka_unit_test(starttls_is_used_where_it_is_offered_and_wanted),
		cmocka_unit_test(
			without_starttls_a_link_that_requires_it_is_given_up_before_the_handshake),
		cmocka_unit_test(direct_tls_needs_no_starttls),
		cmocka_unit_test(refusals_are_told_apart),
		cmocka_unit_test(what_is_no_port_for_components_is_told_as_such),
		cmocka_unit_test(acknowledgements_go_both_ways),
		cmocka_unit_test(a_lost_session_is_resumed_before_the_handshake),
		cmocka_unit_test(a_session_that_cannot_be_resumed_is_begun_anew),
		cmocka_unit_test(another_server_without_stream_management_is_plain),
		cmocka_unit_test(what_was_resumed_must_be_what_was_asked_for),
		cmocka_unit_test(a_refused_enable_leaves_a_plain_stream),
		cmocka_unit_test(a_stream_error_about_content_blames_what_was_sent),
		cmocka_unit_test(the_end_of_the_stream_and_broken_xml_are_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
