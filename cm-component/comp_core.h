/*
 * comp_core - what comp_stream.c, comp_handshake.c and comp_bound.c share; nobody else includes it.
 */
#ifndef CM_COMPONENT_COMP_CORE_H
#define CM_COMPONENT_COMP_CORE_H

#include "cm-component/comp_stream.h"

#define COMP_ID_MAX 24

struct comp_stream {
	const struct comp_rules *rules;
	enum comp_state state;
	bool secure;
	bool open;   /* our header of the present stream was sent */
	bool modern; /* its header said version 1.0: gets features */
	char id[COMP_ID_MAX];
	char *jid;    /* of the stream header; NULL before */
	char *host;   /* the served domain that it is of */
	char *previd; /* <resume/> came; NULL = it did not */
	uint32_t resume_h;
	struct cm_sm sm;
	bool probe_owed;	/* <r/> when <enabled/> was said */
	char ping[COMP_ID_MAX]; /* id of our ping that is not answered; "" = none */
};

/* Says the stream error (with a header, if none was sent yet: RFC 6120 4.9.1.2) and closes. */
void comp_fail(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx,
	       const char *condition, const char *text);

/* The same with an application's own element behind the text (RFC 6120 4.9.4). */
void comp_fail_with(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx,
		    const char *condition, const char *text, const char *element);

/* Says </stream:stream> and closes. */
void comp_end(struct comp_stream *s, struct cm_effects *fx, const char *why, const char *text);

/* The connection is no good any more: what can be resumed is left unclosed, the rest hears why. */
void comp_lose(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx,
	       const char *condition, const char *text);

void comp_write_header(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);

/* comp_handshake.c: XEP-0114 section 3, up to <handshake/> */
void comp_on_header(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_account(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_checked(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_account_late(struct comp_stream *s, const struct comp_event *ev,
			  struct cm_effects *fx);
void comp_on_offered(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_secure(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_bound(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_bind_refused(struct comp_stream *s, const struct comp_event *ev,
			  struct cm_effects *fx);
void comp_on_bind_late(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_resumed(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_resume_refused(struct comp_stream *s, const struct comp_event *ev,
			    struct cm_effects *fx);
void comp_on_resume_late(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);

/* comp_bound.c: stanzas, probes, XEP-0198 */
void comp_on_stanza(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_element(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_probe(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_enabled(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_held(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_flush(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_ask_again(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_ack_late(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_ack_range(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);
void comp_on_moved(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);

#endif
