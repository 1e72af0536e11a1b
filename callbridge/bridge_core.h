/*
 * bridge_core - what the files of the shell share: the call bridge and its connection. The pure
 * rooms do not include it.
 *
 *   bridge.c       which server next, status, start and stop     bridge_link.c   the connection
 *   bridge_flow.c  stanzas both ways, acknowledgements, bounds    bridge_exec.c   the program
 */
#ifndef CALLBRIDGE_BRIDGE_CORE_H
#define CALLBRIDGE_BRIDGE_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "callbridge/bridge.h"
#include "callbridge/bridge_exec.h"
#include "callbridge/bridge_plan.h"
#include "callbridge/bridge_queue.h"
#include "callbridge/bridge_status.h"
#include "callbridge/bridge_stream.h"
#include "net/conn.h"
#include "net/dial.h"
#include "net/loop.h"
#include "net/tls_client.h"
#include "xmpp/framer.h"

struct bridge_stats {
	uint64_t stanzas_in, stanzas_out; /* from the server; given to it */
	uint64_t answered;		  /* by --echo */
	uint64_t refused;		  /* of the program's */
	uint64_t repeated;		  /* written again to another connection */
	uint64_t connects, losses, resumed;
};

/* One connection, from the TCP connection to its end. */
struct bridge_link {
	struct conn *conn; /* NULL = none */
	struct bridge_stream stream;
	struct framer framer;
	struct framer_limits limits;
	struct str in;	/* bytes not used yet */
	size_t scanned; /* of in, by the framer */
	struct monotime began;
	struct monotime last_read;
	struct monotime asked_at;    /* whether it is there; us 0 = not asked */
	struct monotime spoke_at;    /* while paused: that we are here */
	uint64_t dead_mark;	     /* counts questions: the id of pings */
	struct loop_timer *deadline; /* TLS and handshake */
	struct loop_timer *late;     /* features that do not come */
	bool opened;		     /* our header is said */
	bool live;
	bool paused;  /* not read: somebody's queue is full */
	bool feeding; /* link_feed() is on the stack */
	bool asked_r; /* an <r/> of ours has no answer */
	bool owes_a;  /* <r/> came, and not all of what came before it is handled */
	uint32_t said_h;
	bool ask_due; /* some are not acknowledged for a while: <r/> */
	bool ending;  /* we close it */
	bool gone;    /* to be freed at the end of the turn */
};

struct bridge {
	struct loop *loop;
	struct bridge_settings settings;
	struct bridge_host host;
	struct resolver *resolver;
	struct tls_client *tls; /* NULL: none is needed */
	struct conn_set *conn_set;
	struct xml_in *xml;
	struct loop_hook *hook;
	struct bridge_plan plan;
	struct loop_timer *wait;  /* for the next round */
	struct loop_timer *tick;  /* is the server there? */
	struct loop_timer *acks;  /* ask for acknowledgements */
	struct loop_timer *grace; /* of a stop */
	struct resolver_query *query;
	struct dial *dial;
	struct bridge_link link;
	struct bridge_effects fx;
	struct bridge_sm sm;
	struct bridge_queue out;
	struct bridge_exec *exec; /* NULL: --echo */
	struct str scratch;
	char *host_name; /* the server of status; "" = none yet */
	char *addr;	 /* connected: its address */
	char *detail;	 /* of the last failure */
	enum bridge_condition condition;
	enum bridge_cause cause;
	struct monotime since;
	struct bridge_stats stats;
	size_t uncounted; /* lines that wait for the program and are not of this XEP-0198 session */
	size_t careful;	  /* so many of out go one at a time, each when the last has arrived */
	unsigned int blamed;	 /* times that the server ended the stream at the oldest of them */
	uint64_t refused_unsaid; /* refused lines that no line of log has told */
	struct monotime refused_said;
	bool acks_armed;
	bool exec_stopped;
	bool stopping;
	bool stopped;
};

/* bridge.c */
void bridge_begin(struct bridge *b);
/* The attempt, or the connection, has failed: said in log and status; what is next begins. */
void bridge_failed(struct bridge *b, enum bridge_cause cause, const char *detail);
void bridge_lost(struct bridge *b, enum bridge_cause cause, const char *detail);
void bridge_is_live(struct bridge *b);
void bridge_check_stopped(struct bridge *b);

/* bridge_link.c */
void bridge_link_open(struct bridge *b, int fd, const struct sockaddr_storage *peer);
void bridge_link_drop(struct bridge *b);  /* at once; nothing is told */
void bridge_link_close(struct bridge *b); /* after what is queued */
void bridge_link_feed_more(struct bridge *b);
void bridge_link_sweep(struct bridge *b);
/* It ends now, for this reason; the plan goes on. */
void bridge_link_end(struct bridge *b, enum bridge_cause cause, const char *detail);

/* bridge_flow.c */
bool bridge_flow_may_read(const struct bridge *b); /* the server's stanzas */
/* false: it is none; nothing was done about it. */
bool bridge_flow_stanza(struct bridge *b, struct slice bytes);
void bridge_flow_element(struct bridge *b, const struct bridge_effects *fx);
void bridge_flow_live(struct bridge *b, bool resumed);
void bridge_flow_closing(struct bridge *b); /* says what is handled, while it can be said */
void bridge_flow_down(struct bridge *b);
/* The server ends the stream because of what we have sent: before bridge_link_end(). */
void bridge_flow_blamed(struct bridge *b, const char *detail);
void bridge_flow_written(struct bridge *b, uint64_t total);
void bridge_flow_turn(void *arg);
void bridge_flow_tick(void *arg);
void bridge_flow_acks(void *arg);
extern const struct bridge_exec_events bridge_flow_exec;

#endif
