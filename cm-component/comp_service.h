/*
 * comp_service - what the files of the shell share: the service and one connection of it. The core
 * (comp_stream) and the helpers do not include it.
 *
 *   comp.c          start, stop, bus, listeners, timers       comp_feed.c     bytes to events
 *   comp_conn.c     a connection's life, deadlines            comp_effects.c  effects carried out
 *   comp_bind.c     account, binding, deliveries, probes      comp_settings.c configuration
 *   comp_resume.c   XEP-0198: router, asking, waiting         comp_watch.c    what is in flight,
 *                                                                             bytes a second
 */
#ifndef CM_COMPONENT_COMP_SERVICE_H
#define CM_COMPONENT_COMP_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "cm-component/comp_accounts.h"
#include "cm-component/comp_flight.h"
#include "cm-component/comp_settings.h"
#include "cm-component/comp_stream.h"
#include "cm/cm_certs.h"
#include "cm/cm_deadlines.h"
#include "cm/cm_limits.h"
#include "cm/cm_quarantine.h"
#include "cm/cm_trace.h"
#include "ipc/bus.h"
#include "ipc/hold.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/tls.h"
#include "proc/proc.h"
#include "xmpp/framer.h"
#include "xmpp/xml_in.h"

struct proc_listen;

#define COMP_DIGEST_MAX 128

struct comp_stats {
	uint64_t accepted;
	uint64_t refused;
	uint64_t logins;
	uint64_t logins_failed;
	uint64_t conflicts;
	uint64_t probes;
	uint64_t probes_dead;
	uint64_t stanzas_in;
	uint64_t stanzas_out;
	uint64_t resumed;
	uint64_t detached;
	uint64_t throttled;
	uint64_t bytes_in; /* of connections that are gone */
	uint64_t bytes_out;
};

struct comp {
	struct proc *proc;
	struct loop *loop;
	struct comp_settings settings;
	struct bus *bus;
	struct hold *hold;
	struct comp_accounts *accounts;
	struct cm_quarantine *quarantine;
	struct xml_in *xml;
	struct conn_set *conn_set;
	struct cm_certs *certs;
	struct proc_listen *listeners;
	struct loop_hook *hook;
	struct loop_hook *ask_hook;
	struct loop_timer *timer;
	struct monotime timer_at; /* us 0 = not armed */
	struct loop_timer *watch_timer;
	struct loop_timer *throttle_timer;
	struct loop_timer *drain_timer;
	struct monotime drained; /* when the last connection was gone; us 0 = not yet */
	struct cm_deadlines deadlines;
	struct cm_limits limits;
	struct cm_effects fx; /* one step at a time */
	struct list conns;
	struct list stalled;   /* not read because the bus or the total share is used up */
	struct list resume;    /* may read again */
	struct list throttled; /* sent more bytes a second than they may */
	struct list flying;    /* something is in flight */
	struct list asking;    /* counted stanzas were written, or acknowledged, in this turn */
	struct list dead;      /* to be freed at the end of the turn */
	struct map64 by_sid;   /* binding and bound */
	struct comp_stats stats;
	uint64_t last_id;
	struct monotime refusal_logged;
	struct cm_traces *traces; /* NULL: nobody traces */
	bool draining;
};

/* What the account says, as long as the stream lives. */
struct comp_account {
	char *name;
	uint8_t mode;
	uint8_t hidden;
	uint16_t max;
	uint32_t bytes_per_second; /* 0 = the configured limit */
};

struct comp_conn {
	struct list all;  /* comp.conns or comp.dead */
	struct list wait; /* comp.stalled, comp.resume or comp.throttled */
	struct list ask;  /* comp.asking */
	struct list fly;  /* comp.flying */
	struct cm_deadline deadline;
	struct cm_deadline ack; /* XEP-0198: for an answer to <r/>, or to ask again */
	struct cm_deadline probe;
	struct comp *comp;
	struct conn *conn;
	struct comp_stream *stream;
	struct comp_account account;
	uint64_t lookup;	      /* op of the question to the datastore, 0 = none */
	char digest[COMP_DIGEST_MAX]; /* of <handshake/>, while that runs */
	struct hold_session *session;
	struct framer framer;
	struct str in;	   /* bytes not used yet; empty when idle */
	size_t scanned;	   /* of in, by the framer */
	uint64_t sid;	   /* 0 = none */
	struct str previd; /* of the session to resume, while the router is asked */
	uint32_t previd_h;
	struct comp_flight flight;
	struct monotime looked;	  /* at SIOCOUTQ */
	struct monotime progress; /* when something left last */
	uint64_t left;
	struct cm_address address;
	struct monotime last_read;
	uint64_t rate; /* of bytes, see cm_rate.h */
	struct monotime throttle_logged;
	uint64_t id;
	char *name;		/* "comp#41 cb1.localhost": the log's prefix */
	const char *end_reason; /* closed, and what is in flight is still looked at; static */
	char short_name[28];
	uint64_t stanzas_in;
	uint64_t stanzas_out;
	bool stranger; /* counted as not logged in */
	bool dead;
	bool feeding; /* comp_feed() is on the stack */
	bool paused;
	bool is_throttled;
	bool probing;
	uint64_t ack_written; /* bytes accepted by write() when the wait for <a/> began */
	bool acked_too_much;  /* in this step: what it says and what it was sent */
	uint32_t acked_h;
	uint32_t acked_sent;
	bool router_closed;
};

/* comp_conn.c */
void comp_conn_new(struct comp *s, int fd, const struct sockaddr_storage *peer);
void comp_conn_free(struct comp_conn *c);
void comp_conn_deadline(struct comp_conn *c); /* its deadline is over */
void comp_conn_set_name(struct comp_conn *c);
void comp_conn_is_known(struct comp_conn *c); /* no stranger any more */
void comp_conn_end_session(struct comp_conn *c, const char *reason);
/* The same for a stream that nobody closed: what can be resumed stays (CUSTODY 4). */
void comp_conn_lose_session(struct comp_conn *c, const char *reason);
/* Our last word is said: as soon as it is known what of the deliveries has left. */
void comp_conn_close_session(struct comp_conn *c, const char *reason);
void comp_conn_lost(struct comp_conn *c, const char *condition, const char *text);
void comp_conn_stop(struct comp_conn *c, const char *condition, const char *text);

/* comp_bind.c */
void comp_conn_lookup(struct comp_conn *c, struct slice digest);
void comp_conn_found(void *arg, enum err status, const struct msg_db_component *account);
void comp_conn_drop_lookup(struct comp_conn *c);
void comp_conn_ask_bind(struct comp_conn *c); /* also again, of a fresh router */
void comp_conn_bound(struct comp_conn *c, uint64_t epoch, struct slice jid);
void comp_conn_bind_refused(struct comp_conn *c, const char *condition, const char *text);
void comp_conn_deliver(struct comp_conn *c, const struct msg_deliver *m);
void comp_conn_check_backlog(struct comp_conn *c); /* too much waits for it: it is given up */
void comp_conn_probe(struct comp_conn *c);
void comp_conn_probed(struct comp_conn *c, bool alive);

/* comp_resume.c (XEP-0198) */
void comp_conn_ask_resume(struct comp_conn *c); /* also again, of a fresh router */
void comp_resumed(struct comp *s, struct slice body);
void comp_resume_refused(struct comp *s, struct slice body);
void comp_conn_enabled(struct comp_conn *c, struct slice id, uint32_t max_s);
void comp_conn_held(struct comp_conn *c);
void comp_conn_moved(struct comp_conn *c);
void comp_conn_acked(struct comp_conn *c, uint32_t h);
void comp_conn_ack_wait(struct comp_conn *c, enum cm_ack_wait wait);
void comp_conn_ack_deadline(struct comp_conn *c);
void comp_conn_will_ask(struct comp_conn *c); /* <r/> at the end of the turn, if it is in order */
void comp_ask_all(struct comp *s);

/* comp_watch.c */
void comp_watch_queued(struct comp_conn *c, uint64_t q); /* delivery q was put into the stream */
void comp_watch_written(struct comp_conn *c, uint64_t total);
void comp_watch_look(struct comp_conn *c);  /* tells what has left */
void comp_watch_bytes(struct comp_conn *c); /* something came: an acknowledgement came with it */
void comp_watch_end(struct comp_conn *c);
void comp_watch_tick(void *arg);
void comp_throttle_read(struct comp_conn *c, size_t len);
void comp_throttle_wait(struct comp_conn *c); /* is not read until comp_throttle_tick() lets it */
void comp_throttle_tick(void *arg);

/* comp_feed.c */
void comp_feed(struct comp_conn *c, const char *data, size_t len);
void comp_feed_more(struct comp_conn *c);      /* goes on with what was kept, if it may */
void comp_update_reading(struct comp_conn *c); /* pauses or resumes the socket */
bool comp_is_stalled(const struct comp *s);    /* nobody's stanzas are taken now */

/* comp_effects.c: one event through the core, its effects carried out. */
void comp_step(struct comp_conn *c, struct comp_event *ev);
void comp_set_deadline(struct comp_conn *c); /* that of its state, from now */
void comp_trace_event(struct comp_conn *c, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
struct cm_traced comp_traced(const struct comp_conn *c);

#define comp_trace(c, ...)                                  \
	do {                                                \
		if ((c)->comp->traces)                      \
			comp_trace_event((c), __VA_ARGS__); \
	} while (0)

/* comp.c */
void comp_arm(struct comp *s); /* a deadline was set */

#endif
