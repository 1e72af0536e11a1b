/*
 * c2s_stream - the core of a client's stream: RFC 6120 sections 4 to 7 and XEP-0198 as a state
 * machine.
 *
 * Pure: same state + same event = same effects. No socket, clock, log, bus, OpenSSL or gsasl call;
 * randomness comes in with the events. The shell (c2s_conn) turns bytes, timers, records and the
 * SASL engine's answers into events and carries out the effects in order.
 */
#ifndef CM_CLIENT_C2S_STREAM_H
#define CM_CLIENT_C2S_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "cm/cm_effects.h"
#include "cm/cm_sm.h"
#include "xmpp/xml_in.h"

struct c2s_stream;
struct xml_node;

/* What a stream may do; borrowed, may change between two events (reload). */
struct c2s_rules {
	const char *const *domains; /* served, normalised; NULL-terminated; at least one */
	bool tls_required;
	bool plain_allowed; /* SASL PLAIN, inside TLS */
	bool registration;  /* XEP-0077 before login */
	bool csi;	    /* XEP-0352 is offered */
	unsigned int login_attempts;
	/* XEP-0478, said in the features: before login and after it; 0 = not said. */
	uint32_t max_bytes[2];
	uint32_t idle_s[2];
	const char *component_hint; /* for the text of a component that came to the wrong port */
};

enum c2s_state {
	C2S_OPENING,	 /* waits for the first stream header */
	C2S_OFFERED,	 /* plain; STARTTLS offered (and SASL where TLS is optional) */
	C2S_SECURING,	 /* TLS handshake */
	C2S_SECURED,	 /* TLS is up; waits for a header */
	C2S_LOGIN,	 /* SASL offered */
	C2S_CHECKING,	 /* the SASL engine is at work; nothing is read */
	C2S_ASKED,	 /* a challenge was sent */
	C2S_REGISTERING, /* the datastore was asked for a new account; nothing is read */
	C2S_PROVEN,	 /* SASL success sent; waits for a header */
	C2S_BINDABLE,	 /* resource binding offered */
	C2S_BINDING,	 /* the router was asked; nothing is read */
	C2S_RESUMING,	 /* the same, for an earlier session (XEP-0198 section 5) */
	C2S_BOUND,	 /* stanzas pass */
	C2S_CLOSED,	 /* our last word is said */
	C2S_STATES,
};

enum c2s_event_kind {
	C2S_EV_HEADER,	  /* header */
	C2S_EV_ELEMENT,	  /* tree: a first-level child before C2S_BOUND, there one that is no
			   * stanza: h */
	C2S_EV_STANZA,	  /* stanza: a first-level child in C2S_BOUND; verdict XML_OK or BAD */
	C2S_EV_END,	  /* the peer closed its stream */
	C2S_EV_BROKEN,	  /* condition, text: what came is not XML that we take */
	C2S_EV_SECURE,	  /* the TLS handshake is done; exporter, unique say what can be bound */
	C2S_EV_CHALLENGE, /* data: for the client */
	C2S_EV_AUTHENTICATED,	/* user (localpart), data: for the client */
	C2S_EV_AUTH_FAILED,	/* condition, text */
	C2S_EV_REGISTERED,	/* the account was made */
	C2S_EV_REGISTER_FAILED, /* condition, text */
	C2S_EV_BOUND,		/* jid */
	C2S_EV_BIND_REFUSED,	/* condition, text */
	C2S_EV_STOP,		/* condition, text: end the stream with this stream error */
	C2S_EV_LATE,		/* this state's time is over */
	C2S_EV_ENABLED,		/* data: resumption id or nothing; max_s; h */
	C2S_EV_HELD,		/* h: more of what the client sent is secured */
	C2S_EV_FLUSH,		/* unacked: deliveries were written, or an <a/> came */
	C2S_EV_ACK_LATE,	/* no answer to our <r/> in time */
	C2S_EV_ASK_AGAIN,	/* unacked: the time of CM_ACK_AGAIN or CM_ACK_SOON is over */
	C2S_EV_ACK_RANGE,	/* h acknowledges more than the sent stanzas (section 6) */
	C2S_EV_RESUMED,		/* jid, data: resumption id, h */
	C2S_EV_RESUME_REFUSED,	/* condition, text */
	C2S_EV_LOST,		/* condition, text: the connection is as good as broken */
	C2S_EV_MOVED,		/* the session goes on elsewhere */
	C2S_EVENTS,
};

struct c2s_event {
	enum c2s_event_kind kind;
	uint64_t fresh; /* random: becomes a stream id when a header must be sent */
	const struct xml_stream_header *header;
	const struct xml_node *tree;
	const struct stanza_in *stanza;
	enum xml_verdict verdict;
	const char *condition;
	const char *text;
	struct slice data;
	struct slice user;
	struct slice jid;
	bool pipelined; /* ELEMENT: more than white space follows it already */
	bool exporter;
	bool unique;
	uint32_t h; /* XEP-0198: stanzas of the client that are secured */
	uint32_t max_s;
	uint32_t sent;
	uint64_t unacked; /* stanzas for the client that it has not acknowledged */
};

/* Effects beyond those of cm/cm_effects.h. */
enum c2s_effect_kind {
	C2S_FX_AUTH_START = CM_FX_OWN, /* name = mechanism, data = initial response, has_data */
	C2S_FX_AUTH_DATA,	       /* data = response */
	C2S_FX_AUTH_DROP,	       /* the SASL exchange is over for the client */
	C2S_FX_REGISTER,      /* data = user, normalised; text = password, in scratch as well */
	C2S_FX_REGISTER_DROP, /* its answer is not wanted any more */
	C2S_FX_CSI,	      /* XEP-0352: number = 1 inactive, 0 active */
};

struct c2s_stream *c2s_stream_new(const struct c2s_rules *rules);
void c2s_stream_free(struct c2s_stream **sp);

/* Direct TLS: the stream begins in C2S_SECURING. Only before the first step. */
void c2s_stream_direct_tls(struct c2s_stream *s);

/* Empties fx, then fills it. */
void c2s_stream_step(struct c2s_stream *s, const struct c2s_event *ev, struct cm_effects *fx);

enum c2s_state c2s_stream_state(const struct c2s_stream *s);
const char *c2s_state_name(enum c2s_state state);
const char *c2s_event_name(enum c2s_event_kind kind);

/* In this state nothing is to be read from the peer. */
bool c2s_state_is_waiting(enum c2s_state state);

/* Our header of the present stream was sent. */
bool c2s_stream_is_open(const struct c2s_stream *s);

/* XEP-0198: an <r/> was answered with less than had been sent: C2S_EV_HELD is awaited. */
bool c2s_stream_owes_ack(const struct c2s_stream *s);

/* XEP-0198 is on, and h = everything that the client sent since. */
bool c2s_stream_all_held(const struct c2s_stream *s, uint32_t h);

struct slice c2s_stream_domain(const struct c2s_stream *s);    /* empty before the first header */
struct slice c2s_stream_bare(const struct c2s_stream *s);      /* empty before authentication */
struct slice c2s_stream_full(const struct c2s_stream *s);      /* empty before C2S_BOUND */
struct slice c2s_stream_mechanism(const struct c2s_stream *s); /* of the last <auth/> */

#endif
