#include "session/detached.h"

#include "base/log.h"
#include "session/lost.h"
#include "session/offline.h"
#include "session/presence.h"
#include "session/registry.h"
#include "session/session_blob.h"

/* A cm with very many sessions has died a minute ago: its sessions are told as gone over some
 * seconds, so that live traffic goes on in between. */
#define DUE_PER_TICK 4000

/* Between the announcement of a session and the word that it is detached. */
#define ANNOUNCING_MS 3000

void session_detached(struct session_manager *m, uint64_t sid, struct monotime since)
{
	struct session *s = registry_sid(m, sid);

	if (!s || s->detached)
		return;
	s->detached = true;
	s->since = since;
	if (s->hidden)
		due_remove(&m->due, s);
	else
		due_put(&m->due, s, monotime_add_ms(since, m->presence_grace_s * UINT64_C(1000)));
}

static void note(const struct session *s, const char *event)
{
	log_info("-", "event=%s jid=%s sid=%016llx", event, log_quote(s->full),
		 (unsigned long long)s->sid);
}

/* Its time is over: others see it no more, its presence is kept aside. */
static void hide(struct session_manager *m, struct session *s)
{
	bool own = registry_available(s);

	if (!own && !s->ntargets && !lost_of(s))
		return;
	note(s, "session-unavailable");
	lost_adopt(m, s);
	presence_gone(m, s);
	if (own)
		s->hidden = true;
	else
		registry_set_presence(s, NULL, 0);
	session_blob_emit(m, s);
}

/* To others it is as if it had sent initial presence. */
static void show(struct session_manager *m, struct session *s, struct monotime now)
{
	bool backlog;

	note(s, "session-available-again");
	s->hidden = false;
	backlog = offline_wanted(m, s, false);
	s->backlog |= backlog;
	session_blob_emit(m, s);
	presence_back(m, s, now);
	if (backlog)
		offline_available(m, s);
}

void detached_announced(struct session_manager *m, struct session *s, struct monotime now)
{
	if (s->hidden)
		due_put(&m->due, s, monotime_add_ms(now, ANNOUNCING_MS));
}

void session_resumed(struct session_manager *m, uint64_t sid, struct slice conn, struct slice addr,
		     struct monotime now)
{
	struct session *s = registry_sid(m, sid);

	if (!s)
		return;
	due_remove(&m->due, s);
	s->detached = false;
	registry_move(s, conn, addr);
	if (s->hidden)
		show(m, s, now);
}

void session_tick(struct session_manager *m, struct monotime now)
{
	struct session *s;

	m->now = now;
	if (!m->started.us)
		m->started = now;
	for (unsigned int i = 0; i < DUE_PER_TICK && (s = due_take(&m->due, now)) != NULL; i++) {
		if (s->lost)
			lost_end(m, s);
		else if (s->detached)
			hide(m, s);
		else if (s->hidden)
			show(m, s, now);
	}
}
