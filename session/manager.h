/*
 * manager - what the rooms of session/ share: the manager itself and the stanza in hand.
 *
 * Internal to session/. The host never calls back into session/ from inside one of its functions,
 * except session_undelivered() from inside close(): so a session leaves the registry before it is
 * closed, and a list is never walked across close().
 */
#ifndef SESSION_MANAGER_H
#define SESSION_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/monotime.h"
#include "base/slice.h"
#include "base/str.h"
#include "session/due.h"
#include "session/session.h"

struct archive;
struct session;

enum resource_conflict { CONFLICT_REPLACE, CONFLICT_REJECT, CONFLICT_RENAME };

struct session_manager {
	struct session_host host;
	void *ctx;
	char **domains; /* owned; NULL-terminated */
	char *software_name;
	char *software_version;
	unsigned int sessions_per_user;
	enum resource_conflict conflict;
	unsigned int presence_grace_s, reconnect_grace_s;
	struct monotime now;	  /* of the last tick: for showing how long something lasts */
	struct map users;	  /* bare JID -> struct user */
	struct map64 sessions;	  /* sid -> struct session */
	struct due due;		  /* detached and lost sessions whose grace ends */
	struct list lost;	  /* struct session.all */
	struct map roster_queues; /* bare JID -> struct roster_queue */
	struct list roster_jobs;  /* all jobs, so that they can be orphaned at the end */
	struct map offline_boxes; /* bare JID -> struct offline_box */
	struct list
		offline_jobs; /* all requests for them, so that they can be orphaned at the end */
	uint64_t pushes;      /* numbers the ids of roster pushes */
	uint64_t leaving;     /* the session whose unavailable is told, for no stanza; 0 = none */
	unsigned int leaves;  /* of those, waiting for their contacts to be read */
	uint64_t moment; /* counts what sessions broadcast: which was first, also after a crash */
	uint64_t before; /* presence from this moment is judged again: who came later has been shown
			  * it, and was seen to come; 0 = it is new */
	struct list data_jobs, notes, removals; /* under way, so that they can be orphaned */
	unsigned int data_waiting, data_max;	/* how many of these there are and may be */
	size_t walks_bytes;	    /* of answers that are being put together (XEP-0049) */
	bool data_full, notes_full; /* and that it was told */
	unsigned int notes_waiting;
	bool last_activity, change_password, remove_account;
	bool disabled;		 /* session_config.disabled */
	struct monotime started; /* the first tick */
	struct archive *archive;
	struct str address_form; /* XEP-0157, as it stands in disco#info */
	struct str motd;	 /* message of the day: the inside of the stanza, empty = none */
};

/* One stanza while it is handled. s is a copy of the envelope; its slices are the caller's. */
struct inbound {
	struct session_manager *m;
	struct custody_entry *e;
	struct session *sender; /* NULL: it came through another service's session */
	struct session_stanza s;
	struct monotime now;
};

/* Is the stanza addressed to the sender's own account (by bare JID or without 'to')? */
bool inbound_is_own(const struct inbound *in);

/* The time of day: ms since 1970. */
static inline uint64_t manager_wall_ms(const struct session_manager *m)
{
	return m->host.wall_ms ? m->host.wall_ms(m->ctx) : 0;
}

/* Ends all sessions of user bare but one (0 = none) with this stream error, lost ones as well. */
void manager_end_user(struct session_manager *m, struct slice bare, uint64_t except,
		      const char *condition, const char *text);

/* Deliveries, shared by everybody. */
static inline void manager_deliver(struct session_manager *m, struct custody_entry *e, uint64_t sid,
				   const struct session_stanza *s)
{
	m->host.deliver(m->ctx, e, sid, s);
}

static inline void manager_answer(struct session_manager *m, struct custody_entry *e, uint64_t sid,
				  const struct session_stanza *s)
{
	if (!e && m->leaving && m->host.left)
		m->host.left(m->ctx, m->leaving, sid, s);
	else
		m->host.answer(m->ctx, e, sid, s);
}

/* The server itself, where nothing tells which of its domains. */
static inline struct slice manager_domain(const struct session_manager *m)
{
	return slice_str(m->domains[0]);
}

/* For what goes between peer and somebody at domain; 0 when nobody serves domain. */
static inline uint64_t manager_route(const struct session_manager *m, struct slice domain,
				     struct slice peer)
{
	return m->host.route(m->ctx, domain, peer);
}

#endif
