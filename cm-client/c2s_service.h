/*
 * c2s_service - what the files of the shell share: the service and one connection of it. The core
 * (c2s_stream) and the helpers do not include it.
 *
 *   c2s.c          start, stop, bus, listeners, timers        c2s_feed.c    bytes to events
 *   c2s_conn.c     a connection's life, deadlines             c2s_effects.c effects carried out
 *   c2s_resume.c   XEP-0198: router, asking, waiting          c2s_settings.c configuration
 *   c2s_inactive.c XEP-0352: what is kept back                 c2s_throttle.c bytes a second
 *   c2s_register.c XEP-0077 before login
 */
#ifndef CM_CLIENT_C2S_SERVICE_H
#define CM_CLIENT_C2S_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "cm-client/c2s_accounts.h"
#include "cm-client/c2s_csi.h"
#include "cm/cm_certs.h"
#include "cm/cm_deadlines.h"
#include "cm-client/c2s_keys.h"
#include "cm/cm_limits.h"
#include "cm/cm_quarantine.h"
#include "cm-client/c2s_sasl.h"
#include "cm-client/c2s_settings.h"
#include "cm-client/c2s_stream.h"
#include "cm-client/c2s_trace.h"
#include "ipc/bus.h"
#include "ipc/hold.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/tls.h"
#include "proc/proc.h"
#include "xmpp/framer.h"
#include "xmpp/xml_in.h"

#define C2S_MARKS 4

struct c2s_stats {
	uint64_t accepted;
	uint64_t refused;
	uint64_t logins;
	uint64_t logins_failed;
	uint64_t stanzas_in;
	uint64_t stanzas_out;
	uint64_t resumed;
	uint64_t detached;
	uint64_t registered;
	uint64_t throttled;
	uint64_t bytes_in; /* of connections that are gone */
	uint64_t bytes_out;
};

struct c2s {
	struct proc *proc;
	struct loop *loop;
	struct c2s_settings settings;
	struct bus *bus;
	struct hold *hold;
	struct c2s_keys *keys;
	struct c2s_accounts *accounts;
	struct cm_quarantine *quarantine;
	struct c2s_sasl *sasl;
	struct xml_in *xml;
	struct conn_set *conn_set;
	struct cm_certs *certs;
	struct tls_ctx *tls; /* of certs */
	struct proc_listen *listeners;
	struct loop_hook *hook;
	struct loop_timer *timer;
	struct monotime timer_at; /* us 0 = not armed */
	struct loop_timer *drain_timer;
	struct monotime drained; /* when the last connection was gone; us 0 = not yet */
	struct loop_hook *ask_hook;
	struct cm_deadlines deadlines;
	struct cm_limits limits;
	struct c2s_csi_pool csi_pool;
	struct cm_effects fx; /* one step at a time */
	struct list conns;
	struct list stalled;   /* not read because the bus or the total share is used up */
	struct list resume;    /* may read again */
	struct list throttled; /* sent more bytes a second than they may */
	struct loop_timer *throttle_timer;
	struct list asking;  /* counted stanzas were written, or acknowledged, in this turn */
	struct list dead;    /* to be freed at the end of the turn */
	struct map64 by_sid; /* binding and bound */
	struct c2s_stats stats;
	uint64_t last_id;
	struct monotime refusal_logged;
	struct cm_traces *traces; /* NULL: nobody traces (c2s_trace.h) */
	bool draining;
};

/* Up to here (number of queued bytes) delivery q reaches. */
struct c2s_mark {
	uint64_t q;
	uint64_t upto;
};

struct c2s_conn {
	struct list all;  /* c2s.conns or c2s.dead */
	struct list wait; /* c2s.stalled, c2s.resume or c2s.throttled */
	struct list ask;  /* c2s.asking */
	struct cm_deadline deadline;
	struct cm_deadline ack; /* XEP-0198: for an answer to <r/>, or to ask again */
	struct c2s *c2s;
	struct conn *conn;
	struct c2s_stream *stream;
	struct c2s_login *login;
	const char *detail; /* of a failed login, while the core is told; for the log */
	struct hold_session *session;
	struct framer framer;
	struct str in;	 /* bytes not used yet; empty when idle */
	size_t scanned;	 /* of in, by the framer */
	uint64_t sid;	 /* 0 = none */
	struct str wish; /* resource or resumption id; empty but while the router is asked */
	uint32_t wish_h;
	struct c2s_mark marks[C2S_MARKS];
	unsigned int nmarks;
	struct cm_address address;
	struct monotime last_read;
	uint64_t rate; /* of bytes, see cm_rate.h */
	struct monotime throttle_logged;
	struct c2s_csi *csi; /* XEP-0352: what is kept back; NULL = nothing */
	uint64_t register_op;
	uint64_t id;
	char *name; /* "c2s#41 juliet@localhost/x": the log's prefix */
	char short_name[28];
	uint64_t stanzas_in;
	uint64_t stanzas_out;
	bool stranger; /* counted as not logged in */
	bool dead;
	bool feeding; /* c2s_feed() is on the stack */
	bool paused;
	bool throttled;
	bool inactive;	      /* XEP-0352 */
	uint64_t ack_written; /* bytes accepted by write() when the wait for <a/> began */
	bool acked_too_much;  /* in this step: what the client says and what it was sent */
	uint32_t acked_h;
	uint32_t acked_sent;
	bool router_closed;
};

/* c2s_conn.c */
void c2s_conn_new(struct c2s *s, int fd, const struct sockaddr_storage *peer);
void c2s_conn_free(struct c2s_conn *c);
void c2s_conn_deadline(struct c2s_conn *c); /* its deadline is over */
void c2s_conn_set_name(struct c2s_conn *c);
void c2s_conn_ask_bind(struct c2s_conn *c); /* also again, of a fresh router */
void c2s_conn_bound(struct c2s_conn *c, uint64_t epoch, struct slice jid);
void c2s_conn_bind_refused(struct c2s_conn *c, const char *condition, const char *text);
void c2s_conn_end_session(struct c2s_conn *c, const char *reason);
/* The same for a stream that nobody closed: what can be resumed stays (CUSTODY 4). */
void c2s_conn_lose_session(struct c2s_conn *c, const char *reason);
void c2s_conn_lost(struct c2s_conn *c, const char *condition, const char *text);
void c2s_conn_deliver(struct c2s_conn *c, const struct msg_deliver *m);
void c2s_conn_check_backlog(struct c2s_conn *c); /* too much waits for it: it is given up */
void c2s_conn_stop(struct c2s_conn *c, const char *condition, const char *text);
void c2s_conn_add_mark(struct c2s_conn *c, uint64_t q); /* delivery q was put into the stream */
extern const struct c2s_sasl_events c2s_conn_sasl_events;

/* c2s_resume.c (XEP-0198) */
void c2s_conn_ask_resume(struct c2s_conn *c); /* also again, of a fresh router */
void c2s_resumed(struct c2s *s, struct slice body);
void c2s_resume_refused(struct c2s *s, struct slice body);
void c2s_conn_enabled(struct c2s_conn *c, struct slice id, uint32_t max_s);
void c2s_conn_held(struct c2s_conn *c);
void c2s_conn_moved(struct c2s_conn *c);
void c2s_conn_acked(struct c2s_conn *c, uint32_t h);
void c2s_conn_ack_wait(struct c2s_conn *c, enum cm_ack_wait wait);
void c2s_conn_ack_deadline(struct c2s_conn *c);
void c2s_conn_will_ask(struct c2s_conn *c); /* <r/> at the end of the turn, if it is in order */
void c2s_ask_all(struct c2s *s);

/* c2s_inactive.c (XEP-0352) */
void c2s_conn_set_inactive(struct c2s_conn *c, bool inactive);
bool c2s_conn_keep_back(struct c2s_conn *c, const struct msg_deliver *m); /* false: write it */
void c2s_conn_write_kept(struct c2s_conn *c, const char *why);
void c2s_conn_drop_kept(struct c2s_conn *c);
uint64_t c2s_conn_kept(const struct c2s_conn *c); /* deliveries that are not written */
void c2s_csi_late(struct c2s_csi *kept, const char *why);

/* c2s_register.c (XEP-0077) */
void c2s_conn_register(struct c2s_conn *c, const struct cm_effect *e);
bool c2s_conn_register_refused(struct c2s_conn *c); /* in the step that asked for it */
void c2s_conn_registered(void *arg, enum err status);
void c2s_conn_drop_register(struct c2s_conn *c);

/* c2s_throttle.c */
void c2s_throttle_read(struct c2s_conn *c, size_t len);
void c2s_throttle_wait(struct c2s_conn *c); /* is not read until c2s_throttle_tick() lets it */
void c2s_throttle_tick(void *arg);

/* c2s_feed.c */
void c2s_feed(struct c2s_conn *c, const char *data, size_t len);
void c2s_feed_more(struct c2s_conn *c);	     /* goes on with what was kept, if it may */
void c2s_update_reading(struct c2s_conn *c); /* pauses or resumes the socket */
bool c2s_is_stalled(const struct c2s *s);    /* nobody's stanzas are taken now */

/* c2s_effects.c: one event through the core, its effects carried out. */
void c2s_step(struct c2s_conn *c, struct c2s_event *ev);
void c2s_set_deadline(struct c2s_conn *c); /* that of its state, from now */

/* c2s.c */
void c2s_arm(struct c2s *s); /* a deadline was set */

#endif
