#include "cm/cm_sm.h"

#include <stdio.h>

#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

#define PREVID_MAX 4000 /* section 5 */
#define ASK_AT	   5	/* unacknowledged stanzas; with fewer it waits a little for more */

void cm_sm_refuse(struct cm_effects *fx, const char *condition, const char *text)
{
	struct str *out = cm_out(fx);

	cm_note(fx, "sm_failed", condition, text ? text : "");
	str_addf(out, "<failed xmlns='" NS_SM3 "'><%s xmlns='" NS_STANZAS_ERR "'/>", condition);
	if (text && *text) {
		str_adds(out, "<text xmlns='" NS_STANZAS_ERR "' xml:lang='en'>");
		xml_out_text(out, slice_str(text));
		str_adds(out, "</text>");
	}
	str_adds(out, "</failed>");
	cm_out_end(fx);
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

const char *cm_sm_parse_resume(const struct xml_node *t, uint32_t *h)
{
	const char *previd = xml_attr(t, "previd");

	if (!previd || !*previd || strlen(previd) > PREVID_MAX ||
	    !parse_number(xml_attr(t, "h"), h))
		return NULL;
	return previd;
}

void cm_sm_count(struct cm_sm *sm)
{
	if (sm->state != CM_SM_OFF)
		sm->in++;
}

static bool is_true(const char *text)
{
	return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

static void on_enable(struct cm_sm *sm, const struct xml_node *t, struct cm_effects *fx)
{
	struct cm_effect *e;
	uint32_t max = 0;

	if (sm->state != CM_SM_OFF) { /* section 3 */
		cm_sm_refuse(fx, "unexpected-request", "stream management is on already");
		return;
	}
	parse_number(xml_attr(t, "max"), &max);
	e = cm_effect(fx, CM_FX_ENABLE);
	e->has_data = is_true(xml_attr(t, "resume"));
	e->number = max;
	*sm = (struct cm_sm){.state = CM_SM_ASKED};
}

static void ack_wait(struct cm_effects *fx, enum cm_ack_wait wait)
{
	cm_effect(fx, CM_FX_ACK_WAIT)->number = wait;
}

static void say_ack(struct cm_effects *fx, uint32_t h)
{
	str_addf(cm_out(fx), "<a xmlns='" NS_SM3 "' h='%u'/>", h);
	cm_out_end(fx);
}

static bool reached(uint32_t h, uint32_t goal)
{
	return (int32_t)(h - goal) >= 0;
}

/* At once, with what is secured now; the rest follows unasked (CUSTODY 1). */
static void answer_r(struct cm_sm *sm, uint32_t h, struct cm_effects *fx)
{
	say_ack(fx, h);
	sm->owes = !reached(h, sm->in);
	sm->owed = sm->in;
}

static bool on_a(struct cm_sm *sm, const struct xml_node *t, struct cm_effects *fx)
{
	uint32_t h;

	if (!parse_number(xml_attr(t, "h"), &h))
		return false;
	sm->acked = h;
	sm->asked = sm->soon = false;
	ack_wait(fx, CM_ACK_NONE);
	cm_effect(fx, CM_FX_ACKED)->number = h;
	return true;
}

bool cm_sm_element(struct cm_sm *sm, const struct xml_node *t, uint32_t h, struct cm_effects *fx)
{
	if (strcmp(t->name, "r") == 0 && sm->state == CM_SM_ON)
		answer_r(sm, h, fx);
	else if (strcmp(t->name, "r") == 0 && sm->state == CM_SM_ASKED)
		sm->early_r = true;
	else if (strcmp(t->name, "a") == 0 && sm->state == CM_SM_ON)
		return on_a(sm, t, fx);
	else if (strcmp(t->name, "enable") == 0)
		on_enable(sm, t, fx);
	else
		cm_sm_refuse(fx, "unexpected-request",
			     sm->state == CM_SM_OFF ? "enable stream management first"
						    : "this is not expected now");
	return true;
}

void cm_sm_enabled(struct cm_sm *sm, struct slice id, uint32_t max_s, uint32_t h,
		   struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	if (sm->state != CM_SM_ASKED)
		return;
	sm->state = CM_SM_ON;
	sm->resumable = id.len > 0;
	str_adds(out, "<enabled xmlns='" NS_SM3 "'");
	if (sm->resumable) {
		xml_out_attr(out, "id", id);
		str_addf(out, " resume='true' max='%u'", max_s);
	}
	str_adds(out, "/>");
	cm_out_end(fx);
	if (sm->early_r)
		answer_r(sm, h, fx);
	sm->early_r = false;
}

void cm_sm_held(struct cm_sm *sm, uint32_t h, struct cm_effects *fx)
{
	if (!sm->owes || !reached(h, sm->owed))
		return;
	sm->owes = false;
	say_ack(fx, h);
}

static void ask(struct cm_sm *sm, uint32_t out, struct cm_effects *fx)
{
	str_adds(cm_out(fx), "<r xmlns='" NS_SM3 "'/>");
	cm_out_end(fx);
	sm->asked = true;
	sm->soon = false;
	sm->asked_at = out;
	ack_wait(fx, CM_ACK_ANSWER);
}

/* A lone stanza gets no <r/> of its own: asking for it and the answer cost as much as the stanza.
 * But before a stream idles all was asked for. A peer that answers with less than it was asked for
 * is not asked again at once, or both would do nothing else. */
void cm_sm_flush(struct cm_sm *sm, uint64_t unacked, struct cm_effects *fx)
{
	uint32_t out = sm->acked + (uint32_t)unacked;

	if (sm->state != CM_SM_ON || unacked == 0 || sm->asked)
		return;
	if (out == sm->asked_at) {
		ack_wait(fx, CM_ACK_AGAIN);
	} else if (unacked >= ASK_AT) {
		ask(sm, out, fx);
	} else if (!sm->soon) {
		sm->soon = true;
		ack_wait(fx, CM_ACK_SOON);
	}
}

void cm_sm_ask_again(struct cm_sm *sm, uint64_t unacked, struct cm_effects *fx)
{
	if (sm->state == CM_SM_ON && unacked > 0 && !sm->asked)
		ask(sm, sm->acked + (uint32_t)unacked, fx);
}

void cm_sm_resumed(struct cm_sm *sm, struct slice previd, uint32_t h, uint32_t acked,
		   struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	str_adds(out, "<resumed xmlns='" NS_SM3 "'");
	xml_out_attr(out, "previd", previd);
	str_addf(out, " h='%u'/>", h);
	cm_out_end(fx);
	*sm = (struct cm_sm){
		.state = CM_SM_ON, .resumable = true, .in = h, .acked = acked, .asked_at = acked};
}

const char *cm_sm_range(char element[128], uint32_t h, uint32_t sent, struct cm_effects *fx)
{
	snprintf(element, 128,
		 "<handled-count-too-high xmlns='" NS_SM3 "' h='%u' send-count='%u'/>", h, sent);
	str_addf(&fx->scratch, "you acknowledged %u stanzas, but %u were sent to you", h, sent);
	return fx->scratch.data;
}

bool cm_sm_all_held(const struct cm_sm *sm, uint32_t h)
{
	return sm->state == CM_SM_ON && h == sm->in;
}
