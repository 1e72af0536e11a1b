/*
 * c2s_bind - resource binding (RFC 6120 7), the session IQ of RFC 3921 clients, and what is checked
 * of each stanza of a bound stream.
 */
#include <stdlib.h>

#include "base/xmem.h"
#include "cm-client/c2s_core.h"
#include "ipc/stanza_kinds.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

void c2s_bind_features(struct str *out)
{
	str_adds(out, "<bind xmlns='" NS_BIND "'/>"
		      "<session xmlns='" NS_SESSION "'><optional/></session>");
}

/* from: whom the IQ was sent to. Often nobody (RFC 6120 7.6.1), which stands for the account:
 * clients such as aioxmpp take the domain's answer for somebody else's. */
static void iq_open(const struct c2s_stream *s, struct str *out, const char *type, struct slice id,
		    struct slice from)
{
	str_addf(out, "<iq type='%s'", type);
	xml_out_attr(out, "id", id);
	if (from.len > 0)
		xml_out_attr(out, "from", from);
	if (s->full)
		xml_out_attr(out, "to", slice_str(s->full));
	str_addc(out, '>');
}

static void iq_error(const struct c2s_stream *s, struct cm_effects *fx, struct slice id,
		     const char *condition, const char *text)
{
	struct str *out = cm_out(fx);

	cm_note(fx, "bind_refused", condition, text ? text : "");
	iq_open(s, out, "error", id, SLICE_NONE);
	stanza_error_write(out, stanza_error_find(slice_str(condition)), text);
	str_adds(out, "</iq>");
	cm_out_end(fx);
}

static void ask_to_bind(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx,
			const struct xml_node *bind)
{
	const char *wish = xml_child_text(bind, NS_BIND, "resource");
	const char *id = xml_attr(ev->tree, "id");
	char resource[JID_PART_MAX + 1] = "";

	if (!id) {
		iq_error(s, fx, SLICE_NONE, "bad-request", "an IQ must have an id");
		return;
	}
	if (bind->next || ev->tree->first != bind) { /* RFC 6120 8.2.3 */
		iq_error(s, fx, slice_str(id), "bad-request", "an iq set has exactly one child");
		return;
	}
	if (wish && *wish && jid_prepare_resource(resource, slice_str(wish)) != ERR_OK) {
		iq_error(s, fx, slice_str(id), "bad-request",
			 "this cannot be a resource (RFC 7622 3.4)");
		return;
	}
	free(s->bind_id);
	s->bind_id = xstrdup(id);
	str_adds(&fx->scratch, resource);
	cm_effect(fx, CM_FX_BIND)->data = str_slice(&fx->scratch);
	s->state = C2S_BINDING;
}

void c2s_on_bindable(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	const struct xml_node *bind = xml_child(ev->tree, NS_BIND, "bind");
	const char *type = xml_attr(ev->tree, "type");

	if (bind && xml_is(ev->tree, NS_CLIENT, "iq") && type && strcmp(type, "set") == 0)
		ask_to_bind(s, ev, fx, bind);
	else if (strcmp(ev->tree->ns, NS_SM3) == 0)
		c2s_sm_before_bind(s, ev, fx);
	else if (c2s_is_csi(ev->tree)) /* perhaps sent ahead, behind a <resume/> that failed */
		c2s_on_csi(ev->tree, fx);
	else if (strcmp(ev->tree->ns, NS_CLIENT) == 0) /* RFC 6120 7.1 */
		c2s_fail(s, ev, fx, "not-authorized", "bind a resource before you send stanzas");
	else if (strcmp(ev->tree->ns, NS_STREAM) == 0)
		c2s_end(s, fx, "peer-error", "the client sent a stream error");
	else
		c2s_fail(s, ev, fx, "unsupported-stanza-type", "this element is not expected here");
}

void c2s_on_bound(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	s->full = xstrndup(ev->jid.data, ev->jid.len);
	iq_open(s, out, "result", slice_str(s->bind_id), SLICE_NONE);
	str_adds(out, "<bind xmlns='" NS_BIND "'><jid>");
	xml_out_text(out, ev->jid);
	str_adds(out, "</jid></bind></iq>");
	cm_out_end(fx);
	free(s->bind_id);
	s->bind_id = NULL;
	s->state = C2S_BOUND;
}

void c2s_on_bind_refused(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	iq_error(s, fx, slice_str(s->bind_id), ev->condition, ev->text);
	s->state = C2S_BINDABLE;
}

void c2s_on_bind_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	(void)ev;
	iq_error(s, fx, slice_str(s->bind_id), "resource-constraint",
		 "the router does not answer now: try again later");
	s->state = C2S_BINDABLE;
}

/* RFC 6120 8.1.2.1: a client may leave 'from' out or name itself, bare or full. */
static bool from_is_own(const struct c2s_stream *s, const struct jid *from)
{
	struct slice claimed;

	if (!from->text)
		return true;
	claimed = jid_full(from);
	return slice_is(claimed, s->full) || slice_is(claimed, s->bare);
}

/* The router answers it: only there are stanzas numbered (CUSTODY 10). */
static void refuse_stanza(struct c2s_stream *s, struct cm_effects *fx, const char *condition,
			  const char *text)
{
	struct cm_effect *e;

	cm_note(fx, "stanza_refused", condition, text);
	e = cm_effect(fx, CM_FX_REFUSE);
	e->name = condition;
	e->text = text;
	cm_sm_count(&s->sm);
}

static bool payload_is(const struct stanza_in *st, const char *start, const char *ns)
{
	size_t len = strlen(start);

	return st->inner.len >= len && memcmp(st->inner.data, start, len) == 0 &&
	       memmem(st->inner.data, st->inner.len, ns, strlen(ns));
}

/* IQs that are this stream's own matter, whatever it is addressed to. */
static bool answer_stream_iq(struct c2s_stream *s, const struct stanza_in *st,
			     struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	if (st->kind != STANZA_IQ || st->type != TYPE_SET)
		return false;
	if (st->to.text && !slice_is(jid_full(&st->to), s->domain) &&
	    !slice_is(jid_full(&st->to), s->bare))
		return false;
	if (payload_is(st, "<bind", NS_BIND)) {
		refuse_stanza(s, fx, "not-allowed", "this stream has its resource already");
		return true;
	}
	/* RFC 3921 3; draft-cridland-xmpp-session. Counted streams get nothing but from the router,
	 * which knows it too. */
	if (s->sm.state != CM_SM_OFF || !payload_is(st, "<session", NS_SESSION))
		return false;
	iq_open(s, out, "result", st->id, st->to.text ? jid_full(&st->to) : SLICE_NONE);
	str_adds(out, "</iq>");
	cm_out_end(fx);
	return true;
}

void c2s_on_stanza(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	const struct stanza_in *st = ev->stanza;

	if (!st->root_is_stanza) {
		c2s_fail(s, ev, fx, "unsupported-stanza-type",
			 "a first-level element must be a message, presence or iq of " NS_CLIENT);
		return;
	}
	if (st->from_malformed || !from_is_own(s, &st->from)) {
		c2s_fail(s, ev, fx, "invalid-from",
			 "the from attribute is not the address of this stream");
		return;
	}
	if (ev->verdict == XML_STANZA_BAD) {
		refuse_stanza(s, fx, st->condition, st->why ? st->why : "");
	} else if (!answer_stream_iq(s, st, fx)) {
		cm_effect(fx, CM_FX_SEND);
		cm_sm_count(&s->sm);
	}
}
