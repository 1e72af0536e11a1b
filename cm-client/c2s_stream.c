#include "cm-client/c2s_stream.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"
#include "cm-client/c2s_core.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

typedef void step_fn(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);

/* RFC 6120 4.7: our header; to is what the peer called itself, if it did. */
static void write_header(struct c2s_stream *s, const struct c2s_event *ev, struct slice to,
			 struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	str_adds(out, "<?xml version='1.0'?><stream:stream xmlns='" NS_CLIENT
		      "' xmlns:stream='" NS_STREAM "'");
	str_addf(out, " id='%016llx'", (unsigned long long)ev->fresh);
	xml_out_attr(out, "from", slice_str(s->domain ? s->domain : s->rules->domains[0]));
	xml_out_attr(out, "to", to);
	str_adds(out, " version='1.0' xml:lang='en'>");
	cm_out_end(fx);
	s->open = true;
}

void c2s_end(struct c2s_stream *s, struct cm_effects *fx, const char *why, const char *text)
{
	struct cm_effect *e;

	if (s->open)
		str_adds(cm_out(fx), "</stream:stream>");
	cm_out_end(fx);
	if (s->state == C2S_CHECKING || s->state == C2S_ASKED)
		cm_effect(fx, C2S_FX_AUTH_DROP);
	e = cm_effect(fx, CM_FX_CLOSE);
	e->name = why;
	e->text = text;
	s->state = C2S_CLOSED;
}

void c2s_fail(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx,
	      const char *condition, const char *text)
{
	c2s_fail_with(s, ev, fx, condition, text, "");
}

void c2s_fail_with(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx,
		   const char *condition, const char *text, const char *element)
{
	struct str *out = cm_out(fx);

	if (s->state == C2S_SECURING) { /* between two streams nothing can be said */
		s->open = false;
		c2s_end(s, fx, condition, text);
		return;
	}
	if (!s->open)
		write_header(s, ev, SLICE_NONE, fx);
	cm_write_error(out, condition, text, element);
	c2s_end(s, fx, condition, text);
}

static const char *find_domain(const struct c2s_rules *r, struct slice name)
{
	for (const char *const *d = r->domains; *d; d++)
		if (slice_is(name, *d))
			return *d;
	return NULL;
}

/* RFC 6120 4.7.5: "1.0", "1.1" and higher majors are answered with 1.0; less is not spoken here. */
static bool version_spoken(struct slice v)
{
	size_t i = 0;
	bool some = false;

	for (; i < v.len && v.data[i] >= '0' && v.data[i] <= '9'; i++)
		some = some || v.data[i] != '0';
	return some && i + 1 < v.len && v.data[i] == '.';
}

/* What is wrong with the header, as a stream error condition; NULL when nothing is. */
static const char *judge_header(struct c2s_stream *s, const struct xml_stream_header *h,
				const char **text)
{
	struct jid to = JID_NONE;
	const char *condition = NULL, *domain = NULL;

	*text = NULL;
	if (!slice_is(h->ns, NS_STREAM))
		return "invalid-namespace";
	if (!slice_is(h->name, "stream"))
		return "bad-format";
	if (!slice_is(h->prefix, "stream"))
		return "bad-namespace-prefix";
	if (slice_is(h->content, NS_COMPONENT)) {
		*text = s->rules->component_hint;
		return "invalid-namespace";
	}
	if (!slice_is(h->content, NS_CLIENT)) {
		*text = "this port is for clients: the default namespace must be " NS_CLIENT;
		return "invalid-namespace";
	}
	if (!version_spoken(h->version)) {
		*text = "only streams of version 1.0 are spoken here";
		return "unsupported-version";
	}
	if (jid_parse(&to, h->to) != ERR_OK || to.local.len || to.resource.len) {
		*text = "the stream must name a domain of this server in its to attribute";
		condition = "improper-addressing";
	} else if (!(domain = find_domain(s->rules, jid_full(&to)))) {
		*text = "this domain is not served here";
		condition = "host-unknown";
	} else if (s->bare && strcmp(domain, s->domain) != 0) {
		*text = "you authenticated for another domain";
		condition = "not-authorized";
	} else {
		free(s->domain);
		s->domain = xstrdup(domain);
	}
	jid_clear(&to);
	return condition;
}

/* XEP-0478 */
static void write_limits(const struct c2s_stream *s, struct str *out)
{
	uint32_t bytes = s->rules->max_bytes[s->bare != NULL];
	uint32_t idle = s->rules->idle_s[s->bare != NULL];

	if (!bytes)
		return;
	str_addf(out, "<limits xmlns='" NS_STREAM_LIMITS "'><max-bytes>%u</max-bytes>", bytes);
	if (idle)
		str_addf(out, "<idle-seconds>%u</idle-seconds>", idle);
	str_adds(out, "</limits>");
}

static void write_features(struct c2s_stream *s, struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	str_adds(out, "<stream:features>");
	if (!s->secure && !s->bare)
		str_addf(out, "<starttls xmlns='" NS_TLS "'>%s</starttls>",
			 s->rules->tls_required ? "<required/>" : "");
	if (s->bare) {
		c2s_bind_features(out);
		c2s_sm_features(out);
		/* RFC 6121 2.6.1, 3.4: what session/ does. */
		str_adds(out, "<ver xmlns='" NS_ROSTERVER "'/><sub xmlns='" NS_PREAPPROVAL "'/>");
		if (s->rules->csi)
			str_adds(out, "<csi xmlns='" NS_CSI "'/>");
		write_limits(s, out);
	} else if (s->secure || !s->rules->tls_required) {
		c2s_auth_features(s, out);
		c2s_registration_feature(s, out);
		write_limits(s, out);
	}
	str_adds(out, "</stream:features>");
	cm_out_end(fx);
}

static void on_header(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	const char *text;
	const char *condition = judge_header(s, ev->header, &text);
	struct jid from = JID_NONE;

	if (condition) {
		c2s_fail(s, ev, fx, condition, text);
		return;
	}
	if (ev->header->from.len)
		jid_parse(&from, ev->header->from);
	write_header(s, ev, from.text ? jid_full(&from) : SLICE_NONE, fx);
	jid_clear(&from);
	write_features(s, fx);
	s->state = s->bare ? C2S_BINDABLE : s->secure ? C2S_LOGIN : C2S_OFFERED;
}

/* RFC 6120 4.9.3.12, 4.9.3.24 */
static void refuse_element(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	if (strcmp(ev->tree->ns, NS_CLIENT) == 0)
		c2s_fail(s, ev, fx, "not-authorized",
			 s->bare ? "bind a resource before you send stanzas"
				 : "log in before you send stanzas");
	else if (strcmp(ev->tree->ns, NS_STREAM) == 0)
		c2s_end(s, fx, "peer-error", "the client sent a stream error");
	else if (strcmp(ev->tree->ns, NS_SM3) == 0) /* XEP-0198 section 3 */
		cm_sm_refuse(fx, "unexpected-request", "log in first");
	else
		c2s_fail(s, ev, fx, "unsupported-stanza-type", "this element is not expected here");
}

static void on_starttls(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	/* Whoever puts bytes behind <starttls/> hopes that they are taken for protected ones
	 * (5.4.3.3): refused with <failure/>, end of stream, end of connection (5.4.2.2). */
	if (ev->pipelined) {
		str_adds(out, "<failure xmlns='" NS_TLS "'/>");
		c2s_end(s, fx, "starttls-failure", "plain bytes came behind <starttls/>");
		return;
	}
	str_adds(out, "<proceed xmlns='" NS_TLS "'/>");
	cm_out_end(fx);
	cm_effect(fx, CM_FX_START_TLS);
	s->state = C2S_SECURING;
	s->open = false;
}

static void on_offered(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	if (!s->secure && xml_is(ev->tree, NS_TLS, "starttls"))
		on_starttls(s, ev, fx);
	else if (xml_is(ev->tree, NS_SASL, "auth") || xml_is(ev->tree, NS_SASL, "abort") ||
		 xml_is(ev->tree, NS_SASL, "response"))
		c2s_on_auth(s, ev, fx);
	else if (c2s_is_registration(s, ev->tree))
		c2s_on_registration(s, ev, fx);
	else
		refuse_element(s, ev, fx);
}

static void on_secure(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	cm_effect(fx, CM_FX_RESTART);
	s->secure = true;
	s->exporter = ev->exporter;
	s->unique = ev->unique;
	s->open = false;
	free(s->domain); /* what was said before TLS is forgotten (RFC 6120 5.4.3.3) */
	s->domain = NULL;
	s->state = C2S_SECURED;
}

static void on_end(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	(void)ev;
	c2s_end(s, fx, "closed", "the client closed its stream");
}

static void on_stop(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	c2s_fail(s, ev, fx, ev->condition, ev->text);
}

static void on_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	static const char *const text[C2S_STATES] = {
		[C2S_OPENING] = "no stream header in time",
		[C2S_OFFERED] = "no TLS in time",
		[C2S_SECURING] = "the TLS handshake was not done in time",
		[C2S_BOUND] = "nothing was heard from you for too long",
	};

	c2s_sm_lost(s, ev, fx, "connection-timeout",
		    text[s->state] ? text[s->state] : "no login in time");
}

/* The table of contents: what each state does with each event. What has no entry of its own falls
 * to defaults[], and what has none there is ignored. */
static const struct {
	const char *name;
	bool waiting;
	step_fn *on[C2S_EVENTS];
} states[C2S_STATES] = {
	[C2S_OPENING] = {"opening", false, {[C2S_EV_HEADER] = on_header}},
	[C2S_OFFERED] = {"offered", false, {[C2S_EV_ELEMENT] = on_offered}},
	[C2S_SECURING] = {"securing", false, {[C2S_EV_SECURE] = on_secure}},
	[C2S_SECURED] = {"secured", false, {[C2S_EV_HEADER] = on_header}},
	[C2S_LOGIN] = {"login", false, {[C2S_EV_ELEMENT] = on_offered}},
	[C2S_CHECKING] = {"checking",
			  true,
			  {[C2S_EV_CHALLENGE] = c2s_on_challenge,
			   [C2S_EV_AUTHENTICATED] = c2s_on_authenticated,
			   [C2S_EV_AUTH_FAILED] = c2s_on_auth_failed,
			   [C2S_EV_LATE] = c2s_on_auth_late}},
	[C2S_ASKED] = {"asked", false, {[C2S_EV_ELEMENT] = c2s_on_response}},
	[C2S_REGISTERING] = {"registering",
			     true,
			     {[C2S_EV_REGISTERED] = c2s_on_registered,
			      [C2S_EV_REGISTER_FAILED] = c2s_on_register_failed,
			      [C2S_EV_LATE] = c2s_on_register_late}},
	[C2S_PROVEN] = {"proven", false, {[C2S_EV_HEADER] = on_header}},
	[C2S_BINDABLE] = {"bindable", false, {[C2S_EV_ELEMENT] = c2s_on_bindable}},
	[C2S_BINDING] = {"binding",
			 true,
			 {[C2S_EV_BOUND] = c2s_on_bound,
			  [C2S_EV_BIND_REFUSED] = c2s_on_bind_refused,
			  [C2S_EV_LATE] = c2s_on_bind_late}},
	[C2S_RESUMING] = {"resuming",
			  true,
			  {[C2S_EV_RESUMED] = c2s_on_resumed,
			   [C2S_EV_RESUME_REFUSED] = c2s_on_resume_refused,
			   [C2S_EV_LATE] = c2s_on_resume_late}},
	[C2S_BOUND] = {"bound",
		       false,
		       {[C2S_EV_STANZA] = c2s_on_stanza,
			[C2S_EV_ELEMENT] = c2s_on_sm,
			[C2S_EV_ENABLED] = c2s_on_enabled,
			[C2S_EV_HELD] = c2s_on_held,
			[C2S_EV_FLUSH] = c2s_on_flush,
			[C2S_EV_ASK_AGAIN] = c2s_on_ask_again,
			[C2S_EV_ACK_LATE] = c2s_on_ack_late,
			[C2S_EV_ACK_RANGE] = c2s_on_ack_range,
			[C2S_EV_MOVED] = c2s_on_moved}},
	[C2S_CLOSED] = {"closed", false, {0}},
};

static step_fn *const defaults[C2S_EVENTS] = {
	[C2S_EV_ELEMENT] = refuse_element, [C2S_EV_END] = on_end,   [C2S_EV_BROKEN] = on_stop,
	[C2S_EV_STOP] = on_stop,	   [C2S_EV_LATE] = on_late, [C2S_EV_LOST] = c2s_on_lost,
};

void c2s_stream_step(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	step_fn *f = states[s->state].on[ev->kind];

	cm_effects_reset(fx);
	if (s->state == C2S_CLOSED)
		return;
	if (!f)
		f = defaults[ev->kind];
	if (f)
		f(s, ev, fx);
}

struct c2s_stream *c2s_stream_new(const struct c2s_rules *rules)
{
	struct c2s_stream *s = xcalloc(1, sizeof(*s));

	s->rules = rules;
	return s;
}

void c2s_stream_free(struct c2s_stream **sp)
{
	struct c2s_stream *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	free(s->domain);
	free(s->bare);
	free(s->full);
	free(s->bind_id);
	free(s);
}

void c2s_stream_direct_tls(struct c2s_stream *s)
{
	check(s->state == C2S_OPENING);
	s->state = C2S_SECURING;
}

bool c2s_stream_is_open(const struct c2s_stream *s)
{
	return s->open;
}

enum c2s_state c2s_stream_state(const struct c2s_stream *s)
{
	return s->state;
}

const char *c2s_state_name(enum c2s_state state)
{
	return states[state].name;
}

const char *c2s_event_name(enum c2s_event_kind kind)
{
	static const char *const names[C2S_EVENTS] = {
		[C2S_EV_HEADER] = "header",
		[C2S_EV_ELEMENT] = "element",
		[C2S_EV_STANZA] = "stanza",
		[C2S_EV_END] = "end",
		[C2S_EV_BROKEN] = "broken",
		[C2S_EV_SECURE] = "secure",
		[C2S_EV_CHALLENGE] = "challenge",
		[C2S_EV_AUTHENTICATED] = "authenticated",
		[C2S_EV_AUTH_FAILED] = "auth-failed",
		[C2S_EV_REGISTERED] = "registered",
		[C2S_EV_REGISTER_FAILED] = "register-failed",
		[C2S_EV_BOUND] = "bound",
		[C2S_EV_BIND_REFUSED] = "bind-refused",
		[C2S_EV_STOP] = "stop",
		[C2S_EV_LATE] = "late",
		[C2S_EV_ENABLED] = "enabled",
		[C2S_EV_HELD] = "held",
		[C2S_EV_FLUSH] = "flush",
		[C2S_EV_ACK_LATE] = "ack-late",
		[C2S_EV_ASK_AGAIN] = "ask-again",
		[C2S_EV_ACK_RANGE] = "ack-range",
		[C2S_EV_RESUMED] = "resumed",
		[C2S_EV_RESUME_REFUSED] = "resume-refused",
		[C2S_EV_LOST] = "lost",
		[C2S_EV_MOVED] = "moved",
	};

	return names[kind];
}

bool c2s_state_is_waiting(enum c2s_state state)
{
	return states[state].waiting;
}

struct slice c2s_stream_domain(const struct c2s_stream *s)
{
	return slice_str(s->domain);
}

struct slice c2s_stream_bare(const struct c2s_stream *s)
{
	return slice_str(s->bare);
}

struct slice c2s_stream_full(const struct c2s_stream *s)
{
	return slice_str(s->full);
}

struct slice c2s_stream_mechanism(const struct c2s_stream *s)
{
	return slice_str(s->mechanism);
}
