/*
 * bridge_stream - the component's side of a stream (XEP-0114) as a state machine: header, STARTTLS,
 * handshake, and stream management (XEP-0198) where the server offers it.
 *
 * Pure: same state + same event = same effects. No socket, clock, log or TLS. The shell
 * (bridge_link) turns bytes and timers into events and carries out the effects. Stanzas do not come
 * here: when the stream is live they go their own, short way.
 *
 * XEP-0198 on component streams is an extension of Roundhouse: <sm/> stands in the features, which
 * come because our header says version='1.0'; <enable/> follows <handshake/>; <resume/> stands
 * before our <handshake/>, and a good digest is answered with <resumed/>, or with <failed/> and
 * <handshake/>. Elsewhere (Prosody, ejabberd) there is no <sm/>, and the stream is plain.
 */
#ifndef CALLBRIDGE_BRIDGE_STREAM_H
#define CALLBRIDGE_BRIDGE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "callbridge/bridge_cause.h"
#include "xmpp/xml_in.h"

struct xml_node;

enum bridge_tls { BRIDGE_TLS_NONE, BRIDGE_TLS_OPTIONAL, BRIDGE_TLS_REQUIRED, BRIDGE_TLS_DIRECT };

enum bridge_state {
	BRIDGE_OPENING,	 /* our header is sent; waits for the server's */
	BRIDGE_OFFERED,	 /* waits for <stream:features/>, a little */
	BRIDGE_ASKED,	 /* <starttls/> is sent */
	BRIDGE_SECURING, /* TLS handshake */
	BRIDGE_PROVING,	 /* <handshake/> is sent */
	BRIDGE_LIVE,	 /* stanzas pass */
	BRIDGE_OVER,	 /* the effects said why */
	BRIDGE_STATES,
};

/* Stream management; outlives connections, so that the next one can resume. */
struct bridge_sm {
	struct str id;	/* for <resume/>; empty: nothing to resume */
	bool counts_in; /* <enabled/> came: what the server sends is counted */
	bool asked;	/* <enable/> was sent: what we send is counted */
	uint32_t in;	/* of the server's counted stanzas those that are handled */
	uint32_t acked; /* of ours those that the server has handled */
};

void bridge_sm_init(struct bridge_sm *sm);
void bridge_sm_clear(struct bridge_sm *sm);

struct bridge_stream {
	enum bridge_state state;
	enum bridge_tls tls;
	const char *jid; /* the component's; borrowed */
	struct slice secret;
	struct bridge_sm *sm;
	bool secure;
	bool sm_offered;
	bool resuming;
	struct str id; /* of the stream */
};

enum bridge_event_kind {
	BRIDGE_EV_HEADER,  /* header */
	BRIDGE_EV_ELEMENT, /* tree: no stanza, or the stream is not live */
	BRIDGE_EV_END,	   /* the server closed its stream */
	BRIDGE_EV_BROKEN,  /* text: what came is not XML that we take */
	BRIDGE_EV_SECURE,  /* the TLS handshake is done */
	BRIDGE_EV_LATE,	   /* BRIDGE_OFFERED has lasted long enough */
};

struct bridge_event {
	enum bridge_event_kind kind;
	const struct xml_stream_header *header;
	const struct xml_node *tree;
	const char *text;
};

/* What is to be done, in this order. */
struct bridge_effects {
	struct str write;
	bool new_stream; /* the framer forgets */
	bool start_tls;	 /* after what was written */
	bool has_h; /* the server has handled what we sent up to h: before what live asks for */
	uint32_t h;
	bool live;
	bool resumed;	/* with live: the session goes on */
	bool enabled;	/* the server counts, and so do we */
	bool disabled;	/* it refused to: from now on a plain stream */
	bool wants_ack; /* <r/> came */
	bool over;
	bool blames; /* with over: the server's stream error is about what we have sent */
	enum bridge_cause cause;
	struct str detail; /* of over: for the log */
};

void bridge_effects_init(struct bridge_effects *fx);
void bridge_effects_clear(struct bridge_effects *fx);

/* jid, secret and sm are borrowed for the stream's life. direct TLS: when the connection is secure.
 * Writes our header. */
void bridge_stream_open(struct bridge_stream *s, enum bridge_tls tls, const char *jid,
			struct slice secret, struct bridge_sm *sm, struct bridge_effects *fx);
void bridge_stream_clear(struct bridge_stream *s);

/* fx is emptied first. */
void bridge_stream_step(struct bridge_stream *s, const struct bridge_event *ev,
			struct bridge_effects *fx);

const char *bridge_state_name(enum bridge_state s);

#endif
