/*
 * The core of a client's stream, driven by scripts and compared as traces. A script line is an
 * event; what follows it in the trace is what the stream does about it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "cm-client/c2s_stream.h"
#include "xmpp/ns.h"
#include "xmpp/xml_in.h"
#include "xmpp/xml_tree.h"

static const char *const domains[] = {"localhost", "example.com", NULL};
static struct xml_in *xml;
static bool show_notes; /* for the log: only where they are the point */

/* The long names, shortened in traces. */
static const struct {
	const char *name;
	const char *shorter;
} names[] = {
	{"<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
	 "xmlns:stream='http://etherx.jabber.org/streams'",
	 "<OPEN"},
	{" version='1.0' xml:lang='en'>", ">"},
	{"urn:ietf:params:xml:ns:xmpp-", ""},
	{" xmlns=", " "},
	{" xml:lang='en'", ""},
	{"</stream:stream>", "</CLOSE>"},
};

static void add_short(struct str *out, const char *p, size_t len)
{
	while (len) {
		size_t i = 0, n = 1;

		for (; i < sizeof(names) / sizeof(names[0]); i++) {
			n = strlen(names[i].name);
			if (n <= len && memcmp(p, names[i].name, n) == 0)
				break;
		}
		if (i == sizeof(names) / sizeof(names[0]))
			str_add(out, p, n = 1);
		else
			str_adds(out, names[i].shorter);
		p += n;
		len -= n;
	}
}

static void add_effect(struct str *out, const struct c2s_effects *fx, const struct c2s_effect *e)
{
	switch (e->kind) {
	case C2S_FX_WRITE:
		str_adds(out, "  ");
		add_short(out, fx->bytes.data + e->from, e->len);
		str_adds(out, "\n");
		break;
	case C2S_FX_START_TLS:
		str_adds(out, "  start-tls\n");
		break;
	case C2S_FX_RESTART:
		str_adds(out, "  restart\n");
		break;
	case C2S_FX_AUTH_START:
		str_addf(out, "  auth-start %s %s[%.*s]\n", e->name, e->has_data ? "" : "none ",
			 SLICE_ARG(e->data));
		break;
	case C2S_FX_AUTH_DATA:
		str_addf(out, "  auth-data [%.*s]\n", SLICE_ARG(e->data));
		break;
	case C2S_FX_AUTH_DROP:
		str_adds(out, "  auth-drop\n");
		break;
	case C2S_FX_BIND:
		str_addf(out, "  bind [%.*s]\n", SLICE_ARG(e->data));
		break;
	case C2S_FX_SEND:
		str_adds(out, "  send\n");
		break;
	case C2S_FX_NOTE:
		if (show_notes)
			str_addf(out, "  note %s %s: %s\n", e->data.data, e->name, e->text);
		break;
	case C2S_FX_CLOSE:
		str_addf(out, "  close %s: %s\n", e->name, e->text ? e->text : "-");
		break;
	}
}

/* "word:rest": the text behind the word, NULL when the line has another one. */
static const char *after(const char *line, const char *word)
{
	size_t n = strlen(word);

	return strncmp(line, word, n) == 0 && line[n] == ':' ? line + n + 1 : NULL;
}

struct parts {
	char condition[64];
	const char *text;
};

static void split(const char *s, struct parts *p)
{
	const char *colon = strchr(s, ':');

	assert_non_null(colon);
	snprintf(p->condition, sizeof(p->condition), "%.*s", (int)(colon - s), s);
	p->text = colon + 1;
}

static void feed(struct c2s_stream *s, const char *line, struct c2s_effects *fx)
{
	struct c2s_event ev = {.fresh = 0xabc};
	struct xml_stream_header header;
	struct stanza_in stanza = {0};
	struct xml_node *tree = NULL;
	static struct parts p; /* effects point to it */
	const char *rest;

	if ((rest = after(line, "header"))) {
		struct str text = STR_INIT;

		str_adds(&text, "<stream:stream xmlns='jabber:client' "
				"xmlns:stream='" NS_STREAM "' ");
		str_adds(&text, rest);
		str_adds(&text, ">");
		if (*rest == '<')
			assert_int_equal(xml_in_header(xml, slice_str(rest), &header), XML_OK);
		else
			assert_int_equal(xml_in_header(xml, str_slice(&text), &header), XML_OK);
		str_clear(&text);
		ev.kind = C2S_EV_HEADER;
		ev.header = &header;
	} else if ((rest = after(line, "element")) || (rest = after(line, "pipelined"))) {
		assert_int_equal(xml_in_tree(xml, slice_str(rest), NS_CLIENT, &tree), XML_OK);
		ev.kind = C2S_EV_ELEMENT;
		ev.tree = tree;
		ev.pipelined = *line == 'p';
	} else if ((rest = after(line, "stanza"))) {
		ev.kind = C2S_EV_STANZA;
		ev.verdict = xml_in_stanza(xml, slice_str(rest), NS_CLIENT, &stanza);
		assert_true(ev.verdict == XML_OK || ev.verdict == XML_STANZA_BAD);
		ev.stanza = &stanza;
	} else if ((rest = after(line, "secure"))) {
		ev.kind = C2S_EV_SECURE;
		ev.exporter = strstr(rest, "exporter") != NULL;
		ev.unique = strstr(rest, "unique") != NULL;
	} else if ((rest = after(line, "challenge"))) {
		ev.kind = C2S_EV_CHALLENGE;
		ev.data = slice_str(rest);
	} else if ((rest = after(line, "authenticated"))) {
		ev.kind = C2S_EV_AUTHENTICATED;
		ev.user = slice_str(rest);
		ev.data = slice_str("v=1");
	} else if ((rest = after(line, "failed"))) {
		split(rest, &p);
		ev.kind = C2S_EV_AUTH_FAILED;
	} else if ((rest = after(line, "bound"))) {
		ev.kind = C2S_EV_BOUND;
		ev.jid = slice_str(rest);
	} else if ((rest = after(line, "refused"))) {
		split(rest, &p);
		ev.kind = C2S_EV_BIND_REFUSED;
	} else if ((rest = after(line, "stop"))) {
		split(rest, &p);
		ev.kind = C2S_EV_STOP;
	} else if (strcmp(line, "late") == 0) {
		ev.kind = C2S_EV_LATE;
	} else if (strcmp(line, "end") == 0) {
		ev.kind = C2S_EV_END;
	} else {
		fail_msg("no such event: %s", line);
	}
	ev.condition = p.condition;
	ev.text = p.text;
	if (ev.kind != C2S_EV_AUTH_FAILED && ev.kind != C2S_EV_BIND_REFUSED &&
	    ev.kind != C2S_EV_STOP)
		ev.condition = ev.text = NULL;
	c2s_stream_step(s, &ev, fx);
	xml_tree_free(&tree);
	stanza_in_clear(&stanza);
}

struct scenario {
	struct c2s_rules rules;
	bool direct;
	const char *const *script;
	const char *trace; /* of the last `shown` events */
	size_t shown;	   /* 0 = all */
};

static void run(const struct scenario *sc)
{
	struct c2s_stream *s = c2s_stream_new(&sc->rules);
	struct c2s_effects fx;
	struct str out = STR_INIT;
	size_t n = 0;

	c2s_effects_init(&fx);
	if (sc->direct)
		c2s_stream_direct_tls(s);
	while (sc->script[n])
		n++;
	for (size_t i = 0; i < n; i++) {
		feed(s, sc->script[i], &fx);
		if (sc->shown && i + sc->shown < n)
			continue;
		for (unsigned int k = 0; k < fx.count; k++)
			add_effect(&out, &fx, &fx.item[k]);
		str_addf(&out, "= %s\n", c2s_state_name(c2s_stream_state(s)));
	}
	assert_string_equal(out.data, sc->trace);
	str_clear(&out);
	c2s_effects_clear(&fx);
	c2s_stream_free(&s);
}

static struct c2s_rules rules(bool tls_required, bool plain, unsigned int attempts)
{
	return (struct c2s_rules){.domains = domains,
				  .tls_required = tls_required,
				  .plain_allowed = plain,
				  .login_attempts = attempts,
				  .component_hint = "components connect to port 5223"};
}

#define SCRIPT(...)               \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

/* Where most stories begin. */
#define TO_LOGIN                                                                         \
	"header:to='localhost' version='1.0'", "element:<starttls xmlns='" NS_TLS "'/>", \
		"secure:exporter", "header:to='localhost' version='1.0'"
#define AUTH(mechanism, data) \
	"element:<auth xmlns='" NS_SASL "' mechanism='" mechanism "'>" data "</auth>"
#define TO_BINDABLE                                                      \
	TO_LOGIN, AUTH("SCRAM-SHA-256", "bix9"), "authenticated:juliet", \
		"header:to='localhost' version='1.0'"
#define BIND(inside) \
	"element:<iq type='set' id='b1'><bind xmlns='" NS_BIND "'>" inside "</bind></iq>"
#define TO_BOUND TO_BINDABLE, BIND("<resource>x</resource>"), "bound:juliet@localhost/x"

static void a_client_goes_all_the_way_by_starttls(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-256", "bix9"), "challenge:r=1",
				 "element:<response xmlns='" NS_SASL "'>Yz0=</response>",
				 "authenticated:juliet",
				 "header:to='localhost' version='1.0' from='juliet@localhost'",
				 BIND("<resource>x</resource>"), "bound:juliet@localhost/x",
				 "stanza:<message to='romeo@localhost'><body>hi</body></message>",
				 "end"),
		.trace = "  <OPEN id='0000000000000abc' from='localhost'><stream:features>"
			 "<starttls 'tls'><required/></starttls></stream:features>\n= offered\n"
			 "  <proceed 'tls'/>\n  start-tls\n= securing\n"
			 "  restart\n= secured\n"
			 "  <OPEN id='0000000000000abc' from='localhost'><stream:features>"
			 "<mechanisms 'sasl'><mechanism>SCRAM-SHA-256-PLUS</mechanism>"
			 "<mechanism>SCRAM-SHA-1-PLUS</mechanism>"
			 "<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>"
			 "<mechanism>PLAIN</mechanism></mechanisms>"
			 "<sasl-channel-binding 'urn:xmpp:sasl-cb:0'>"
			 "<channel-binding type='tls-exporter'/></sasl-channel-binding>"
			 "</stream:features>\n= login\n"
			 "  auth-start SCRAM-SHA-256 [n,}]\n= checking\n"
			 "  <challenge 'sasl'>cj0x</challenge>\n= asked\n"
			 "  auth-data [c=]\n= checking\n"
			 "  <success 'sasl'>dj0x</success>\n  auth-drop\n  restart\n= proven\n"
			 "  <OPEN id='0000000000000abc' from='localhost' to='juliet@localhost'>"
			 "<stream:features><bind 'bind'/><session 'session'><optional/></session>"
			 "</stream:features>\n= bindable\n"
			 "  bind [x]\n= binding\n"
			 "  <iq type='result' id='b1' from='localhost' to='juliet@localhost/x'>"
			 "<bind 'bind'><jid>juliet@localhost/x</jid></bind></iq>\n= bound\n"
			 "  send\n= bound\n"
			 "  </CLOSE>\n  close closed: the client closed its stream\n= closed\n",
	});
}

static void direct_tls_begins_with_the_handshake(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, false, 3),
		.direct = true,
		.script = SCRIPT("secure:", "header:to='example.com' version='1.0'"),
		.trace = "  restart\n= secured\n"
			 "  <OPEN id='0000000000000abc' from='example.com'><stream:features>"
			 "<mechanisms 'sasl'><mechanism>SCRAM-SHA-256</mechanism>"
			 "<mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>\n"
			 "= login\n",
	});
}

static void without_required_tls_only_scram_is_offered_in_the_clear(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(false, true, 3),
		.script = SCRIPT("header:to='localhost' version='1.0'", AUTH("PLAIN", "AGEAYg=="),
				 AUTH("SCRAM-SHA-1-PLUS", "bix9"), AUTH("SCRAM-SHA-1", "bix9"),
				 "failed:not-authorized:wrong"),
		.trace = "  <OPEN id='0000000000000abc' from='localhost'><stream:features>"
			 "<starttls 'tls'></starttls><mechanisms 'sasl'>"
			 "<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>"
			 "</mechanisms></stream:features>\n= offered\n"
			 "  <failure 'sasl'><encryption-required/>"
			 "<text>PLAIN is taken inside TLS only</text></failure>\n= offered\n"
			 "  <failure 'sasl'><invalid-mechanism/><text>choose one of the mechanisms "
			 "that were offered</text></failure>\n= offered\n"
			 "  auth-start SCRAM-SHA-1 [n,}]\n= checking\n"
			 "  auth-drop\n  <failure "
			 "'sasl'><not-authorized/><text>wrong</text></failure>"
			 "<stream:error><policy-violation 'streams'/>"
			 "<text 'streams'>too many failed logins on this "
			 "stream</text></stream:error>"
			 "</CLOSE>\n  close policy-violation: too many failed logins on this "
			 "stream\n"
			 "= closed\n",
	});
}

#define ERROR(condition, text)                                                                   \
	"<stream:error><" condition " 'streams'/><text 'streams'>" text "</text></stream:error>" \
	"</CLOSE>\n  close " condition ": " text "\n= closed\n"
#define BARE_ERROR(condition)                                                                 \
	"<stream:error><" condition " 'streams'/></stream:error></CLOSE>\n  close " condition \
	": -\n= closed\n"
#define OPEN "  <OPEN id='0000000000000abc' from='localhost'>"

static void a_wrong_header_is_answered_with_a_header_and_its_error(void **state)
{
	static const struct {
		const char *header;
		const char *trace;
	} cases[] = {
		{"header:to='nowhere.example' version='1.0'",
		 OPEN ERROR("host-unknown", "this domain is not served here")},
		{"header:version='1.0'",
		 OPEN ERROR("improper-addressing",
			    "the stream must name a domain of this server in its to attribute")},
		{"header:to='juliet@localhost' version='1.0'",
		 OPEN ERROR("improper-addressing",
			    "the stream must name a domain of this server in its to attribute")},
		{"header:to='localhost'",
		 OPEN ERROR("unsupported-version", "only streams of version 1.0 are spoken here")},
		{"header:to='localhost' version='0.9'",
		 OPEN ERROR("unsupported-version", "only streams of version 1.0 are spoken here")},
		{"header:to='localhost' version='x'",
		 OPEN ERROR("unsupported-version", "only streams of version 1.0 are spoken here")},
		{"header:<stream:stream xmlns='jabber:component:accept' "
		 "xmlns:stream='" NS_STREAM "' to='bridge.localhost'>",
		 OPEN ERROR("invalid-namespace", "components connect to port 5223")},
		{"header:<stream:stream xmlns='jabber:server' xmlns:stream='" NS_STREAM
		 "' to='localhost' version='1.0'>",
		 OPEN ERROR(
			 "invalid-namespace",
			 "this port is for clients: the default namespace must be jabber:client")},
		{"header:<stream:stream xmlns='jabber:client' xmlns:stream='http://wrong' "
		 "to='localhost' version='1.0'>",
		 OPEN BARE_ERROR("invalid-namespace")},
		{"header:<s:stream xmlns='jabber:client' xmlns:s='" NS_STREAM
		 "' to='localhost' version='1.0'>",
		 OPEN BARE_ERROR("bad-namespace-prefix")},
		{"header:<stream:wrong xmlns='jabber:client' xmlns:stream='" NS_STREAM
		 "' to='localhost' version='1.0'>",
		 OPEN BARE_ERROR("bad-format")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run(&(struct scenario){.rules = rules(true, true, 3),
				       .script = SCRIPT(cases[i].header),
				       .trace = cases[i].trace});
}

static void versions_above_one_are_answered(void **state)
{
	(void)state;
	run(&(struct scenario){.rules = rules(true, true, 3),
			       .script = SCRIPT("header:to='localhost' version='2.3'"),
			       .trace = OPEN "<stream:features><starttls 'tls'><required/>"
					     "</starttls></stream:features>\n= offered\n"});
}

static void plaintext_behind_starttls_is_refused(void **state)
{
	(void)state;
	run(&(struct scenario){.rules = rules(true, true, 3),
			       .script = SCRIPT("header:to='localhost' version='1.0'",
						"pipelined:<starttls xmlns='" NS_TLS "'/>"),
			       .shown = 1,
			       .trace = "  <failure 'tls'/></CLOSE>\n  close starttls-failure: "
					"plain bytes came behind <starttls/>\n= closed\n"});
}

static void what_was_said_before_tls_is_forgotten(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT("header:to='example.com' version='1.0'",
				 "element:<starttls xmlns='" NS_TLS "'/>",
				 "secure:", "stop:system-shutdown:bye"),
		.shown = 1,
		.trace = OPEN ERROR("system-shutdown", "bye"),
	});
}

#define FAILURE(condition, text) "<failure 'sasl'><" condition "/><text>" text "</text></failure>\n"

static void sasl_refusals_are_those_of_rfc_6120_6_5(void **state)
{
	static const struct {
		const char *line;
		const char *trace;
	} cases[] = {
		{AUTH("LOGIN", ""),
		 "  " FAILURE("invalid-mechanism",
			      "choose one of the mechanisms that were offered") "= login\n"},
		{"element:<auth xmlns='" NS_SASL "'/>",
		 "  " FAILURE("invalid-mechanism",
			      "choose one of the mechanisms that were offered") "= login\n"},
		{AUTH("PLAIN", "not base64!"),
		 "  " FAILURE("incorrect-encoding",
			      "the initial response is not base64") "= login\n"},
		{AUTH("PLAIN", "=="),
		 "  " FAILURE("incorrect-encoding",
			      "the initial response is not base64") "= login\n"},
		{AUTH("SCRAM-SHA-1", "="), "  auth-start SCRAM-SHA-1 []\n= checking\n"},
		{AUTH("SCRAM-SHA-1", ""), "  auth-start SCRAM-SHA-1 none []\n= checking\n"},
		{"element:<abort xmlns='" NS_SASL "'/>",
		 "  <failure 'sasl'><aborted/></failure>\n= login\n"},
		{"element:<response xmlns='" NS_SASL "'/>",
		 "  " FAILURE("malformed-request",
			      "no login is under way: send <auth/>") "= login\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str trace = STR_INIT;
		const char *p;

		/* <auth/> in the text is escaped on the wire. */
		for (p = cases[i].trace; *p; p++) {
			if (strncmp(p, "<auth/>", 7) == 0) {
				str_adds(&trace, "&lt;auth/&gt;");
				p += 6;
			} else {
				str_addc(&trace, *p);
			}
		}
		run(&(struct scenario){.rules = rules(true, true, 3),
				       .script = SCRIPT(TO_LOGIN, cases[i].line),
				       .shown = 1,
				       .trace = trace.data});
		str_clear(&trace);
	}
}

static void login_before_tls_needs_encryption(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script =
			SCRIPT("header:to='localhost' version='1.0'", AUTH("SCRAM-SHA-1", "bix9")),
		.shown = 1,
		.trace = "  " FAILURE("encryption-required",
				      "start TLS before you log in") "= offered\n",
	});
}

static void an_exchange_can_be_aborted_and_begun_again(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-1", "bix9"), "challenge:c",
				 "element:<abort xmlns='" NS_SASL "'/>",
				 AUTH("SCRAM-SHA-256", "bix9")),
		.shown = 2,
		.trace = "  auth-drop\n  <failure 'sasl'><aborted/></failure>\n= login\n"
			 "  auth-start SCRAM-SHA-256 [n,}]\n= checking\n",
	});
}

static void a_response_that_is_not_base64_ends_the_exchange(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-1", "bix9"), "challenge:c",
				 "element:<response xmlns='" NS_SASL "'>%%%</response>"),
		.shown = 1,
		.trace = "  auth-drop\n  " FAILURE("incorrect-encoding",
						   "the response is not base64") "= login\n",
	});
}

static void the_third_failure_ends_the_stream(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script =
			SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-1", "bix9"), "failed:not-authorized:wrong",
			       AUTH("SCRAM-SHA-1", "bix9"), "failed:not-authorized:wrong",
			       AUTH("SCRAM-SHA-1", "bix9"), "failed:not-authorized:wrong"),
		.shown = 1,
		.trace = "  auth-drop\n  <failure 'sasl'><not-authorized/><text>wrong</text>"
			 "</failure>" ERROR("policy-violation",
					    "too many failed logins on this stream"),
	});
}

static void a_server_that_is_not_ready_does_not_count_against_the_client(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 1),
		.script = SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-1", "bix9"), "late",
				 AUTH("SCRAM-SHA-1", "bix9")),
		.shown = 2,
		.trace = "  auth-drop\n  " FAILURE("temporary-auth-failure",
						   "the account store does not answer now: try "
						   "again later") "= login\n"
								  "  auth-start SCRAM-SHA-1 "
								  "[n,}]\n= checking\n",
	});
}

static void stanzas_before_login_or_binding_are_not_authorized(void **state)
{
	static const char stanza[] = "element:<message to='a@localhost'><body>x</body></message>";

	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT("header:to='localhost' version='1.0'", stanza),
		.shown = 1,
		.trace = "  " ERROR("not-authorized", "log in before you send stanzas"),
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BINDABLE, stanza),
		.shown = 1,
		.trace = "  " ERROR("not-authorized", "bind a resource before you send stanzas"),
	});
}

static void elements_that_nobody_knows_are_unsupported(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, "element:<hello xmlns='urn:x'/>"),
		.shown = 1,
		.trace = "  " ERROR("unsupported-stanza-type", "this element is not expected here"),
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BOUND, "stanza:<hello xmlns='urn:x'/>"),
		.shown = 1,
		.trace = "  " ERROR("unsupported-stanza-type",
				    "a first-level element must be a message, presence or iq of "
				    "jabber:client"),
	});
}

static void after_login_the_domain_cannot_change(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, AUTH("SCRAM-SHA-1", "bix9"), "authenticated:juliet",
				 "header:to='example.com' version='1.0'"),
		.shown = 1,
		.trace = OPEN ERROR("not-authorized", "you authenticated for another domain"),
	});
}

#define IQ_ERROR(condition, type, text)                                          \
	"<error type='" type "'><" condition " 'stanzas'/><text 'stanzas'>" text \
	"</text></error></iq>\n"

static void binding_can_be_refused_and_tried_again(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BINDABLE, BIND("<resource>&#x200e;</resource>"), BIND(""),
				 "refused:conflict:taken", BIND("<resource>y</resource>"), "late"),
		.shown = 5,
		.trace = "  <iq type='error' id='b1' from='localhost'>" IQ_ERROR(
			"bad-request", "modify",
			"this cannot be a resource (RFC 7622 3.4)") "= bindable\n"
								    "  bind []\n= binding\n"
								    "  <iq type='error' id='b1' "
								    "from='localhost'>" IQ_ERROR(
									    "conflict", "cancel",
									    "taken") "= bindable\n"
										     "  bind "
										     "[y]\n= "
										     "binding\n"
										     "  <iq "
										     "type='error' "
										     "id='b1' "
										     "from='"
										     "localhost'"
										     ">" IQ_ERROR(
											     "resou"
											     "rce-"
											     "const"
											     "rain"
											     "t",
											     "wait",
											     "the "
											     "route"
											     "r "
											     "does "
											     "not "
											     "answe"
											     "r "
											     "now: "
											     "try "
											     "again"
											     " late"
											     "r") "= bindable\n",
	});
}

static void a_bound_stream_answers_session_and_refuses_a_second_bind(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BOUND,
				 "stanza:<iq type='set' id='s1'><session xmlns='" NS_SESSION
				 "'/></iq>",
				 "stanza:<iq type='set' id='b2'><bind xmlns='" NS_BIND "'/></iq>",
				 "stanza:<iq type='set' id='s2' to='romeo@localhost'>"
				 "<session xmlns='" NS_SESSION "'/></iq>"),
		.shown = 3,
		.trace = "  <iq type='result' id='s1' from='localhost' to='juliet@localhost/x'>"
			 "</iq>\n= bound\n"
			 "  <iq type='error' id='b2' from='localhost' "
			 "to='juliet@localhost/x'>" IQ_ERROR(
				 "not-allowed", "cancel",
				 "this stream has its resource already") "= bound\n"
									 "  send\n= bound\n",
	});
}

static void from_must_be_the_streams_own_address(void **state)
{
	static const struct {
		const char *from;
		bool good;
	} cases[] = {
		{"juliet@localhost/x", true}, {"juliet@localhost", true},
		{"JULIET@LOCALHOST/x", true}, {"juliet@localhost/y", false},
		{"romeo@localhost", false},   {"localhost", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[128];

		snprintf(line, sizeof(line), "stanza:<presence from='%s'/>", cases[i].from);
		run(&(struct scenario){
			.rules = rules(true, true, 3),
			.script = SCRIPT(TO_BOUND, line),
			.shown = 1,
			.trace = cases[i].good
					 ? "  send\n= bound\n"
					 : "  " ERROR("invalid-from", "the from attribute is not "
								      "the address of this stream"),
		});
	}
}

static void a_bad_stanza_is_answered_but_never_an_error(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script =
			SCRIPT(TO_BOUND, "stanza:<message to='@' id='m1'><body>x</body></message>",
			       "stanza:<message to='@' type='error'/>"),
		.shown = 2,
		.trace = "  <message type='error' id='m1' from='localhost' "
			 "to='juliet@localhost/x'><error type='modify'><jid-malformed 'stanzas'/>"
			 "<text 'stanzas'>the to attribute is not a "
			 "JID</text></error></message>\n= bound\n"
			 "= bound\n",
	});
}

static void every_refusal_is_noted_in_the_same_words(void **state)
{
	(void)state;
	show_notes = true;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_LOGIN, AUTH("LOGIN", "")),
		.shown = 1,
		.trace = "  note auth_failed invalid-mechanism: choose one of the mechanisms that "
			 "were offered\n"
			 "  " FAILURE("invalid-mechanism",
				      "choose one of the mechanisms that were offered") "= login\n",
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BINDABLE, BIND(""), "refused:conflict:taken"),
		.shown = 1,
		.trace = "  note bind_refused conflict: taken\n"
			 "  <iq type='error' id='b1' from='localhost'>" IQ_ERROR(
				 "conflict", "cancel", "taken") "= bindable\n",
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BOUND, "stanza:<presence type='wrong'/>"),
		.shown = 1,
		.trace = "  note stanza_refused bad-request: unknown type of presence\n"
			 "  <presence type='error' from='localhost' to='juliet@localhost/x'>"
			 "<error type='modify'><bad-request 'stanzas'/><text 'stanzas'>unknown "
			 "type of presence</text>"
			 "</error></presence>\n= bound\n",
	});
	show_notes = false;
}

static void time_ends_every_state_with_its_own_words(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT("late"),
		.trace = OPEN ERROR("connection-timeout", "no stream header in time"),
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT("header:to='localhost' version='1.0'", "late"),
		.shown = 1,
		.trace = "  " ERROR("connection-timeout", "no TLS in time"),
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.direct = true,
		.script = SCRIPT("late"),
		.trace = "  close connection-timeout: the TLS handshake was not done in time\n"
			 "= closed\n",
	});
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BINDABLE, "late"),
		.shown = 1,
		.trace = "  " ERROR("connection-timeout", "no login in time"),
	});
}

static void a_closed_stream_does_nothing_more(void **state)
{
	(void)state;
	run(&(struct scenario){
		.rules = rules(true, true, 3),
		.script = SCRIPT(TO_BOUND, "stop:conflict:replaced", "stop:conflict:replaced",
				 "end", "stanza:<presence/>", "late"),
		.shown = 5,
		.trace = "  " ERROR("conflict", "replaced") "= closed\n= closed\n= closed\n"
							    "= closed\n",
	});
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_goes_all_the_way_by_starttls),
		cmocka_unit_test(direct_tls_begins_with_the_handshake),
		cmocka_unit_test(without_required_tls_only_scram_is_offered_in_the_clear),
		cmocka_unit_test(a_wrong_header_is_answered_with_a_header_and_its_error),
		cmocka_unit_test(versions_above_one_are_answered),
		cmocka_unit_test(plaintext_behind_starttls_is_refused),
		cmocka_unit_test(what_was_said_before_tls_is_forgotten),
		cmocka_unit_test(sasl_refusals_are_those_of_rfc_6120_6_5),
		cmocka_unit_test(login_before_tls_needs_encryption),
		cmocka_unit_test(an_exchange_can_be_aborted_and_begun_again),
		cmocka_unit_test(a_response_that_is_not_base64_ends_the_exchange),
		cmocka_unit_test(the_third_failure_ends_the_stream),
		cmocka_unit_test(a_server_that_is_not_ready_does_not_count_against_the_client),
		cmocka_unit_test(stanzas_before_login_or_binding_are_not_authorized),
		cmocka_unit_test(elements_that_nobody_knows_are_unsupported),
		cmocka_unit_test(after_login_the_domain_cannot_change),
		cmocka_unit_test(binding_can_be_refused_and_tried_again),
		cmocka_unit_test(a_bound_stream_answers_session_and_refuses_a_second_bind),
		cmocka_unit_test(from_must_be_the_streams_own_address),
		cmocka_unit_test(a_bad_stanza_is_answered_but_never_an_error),
		cmocka_unit_test(every_refusal_is_noted_in_the_same_words),
		cmocka_unit_test(time_ends_every_state_with_its_own_words),
		cmocka_unit_test(a_closed_stream_does_nothing_more),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
