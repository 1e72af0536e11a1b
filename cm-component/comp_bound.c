/*
 * comp_bound - a component's stream after <handshake/>: what is checked of each stanza, the probe
 * of its link, and XEP-0198.
 */
#include <stdio.h>

#include "cm-component/comp_core.h"
#include "ipc/stanza_kinds.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

/* The router answers it: only there are stanzas numbered (CUSTODY 10). */
static void refuse_stanza(struct comp_stream *s, struct cm_effects *fx, const char *condition,
			  const char *text)
{
	struct cm_effect *e;

	cm_note(fx, "stanza_refused", condition, text);
	e = cm_effect(fx, CM_FX_REFUSE);
	e->name = condition;
	e->text = text;
	cm_sm_count(&s->sm);
}

/* The answer to our ping goes no further; but once stanzas are counted all of them go to the router
 * (CUSTODY 10), which has no use for it either. */
static bool swallow(struct comp_stream *s, const struct stanza_in *st)
{
	if (!*s->ping || st->kind != STANZA_IQ || s->sm.state != CM_SM_OFF ||
	    (st->type != TYPE_RESULT && st->type != TYPE_ERROR) || !slice_is(st->id, s->ping))
		return false;
	s->ping[0] = 0;
	return true;
}

void comp_on_stanza(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	const struct stanza_in *st = ev->stanza;

	/* RFC 6120 4.9.3.9; XEP-0114: "the server MUST NOT accept others" */
	if (st->from_malformed || !st->from.text || !slice_is(st->from.domain, s->jid)) {
		comp_fail(s, ev, fx, "invalid-from",
			  st->from.text || st->from_malformed
				  ? "the from attribute is not an address of this component"
				  : "a component's stanza needs a from attribute");
		return;
	}
	if (swallow(s, st))
		return;
	if (ev->verdict == XML_STANZA_BAD) {
		refuse_stanza(s, fx, st->condition, st->why ? st->why : "");
	} else if (!st->to.text) {
		refuse_stanza(s, fx, "bad-request", "a component's stanza needs a to attribute");
	} else {
		cm_effect(fx, CM_FX_SEND);
		cm_sm_count(&s->sm);
	}
}

void comp_on_element(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	const struct xml_node *t = ev->tree;

	if (strcmp(t->ns, NS_STREAM) == 0)
		comp_end(s, fx, "peer-error", "the component sent a stream error");
	else if (strcmp(t->ns, NS_SM3) != 0)
		comp_fail(
			s, ev, fx, "unsupported-stanza-type",
			"a first-level element must be a message, presence or iq of " NS_COMPONENT);
	else if (!cm_sm_element(&s->sm, t, ev->h, fx))
		comp_fail(s, ev, fx, "invalid-xml", "an acknowledgement needs a number h");
}

/* Something that it must answer: <r/> where stanzas are counted (there we may add none of our own:
 * CUSTODY 10), else XEP-0199. While <enable/> is under way <r/> comes behind <enabled/>. */
void comp_on_probe(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	if (s->sm.state != CM_SM_OFF) {
		s->probe_owed = s->sm.state == CM_SM_ASKED;
		if (!s->probe_owed)
			str_adds(out, "<r xmlns='" NS_SM3 "'/>");
		cm_out_end(fx);
		return;
	}
	snprintf(s->ping, sizeof(s->ping), "ping%016llx", (unsigned long long)ev->fresh);
	str_addf(out, "<iq type='get' id='%s'", s->ping);
	xml_out_attr(out, "from", slice_str(s->host));
	xml_out_attr(out, "to", slice_str(s->jid));
	str_adds(out, "><ping xmlns='" NS_PING "'/></iq>");
	cm_out_end(fx);
}

void comp_on_enabled(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	cm_sm_enabled(&s->sm, ev->data, ev->max_s, ev->h, fx);
	if (s->probe_owed)
		comp_on_probe(s, ev, fx);
}

void comp_on_held(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	cm_sm_held(&s->sm, ev->h, fx);
}

void comp_on_flush(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	cm_sm_flush(&s->sm, ev->unacked, fx);
}

void comp_on_ask_again(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	cm_sm_ask_again(&s->sm, ev->unacked, fx);
}

void comp_on_ack_late(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	comp_lose(s, ev, fx, "connection-timeout", "no acknowledgement from you in time");
}

void comp_on_ack_range(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	char element[128];
	const char *text = cm_sm_range(element, ev->h, ev->sent, fx);

	comp_fail_with(s, ev, fx, "undefined-condition", text, element);
}
