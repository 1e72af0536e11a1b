/*
 * c2s_sm - stream management (XEP-0198, see cm/cm_sm.h) and client state (XEP-0352) on a client's
 * stream.
 */
#include <stdlib.h>

#include "base/xmem.h"
#include "cm-client/c2s_core.h"
#include "xmpp/ns.h"
#include "xmpp/xml_tree.h"

void c2s_sm_features(struct str *out)
{
	str_adds(out, "<sm xmlns='" NS_SM3 "'/>");
}

static void on_resume(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	struct cm_effect *e;
	uint32_t h;
	const char *previd = cm_sm_parse_resume(ev->tree, &h);

	if (!previd) {
		cm_sm_refuse(fx, "bad-request", "<resume/> needs a previd and a number h");
		return;
	}
	str_adds(&fx->scratch, previd);
	e = cm_effect(fx, CM_FX_RESUME);
	e->data = str_slice(&fx->scratch);
	e->number = h;
	s->sm.acked = h;
	s->state = C2S_RESUMING;
}

void c2s_sm_before_bind(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	if (xml_is(ev->tree, NS_SM3, "resume"))
		on_resume(s, ev, fx);
	else
		cm_sm_refuse(fx, "unexpected-request", "bind a resource first");
}

bool c2s_is_csi(const struct xml_node *t)
{
	return xml_is(t, NS_CSI, "active") || xml_is(t, NS_CSI, "inactive");
}

/* There is no answer (XEP-0352 4.2). */
void c2s_on_csi(const struct xml_node *t, struct cm_effects *fx)
{
	cm_effect(fx, C2S_FX_CSI)->number = strcmp(t->name, "inactive") == 0;
}

void c2s_on_sm(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	const struct xml_node *t = ev->tree;

	if (strcmp(t->ns, NS_STREAM) == 0)
		c2s_end(s, fx, "peer-error", "the client sent a stream error");
	else if (c2s_is_csi(t))
		c2s_on_csi(t, fx);
	else if (strcmp(t->ns, NS_SM3) != 0)
		c2s_fail(s, ev, fx, "unsupported-stanza-type",
			 "a first-level element must be a message, presence or iq of " NS_CLIENT);
	else if (!cm_sm_element(&s->sm, t, ev->h, fx))
		c2s_fail(s, ev, fx, "invalid-xml", "an acknowledgement needs a number h");
}

void c2s_on_enabled(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	cm_sm_enabled(&s->sm, ev->data, ev->max_s, ev->h, fx);
}

void c2s_on_held(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	cm_sm_held(&s->sm, ev->h, fx);
}

void c2s_on_flush(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	cm_sm_flush(&s->sm, ev->unacked, fx);
}

void c2s_on_ask_again(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	cm_sm_ask_again(&s->sm, ev->unacked, fx);
}

void c2s_on_ack_range(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	char element[128];
	const char *text = cm_sm_range(element, ev->h, ev->sent, fx);

	c2s_fail_with(s, ev, fx, "undefined-condition", text, element);
}

/* A stream that is not closed is one that can be resumed (section 7; CUSTODY 4). */
static void drop(struct c2s_stream *s, struct cm_effects *fx, const char *condition,
		 const char *text)
{
	struct cm_effect *e = cm_effect(fx, CM_FX_LOST);

	e->name = condition;
	e->text = text;
	s->state = C2S_CLOSED;
}

void c2s_sm_lost(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx,
		 const char *condition, const char *text)
{
	if (s->sm.resumable || s->state == C2S_RESUMING)
		drop(s, fx, condition, text);
	else
		c2s_fail(s, ev, fx, condition, text);
}

void c2s_on_lost(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	c2s_sm_lost(s, ev, fx, ev->condition, ev->text);
}

void c2s_on_ack_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	c2s_sm_lost(s, ev, fx, "connection-timeout", "no acknowledgement from you in time");
}

/* Whoever resumed knows: no error, which could end the session at the client (CUSTODY 12). */
void c2s_on_moved(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	(void)ev;
	drop(s, fx, "moved", "the session was resumed elsewhere");
}

void c2s_on_resumed(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	cm_sm_resumed(&s->sm, ev->data, ev->h, s->sm.acked, fx);
	s->full = xstrndup(ev->jid.data, ev->jid.len);
	s->state = C2S_BOUND;
}

void c2s_on_resume_refused(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	cm_sm_refuse(fx, ev->condition, ev->text);
	s->state = C2S_BINDABLE;
}

void c2s_on_resume_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	(void)ev;
	cm_sm_refuse(fx, "resource-constraint", "the router does not answer now: try again later");
	s->state = C2S_BINDABLE;
}

bool c2s_stream_owes_ack(const struct c2s_stream *s)
{
	return s->sm.owes;
}

bool c2s_stream_all_held(const struct c2s_stream *s, uint32_t h)
{
	return cm_sm_all_held(&s->sm, h);
}
