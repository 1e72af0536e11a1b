/*
 * trace - the core of a client's stream, driven by scripts and compared as traces. A script line is
 * an event; what follows it in the trace is what the stream does about it.
 */
#ifndef TESTS_UNIT_CM_CLIENT_TRACE_H
#define TESTS_UNIT_CM_CLIENT_TRACE_H

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
static uint32_t secured; /* what custody would say: hold_h() */
static bool show_notes;	 /* for the log: only where they are the point */

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

static const char *const waits[] = {
	[CM_ACK_NONE] = "for-nothing",
	[CM_ACK_ANSWER] = "for-answer",
	[CM_ACK_AGAIN] = "to-ask-again",
	[CM_ACK_SOON] = "for-more",
};

static void add_effect(struct str *out, const struct cm_effects *fx, const struct cm_effect *e)
{
	switch (e->kind) {
	case CM_FX_WRITE:
		str_adds(out, "  ");
		add_short(out, fx->bytes.data + e->from, e->len);
		str_adds(out, "\n");
		break;
	case CM_FX_START_TLS:
		str_adds(out, "  start-tls\n");
		break;
	case CM_FX_RESTART:
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
	case CM_FX_BIND:
		str_addf(out, "  bind [%.*s]\n", SLICE_ARG(e->data));
		break;
	case CM_FX_SEND:
		str_adds(out, "  send\n");
		break;
	case CM_FX_REFUSE:
		str_addf(out, "  refuse %s: %s\n", e->name, e->text);
		break;
	case CM_FX_ENABLE:
		str_addf(out, "  enable %s max=%u\n", e->has_data ? "resume" : "-", e->number);
		break;
	case CM_FX_RESUME:
		str_addf(out, "  resume [%.*s] h=%u\n", SLICE_ARG(e->data), e->number);
		break;
	case CM_FX_ACKED:
		str_addf(out, "  acked %u\n", e->number);
		break;
	case CM_FX_ACK_WAIT:
		str_addf(out, "  wait %s\n", waits[e->number]);
		break;
	case CM_FX_LOST:
		str_addf(out, "  lost %s: %s\n", e->name, e->text ? e->text : "-");
		break;
	case C2S_FX_REGISTER:
		str_addf(out, "  register [%.*s] [%s]\n", SLICE_ARG(e->data), e->text);
		break;
	case C2S_FX_REGISTER_DROP:
		str_adds(out, "  register-drop\n");
		break;
	case C2S_FX_CSI:
		str_addf(out, "  csi %s\n", e->number ? "inactive" : "active");
		break;
	case CM_FX_NOTE:
		if (show_notes)
			str_addf(out, "  note %s %s: %s\n", e->data.data, e->name, e->text);
		break;
	case CM_FX_CLOSE:
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

/* "name N" somewhere in the rest of a line. */
static uint32_t number(const char *rest, const char *name)
{
	const char *p = strstr(rest, name);

	return p ? (uint32_t)strtoul(p + strlen(name), NULL, 10) : 0;
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

static void feed(struct c2s_stream *s, const char *line, struct cm_effects *fx)
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
		ev.h = secured;
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
	} else if (strcmp(line, "registered") == 0) {
		ev.kind = C2S_EV_REGISTERED;
	} else if ((rest = after(line, "register-failed"))) {
		split(rest, &p);
		ev.kind = C2S_EV_REGISTER_FAILED;
	} else if ((rest = after(line, "refused"))) {
		split(rest, &p);
		ev.kind = C2S_EV_BIND_REFUSED;
	} else if ((rest = after(line, "stop"))) {
		split(rest, &p);
		ev.kind = C2S_EV_STOP;
	} else if ((rest = after(line, "lost"))) {
		split(rest, &p);
		ev.kind = C2S_EV_LOST;
	} else if ((rest = after(line, "resume-refused"))) {
		split(rest, &p);
		ev.kind = C2S_EV_RESUME_REFUSED;
	} else if ((rest = after(line, "enabled"))) {
		ev.kind = C2S_EV_ENABLED;
		ev.data = slice_str(rest);
		ev.max_s = 300;
		ev.h = secured;
	} else if ((rest = after(line, "resumed"))) {
		ev.kind = C2S_EV_RESUMED;
		ev.jid = slice_str("juliet@localhost/x");
		ev.data = slice_str("id1");
		ev.h = secured = number(rest, "h=");
	} else if ((rest = after(line, "secured"))) {
		secured = number(rest, "h=");
		ev.kind = C2S_EV_HELD;
		ev.h = secured;
	} else if ((rest = after(line, "flush"))) {
		ev.kind = C2S_EV_FLUSH;
		ev.unacked = number(rest, "unacked=");
	} else if ((rest = after(line, "ask-again"))) {
		ev.kind = C2S_EV_ASK_AGAIN;
		ev.unacked = number(rest, "unacked=");
	} else if ((rest = after(line, "ack-range"))) {
		ev.kind = C2S_EV_ACK_RANGE;
		ev.h = number(rest, "h=");
		ev.sent = number(rest, "sent=");
	} else if (strcmp(line, "ack-late") == 0) {
		ev.kind = C2S_EV_ACK_LATE;
	} else if (strcmp(line, "moved") == 0) {
		ev.kind = C2S_EV_MOVED;
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
	    ev.kind != C2S_EV_STOP && ev.kind != C2S_EV_LOST && ev.kind != C2S_EV_RESUME_REFUSED &&
	    ev.kind != C2S_EV_REGISTER_FAILED)
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
	struct cm_effects fx;
	struct str out = STR_INIT;
	size_t n = 0;

	secured = 0;
	cm_effects_init(&fx);
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
	cm_effects_clear(&fx);
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

#define ERROR(condition, text)                                                                   \
	"<stream:error><" condition " 'streams'/><text 'streams'>" text "</text></stream:error>" \
	"</CLOSE>\n  close " condition ": " text "\n= closed\n"
#define BARE_ERROR(condition)                                                                 \
	"<stream:error><" condition " 'streams'/></stream:error></CLOSE>\n  close " condition \
	": -\n= closed\n"
#define OPEN "  <OPEN id='0000000000000abc' from='localhost'>"

static inline int trace_setup(void **state)
{
	(void)state;
	xml = xml_in_new();
	return 0;
}

static inline int trace_teardown(void **state)
{
	(void)state;
	xml_in_free(&xml);
	return 0;
}

#endif
