/*
 * c2s_registration - XEP-0077 before login, as the core of a stream sees it: a new account by name
 * and password, inside TLS only. What is done with an account after login is session/'s.
 */
#include <stdlib.h>

#include "base/xmem.h"
#include "cm-client/c2s_core.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

#define PASSWORD_MAX 1023 /* as for logins */

void c2s_registration_feature(const struct c2s_stream *s, struct str *out)
{
	if (s->secure && s->rules->registration)
		str_adds(out, "<register xmlns='" NS_REGISTER_FEATURE "'/>");
}

static const struct xml_node *query_of(const struct xml_node *iq)
{
	return xml_child(iq, NS_REGISTER, "query");
}

bool c2s_is_registration(const struct c2s_stream *s, const struct xml_node *t)
{
	const char *type = xml_attr(t, "type"), *to = xml_attr(t, "to");

	return s->secure && xml_is(t, NS_CLIENT, "iq") && query_of(t) && type &&
	       (strcmp(type, "get") == 0 || strcmp(type, "set") == 0) && xml_attr(t, "id") &&
	       (!to || strcmp(to, s->domain) == 0);
}

static void iq_open(const struct c2s_stream *s, struct str *out, const char *type, const char *id)
{
	str_addf(out, "<iq type='%s'", type);
	xml_out_attr(out, "id", slice_str(id));
	xml_out_attr(out, "from", slice_str(s->domain));
	str_addc(out, '>');
}

/* XEP-0077 section 8 wants the numbers of XEP-0086 as well. */
static int old_code(const char *condition)
{
	static const struct {
		const char *condition;
		int code;
	} codes[] = {
		{"conflict", 409},
		{"not-acceptable", 406},
		{"not-allowed", 405},
		{"resource-constraint", 500},
		{"service-unavailable", 503},
		{"bad-request", 400},
		{"unexpected-request", 400},
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(condition, codes[i].condition) == 0)
			return codes[i].code;
	return 500;
}

static void iq_error(const struct c2s_stream *s, struct cm_effects *fx, const char *id,
		     const char *condition, const char *text)
{
	struct str *out = cm_out(fx);
	struct str error = STR_INIT;

	cm_note(fx, "register_refused", condition, text);
	iq_open(s, out, "error", id);
	stanza_error_write(&error, stanza_error_find(slice_str(condition)), text);
	str_addf(out, "<error code='%d'%s</iq>", old_code(condition),
		 error.data + strlen("<error"));
	str_clear(&error);
	cm_out_end(fx);
}

/* Who asks again and again is sent away, as at a login (section 3.1.1). */
static void refuse(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx,
		   const char *id, const char *condition, const char *text)
{
	iq_error(s, fx, id, condition, text);
	s->state = C2S_LOGIN;
	if (++s->failures >= s->rules->login_attempts)
		c2s_fail(s, ev, fx, "policy-violation",
			 "too many refused registrations on this stream");
}

static void say_fields(const struct c2s_stream *s, struct cm_effects *fx, const char *id)
{
	struct str *out = cm_out(fx);

	iq_open(s, out, "result", id);
	str_adds(out, "<query xmlns='" NS_REGISTER "'><instructions>Choose a user name and a "
		      "password.</instructions><username/><password/></query></iq>");
	cm_out_end(fx);
}

static void ask(struct c2s_stream *s, struct cm_effects *fx, const char *id, const char *user,
		const char *password)
{
	struct cm_effect *e = cm_effect(fx, C2S_FX_REGISTER);
	size_t at = strlen(user) + 1;

	str_add(&fx->scratch, user, at); /* with its NUL */
	str_adds(&fx->scratch, password);
	e->data = slice_of(fx->scratch.data, at - 1);
	e->text = fx->scratch.data + at;
	free(s->bind_id);
	s->bind_id = xstrdup(id);
	s->state = C2S_REGISTERING;
}

static void on_set(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx,
		   const char *id)
{
	const struct xml_node *query = query_of(ev->tree);
	const char *name = xml_child_text(query, NS_REGISTER, "username");
	const char *password = xml_child_text(query, NS_REGISTER, "password");
	char user[JID_PART_MAX + 1];

	if (xml_child(query, NS_REGISTER, "remove")) /* section 3.2, table 1 */
		refuse(s, ev, fx, id, "unexpected-request", "log in to remove your account");
	else if (s->registered) /* section 3.1.1 */
		refuse(s, ev, fx, id, "not-acceptable", "you have an account now: log in");
	else if (!name || !*name || !password || !*password)
		refuse(s, ev, fx, id, "not-acceptable", "a user name and a password are needed");
	else if (jid_prepare_local(user, slice_str(name)) != ERR_OK || !*user)
		refuse(s, ev, fx, id, "not-acceptable",
		       "this cannot be a user name (RFC 7622 3.3)");
	else if (strlen(password) > PASSWORD_MAX)
		refuse(s, ev, fx, id, "not-acceptable", "the password is too long");
	else
		ask(s, fx, id, user, password);
}

void c2s_on_registration(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	const char *id = xml_attr(ev->tree, "id");

	if (!s->rules->registration) /* section 3.1 */
		refuse(s, ev, fx, id, "service-unavailable", "accounts cannot be registered here");
	else if (strcmp(xml_attr(ev->tree, "type"), "get") == 0)
		say_fields(s, fx, id);
	else
		on_set(s, ev, fx, id);
}

void c2s_on_registered(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	(void)ev;
	iq_open(s, cm_out(fx), "result", s->bind_id);
	str_adds(cm_out(fx), "</iq>");
	cm_out_end(fx);
	s->registered = true;
	s->state = C2S_LOGIN;
}

void c2s_on_register_failed(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	refuse(s, ev, fx, s->bind_id, ev->condition, ev->text);
}

/* A server that is not ready is not the client's fault. */
void c2s_on_register_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx)
{
	(void)ev;
	cm_effect(fx, C2S_FX_REGISTER_DROP);
	iq_error(s, fx, s->bind_id, "resource-constraint",
		 "the account store does not answer now: try again later");
	s->state = C2S_LOGIN;
}
