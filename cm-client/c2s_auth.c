/*
 * c2s_auth - SASL as a client's stream sees it (RFC 6120 6): elements in, elements out. Which
 * mechanism says what is the SASL engine's business (c2s_sasl).
 */
#include <stdlib.h>

#include "base/xmem.h"
#include "cm-client/c2s_base64.h"
#include "cm-client/c2s_core.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

static const struct {
	const char *name;
	bool binds; /* to the TLS channel */
	bool plain;
} mechanisms[] = {
	{"SCRAM-SHA-256-PLUS", true, false},
	{"SCRAM-SHA-1-PLUS", true, false},
	{"SCRAM-SHA-256", false, false},
	{"SCRAM-SHA-1", false, false},
	{"PLAIN", false, true},
};

#define MECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

static bool offered(const struct c2s_stream *s, size_t i)
{
	if (mechanisms[i].binds)
		return s->secure && (s->exporter || s->unique);
	if (mechanisms[i].plain)
		return s->secure && s->rules->plain_allowed;
	return true;
}

void c2s_auth_features(const struct c2s_stream *s, struct str *out)
{
	str_adds(out, "<mechanisms xmlns='" NS_SASL "'>");
	for (size_t i = 0; i < MECHANISMS; i++)
		if (offered(s, i))
			str_addf(out, "<mechanism>%s</mechanism>", mechanisms[i].name);
	str_adds(out, "</mechanisms>");
	if (!s->secure || !(s->exporter || s->unique))
		return;
	str_adds(out, "<sasl-channel-binding xmlns='" NS_SASL_CB "'>");
	if (s->exporter)
		str_adds(out, "<channel-binding type='tls-exporter'/>");
	if (s->unique)
		str_adds(out, "<channel-binding type='tls-unique'/>");
	str_adds(out, "</sasl-channel-binding>");
}

/* RFC 6120 6.4.5: the failure; after too many the stream ends. */
static void refuse(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx,
		   const char *condition, const char *text)
{
	struct str *out = cm_out(fx);

	cm_note(fx, "auth_failed", condition, text ? text : "");
	if (s->state == C2S_CHECKING || s->state == C2S_ASKED)
		cm_effect(fx, C2S_FX_AUTH_DROP);
	str_addf(out, "<failure xmlns='" NS_SASL "'><%s/>", condition);
	if (text && *text) {
		str_adds(out, "<text xml:lang='en'>");
		xml_out_text(out, slice_str(text));
		str_adds(out, "</text>");
	}
	str_adds(out, "</failure>");
	cm_out_end(fx);
	s->state = s->secure ? C2S_LOGIN : C2S_OFFERED;
	/* A server that is not ready is not the client's fault. */
	if (strcmp(condition, "temporary-auth-failure") == 0)
		return;
	if (++s->failures >= s->rules->login_attempts)
		c2s_fail(s, ev, fx, "policy-violation", "too many failed logins on this stream");
}

/* The data of <auth/> or <response/> to fx->scratch. "=" is data of no length (RFC 6120 6.4.2). */
static bool decode(const struct xml_node *n, struct cm_effects *fx)
{
	if (strcmp(n->text, "=") == 0)
		return true;
	return c2s_base64_decode(&fx->scratch, slice_str(n->text));
}

static void start(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx, size_t i)
{
	struct cm_effect *e;

	s->mechanism = mechanisms[i].name;
	if (!decode(ev->tree, fx)) {
		refuse(s, ev, fx, "incorrect-encoding", "the initial response is not base64");
		return;
	}
	e = cm_effect(fx, C2S_FX_AUTH_START);
	e->name = s->mechanism;
	e->data = str_slice(&fx->scratch);
	e->has_data = *ev->tree->text != '\0';
	s->state = C2S_CHECKING;
}

void c2s_on_auth(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	const char *name = xml_attr(ev->tree, "mechanism");

	if (!s->secure && s->rules->tls_required) {
		refuse(s, ev, fx, "encryption-required", "start TLS before you log in");
		return;
	}
	if (strcmp(ev->tree->name, "abort") == 0) {
		refuse(s, ev, fx, "aborted", NULL);
		return;
	}
	if (strcmp(ev->tree->name, "auth") != 0) {
		refuse(s, ev, fx, "malformed-request", "no login is under way: send <auth/>");
		return;
	}
	for (size_t i = 0; name && i < MECHANISMS; i++) {
		if (strcmp(name, mechanisms[i].name) != 0)
			continue;
		if (mechanisms[i].plain && !s->secure)
			refuse(s, ev, fx, "encryption-required", "PLAIN is taken inside TLS only");
		else if (!offered(s, i))
			break;
		else
			start(s, ev, fx, i);
		return;
	}
	refuse(s, ev, fx, "invalid-mechanism", "choose one of the mechanisms that were offered");
}

void c2s_on_response(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	struct cm_effect *e;

	if (xml_is(ev->tree, NS_SASL, "response")) {
		if (decode(ev->tree, fx)) {
			e = cm_effect(fx, C2S_FX_AUTH_DATA);
			e->data = str_slice(&fx->scratch);
			s->state = C2S_CHECKING;
			return;
		}
		refuse(s, ev, fx, "incorrect-encoding", "the response is not base64");
		return;
	}
	if (xml_is(ev->tree, NS_SASL, "abort"))
		refuse(s, ev, fx, "aborted", NULL);
	else if (xml_is(ev->tree, NS_SASL, "auth"))
		refuse(s, ev, fx, "malformed-request", "a login is under way: answer or abort it");
	else
		c2s_fail(s, ev, fx, "not-authorized", "finish the login first");
}

void c2s_on_challenge(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	str_adds(out, "<challenge xmlns='" NS_SASL "'>");
	c2s_base64_encode(out, ev->data);
	str_adds(out, "</challenge>");
	cm_out_end(fx);
	s->state = C2S_ASKED;
}

void c2s_on_authenticated(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	struct str *out = cm_out(fx);

	str_adds(out, "<success xmlns='" NS_SASL "'>");
	c2s_base64_encode(out, ev->data);
	str_adds(out, "</success>");
	cm_out_end(fx);
	cm_effect(fx, C2S_FX_AUTH_DROP);
	cm_effect(fx, CM_FX_RESTART); /* RFC 6120 6.4.6 */
	s->bare = xasprintf("%.*s@%s", SLICE_ARG(ev->user), s->domain);
	s->open = false;
	s->state = C2S_PROVEN;
}

void c2s_on_auth_failed(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	refuse(s, ev, fx, ev->condition, ev->text);
}

void c2s_on_auth_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	refuse(s, ev, fx, "temporary-auth-failure",
	       "the account store does not answer now: try again later");
}
