#include "session/registry.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"
#include "ipc/codec.h"
#include "session/manager.h"
#include "xmpp/jid.h"

struct session *user_first(const struct user *u)
{
	struct list *l = u ? list_first(&u->sessions) : NULL;

	return l ? list_entry(l, struct session, link) : NULL;
}

struct session *user_after(const struct session *s)
{
	return s->link.next == &s->user->sessions ? NULL
						  : list_entry(s->link.next, struct session, link);
}

/* The first one that is shown, from l on; NULL at the end of the list. */
static struct session *shown_from(const struct list *head, struct list *l)
{
	for (; l != head; l = l->next) {
		struct session *s = list_entry(l, struct session, link);

		if (registry_shown(s))
			return s;
	}
	return NULL;
}

struct session *user_shown(const struct user *u, const struct session *s)
{
	struct session *next = NULL;

	if (!u)
		return NULL;
	if (!s || !s->lost)
		next = shown_from(&u->sessions, s ? s->link.next : u->sessions.next);
	if (!next)
		next = shown_from(&u->lost, s && s->lost ? s->link.next : u->lost.next);
	return next;
}

struct session *registry_sid(const struct session_manager *m, uint64_t sid)
{
	return map64_find(&m->sessions, sid);
}

struct user *registry_user(const struct session_manager *m, struct slice jid)
{
	return map_find(&m->users, jid_text_bare(jid));
}

struct session *registry_resource(const struct user *u, struct slice resource)
{
	/* A user's sessions are few (sessions_per_user): walking them beats a second map. */
	for (struct session *s = user_first(u); s; s = user_after(s)) {
		if (slice_eq(s->resource, resource))
			return s;
	}
	return NULL;
}

struct session *registry_full(const struct session_manager *m, struct slice full)
{
	return registry_resource(registry_user(m, full), jid_text_resource(full));
}

/* Copies s to *at and moves *at behind it. */
static struct slice place(char **at, struct slice s)
{
	char *start = *at;

	if (s.len)
		memcpy(start, s.data, s.len);
	*at += s.len;
	return slice_of(start, s.len);
}

static struct user *user_new(struct session_manager *m, struct slice bare)
{
	struct user *u = xcalloc(1, sizeof(*u) + bare.len);
	char *at = u->text;

	list_init(&u->sessions);
	list_init(&u->lost);
	str_init(&u->contacts.list);
	u->bare = place(&at, bare);
	map_put(&m->users, bare, u);
	return u;
}

/* In no list and no map yet. */
static struct session *session_alloc(struct session_manager *m, uint64_t sid, struct slice bare,
				     struct slice resource, struct slice conn, struct slice addr)
{
	struct user *u = map_find(&m->users, bare);
	size_t full = bare.len + 1 + resource.len;
	struct session *s = xcalloc(1, sizeof(*s) + full + conn.len + addr.len);
	char *at = s->text;

	if (!u)
		u = user_new(m, bare);
	place(&at, bare);
	*at++ = '/';
	s->resource = place(&at, resource);
	s->full = slice_of(s->text, full);
	s->conn = place(&at, conn);
	s->addr = place(&at, addr);
	s->sid = sid;
	s->user = u;
	u->refs++;
	str_init(&s->targets);
	list_init(&s->link);
	list_init(&s->all);
	return s;
}

struct session *registry_add(struct session_manager *m, uint64_t sid, struct slice bare,
			     struct slice resource, struct slice conn, struct slice addr)
{
	struct session *s = session_alloc(m, sid, bare, resource, conn, addr);

	list_append(&s->user->sessions, &s->link);
	s->user->count++;
	check(map64_put(&m->sessions, sid, s) == NULL);
	return s;
}

struct session *registry_add_lost(struct session_manager *m, uint64_t sid, struct slice bare,
				  struct slice resource)
{
	struct session *s = session_alloc(m, sid, bare, resource, SLICE_NONE, SLICE_NONE);

	registry_keep_lost(m, s);
	return s;
}

void registry_set_carbons(struct session *s, bool wanted)
{
	if (wanted && !s->carbons)
		s->user->carbons++;
	else if (!wanted && s->carbons)
		s->user->carbons--;
	s->carbons = wanted;
}

void registry_remove(struct session_manager *m, struct session *s)
{
	registry_set_carbons(s, false);
	due_remove(&m->due, s);
	list_remove(&s->link);
	if (s->lost) {
		list_remove(&s->all);
		s->lost = false;
		return;
	}
	check(map64_remove(&m->sessions, s->sid) == s);
	s->user->count--;
}

void registry_keep_lost(struct session_manager *m, struct session *s)
{
	s->lost = true;
	s->detached = false;
	list_append(&s->user->lost, &s->link);
	list_append(&m->lost, &s->all);
}

void registry_move(struct session *s, struct slice conn, struct slice addr)
{
	char *moved = xmalloc(conn.len + addr.len + 1), *at = moved;

	s->conn = place(&at, conn);
	s->addr = place(&at, addr);
	free(s->moved);
	s->moved = moved;
}

void registry_free(struct session_manager *m, struct session **sp)
{
	struct session *s = *sp;

	*sp = NULL;
	if (--s->user->refs == 0) {
		map_remove(&m->users, s->user->bare);
		contacts_clear(&s->user->contacts);
		free(s->user);
	}
	free(s->last);
	free(s->left);
	free(s->moved);
	str_clear(&s->targets);
	free(s);
}

void registry_set_presence(struct session *s, const struct session_stanza *p, int8_t priority)
{
	struct presence *next = NULL;

	if (p) {
		char *at;

		next = xmalloc(sizeof(*next) + p->lang.len + p->children.len + p->inner.len);
		at = next->text;
		next->flags = p->flags;
		next->lang = place(&at, p->lang);
		next->children = place(&at, p->children);
		next->inner = place(&at, p->inner);
	}
	free(s->last);
	s->last = next;
	s->priority = p ? priority : 0;
	if (!p)
		s->informed = s->backlog = s->hidden = false;
}

void registry_set_left(struct session *s, bool shown, uint16_t ntargets, struct slice targets)
{
	free(s->left);
	s->left = xmalloc(sizeof(*s->left) + targets.len);
	s->left->shown = shown;
	s->left->ntargets = ntargets;
	s->left->len = (uint32_t)targets.len;
	if (targets.len)
		memcpy(s->left->targets, targets.data, targets.len);
}

void registry_said(struct session *s, uint64_t n, bool left)
{
	s->said_n = n;
	if (left) {
		registry_set_left(s, registry_shown(s), s->ntargets, str_slice(&s->targets));
		return;
	}
	free(s->left);
	s->left = NULL;
}

/* The offset of jid in the packed list, or its length. */
static size_t target_find(const struct session *s, struct slice jid)
{
	struct slice left = str_slice(&s->targets), one;
	size_t at = 0;

	while (codec_get_str(&left, &one)) {
		if (slice_eq(one, jid))
			return at;
		at = s->targets.len - left.len;
	}
	return s->targets.len;
}

bool registry_target_add(struct session *s, struct slice jid)
{
	if (target_find(s, jid) < s->targets.len)
		return false;
	codec_put_str(&s->targets, jid);
	s->ntargets++;
	return true;
}

bool registry_target_remove(struct session *s, struct slice jid)
{
	size_t at = target_find(s, jid), size = 2 + jid.len;

	if (at == s->targets.len)
		return false;
	memmove(s->targets.data + at, s->targets.data + at + size, s->targets.len - at - size);
	s->targets.len -= size;
	if (--s->ntargets == 0)
		str_clear(&s->targets);
	return true;
}
