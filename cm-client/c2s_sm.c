/*
 * c2s_sm - stream management (XEP-0198) as the core of a stream sees it: what is said when.
 *
 * The counters that matter belong to custody and the router (CUSTODY 1, 7, 10): they come with the
 * events. Here is counted what came, to know whether an unasked <a/> is owed, and what was asked.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "cm-client/c2s_core.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

#define PREVID_MAX 4000 /* section 5 */
#define ASK_AT	   5	/* unacknowledged stanzas; with fewer it waits a little for more */

void c2s_sm_features(struct str *out)
{
	str_adds(out, "<sm xmlns='" NS_SM3 "'/>");
}

void c2s_sm_refuse(struct c2s_effects *fx, const char *condition, const char *text)
{
	struct str *out = c2s_out(fx);

	c2s_note(fx, "sm_failed", condition, text ? text : "");
	str_addf(out, "<failed xmlns='" NS_SM3 "'><%s xmlns='" NS_STANZAS_ERR "'/>", condition);
	if (text && *text) {
		str_adds(out, "<text xmlns='" NS_STANZAS_ERR "' xml:lang='en'>");
		xml_out_text(out, slice_str(text));
		str_adds(out, "</text>");
	}
	str_adds(out, "</failed>");
	c2s_out_end(fx);
}

/* xs:unsignedInt: false when it is none. */
static bool parse_number(const char *text, uint32_t *n)
{
	uint64_t value = 0;

	if (!text || !*text)
		return false;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*n = (uint32_t)value;
	return true;
}

static void on_resume(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	const char *previd = xml_attr(ev->tree, "previd");
	struct c2s_effect *e;
	uint32_t h;

	if (!previd || !*previd || strlen(previd) > PREVID_MAX ||
	    !parse_number(xml_attr(ev->tree, "h"), &h)) {
		c2s_sm_refuse(fx, "bad-request", "<resume/> needs a previd and a number h");
		return;
	}
	str_adds(&fx->scratch, previd);
	e = c2s_effect(fx, C2S_FX_RESUME);
	e->data = str_slice(&fx->scratch);
	e->number = h;
	s->sm.acked = h;
	s->state = C2S_RESUMING;
}

void c2s_sm_before_bind(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	if (xml_is(ev->tree, NS_SM3, "resume"))
		on_resume(s, ev, fx);
	else
		c2s_sm_refuse(fx, "unexpected-request", "bind a resource first");
}

void c2s_sm_count(struct c2s_stream *s)
{
	if (s->sm.state != C2S_SM_OFF)
		s->sm.in++;
}

static bool is_true(const char *text)
{
	return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

static void on_enable(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	struct c2s_effect *e;
	uint32_t max = 0;

	if (s->sm.state != C2S_SM_OFF) { /* section 3 */
		c2s_sm_refuse(fx, "unexpected-request", "stream management is on already");
		return;
	}
	parse_number(xml_attr(ev->tree, "max"), &max);
	e = c2s_effect(fx, C2S_FX_ENABLE);
	e->has_data = is_true(xml_attr(ev->tree, "resume"));
	e->number = max;
	s->sm = (struct c2s_sm){.state = C2S_SM_ASKED};
}

static void ack_wait(struct c2s_effects *fx, enum c2s_ack_wait wait)
{
	c2s_effect(fx, C2S_FX_ACK_WAIT)->number = wait;
}

static void say_ack(struct c2s_effects *fx, uint32_t h)
{
	str_addf(c2s_out(fx), "<a xmlns='" NS_SM3 "' h='%u'/>", h);
	c2s_out_end(fx);
}

static bool reached(uint32_t h, uint32_t goal)
{
	return (int32_t)(h - goal) >= 0;
}

/* At once, with what is secured now; the rest follows unasked (CUSTODY 1). */
static void answer_r(struct c2s_stream *s, uint32_t h, struct c2s_effects *fx)
{
	say_ack(fx, h);
	s->sm.owes = !reached(h, s->sm.in);
	s->sm.owed = s->sm.in;
}

static void on_a(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	uint32_t h;

	if (!parse_number(xml_attr(ev->tree, "h"), &h)) {
		c2s_fail(s, ev, fx, "invalid-xml", "an acknowledgement needs a number h");
		return;
	}
	s->sm.acked = h;
	s->sm.asked = s->sm.soon = false;
	ack_wait(fx, C2S_ACK_NONE);
	c2s_effect(fx, C2S_FX_ACKED)->number = h;
}

bool c2s_is_csi(const struct xml_node *t)
{
	return xml_is(t, NS_CSI, "active") || xml_is(t, NS_CSI, "inactive");
}

/* There is no answer (XEP-0352 4.2). */
void c2s_on_csi(const struct xml_node *t, struct c2s_effects *fx)
{
	c2s_effect(fx, C2S_FX_CSI)->number = strcmp(t->name, "inactive") == 0;
}

void c2s_on_sm(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	const struct xml_node *t = ev->tree;

	if (strcmp(t->ns, NS_STREAM) == 0)
		c2s_end(s, fx, "peer-error", "the client sent a stream error");
	else if (c2s_is_csi(t))
		c2s_on_csi(t, fx);
	else if (strcmp(t->ns, NS_SM3) != 0)
		c2s_fail(s, ev, fx, "unsupported-stanza-type",
			 "a first-level element must be a message, presence or iq of " NS_CLIENT);
	else if (strcmp(t->name, "r") == 0 && s->sm.state == C2S_SM_ON)
		answer_r(s, ev->h, fx);
	else if (strcmp(t->name, "r") == 0 && s->sm.state == C2S_SM_ASKED)
		s->sm.early_r = true;
	else if (strcmp(t->name, "a") == 0 && s->sm.state == C2S_SM_ON)
		on_a(s, ev, fx);
	else if (strcmp(t->name, "enable") == 0)
		on_enable(s, ev, fx);
	else
		c2s_sm_refuse(fx, "unexpected-request",
			      s->sm.state == C2S_SM_OFF ? "enable stream management first"
							: "this is not expected now");
}

void c2s_on_enabled(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	struct str *out = c2s_out(fx);

	if (s->sm.state != C2S_SM_ASKED)
		return;
	s->sm.state = C2S_SM_ON;
	s->sm.resumable = ev->data.len > 0;
	str_adds(out, "<enabled xmlns='" NS_SM3 "'");
	if (s->sm.resumable) {
		xml_out_attr(out, "id", ev->data);
		str_addf(out, " resume='true' max='%u'", ev->max_s);
	}
	str_adds(out, "/>");
	c2s_out_end(fx);
	if (s->sm.early_r)
		answer_r(s, ev->h, fx);
	s->sm.early_r = false;
}

void c2s_on_held(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	if (!s->sm.owes || !reached(ev->h, s->sm.owed))
		return;
	s->sm.owes = false;
	say_ack(fx, ev->h);
}

static void ask(struct c2s_stream *s, uint32_t out, struct c2s_effects *fx)
{
	str_adds(c2s_out(fx), "<r xmlns='" NS_SM3 "'/>");
	c2s_out_end(fx);
	s->sm.asked = true;
	s->sm.soon = false;
	s->sm.asked_at = out;
	ack_wait(fx, C2S_ACK_ANSWER);
}

/* A lone stanza gets no <r/> of its own: asking for it and the answer cost as much as the stanza.
 * But before a stream idles all was asked for. A client that answers with less than it was asked
 * for is not asked again at once, or both would do nothing else. */
void c2s_on_flush(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	uint32_t out = s->sm.acked + (uint32_t)ev->unacked;

	if (s->sm.state != C2S_SM_ON || ev->unacked == 0 || s->sm.asked)
		return;
	if (out == s->sm.asked_at) {
		ack_wait(fx, C2S_ACK_AGAIN);
	} else if (ev->unacked >= ASK_AT) {
		ask(s, out, fx);
	} else if (!s->sm.soon) {
		s->sm.soon = true;
		ack_wait(fx, C2S_ACK_SOON);
	}
}

void c2s_on_ask_again(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	if (s->sm.state == C2S_SM_ON && ev->unacked > 0 && !s->sm.asked)
		ask(s, s->sm.acked + (uint32_t)ev->unacked, fx);
}

void c2s_on_ack_range(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	char element[128];
	struct str *text = &fx->scratch;

	snprintf(element, sizeof(element),
		 "<handled-count-too-high xmlns='" NS_SM3 "' h='%u' send-count='%u'/>", ev->h,
		 ev->sent);
	str_addf(text, "you acknowledged %u stanzas, but %u were sent to you", ev->h, ev->sent);
	c2s_fail_with(s, ev, fx, "undefined-condition", text->data, element);
}

/* A stream that is not closed is one that can be resumed (section 7; CUSTODY 4). */
static void drop(struct c2s_stream *s, struct c2s_effects *fx, const char *condition,
		 const char *text)
{
	struct c2s_effect *e = c2s_effect(fx, C2S_FX_LOST);

	e->name = condition;
	e->text = text;
	s->state = C2S_CLOSED;
}

void c2s_sm_lost(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx,
		 const char *condition, const char *text)
{
	if (s->sm.resumable || s->state == C2S_RESUMING)
		drop(s, fx, condition, text);
	else
		c2s_fail(s, ev, fx, condition, text);
}

void c2s_on_lost(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	c2s_sm_lost(s, ev, fx, ev->condition, ev->text);
}

void c2s_on_ack_late(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	c2s_sm_lost(s, ev, fx, "connection-timeout", "no acknowledgement from you in time");
}

/* Whoever resumed knows: no error, which could end the session at the client (CUSTODY 12). */
void c2s_on_moved(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	(void)ev;
	drop(s, fx, "moved", "the session was resumed elsewhere");
}

void c2s_on_resumed(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	struct str *out = c2s_out(fx);
	uint32_t acked = s->sm.acked;

	str_adds(out, "<resumed xmlns='" NS_SM3 "'");
	xml_out_attr(out, "previd", ev->data);
	str_addf(out, " h='%u'/>", ev->h);
	c2s_out_end(fx);
	s->full = xstrndup(ev->jid.data, ev->jid.len);
	s->sm = (struct c2s_sm){.state = C2S_SM_ON,
				.resumable = true,
				.in = ev->h,
				.acked = acked,
				.asked_at = acked};
	s->state = C2S_BOUND;
}

void c2s_on_resume_refused(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	c2s_sm_refuse(fx, ev->condition, ev->text);
	s->state = C2S_BINDABLE;
}

void c2s_on_resume_late(struct c2s_stream *s, const struct c2s_event *ev, struct c2s_effects *fx)
{
	(void)ev;
	c2s_sm_refuse(fx, "resource-constraint", "the router does not answer now: try again later");
	s->state = C2S_BINDABLE;
}

bool c2s_stream_owes_ack(const struct c2s_stream *s)
{
	return s->sm.owes;
}

bool c2s_stream_all_held(const struct c2s_stream *s, uint32_t h)
{
	return s->sm.state == C2S_SM_ON && h == s->sm.in;
}
