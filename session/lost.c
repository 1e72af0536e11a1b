#include "session/lost.h"

#include "ipc/codec.h"
#include "session/presence.h"
#include "session/registry.h"
#include "session/session_blob.h"
#include "xmpp/jid.h"

static struct session *entry(struct list *l)
{
	return list_entry(l, struct session, link);
}

/* Is there anything that somebody would have to be told? A presence that was kept aside is over. */
static bool leaves_something(struct session *s)
{
	if (s->hidden)
		registry_set_presence(s, NULL, 0);
	return s->last || s->ntargets;
}

static void forget(struct session_manager *m, struct session *s)
{
	registry_remove(m, s);
	if (s->kept && m->host.lost_over)
		m->host.lost_over(m->ctx, s->sid);
	registry_free(m, &s);
}

void lost_keep_take(struct session_manager *m, struct session *s, uint32_t seconds,
		    struct monotime now)
{
	struct str blob = STR_INIT;

	if (!seconds || !leaves_something(s)) {
		presence_gone(m, s);
		registry_free(m, &s);
		return;
	}
	registry_keep_lost(m, s);
	s->heir = 0;
	s->backlog = false;
	due_put(&m->due, s, monotime_add_ms(now, seconds * UINT64_C(1000)));
	if (!m->host.lost)
		return;
	s->kept = true;
	session_blob_pack(s, &blob);
	m->host.lost(m->ctx, s->sid, s->full, str_slice(&blob), seconds);
	str_clear(&blob);
}

void lost_leave_take(struct session_manager *m, struct session *s, struct session *heir)
{
	if (!leaves_something(s)) {
		registry_free(m, &s);
		return;
	}
	registry_keep_lost(m, s);
	s->heir = heir->sid;
}

struct session *lost_of(const struct session *s)
{
	if (!s->user)
		return NULL;
	list_each (it, &s->user->lost) {
		struct session *l = entry(it);

		if (l->heir == s->sid && slice_eq(l->resource, s->resource))
			return l;
	}
	return NULL;
}

static struct session *same_resource(const struct session *s)
{
	list_each (it, &s->user->lost) {
		if (slice_eq(entry(it)->resource, s->resource))
			return entry(it);
	}
	return NULL;
}

/* What l leaves goes into the heir's blob; only then the host may forget it. */
static void inherit(struct session_manager *m, struct session *l, struct session *heir)
{
	l->heir = heir->sid;
	due_remove(&m->due, l);
	session_blob_emit(m, heir);
	if (l->kept && m->host.lost_over)
		m->host.lost_over(m->ctx, l->sid);
	l->kept = false;
}

void lost_claim(struct session_manager *m, struct session *s, bool fresh)
{
	struct session *l = same_resource(s);

	if (l) {
		inherit(m, l, s);
		return;
	}
	if (!fresh)
		return;
	/* One for one: two clients that come back take over from two that were lost. */
	list_each (it, &s->user->lost) {
		if (!entry(it)->heir) {
			entry(it)->heir = s->sid;
			return;
		}
	}
}

static void set_targets(struct session *s, struct slice packed)
{
	struct slice jid;

	while (codec_get_str(&packed, &jid))
		registry_target_add(s, jid);
}

static struct session *restore(struct session_manager *m, const struct session *heir,
			       const struct session_left *left)
{
	struct session *s = registry_add_lost(m, 0, heir->user->bare, heir->resource);

	s->heir = heir->sid;
	if (left->available)
		registry_set_presence(s, &left->last, 0);
	set_targets(s, left->targets);
	return s;
}

void lost_announced(struct session_manager *m, struct session *s, struct slice blob,
		    struct monotime now)
{
	struct session *l = same_resource(s);
	struct session_left left;
	bool inherited = session_blob_inherited(blob, &left);

	if (inherited) {
		if (l)
			forget(m, l);
		l = restore(m, s, &left);
	}
	if (l && s->last) {
		/* It was replaced already; who saw only the old one is told at the next tick. */
		l->heir = s->sid;
		due_put(&m->due, l, now);
	} else if (l && !inherited) {
		inherit(m, l, s);
	}
}

void lost_end(struct session_manager *m, struct session *s)
{
	const struct session *now;

	registry_remove(m, s);
	now = registry_resource(s->user, s->resource);
	if (now && registry_shown(now))
		presence_replaced(m, s, now);
	else
		presence_gone(m, s);
	if (s->kept && m->host.lost_over)
		m->host.lost_over(m->ctx, s->sid);
	registry_free(m, &s);
}

void lost_replaced(struct session_manager *m, struct session *heir)
{
	struct session *l = same_resource(heir);

	if (l)
		lost_end(m, l);
}

void lost_succeeded(struct session_manager *m, struct session *heir)
{
	list_each_safe (it, &heir->user->lost) {
		if (entry(it)->heir == heir->sid)
			lost_end(m, entry(it));
	}
}

void lost_adopt(struct session_manager *m, struct session *s)
{
	struct session *l = lost_of(s);

	if (!l)
		return;
	if (!s->last) {
		s->last = l->last;
		l->last = NULL;
	}
	set_targets(s, str_slice(&l->targets));
	forget(m, l);
}

void lost_forsaken(const struct session *s)
{
	list_each (it, &s->user->lost) {
		if (entry(it)->heir == s->sid)
			entry(it)->heir = 0;
	}
}

void lost_dropped(struct session_manager *m, const struct session *s)
{
	struct session *l = lost_of(s);

	if (l)
		forget(m, l);
}

void lost_end_matching(struct session_manager *m, const struct jid *who)
{
	list_each_safe (it, &m->lost) {
		struct session *s = list_entry(it, struct session, all);
		bool hit;

		if (!who)
			hit = !session_is_local(m, jid_text_domain(s->full));
		else
			hit = slice_eq(who->resource.len ? s->full : s->user->bare, jid_full(who));
		if (hit)
			lost_end(m, s);
	}
}
