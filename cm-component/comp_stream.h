/*
 * comp_stream - the core of a component's stream: XEP-0114 (jabber:component:accept) with STARTTLS
 * (RFC 6120 5) where the component asks for it, and XEP-0198 as our extension, as a state machine.
 *
 * Pure: same state + same event = same effects. No socket, clock, log, bus or OpenSSL call;
 * randomness and the verdict on a digest come in with the events. The shell (comp_conn) turns
 * bytes, timers and records into events and carries out the effects in order.
 */
#ifndef CM_COMPONENT_COMP_STREAM_H
#define CM_COMPONENT_COMP_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "cm/cm_effects.h"
#include "cm/cm_sm.h"
#include "xmpp/xml_in.h"

struct comp_stream;
struct xml_node;

/* What a stream may do; borrowed, may change between two events (reload). */
struct comp_rules {
	bool tls_required;
};

enum comp_state {
	COMP_OPENING,  /* waits for the first stream header */
	COMP_SECURING, /* TLS handshake */
	COMP_SECURED,  /* TLS is up; waits for a header */
	COMP_LOOKING,  /* the datastore was asked for the component; nothing is read */
	COMP_OFFERED,  /* our header was said; waits for <handshake/> (or <starttls/>) */
	COMP_CHECKING, /* <handshake/> came, the datastore was asked again; nothing is read */
	COMP_BINDING,  /* the router was asked; nothing is read */
	COMP_RESUMING, /* the same, for an earlier session (XEP-0198 section 5) */
	COMP_BOUND,    /* stanzas pass */
	COMP_CLOSED,   /* our last word is said */
	COMP_STATES,
};

enum comp_event_kind {
	COMP_EV_HEADER,		/* header, fresh */
	COMP_EV_ELEMENT,	/* tree; in COMP_BOUND one that is no stanza: h */
	COMP_EV_STANZA,		/* stanza: only in COMP_BOUND; verdict XML_OK or BAD */
	COMP_EV_END,		/* the peer closed its stream */
	COMP_EV_BROKEN,		/* condition, text: what came is not XML that we take */
	COMP_EV_SECURE,		/* the TLS handshake is done */
	COMP_EV_ACCOUNT,	/* the component exists; host: the served domain that it is of; in
				 * COMP_CHECKING proven: the digest is right */
	COMP_EV_ACCOUNT_FAILED, /* condition, text: stream error */
	COMP_EV_BOUND,
	COMP_EV_BIND_REFUSED,	/* condition (of a stanza error), text */
	COMP_EV_STOP,		/* condition, text: end the stream with this stream error */
	COMP_EV_LATE,		/* this state's time is over */
	COMP_EV_PROBE,		/* say something that the component must answer; fresh */
	COMP_EV_ENABLED,	/* data: resumption id or nothing; max_s; h */
	COMP_EV_HELD,		/* h: more of what it sent is secured */
	COMP_EV_FLUSH,		/* unacked: deliveries were written, or an <a/> came */
	COMP_EV_ACK_LATE,	/* no answer to our <r/> in time */
	COMP_EV_ASK_AGAIN,	/* unacked: the time of CM_ACK_AGAIN or CM_ACK_SOON is over */
	COMP_EV_ACK_RANGE,	/* h acknowledges more than the sent stanzas (section 6) */
	COMP_EV_RESUMED,	/* data: resumption id, h */
	COMP_EV_RESUME_REFUSED, /* condition, text */
	COMP_EV_LOST,		/* condition, text: the connection is as good as broken */
	COMP_EV_MOVED,		/* the session goes on elsewhere */
	COMP_EVENTS,
};

struct comp_event {
	enum comp_event_kind kind;
	uint64_t fresh; /* random: becomes a stream id when a header must be sent */
	const struct xml_stream_header *header;
	const struct xml_node *tree;
	const struct stanza_in *stanza;
	enum xml_verdict verdict;
	const char *condition;
	const char *text;
	struct slice data;
	struct slice host;
	bool pipelined; /* ELEMENT: more than white space follows it already */
	bool proven;
	uint32_t h; /* XEP-0198: stanzas of the component that are secured */
	uint32_t max_s;
	uint32_t sent;
	uint64_t unacked; /* stanzas for the component that it has not acknowledged */
};

/* Effects beyond those of cm/cm_effects.h. */
enum comp_effect_kind {
	COMP_FX_LOOKUP = CM_FX_OWN, /* ask the datastore for the component of comp_stream_jid();
				     * data = the digest to compare, in COMP_CHECKING */
};

struct comp_stream *comp_stream_new(const struct comp_rules *rules);
void comp_stream_free(struct comp_stream **sp);

/* Direct TLS: the stream begins in COMP_SECURING. Only before the first step. */
void comp_stream_direct_tls(struct comp_stream *s);

/* Empties fx, then fills it. */
void comp_stream_step(struct comp_stream *s, const struct comp_event *ev, struct cm_effects *fx);

enum comp_state comp_stream_state(const struct comp_stream *s);
const char *comp_state_name(enum comp_state state);
const char *comp_event_name(enum comp_event_kind kind);

/* In this state nothing is to be read from the peer. */
bool comp_state_is_waiting(enum comp_state state);

/* Our header of the present stream was sent. */
bool comp_stream_is_open(const struct comp_stream *s);

/* The id of our header: what a digest is made with. Empty before. */
struct slice comp_stream_id(const struct comp_stream *s);

/* The domain that the component serves, or asks for; empty before the first good header. */
struct slice comp_stream_jid(const struct comp_stream *s);

/* The served domain that it is of; empty before COMP_OFFERED. */
struct slice comp_stream_host(const struct comp_stream *s);

const struct cm_sm *comp_stream_sm(const struct comp_stream *s);

#endif
