/*
 * registry - users who have sessions, and these sessions, found by session id and by JID.
 *
 * Pure data. A session is one allocation (its strings are behind it) plus, when it is available,
 * one for its last presence; about 400 bytes idle. A lookup never allocates.
 */
#ifndef SESSION_REGISTRY_H
#define SESSION_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/monotime.h"
#include "base/slice.h"
#include "base/str.h"
#include "session/contacts.h"

struct archive_owner;
struct blocking_wait;
struct session_manager;
struct session_stanza;

struct user {
	struct list sessions;  /* struct session.link, in the order of binding */
	struct list lost;      /* the same, those of which only the presence is left: see lost.h */
	unsigned int count;    /* of sessions */
	unsigned int carbons;  /* of those that want copies (XEP-0280) */
	unsigned int requests; /* of his that wait for the datastore (data_job.h) */
	unsigned int refs;     /* all of them, and those taken out but not yet freed */
	struct slice bare;
	struct contacts contacts;
	struct blocking_wait *wait;	     /* what needs to know whom he has blocked; not owned */
	struct archive_owner *archive_owner; /* archive_prefs.h; not owned */
	uint64_t archive_forgotten;	     /* it is valid while this is archive_memory's */
	char text[];
};

/* The presence a session last broadcast: everything of it but its addresses and id. */
struct presence {
	uint16_t flags;
	struct slice lang, children, inner;
	char text[];
};

/* What its unavailable presence ended, for a router that judges that one again. */
struct presence_left {
	bool shown; /* contacts and resources saw it available */
	uint16_t ntargets;
	uint32_t len;
	char targets[];
};

struct session {
	struct list link;
	struct user *user;
	uint64_t sid;
	struct slice full, resource, conn, addr;
	struct presence *last; /* NULL = not available (RFC 6121 4.2) */
	struct str targets;    /* directed presence (RFC 6121 4.6): packed STRs, ntargets of them */
	uint64_t came_n, said_n;    /* numbers of the presence by which it became available, and of
				     * the newest broadcast; 0 = unknown */
	uint64_t came_at, said_at;  /* their moments (session_manager.moment) */
	struct presence_left *left; /* said_n is unavailable; else NULL */
	uint64_t greeted_n; /* of the presence that the message of the day answers; 0 = none */
	uint16_t ntargets;
	int8_t priority;
	bool interested;      /* asked for the roster (RFC 6121 2.2) */
	bool carbons;	      /* wants copies (XEP-0280): registry_set_carbons() */
	bool informed;	      /* has been shown whom its user sees and who asks (3.1.3, 4.3) */
	bool backlog;	      /* offline messages are, or are to be, delivered to it */
	bool follows_blocked; /* asked for the blocklist: gets pushes of it (XEP-0191 3.3) */
	bool knows_blocked;   /* the blocklist is in the blob its cm has */
	bool detached;	      /* its connection broke, it may be resumed */
	bool hidden;	      /* last is kept aside: everybody was told that it is unavailable */
	bool lost;	      /* in user.lost */
	bool kept;	      /* lost: the host was told to keep it */
	uint32_t due_at;      /* place in session_manager.due, 0 = none */
	struct monotime due;
	struct monotime since; /* detached */
	struct list all;       /* lost: in session_manager.lost */
	uint64_t heir;	       /* lost: who takes its place, 0 = nobody yet */
	char *moved;	       /* conn and addr of a resumed session, else they are in text */
	char text[];
};

/* Every session of u (which may be NULL) in the order of binding; NULL at the end. */
struct session *user_first(const struct user *u);
struct session *user_after(const struct session *s);

/* Every session of u, lost ones too, that others see as available: the one after s, or the first
 * (s = NULL). */
struct session *user_shown(const struct user *u, const struct session *s);

/* By its own account: it gets presence. A detached one that others do not see any more is still
 * available in this sense, so that it misses nothing. */
static inline bool registry_available(const struct session *s)
{
	return s->last != NULL;
}

/* In the eyes of others. */
static inline bool registry_shown(const struct session *s)
{
	return registry_available(s) && !s->hidden;
}

/* Does s take messages for the bare JID? Never below priority 0 (RFC 6121 8.5.2.1.1). */
static inline bool registry_takes(const struct session *s)
{
	return registry_shown(s) && s->priority >= 0;
}

/* Borrowed or NULL. full: a full JID; bare: only the bare part of jid is looked at. */
struct session *registry_sid(const struct session_manager *m, uint64_t sid);
struct session *registry_full(const struct session_manager *m, struct slice full);
struct user *registry_user(const struct session_manager *m, struct slice jid);
struct session *registry_resource(const struct user *u, struct slice resource);

/* A new session; sid and full JID must be free. */
struct session *registry_add(struct session_manager *m, uint64_t sid, struct slice bare,
			     struct slice resource, struct slice conn, struct slice addr);

/* The same in user.lost and session_manager.lost, found by no lookup; sid may be 0. */
struct session *registry_add_lost(struct session_manager *m, uint64_t sid, struct slice bare,
				  struct slice resource);

/* Takes s out of all lookups; s and s->user stay readable until registry_free(). */
void registry_remove(struct session_manager *m, struct session *s);

/* Makes a removed session a lost one. */
void registry_keep_lost(struct session_manager *m, struct session *s);

/* The connection it has now. */
void registry_move(struct session *s, struct slice conn, struct slice addr);

void registry_free(struct session_manager *m, struct session **sp);

/* Replaces s->last by a copy, or forgets it (p = NULL): then priority is 0 again. */
void registry_set_presence(struct session *s, const struct session_stanza *p, int8_t priority);

/* It has said presence number n: replaces s->left by what it leaves now, or (left = false)
 * forgets that. */
void registry_said(struct session *s, uint64_t n, bool left);
/* The same with what an earlier router knew of it. */
void registry_set_left(struct session *s, bool shown, uint16_t ntargets, struct slice targets);

/* XEP-0280. registry_remove() takes it away. */
void registry_set_carbons(struct session *s, bool wanted);

/* Directed presence. add: false when it was there already. */
bool registry_target_add(struct session *s, struct slice jid);
bool registry_target_remove(struct session *s, struct slice jid);

#endif
