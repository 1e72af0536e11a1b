#include "cm-component/comp_stream.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"
#include "cm-component/comp_core.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

typedef void step_fn(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);

/* RFC 6120 4.7 as XEP-0114 has it: version only for those who said one. */
void comp_write_header(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	if (!*s->id)
		snprintf(s->id, sizeof(s->id), "%016llx", (unsigned long long)ev->fresh);
	str_addf(out,
		 "<?xml version='1.0'?><stream:stream xmlns='" NS_COMPONENT
		 "' xmlns:stream='" NS_STREAM "' id='%s'",
		 s->id);
	if (s->jid)
		xml_out_attr(out, "from", slice_str(s->jid));
	str_adds(out, s->modern ? " version='1.0' xml:lang='en'>" : " xml:lang='en'>");
	cm_out_end(fx);
	s->open = true;
}

void comp_end(struct comp_stream *s, struct cm_effects *fx, const char *why, const char *text)
{
	struct cm_effect *e;

	if (s->open)
		str_adds(cm_out(fx), "</stream:stream>");
	cm_out_end(fx);
	e = cm_effect(fx, CM_FX_CLOSE);
	e->name = why;
	e->text = text;
	s->state = COMP_CLOSED;
}

void comp_fail_with(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx,
		    const char *condition, const char *text, const char *element)
{
	if (s->state == COMP_SECURING) { /* between two streams nothing can be said */
		s->open = false;
		comp_end(s, fx, condition, text);
		return;
	}
	if (!s->open)
		comp_write_header(s, ev, fx);
	cm_write_error(cm_out(fx), condition, text, element);
	comp_end(s, fx, condition, text);
}

void comp_fail(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx,
	       const char *condition, const char *text)
{
	comp_fail_with(s, ev, fx, condition, text, "");
}

/* A stream that is not closed is one that can be resumed (XEP-0198 section 7; CUSTODY 4). */
static void drop(struct comp_stream *s, struct cm_effects *fx, const char *condition,
		 const char *text)
{
	struct cm_effect *e = cm_effect(fx, CM_FX_LOST);

	e->name = condition;
	e->text = text;
	s->state = COMP_CLOSED;
}

void comp_lose(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx,
	       const char *condition, const char *text)
{
	if (s->sm.resumable || s->state == COMP_RESUMING)
		drop(s, fx, condition, text);
	else
		comp_fail(s, ev, fx, condition, text);
}

/* Whoever resumed knows: no error, which could end the session at the component (CUSTODY 12). */
void comp_on_moved(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	(void)ev;
	drop(s, fx, "moved", "the session was resumed elsewhere");
}

/* RFC 6120 4.9.3.12, 4.9.3.24 */
static void refuse_element(struct comp_stream *s, const struct comp_event *ev,
			   struct cm_effects *fx)
{
	if (strcmp(ev->tree->ns, NS_STREAM) == 0)
		comp_end(s, fx, "peer-error", "the component sent a stream error");
	else
		comp_fail(s, ev, fx, "unsupported-stanza-type",
			  "this element is not expected here");
}

static void on_end(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	(void)ev;
	comp_end(s, fx, "closed", "the component closed its stream");
}

static void on_stop(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	comp_fail(s, ev, fx, ev->condition, ev->text);
}

static void on_lost(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	comp_lose(s, ev, fx, ev->condition, ev->text);
}

static void on_late(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	static const char *const text[COMP_STATES] = {
		[COMP_OPENING] = "no stream header in time",
		[COMP_SECURING] = "the TLS handshake was not done in time",
		[COMP_SECURED] = "no stream header in time",
		[COMP_OFFERED] = "no <handshake/> in time",
		[COMP_BOUND] = "nothing was heard from you for too long",
	};

	comp_lose(s, ev, fx, "connection-timeout", text[s->state] ? text[s->state] : "too late");
}

/* The table of contents: what each state does with each event. What has no entry of its own falls
 * to defaults[], and what has none there is ignored. */
static const struct {
	const char *name;
	bool waiting;
	step_fn *on[COMP_EVENTS];
} states[COMP_STATES] = {
	[COMP_OPENING] = {"opening", false, {[COMP_EV_HEADER] = comp_on_header}},
	[COMP_SECURING] = {"securing", false, {[COMP_EV_SECURE] = comp_on_secure}},
	[COMP_SECURED] = {"secured", false, {[COMP_EV_HEADER] = comp_on_header}},
	[COMP_LOOKING] = {"looking",
			  true,
			  {[COMP_EV_ACCOUNT] = comp_on_account,
			   [COMP_EV_ACCOUNT_FAILED] = on_stop,
			   [COMP_EV_LATE] = comp_on_account_late}},
	[COMP_OFFERED] = {"offered", false, {[COMP_EV_ELEMENT] = comp_on_offered}},
	[COMP_CHECKING] = {"checking",
			   true,
			   {[COMP_EV_ACCOUNT] = comp_on_checked,
			    [COMP_EV_ACCOUNT_FAILED] = on_stop,
			    [COMP_EV_LATE] = comp_on_account_late}},
	[COMP_BINDING] = {"binding",
			  true,
			  {[COMP_EV_BOUND] = comp_on_bound,
			   [COMP_EV_BIND_REFUSED] = comp_on_bind_refused,
			   [COMP_EV_LATE] = comp_on_bind_late}},
	[COMP_RESUMING] = {"resuming",
			   true,
			   {[COMP_EV_RESUMED] = comp_on_resumed,
			    [COMP_EV_RESUME_REFUSED] = comp_on_resume_refused,
			    [COMP_EV_LATE] = comp_on_resume_late}},
	[COMP_BOUND] = {"bound",
			false,
			{[COMP_EV_STANZA] = comp_on_stanza,
			 [COMP_EV_ELEMENT] = comp_on_element,
			 [COMP_EV_PROBE] = comp_on_probe,
			 [COMP_EV_ENABLED] = comp_on_enabled,
			 [COMP_EV_HELD] = comp_on_held,
			 [COMP_EV_FLUSH] = comp_on_flush,
			 [COMP_EV_ASK_AGAIN] = comp_on_ask_again,
			 [COMP_EV_ACK_LATE] = comp_on_ack_late,
			 [COMP_EV_ACK_RANGE] = comp_on_ack_range,
			 [COMP_EV_MOVED] = comp_on_moved}},
	[COMP_CLOSED] = {"closed", false, {0}},
};

static step_fn *const defaults[COMP_EVENTS] = {
	[COMP_EV_ELEMENT] = refuse_element, [COMP_EV_END] = on_end,   [COMP_EV_BROKEN] = on_stop,
	[COMP_EV_STOP] = on_stop,	    [COMP_EV_LATE] = on_late, [COMP_EV_LOST] = on_lost,
};

void comp_stream_step(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	step_fn *f = states[s->state].on[ev->kind];

	cm_effects_reset(fx);
	if (s->state == COMP_CLOSED)
		return;
	if (!f)
		f = defaults[ev->kind];
	if (f)
		f(s, ev, fx);
}

struct comp_stream *comp_stream_new(const struct comp_rules *rules)
{
	struct comp_stream *s = xcalloc(1, sizeof(*s));

	s->rules = rules;
	return s;
}

void comp_stream_free(struct comp_stream **sp)
{
	struct comp_stream *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	free(s->jid);
	free(s->host);
	free(s->previd);
	free(s);
}

void comp_stream_direct_tls(struct comp_stream *s)
{
	check(s->state == COMP_OPENING);
	s->state = COMP_SECURING;
}

enum comp_state comp_stream_state(const struct comp_stream *s)
{
	return s->state;
}

const char *comp_state_name(enum comp_state state)
{
	return states[state].name;
}

bool comp_state_is_waiting(enum comp_state state)
{
	return states[state].waiting;
}

const char *comp_event_name(enum comp_event_kind kind)
{
	static const char *const names[COMP_EVENTS] = {
		[COMP_EV_HEADER] = "header",
		[COMP_EV_ELEMENT] = "element",
		[COMP_EV_STANZA] = "stanza",
		[COMP_EV_END] = "end",
		[COMP_EV_BROKEN] = "broken",
		[COMP_EV_SECURE] = "secure",
		[COMP_EV_ACCOUNT] = "account",
		[COMP_EV_ACCOUNT_FAILED] = "account-failed",
		[COMP_EV_BOUND] = "bound",
		[COMP_EV_BIND_REFUSED] = "bind-refused",
		[COMP_EV_STOP] = "stop",
		[COMP_EV_LATE] = "late",
		[COMP_EV_PROBE] = "probe",
		[COMP_EV_ENABLED] = "enabled",
		[COMP_EV_HELD] = "held",
		[COMP_EV_FLUSH] = "flush",
		[COMP_EV_ACK_LATE] = "ack-late",
		[COMP_EV_ASK_AGAIN] = "ask-again",
		[COMP_EV_ACK_RANGE] = "ack-range",
		[COMP_EV_RESUMED] = "resumed",
		[COMP_EV_RESUME_REFUSED] = "resume-refused",
		[COMP_EV_LOST] = "lost",
		[COMP_EV_MOVED] = "moved",
	};

	return names[kind];
}

bool comp_stream_is_open(const struct comp_stream *s)
{
	return s->open;
}

struct slice comp_stream_id(const struct comp_stream *s)
{
	return slice_str(s->id);
}

struct slice comp_stream_jid(const struct comp_stream *s)
{
	return slice_str(s->jid);
}

struct slice comp_stream_host(const struct comp_stream *s)
{
	return slice_str(s->host);
}

const struct cm_sm *comp_stream_sm(const struct comp_stream *s)
{
	return &s->sm;
}
