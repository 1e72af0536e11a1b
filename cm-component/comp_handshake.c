/*
 * comp_handshake - from the stream header to <handshake/> (XEP-0114 section 3), with STARTTLS (RFC
 * 6120 5) and the resumption of an earlier session (XEP-0198 section 5, our extension: <resume/>
 * comes before <handshake/>, and is answered after a good digest).
 */
#include <stdlib.h>

#include "base/xmem.h"
#include "cm-component/comp_core.h"
#include "xmpp/ns.h"
#include "xmpp/xml_tree.h"

/* Only who says version 1.0 (RFC 6120 4.7.5) and who he is (4.7.1) gets features. XEP-0114 knows
 * neither; libraries that say 1.0 all the same (@xmpp/component) would take them for the answer to
 * their handshake. */
static bool is_modern(const struct xml_stream_header *h)
{
	struct slice v = h->version;
	size_t i = 0;
	bool some = false;

	if (h->from.len == 0)
		return false;
	for (; i < v.len && v.data[i] >= '0' && v.data[i] <= '9'; i++)
		some = some || v.data[i] != '0';
	return some && i + 1 < v.len && v.data[i] == '.';
}

/* What is wrong with the header, as a stream error condition; NULL when nothing is. */
static const char *judge_header(struct comp_stream *s, const struct xml_stream_header *h,
				const char **text)
{
	char name[JID_PART_MAX + 1];

	*text = NULL;
	if (!slice_is(h->ns, NS_STREAM))
		return "invalid-namespace";
	if (!slice_is(h->name, "stream"))
		return "bad-format";
	if (!slice_is(h->prefix, "stream"))
		return "bad-namespace-prefix";
	if (slice_is(h->content, NS_CLIENT)) {
		*text = "this port is for components: clients connect to the client port";
		return "invalid-namespace";
	}
	if (!slice_is(h->content, NS_COMPONENT)) {
		*text = "this port is for components: the default namespace must be " NS_COMPONENT;
		return "invalid-namespace";
	}
	if (h->to.len == 0) {
		*text = "the stream must name the component's domain in its to attribute";
		return "host-unknown";
	}
	if (jid_prepare_domain(name, h->to) != ERR_OK) {
		*text = "the to attribute is not a domain";
		return "host-unknown";
	}
	s->jid = xstrdup(name);
	return NULL;
}

void comp_on_header(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	const char *text;
	const char *condition = judge_header(s, ev->header, &text);

	s->modern = is_modern(ev->header);
	if (condition) {
		comp_fail(s, ev, fx, condition, text);
		return;
	}
	cm_effect(fx, COMP_FX_LOOKUP);
	s->state = COMP_LOOKING;
}

static void write_features(const struct comp_stream *s, struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	if (!s->modern)
		return;
	str_adds(out, "<stream:features>");
	if (!s->secure)
		str_adds(out, s->rules->tls_required ? "<starttls xmlns='" NS_TLS
						       "'><required/></starttls>"
						     : "<starttls xmlns='" NS_TLS "'/>");
	str_adds(out, "<sm xmlns='" NS_SM3 "'/></stream:features>");
	cm_out_end(fx);
}

void comp_on_account(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	free(s->host);
	s->host = xstrndup(ev->host.data, ev->host.len);
	comp_write_header(s, ev, fx);
	write_features(s, fx);
	s->state = COMP_OFFERED;
}

void comp_on_account_late(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	comp_fail(s, ev, fx, "resource-constraint",
		  "the datastore does not answer now: try again later");
}

static void on_starttls(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	/* Plain bytes behind it would be taken for protected ones (5.4.3.3): refused (5.4.2.2). */
	if (ev->pipelined) {
		str_adds(out, "<failure xmlns='" NS_TLS "'/>");
		comp_end(s, fx, "starttls-failure", "plain bytes came behind <starttls/>");
		return;
	}
	str_adds(out, "<proceed xmlns='" NS_TLS "'/>");
	cm_out_end(fx);
	cm_effect(fx, CM_FX_START_TLS);
	s->state = COMP_SECURING;
	s->open = false;
}

static void ask_to_bind(struct comp_stream *s, struct cm_effects *fx)
{
	cm_effect(fx, CM_FX_BIND);
	s->state = COMP_BINDING;
}

/* The account is asked for again: what was revoked or changed since the header counts. */
static void on_handshake(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	if (s->rules->tls_required && !s->secure) {
		comp_fail(s, ev, fx, "policy-violation",
			  "this port takes components inside TLS only");
		return;
	}
	cm_effect(fx, COMP_FX_LOOKUP)->data = slice_str(ev->tree->text);
	s->state = COMP_CHECKING;
}

void comp_on_checked(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	struct cm_effect *e;

	if (!ev->proven) {
		comp_fail(s, ev, fx, "not-authorized", "the digest is not right");
		return;
	}
	if (!s->previd) {
		ask_to_bind(s, fx);
		return;
	}
	e = cm_effect(fx, CM_FX_RESUME);
	e->data = slice_str(s->previd);
	e->number = s->resume_h;
	s->state = COMP_RESUMING;
}

/* Kept until the digest says who it is. The last one counts. */
static void on_resume(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	const char *previd = cm_sm_parse_resume(ev->tree, &s->resume_h);

	if (!previd) {
		cm_sm_refuse(fx, "bad-request", "<resume/> needs a previd and a number h");
		return;
	}
	free(s->previd);
	s->previd = xstrdup(previd);
}

void comp_on_offered(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	const struct xml_node *t = ev->tree;

	if (xml_is(t, NS_COMPONENT, "handshake"))
		on_handshake(s, ev, fx);
	else if (!s->secure && xml_is(t, NS_TLS, "starttls"))
		on_starttls(s, ev, fx);
	else if (xml_is(t, NS_SM3, "resume"))
		on_resume(s, ev, fx);
	else if (strcmp(t->ns, NS_SM3) == 0)
		cm_sm_refuse(fx, "unexpected-request", "say <handshake/> first");
	else if (strcmp(t->ns, NS_COMPONENT) == 0)
		comp_fail(s, ev, fx, "not-authorized", "say <handshake/> before you send stanzas");
	else if (strcmp(t->ns, NS_STREAM) == 0)
		comp_end(s, fx, "peer-error", "the component sent a stream error");
	else
		comp_fail(s, ev, fx, "unsupported-stanza-type",
			  "this element is not expected here");
}

/* What was said before TLS is forgotten (RFC 6120 5.4.3.3). */
void comp_on_secure(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	(void)ev;
	cm_effect(fx, CM_FX_RESTART);
	s->secure = true;
	s->open = false;
	s->modern = false;
	s->id[0] = 0;
	free(s->jid);
	free(s->host);
	free(s->previd);
	s->jid = s->host = s->previd = NULL;
	s->state = COMP_SECURED;
}

void comp_on_bound(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	(void)ev;
	str_adds(cm_out(fx), "<handshake/>");
	cm_out_end(fx);
	s->state = COMP_BOUND;
}

/* The router refuses with conditions of stanza errors (RFC 6120 8.3.3); a component hears those of
 * streams (4.9.3). */
static const char *stream_condition(const char *condition)
{
	static const char *const same[] = {"conflict", "resource-constraint", "policy-violation",
					   "not-authorized", "internal-server-error"};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (strcmp(condition, same[i]) == 0)
			return same[i];
	if (strcmp(condition, "item-not-found") == 0)
		return "host-unknown";
	return strcmp(condition, "not-allowed") == 0 ? "policy-violation" : "undefined-condition";
}

void comp_on_bind_refused(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	comp_fail(s, ev, fx, stream_condition(ev->condition), ev->text);
}

void comp_on_bind_late(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	comp_fail(s, ev, fx, "resource-constraint",
		  "the router does not answer now: try again later");
}

void comp_on_resumed(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	cm_sm_resumed(&s->sm, ev->data, ev->h, s->resume_h, fx);
	s->state = COMP_BOUND;
}

/* A session anew instead. */
void comp_on_resume_refused(struct comp_stream *s, const struct comp_event *ev,
			    struct cm_effects *fx)
{
	cm_sm_refuse(fx, ev->condition, ev->text);
	ask_to_bind(s, fx);
}

void comp_on_resume_late(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx)
{
	comp_fail(s, ev, fx, "resource-constraint",
		  "the router does not answer now: try again later");
}
