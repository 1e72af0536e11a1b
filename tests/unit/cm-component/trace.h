/*
 * trace - the core of a component's stream, driven by a script and told as text.
 *
 * A step is XML of the component ("<stream:stream ...>", an element, a stanza) or, behind "!", what
 * the shell would say: "!found" "!right" "!wrong" "!bound" "!late" ... (see words[]); "!held 3".
 * What the core does is written as it happens: bytes as they are but without xmlns, effects in [].
 */
#ifndef TESTS_UNIT_CM_COMPONENT_TRACE_H
#define TESTS_UNIT_CM_COMPONENT_TRACE_H

#include <stdlib.h>

#include "base/str.h"
#include "cm-component/comp_stream.h"
#include "tests/support/cmocka_first.h"
#include "xmpp/ns.h"
#include "xmpp/xml_tree.h"

struct trace {
	struct comp_rules rules;
	struct comp_stream *stream;
	struct cm_effects fx;
	struct xml_in *xml;
	struct str out;
};

static inline void trace_open(struct trace *t)
{
	t->rules = (struct comp_rules){0};
	t->stream = comp_stream_new(&t->rules);
	t->xml = xml_in_new();
	cm_effects_init(&t->fx);
	str_init(&t->out);
}

static inline void trace_close(struct trace *t)
{
	comp_stream_free(&t->stream);
	xml_in_free(&t->xml);
	cm_effects_clear(&t->fx);
	str_clear(&t->out);
}

/* Without xmlns='..' and xmlns:stream='..': they would be most of every line. */
static inline void trace_bytes(struct str *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		const char *p = s.data + i;

		if (s.len - i > 7 && memcmp(p, " xmlns", 6) == 0) {
			const char *quote = memchr(p, '\'', s.len - i);
			const char *end =
				memchr(quote + 1, '\'', (size_t)(s.data + s.len - quote - 1));

			i += (size_t)(end - p);
		} else {
			str_addc(out, s.data[i]);
		}
	}
}

static inline void trace_effect(struct trace *t, const struct cm_effect *e)
{
	static const char *const names[] = {
		[CM_FX_START_TLS] = "start-tls", [CM_FX_RESTART] = "restart",
		[CM_FX_BIND] = "bind",		 [CM_FX_SEND] = "send",
		[CM_FX_REFUSE] = "refuse",	 [CM_FX_ENABLE] = "enable",
		[CM_FX_RESUME] = "resume",	 [CM_FX_ACKED] = "acked",
		[CM_FX_ACK_WAIT] = "wait",	 [CM_FX_CLOSE] = "close",
		[CM_FX_LOST] = "lost",		 [COMP_FX_LOOKUP] = "lookup",
	};

	if (e->kind == CM_FX_NOTE)
		return;
	if (e->kind == CM_FX_WRITE) {
		trace_bytes(&t->out, slice_of(t->fx.bytes.data + e->from, e->len));
		return;
	}
	str_addf(&t->out, "[%s", names[e->kind]);
	if (e->name)
		str_addf(&t->out, " %s", e->name);
	if (e->data.len)
		str_addf(&t->out, " %.*s", SLICE_ARG(e->data));
	if (e->kind == CM_FX_ENABLE || e->kind == CM_FX_RESUME || e->kind == CM_FX_ACKED ||
	    e->kind == CM_FX_ACK_WAIT)
		str_addf(&t->out, " %u", e->number);
	if (e->kind == CM_FX_ENABLE && e->has_data)
		str_adds(&t->out, " resumable");
	str_addc(&t->out, ']');
}

static inline void trace_event(struct trace *t, struct comp_event *ev)
{
	ev->fresh = 1;
	comp_stream_step(t->stream, ev, &t->fx);
	for (unsigned int i = 0; i < t->fx.count; i++)
		trace_effect(t, &t->fx.item[i]);
}

static inline void trace_xml(struct trace *t, const char *text)
{
	struct comp_event ev = {.kind = COMP_EV_HEADER};
	struct xml_stream_header h;
	struct stanza_in st = {0};
	struct xml_node *tree = NULL;

	if (strstr(text, "<stream:stream") || strncmp(text, "<?xml", 5) == 0) {
		assert_int_equal(xml_in_header(t->xml, slice_str(text), &h), XML_OK);
		ev.header = &h;
		trace_event(t, &ev);
		return;
	}
	if (comp_stream_state(t->stream) == COMP_BOUND) {
		ev.verdict = xml_in_stanza(t->xml, slice_str(text), NS_COMPONENT, &st);
		ev.kind = COMP_EV_STANZA;
		ev.stanza = &st;
		if (st.root_is_stanza)
			trace_event(t, &ev);
		if (st.root_is_stanza) {
			stanza_in_clear(&st);
			return;
		}
	}
	assert_int_equal(xml_in_tree(t->xml, slice_str(text), NS_COMPONENT, &tree), XML_OK);
	ev.kind = COMP_EV_ELEMENT;
	ev.tree = tree;
	trace_event(t, &ev);
	xml_tree_free(&tree);
}

static inline void trace_word(struct trace *t, const char *word)
{
	static const struct {
		const char *word;
		struct comp_event ev;
	} words[] = {
		{"found", {.kind = COMP_EV_ACCOUNT}},
		{"right", {.kind = COMP_EV_ACCOUNT, .proven = true}},
		{"wrong", {.kind = COMP_EV_ACCOUNT}},
		{"unknown",
		 {.kind = COMP_EV_ACCOUNT_FAILED, .condition = "host-unknown", .text = "who?"}},
		{"bound", {.kind = COMP_EV_BOUND}},
		{"conflict",
		 {.kind = COMP_EV_BIND_REFUSED, .condition = "conflict", .text = "taken"}},
		{"gone", {.kind = COMP_EV_BIND_REFUSED, .condition = "item-not-found"}},
		{"odd", {.kind = COMP_EV_BIND_REFUSED, .condition = "gone"}},
		{"secure", {.kind = COMP_EV_SECURE}},
		{"late", {.kind = COMP_EV_LATE}},
		{"end", {.kind = COMP_EV_END}},
		{"broken", {.kind = COMP_EV_BROKEN, .condition = "not-well-formed", .text = "no"}},
		{"stop", {.kind = COMP_EV_STOP, .condition = "reset", .text = "reset"}},
		{"probe", {.kind = COMP_EV_PROBE}},
		{"enabled", {.kind = COMP_EV_ENABLED, .max_s = 300}},
		{"ack-late", {.kind = COMP_EV_ACK_LATE}},
		{"lost", {.kind = COMP_EV_LOST, .condition = "system-shutdown", .text = "bye"}},
		{"moved", {.kind = COMP_EV_MOVED}},
		{"resumed", {.kind = COMP_EV_RESUMED}},
		{"not-resumed",
		 {.kind = COMP_EV_RESUME_REFUSED, .condition = "item-not-found", .text = "no"}},
		{"held", {.kind = COMP_EV_HELD}},
		{"flush", {.kind = COMP_EV_FLUSH}},
		{"again", {.kind = COMP_EV_ASK_AGAIN}},
		{"range", {.kind = COMP_EV_ACK_RANGE, .sent = 2}},
	};
	size_t len = strcspn(word, " ");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct comp_event ev = words[i].ev;

		if (strlen(words[i].word) != len || strncmp(words[i].word, word, len) != 0)
			continue;
		ev.host = slice_str("localhost");
		ev.h = (uint32_t)strtoul(word + len, NULL, 10);
		ev.unacked = ev.h;
		if (ev.kind == COMP_EV_RESUMED || (ev.kind == COMP_EV_ENABLED && ev.h))
			ev.data = slice_str("rid");
		trace_event(t, &ev);
		return;
	}
	fail_msg("no such word: %s", word);
}

static inline void trace_step(struct trace *t, const char *step)
{
	if (strcmp(step, "!direct") == 0)
		comp_stream_direct_tls(t->stream);
	else if (*step == '!')
		trace_word(t, step + 1);
	else
		trace_xml(t, step);
}

#endif
