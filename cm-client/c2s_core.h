/*
 * c2s_core - what c2s_stream.c, c2s_auth.c, c2s_bind.c and c2s_sm.c share; nobody else includes it.
 */
#ifndef CM_CLIENT_C2S_CORE_H
#define CM_CLIENT_C2S_CORE_H

#include "cm-client/c2s_stream.h"
#include "xmpp/stanza_error.h"

struct c2s_stream {
	const struct c2s_rules *rules;
	enum c2s_state state;
	bool secure;
	bool exporter;
	bool unique;
	bool registered; /* XEP-0077: on this stream */
	bool open;	 /* our header of the present stream was sent */
	unsigned int failures;
	const char *mechanism; /* static; NULL before the first <auth/> */
	char *domain;	       /* of the stream header; NULL before */
	char *bare;
	char *full;
	struct cm_sm sm;
	char *bind_id; /* id of the IQ that asks for binding, while the router is asked; XEP-0077:
			  the datastore */
};

/* Says the stream error (with a header, if none was sent yet: RFC 6120 4.9.1.2) and closes. */
void c2s_fail(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx,
	      const char *condition, const char *text);

/* The same with an application's own element behind the text (RFC 6120 4.9.4). */
void c2s_fail_with(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx,
		   const char *condition, const char *text, const char *element);

/* Says </stream:stream> and closes. */
void c2s_end(struct c2s_stream *s, struct cm_effects *fx, const char *why, const char *text);

/* c2s_auth.c (RFC 6120 6) */
void c2s_auth_features(const struct c2s_stream *s, struct str *out);
void c2s_on_auth(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_response(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_challenge(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_authenticated(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_auth_failed(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_auth_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);

/* c2s_registration.c (XEP-0077 before login) */
void c2s_registration_feature(const struct c2s_stream *s, struct str *out);
bool c2s_is_registration(const struct c2s_stream *s, const struct xml_node *t);
void c2s_on_registration(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_registered(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_register_failed(struct c2s_stream *s, const struct c2s_event *ev,
			    struct cm_effects *fx);
void c2s_on_register_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);

/* c2s_bind.c (RFC 6120 7, RFC 3921 3) */
void c2s_bind_features(struct str *out);
void c2s_on_bindable(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_bound(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_bind_refused(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_bind_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_stanza(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);

/* c2s_sm.c (XEP-0198, XEP-0352) */
bool c2s_is_csi(const struct xml_node *t);
void c2s_on_csi(const struct xml_node *t, struct cm_effects *fx);
void c2s_sm_features(struct str *out);
/* Its elements while a resource may be bound: only <resume/> is in order. */
void c2s_sm_before_bind(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
/* The connection is no good any more: what can be resumed is left unclosed, the rest hears why. */
void c2s_sm_lost(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx,
		 const char *condition, const char *text);
void c2s_on_sm(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_enabled(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_held(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_flush(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_ask_again(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_ack_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_ack_range(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_resumed(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_resume_refused(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_resume_late(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_lost(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);
void c2s_on_moved(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);

#endif
