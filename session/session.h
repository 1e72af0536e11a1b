/*
 * session - the session manager: who is online under which JID, and what happens to a stanza.
 *
 * A plug-in of the router: no socket, no disk, no ZeroMQ, no clock of its own. It acts on the world
 * only through struct session_host, which router/ provides, and is told everything through the
 * functions below. Custody (who still owes what to whom) is the host's; session/ only decides.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/monotime.h"
#include "base/slice.h"
#include "base/str.h"
#include "ipc/codec.h"

struct session_manager;

/* One stanza in custody, from acceptance until it is settled. Opaque here; counted by the host:
 * while session_host.hold() is unanswered by release() it stays, whatever happens to deliveries. */
struct custody_entry;

/* A stanza as session/ passes it to the host: slices are borrowed for the call. */
struct session_stanza {
	uint8_t kind;
	uint8_t type;
	uint16_t flags;
	struct slice from, to, id, lang, children, inner;
};

/* How session/ acts. The host copies what it keeps and does not call back into session/ from inside
 * these, except session_undelivered() from inside close(). */
struct session_host {
	/* Puts s on the outbound queue of session sid (which must exist): the entry is settled when
	 * every delivery made from it is. e is the stanza being handled. */
	void (*deliver)(void *ctx, struct custody_entry *e, uint64_t sid,
			const struct session_stanza *s);

	/* A stanza that the server itself makes in answer to e (a result, an error, a push): its
	 * origin is derived from e's, so that a repeat after a crash is recognised. e may be NULL
	 * for one made for no stanza (a presence of a lost session). */
	void (*answer)(void *ctx, struct custody_entry *e, uint64_t sid,
		       const struct session_stanza *s);

	/* For no stanza: tells sid that session `of` is unavailable. Its origin is derived from
	 * `of` alone: a host that dies before `of`'s owner knows that this was done is asked to do
	 * it again after its start. May be NULL: then by answer(). */
	void (*left)(void *ctx, uint64_t of, uint64_t sid, const struct session_stanza *s);

	/* How many bytes of answers sid's queue takes now; as much again is for what others send.
	 * What does not fit is dropped: who makes much asks before. May be NULL: any. */
	size_t (*room)(void *ctx, uint64_t sid);

	/* A copy of e, or of the error that answers it, for somebody who only looks on (XEP-0280).
	 * e is not settled before it, but it says nothing about how e is settled; undelivered it
	 * is dropped. Its origin is derived from e's alone: nothing happens if sid was given one
	 * before, also by an earlier router, or has e itself. May be NULL: then there are none.
	 * instead: it is e's own delivery from now on, also when it was made before: nobody else is
	 * given e, and if the copy cannot be delivered, e is judged again. */
	void (*copy)(void *ctx, struct custody_entry *e, uint64_t sid,
		     const struct session_stanza *s, bool instead);

	/* Has the client of sid had such a copy of e, or will it? May be NULL: no. */
	bool (*had_copy)(void *ctx, const struct custody_entry *e, uint64_t sid);

	/* How e is to be counted if nothing was delivered from it (enum settled): the books of P1.
	 * rule is static text. */
	void (*conclude)(void *ctx, struct custody_entry *e, uint8_t how, const char *rule);

	void (*hold)(void *ctx, struct custody_entry *e);
	void (*release)(void *ctx, struct custody_entry *e);

	/* Tells the owner of sid: BOUND, BIND_REFUSED, CLOSE, BLOB. After close() the host treats
	 * the session as gone at once: session_unbind() is NOT called back for it. */
	void (*bound)(void *ctx, uint64_t sid, struct slice jid);
	void (*bind_refused)(void *ctx, uint64_t sid, const char *condition, const char *text);
	void (*close)(void *ctx, uint64_t sid, const char *condition, const char *text);
	void (*blob)(void *ctx, uint64_t sid, struct slice blob);

	/* A request to the datastore: body is one encoded DB_* record. done is called exactly once,
	 * later, never inside store(): status ERR_OK with the answering record's type and body, or
	 * ERR_TIMEOUT and the datastore's errors with type 0. */
	void (*store)(void *ctx, struct slice body, uint32_t deadline_ms,
		      void (*done)(void *arg, enum err status, uint16_t type, struct slice body),
		      void *arg);

	/* The time of day: ms since 1970, UTC. */
	uint64_t (*wall_ms)(void *ctx);

	/* A domain that is served by another service on the bus: its session, 0 when unknown. It
	 * may have several: the one for what comes from (or goes to) peer. */
	uint64_t (*route)(void *ctx, struct slice domain, struct slice peer);

	/* Each connected component that may be seen: start with *it = 0; false at the end. May be
	 * NULL: there are none. */
	bool (*component)(void *ctx, size_t *it, struct slice *jid);

	/* Was e put on session sid's queue before? Asked only when e is judged a second time, so
	 * that no resource gets a second copy. May be NULL: then receivers must recognise the
	 * repeat by its origin (CUSTODY 6). */
	bool (*had)(void *ctx, const struct custody_entry *e, uint64_t sid);

	/* May an earlier router have handled e? May be NULL: yes. */
	bool (*repeated)(void *ctx, const struct custody_entry *e);

	/* Offline storage (XEP-0160) needs the next two; without them there is none. */

	/* Where e comes from: (session id, n), the same after a crash (CUSTODY 6). */
	void (*origin)(void *ctx, const struct custody_entry *e, uint64_t *sid, uint64_t *n);

	/* Puts s, which the server has kept under the origin it once came with, on sid's queue as
	 * an entry of the server's own. 0: there is no such session, nothing happens. Else
	 * settled() is called once, with SETTLED_DELIVERED or what became of it instead (it is not
	 * judged by session_undelivered()); perhaps from inside originate() or close(), never when
	 * the host itself ends. */
	uint64_t (*originate)(void *ctx, uint64_t sid, uint64_t origin_sid, uint64_t origin_n,
			      const struct session_stanza *s,
			      void (*settled)(void *arg, uint8_t how), void *arg);

	/* What originate() delivered under this origin is no longer kept, so it cannot come again:
	 * only now may the receiver's cm forget the origin (CUSTODY 8). May be NULL: then it may at
	 * once, and a router that dies in between repeats it. */
	void (*noted)(void *ctx, uint64_t origin_sid, uint64_t origin_n);

	/* A lost session waits for its client: a host that wants it to survive a restart keeps JID
	 * and blob for so many seconds, then or at lost_over() it forgets them. Comes from inside
	 * session_lost(). Both may be NULL. */
	void (*lost)(void *ctx, uint64_t sid, struct slice full, struct slice blob,
		     uint32_t seconds);

	/* Its time is over, or somebody has taken its place: then what still matters of it is in
	 * the blob of that session, which was told before. */
	void (*lost_over)(void *ctx, uint64_t sid);
};

/* Whom to write to (XEP-0157). */
enum session_address {
	ADDRESS_ABUSE,
	ADDRESS_ADMIN,
	ADDRESS_FEEDBACK,
	ADDRESS_SALES,
	ADDRESS_SECURITY,
	ADDRESS_STATUS,
	ADDRESS_SUPPORT,
	SESSION_ADDRESSES
};

struct session_config {
	const char *const *domains;	/* local domains, normalised; NULL-terminated; borrowed */
	unsigned int sessions_per_user; /* 0 = any number */
	const char *resource_conflict;	/* "replace", "reject", "rename" */
	const char *software_name;	/* XEP-0092 */
	const char *software_version;
	unsigned int presence_grace_s;	/* 0 = a detached session is unavailable at once */
	unsigned int reconnect_grace_s; /* 0 = a lost session is over at once */
	unsigned int waiting_requests;	/* to the datastore, besides rosters; 0 = 1000 */
	const char
		*archive_default;   /* "always", "never", "roster"; NULL = no archives (XEP-0313) */
	size_t archive_queue_bytes; /* waiting for the datastore */
	unsigned int archive_page_max; /* messages of one query */
	bool last_activity;	       /* when users left is kept (XEP-0012) */
	bool change_password;	       /* may users do that (XEP-0077) */
	bool remove_account;
	const char *motd; /* message of the day; NULL or "" = none */
	bool disabled; /* `xmpp disable`: nobody has a session, detached ones end too (CUSTODY 4) */
	const char *const *addresses[SESSION_ADDRESSES]; /* URIs, NULL-terminated; NULL = none */
};

struct session_manager *session_new(const struct session_host *host, void *ctx);
void session_free(struct session_manager **mp);

/* A new configuration (copied). Sessions of domains no longer served are closed; when it says
 * disabled, all of them. */
void session_configure(struct session_manager *m, const struct session_config *cfg);

/* Ends all sessions, also detached and lost ones, with system-shutdown. */
void session_end_all(struct session_manager *m);

/* An authenticated stream asks for a session (RFC 6120 7): bare JID, wished resource or empty. */
void session_bind(struct session_manager *m, uint64_t sid, struct slice bare, struct slice resource,
		  struct slice conn, struct slice addr, struct monotime now);

/* A session that existed before this router started (CUSTODY 5, 9). ERR_CONFLICT: the full JID is
 * held by another sid; ERR_NOTFOUND: its domain is not served; ERR_FORMAT: no full JID of a user.
 * The host then closes this one. It is live; one that is detached or lost is announced, then
 * session_detached() or session_lost() says so, best at once: until then it does not give way
 * (below), and three seconds later it counts as resumed and is shown again if it had become
 * unavailable.
 *
 * What is detached gives way: to another sid with its full JID (it is closed, as by
 * session_bind()); and to the same sid, silently and with the new blob: the session was resumed
 * elsewhere in the meantime (no session_unbind() before: that would tell its contacts that it is
 * gone). */
enum err session_announce(struct session_manager *m, uint64_t sid, struct slice full,
			  struct slice conn, struct slice addr, struct slice blob,
			  struct monotime now);

/* The stream is gone; contacts are told. */
void session_unbind(struct session_manager *m, uint64_t sid, struct slice reason,
		    struct monotime now);

/*
 * Grace times (CUSTODY 4). A tick that finds nothing due costs nothing; what is due is told to
 * contacts then. Not while the host routes nothing yet (CUSTODY 5).
 */
void session_tick(struct session_manager *m, struct monotime now);

/* Once a turn of the host's loop: what was collected goes to the datastore when it is time. Returns
 * in how many ms it wants to be called again, 0 = when something has happened. */
unsigned int session_flush(struct session_manager *m, struct monotime now);

/* What an operator should know, NULL = nothing. */
const char *session_alarm(const struct session_manager *m);

/* Is something for archives collected, or not yet answered? A stop waits for it, for a while. */
bool session_archiving(const struct session_manager *m);

/* Appends "archive_messages=.. ..." */
void session_add_stats(const struct session_manager *m, struct str *out);

/* The connection of a session that can be resumed broke at `since` (after a restart that may lie
 * long ago). It stays, and everything for its full JID and all presence goes on into its queue.
 * Until presence_grace is over nobody sees a difference and it takes messages for the bare JID.
 * Then, unless it is resumed, its contacts, the other resources and all that had directed presence
 * are told unavailable, and messages for the bare JID pass it by (RFC 6121 8.5.2: other resources,
 * offline storage); its presence is kept aside in the blob. Directed presence is not sent again
 * later: a chat room answers to the full JID that the user has left, and the client learns that
 * from its queue. */
void session_detached(struct session_manager *m, uint64_t sid, struct monotime since);

/* It is back: call when stanzas and the blob can go to its new connection. conn and addr replace
 * the old ones. One that had become unavailable is shown with its last presence again and gets what
 * was stored offline meanwhile; there are no probes, it has missed nothing. Harmless for a session
 * that was not detached. */
void session_resumed(struct session_manager *m, uint64_t sid, struct slice conn, struct slice addr,
		     struct monotime now);

/* Instead of session_unbind(), for a session that cannot be resumed and whose connection manager
 * died or is stopped: for deliveries and lookups it is over at once, but its presence stands for
 * so many seconds (0: reconnect_grace_s). Then it is told as gone, unless a new session takes over:
 * - the same resource: its own first presence replaces the old one without an unavailable in
 *   between; if it ends without one the unavailable is sent then. Who had directed presence is told
 *   unavailable as soon as the old presence is replaced (RFC 6121 4.6), but no contact is.
 * - another resource: one new session takes the place of one lost one, which is told unavailable
 *   after the new one's initial presence, at the latest when its time is over.
 * The same take-over happens when a detached session is replaced by a bind of its resource, which
 * it never keeps from anybody, whatever resource_conflict says: nobody is there to be disturbed. */
void session_lost(struct session_manager *m, uint64_t sid, struct slice reason, uint32_t seconds,
		  struct monotime now);

/* A stanza from session sid. Its from is that session's full JID, whatever the peer wrote. */
void session_stanza(struct session_manager *m, uint64_t sid, struct custody_entry *e,
		    const struct msg_stanza *s, struct monotime now);

/* A stanza that its connection manager could not take: answered with the error it names. from: the
 * domain of a service's session; empty for a client's. */
void session_refuse(struct session_manager *m, struct custody_entry *e, struct slice from,
		    const struct msg_refused *r, struct monotime now);

/* A stanza from session sid (or a service: s has its from) that an earlier router has bounced: its
 * sender's cm knows the error's number, but the error itself is lost. It is made again, whatever
 * would become of s now. */
void session_bounce(struct session_manager *m, uint64_t sid, struct custody_entry *e,
		    const struct msg_stanza *s, const char *condition, struct monotime now);

/* A stanza that was delivered, or bounced, before this router started, and is not judged again: the
 * copies that it did not come to are made (XEP-0280). from: if sid is over. */
void session_copies(struct session_manager *m, uint64_t sid, struct slice from,
		    struct custody_entry *e, const struct msg_stanza *s, bool delivered,
		    struct monotime now);

/* A stanza from a domain's session (component, other server) whose from was checked by the host, to
 * a local domain or one that nobody serves. Without `to` it is refused: who else would be meant? */
void session_stanza_from(struct session_manager *m, struct slice from, struct custody_entry *e,
			 const struct msg_stanza *s, struct monotime now);

/* A delivery of e to sid failed or its session died (reason: a stanza error condition): judged by
 * RFC 6121 8.5: another resource, or an error to the sender, or nothing. Not to be called for an
 * entry of which another copy was delivered already. e = NULL: nothing happens. */
void session_undelivered(struct session_manager *m, struct custody_entry *e, uint64_t sid,
			 const struct session_stanza *s, const char *reason, struct monotime now);

bool session_exists(const struct session_manager *m, uint64_t sid);
uint64_t session_find(const struct session_manager *m,
		      struct slice full);				 /* who has it; 0 = none */
struct slice session_jid(const struct session_manager *m, uint64_t sid); /* full; empty if none */
bool session_is_local(const struct session_manager *m, struct slice domain);
size_t session_count(const struct session_manager *m);

/* Are kept messages still being put on queues, or is the end of sessions still to be told? After a
 * start the host must not forget what receivers already had before this is over: these come under
 * their old origins. */
bool session_catching_up(const struct session_manager *m);

/* `xmpp sessions [JID]`: one JSON object a line. jid: full, bare, or empty = all. state is "live"
 * or "detached", with detached_s, seconds since; lost sessions are not shown. */
void session_list(const struct session_manager *m, struct slice jid, struct str *out);

/* `xmpp user del JID`: ends the sessions of account bare, tells its contacts, removes everything of
 * it; done is called once, perhaps at once: ERR_OK; ERR_NOTFOUND: there is no such account; else
 * something may be left, and doing it again removes it. */
void session_remove_account(struct session_manager *m, struct slice bare, struct monotime now,
			    void (*done)(void *arg, enum err status), void *arg);

/* `xmpp kick JID`: full or bare. How many were closed; lost ones are over as well, uncounted. */
unsigned int session_kick(struct session_manager *m, struct slice jid, struct monotime now);

#endif
