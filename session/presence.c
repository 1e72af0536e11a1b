#include "session/presence.h"

#include <stdlib.h>

#include "ipc/codec.h"
#include "ipc/stanza_kinds.h"
#include "session/blocking.h"
#include "session/delivery.h"
#include "session/last_activity.h"
#include "session/lost.h"
#include "session/motd.h"
#include "session/offline.h"
#include "session/presence_contacts.h"
#include "session/registry.h"
#include "session/reply.h"
#include "session/session_blob.h"
#include "session/subscription.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_tree.h"

/* RFC 6121 4.7.2.3: an integer from -128 to 127 (with white space, as xs:byte allows). */
static bool priority_value(const char *text, int8_t *out)
{
	char *end;
	long v;

	v = strtol(text, &end, 10);
	if (end == text || v < -128 || v > 127)
		return false;
	end += strspn(end, " \t\r\n");
	*out = (int8_t)v;
	return *end == '\0';
}

/* The priority of a presence, 0 when it says nothing. */
static bool presence_priority(const struct session_stanza *s, int8_t *out)
{
	struct slice index = s->children;
	struct stanza_child c;
	struct xml_node *tree;
	bool ok;

	*out = 0;
	while (stanza_child_get(&index, &c)) {
		if (c.ns != NS_ID_CONTENT || c.name != NAME_ID_PRIORITY)
			continue;
		if (c.offset > s->inner.len || c.length > s->inner.len - c.offset)
			return false;
		tree = xml_tree_parse_inner(slice_of(s->inner.data + c.offset, c.length),
					    NS_CLIENT);
		ok = tree && tree->first && priority_value(tree->first->text, out);
		xml_tree_free(&tree);
		return ok;
	}
	return true;
}

static void pass(struct session_manager *m, struct custody_entry *e, bool made, uint64_t sid,
		 const struct session_stanza *s)
{
	if (made)
		manager_answer(m, e, sid, s);
	else
		manager_deliver(m, e, sid, s);
}

/* Did s become available later than what is judged again? */
static bool came_later(const struct session_manager *m, const struct session *s)
{
	return m->before && s->came_at > m->before;
}

/* To all available resources of u but one, addressed to the bare JID (RFC 6121 4.2.2,
 * 8.5.2.1.2). */
static unsigned int to_others(struct session_manager *m, struct custody_entry *e, bool made,
			      const struct user *u, const struct session *except,
			      struct session_stanza *s)
{
	unsigned int given = 0;

	for (struct session *r = user_first(u); r; r = user_after(r)) {
		if (!registry_available(r) || r == except || came_later(m, r))
			continue;
		s->to = u->bare;
		pass(m, e, made, r->sid, s);
		given++;
	}
	return given;
}

static unsigned int to_available(struct session_manager *m, struct custody_entry *e, bool made,
				 const struct user *u, struct session_stanza *s)
{
	return to_others(m, e, made, u, NULL, s);
}

unsigned int presence_to_address(struct session_manager *m, struct custody_entry *e, bool made,
				 struct session_stanza *s)
{
	struct session *match;
	const struct user *u;
	uint64_t sid;

	if (!session_is_local(m, jid_text_domain(s->to))) {
		sid = manager_route(m, jid_text_domain(s->to), s->from);
		if (sid)
			pass(m, e, made, sid, s);
		return sid ? 1 : 0;
	}
	u = registry_user(m, s->to);
	if (!u || (!blocking_free(&u->contacts) && blocking_presence(m, e, made, s)))
		return 0;
	if (jid_text_resource(s->to).len == 0)
		return to_available(m, e, made, u, s);
	match = registry_resource(u, jid_text_resource(s->to));
	if (match)
		pass(m, e, made, match->sid, s);
	return match ? 1 : 0;
}

/* As the addressee, but not to the resources that the user has blocked one by one: those of a user
 * elsewhere cannot be told apart. */
static unsigned int to_others_not_blocked(struct session_manager *m, struct custody_entry *e,
					  bool made, const struct user *from,
					  struct session_stanza *s)
{
	const struct user *u = registry_user(m, s->to);
	unsigned int given = 0;

	for (struct session *r = user_first(u); r; r = user_after(r)) {
		struct session_stanza one = *s;

		if (!registry_available(r) || blocking_hits(&from->contacts, from->bare, r->full))
			continue;
		one.to = r->full;
		given += presence_to_address(m, e, made, &one);
	}
	return given;
}

unsigned int presence_to_contact(struct session_manager *m, struct custody_entry *e, bool made,
				 const struct contacts *c, struct session_stanza *s)
{
	struct slice owner = jid_text_bare(s->from);
	const struct user *u;

	if (blocking_free(c))
		return presence_to_address(m, e, made, s);
	if (blocking_hits(c, owner, s->to))
		return 0;
	u = registry_user(m, owner);
	if (u && jid_text_resource(s->to).len == 0 && session_is_local(m, jid_text_domain(s->to)))
		return to_others_not_blocked(m, e, made, u, s);
	return presence_to_address(m, e, made, s);
}

/* The unavailable to everybody who was sent directed presence, except (contacts_told) those who had
 * it as contacts; nobody is remembered afterwards. */
static void to_targets(struct session_manager *m, struct custody_entry *e, bool contacts_told,
		       struct session *sender, struct session_stanza *s)
{
	struct slice left = str_slice(&sender->targets), to;
	const struct contacts *c = &sender->user->contacts;

	while (codec_get_str(&left, &to)) {
		if (contacts_told && (contacts_find(c, to) & CONTACT_FROM))
			continue;
		if (blocking_hits(c, sender->user->bare, to))
			continue; /* was told when it was blocked */
		s->to = to;
		presence_to_address(m, e, e == NULL, s);
	}
	str_clear(&sender->targets);
	sender->ntargets = 0;
}

/* A session's last presence, as the server tells it to others. */
static struct session_stanza last_presence(const struct session *s)
{
	return (struct session_stanza){.kind = STANZA_PRESENCE,
				       .type = TYPE_NONE,
				       .flags = s->last->flags,
				       .from = s->full,
				       .lang = s->last->lang,
				       .children = s->last->children,
				       .inner = s->last->inner};
}

unsigned int presence_show(struct session_manager *m, struct custody_entry *e, struct slice who,
			   struct slice to, uint8_t type)
{
	const struct user *u = registry_user(m, who);
	struct slice resource = jid_text_resource(who);
	unsigned int shown = 0;

	for (struct session *s = user_shown(u, NULL); s; s = user_shown(u, s)) {
		struct session_stanza out = last_presence(s);

		if ((resource.len && !slice_eq(s->resource, resource)) || came_later(m, s))
			continue;
		if (type == TYPE_UNAVAILABLE)
			out = (struct session_stanza){
				.kind = STANZA_PRESENCE, .type = type, .from = s->full};
		out.to = to;
		if (type == TYPE_UNAVAILABLE)
			presence_to_address(m, e, true, &out);
		else
			presence_to_contact(m, e, true, &u->contacts, &out);
		shown++;
	}
	return shown;
}

/* What the user's other resources are, for one that has just become available (4.2.2, 4.3). */
static void show_others(const struct inbound *in)
{
	struct session *self = in->sender;

	for (struct session *o = user_shown(self->user, NULL); o; o = user_shown(self->user, o)) {
		struct session_stanza out;

		/* Nor a lost one that is over as soon as self is seen. */
		if (o == self || (o->lost && o->heir == self->sid) || came_later(in->m, o))
			continue;
		out = last_presence(o);
		out.to = self->user->bare;
		manager_answer(in->m, in->e, self->sid, &out);
	}
}

static void note_said(const struct inbound *in, uint64_t n, bool left)
{
	registry_said(in->sender, n, left);
	in->sender->said_at = ++in->m->moment;
}

static uint64_t number_of(const struct inbound *in)
{
	const struct session_host *host = &in->m->host;
	uint64_t sid, n = 0;

	if (host->origin && in->e)
		host->origin(in->m->ctx, in->e, &sid, &n);
	return n;
}

/* Has an earlier router broadcast it? The session is then what it, or a later one, has made it. */
static bool is_again(const struct inbound *in)
{
	const struct session_host *host = &in->m->host;

	return in->sender && in->sender->said_n && host->repeated &&
	       host->repeated(in->m->ctx, in->e) && number_of(in) <= in->sender->said_n;
}

/* Whoever has had what follows from it recognises that; whoever has not gets it now (CUSTODY 6). It
 * changes nothing, and nobody is shown what is over. */
static void available_again(struct inbound *in)
{
	struct session *self = in->sender;
	uint64_t n = number_of(in);

	if (!registry_shown(self) || n < self->came_n) {
		reply_consume(in, "rfc6121-4.4 presence that a later one has replaced");
		return;
	}
	in->m->before = self->said_at;
	if (n < self->said_n) {
		in->s = last_presence(self);
		in->m->before = self->came_at;
	}
	to_available(in->m, in->e, false, self->user, &in->s);
	if (n == self->came_n) {
		show_others(in);
		self->informed = false;
	}
	in->s.to = SLICE_NONE;
	presence_contacts_available(in);
	in->m->before = 0;
}

/* Its connection is gone and everybody knows: this one comes late, and is shown if the session is
 * resumed. */
static bool keep_aside(struct inbound *in, int8_t priority)
{
	struct session *self = in->sender;

	if (!self->hidden || !self->detached)
		return false;
	registry_set_presence(self, &in->s, priority);
	note_said(in, number_of(in), false);
	session_blob_emit(in->m, self);
	reply_consume(in, "rfc6121-4.2 presence of a session that is detached");
	return true;
}

static void broadcast_available(struct inbound *in)
{
	struct session *self = in->sender;
	bool initial = !registry_shown(self), took = registry_takes(self), backlog;
	int8_t priority;

	if (!presence_priority(&in->s, &priority)) {
		reply_error(in, STANZA_ERROR_BAD_REQUEST,
			    "The priority is an integer from -128 to 127.",
			    "rfc6121-4.7.2.3 priority");
		return;
	}
	if (is_again(in)) {
		available_again(in);
		motd_send(in, number_of(in));
		return;
	}
	if (keep_aside(in, priority))
		return;
	self->hidden = false;
	registry_set_presence(self, &in->s, priority);
	note_said(in, number_of(in), false);
	motd_note(in, initial, self->said_n);
	if (initial) {
		self->came_n = self->said_n;
		self->came_at = self->said_at;
	}
	backlog = offline_wanted(in->m, self, took);
	self->backlog |= backlog;
	if (initial)
		lost_replaced(in->m, self);
	session_blob_emit(in->m, self);
	to_available(in->m, in->e, false, self->user, &in->s);
	if (initial)
		show_others(in);
	in->s.to = SLICE_NONE;
	presence_contacts_available(in);
	if (initial)
		lost_succeeded(in->m, self);
	motd_send(in, self->said_n);
	if (backlog)
		offline_available(in->m, self);
}

/* As to_targets(), of what the session has left. */
static void to_left(struct inbound *in, const struct contacts *c)
{
	const struct presence_left *left = in->sender->left;
	struct slice targets = slice_of(left->targets, left->len), to;

	while (codec_get_str(&targets, &to)) {
		if ((left->shown && (contacts_find(c, to) & CONTACT_FROM)) ||
		    blocking_hits(c, in->sender->user->bare, to))
			continue;
		in->s.to = to;
		presence_to_address(in->m, in->e, false, &in->s);
	}
}

static void unavailable_again_go(struct inbound *in, struct slice bare, const struct contacts *c,
				 bool known)
{
	struct session *self = in->sender;

	(void)bare;
	if (self && self->left && !registry_shown(self)) {
		if (known && self->left->shown)
			presence_contacts_tell(in->m, in->e, c, &in->s);
		to_left(in, c);
	}
	reply_consume(in, "rfc6121-4.5 presence broadcast");
}

/* As available_again(). */
static void unavailable_again(struct inbound *in)
{
	struct session *self = in->sender;

	if (!self->left || number_of(in) < self->said_n) {
		reply_consume(in, "rfc6121-4.4 presence that a later one has replaced");
		return;
	}
	in->m->before = self->said_at;
	if (self->left->shown) {
		to_others(in->m, in->e, false, self->user, self, &in->s);
		in->s.to = self->user->bare;
		manager_deliver(in->m, in->e, self->sid, &in->s);
	}
	presence_contacts_with(in, self->user->bare, unavailable_again_go);
	in->m->before = 0;
}

static void broadcast_unavailable(struct inbound *in)
{
	struct session *self = in->sender;
	bool was_shown;

	if (is_again(in)) {
		unavailable_again(in);
		return;
	}
	/* Its first presence, in place of one that it has inherited. */
	lost_adopt(in->m, self);
	was_shown = registry_shown(self);
	note_said(in, number_of(in), true);
	/* 4.5.2: to the resource that says so as well, then it is no longer among the available. */
	if (was_shown) {
		last_activity_left(in->m, self, &in->s);
		to_available(in->m, in->e, false, self->user, &in->s);
		presence_contacts_unavailable(in->m, in->e, self, &in->s);
	}
	registry_set_presence(self, NULL, 0);
	to_targets(in->m, in->e, was_shown, self, &in->s);
	session_blob_emit(in->m, self);
	reply_consume(in, "rfc6121-4.5 presence broadcast");
}

void presence_gone(struct session_manager *m, struct session *s)
{
	struct session_stanza out = {
		.kind = STANZA_PRESENCE, .type = TYPE_UNAVAILABLE, .from = s->full};
	bool shown = registry_shown(s);

	m->leaving = s->sid;
	if (shown) {
		last_activity_left(m, s, NULL);
		to_others(m, NULL, true, s->user, s, &out);
		presence_contacts_unavailable(m, NULL, s, &out);
	}
	to_targets(m, NULL, shown, s, &out);
	m->leaving = 0;
}

void presence_replaced(struct session_manager *m, struct session *s, const struct session *now)
{
	struct session_stanza out = {
		.kind = STANZA_PRESENCE, .type = TYPE_UNAVAILABLE, .from = s->full};
	struct slice left = str_slice(&now->targets), to;

	while (codec_get_str(&left, &to))
		registry_target_remove(s, to);
	m->leaving = s->sid;
	to_targets(m, NULL, true, s, &out);
	m->leaving = 0;
}

void presence_back(struct session_manager *m, struct session *s, struct monotime now)
{
	struct inbound in = {.m = m, .sender = s, .s = last_presence(s), .now = now};

	to_others(m, NULL, true, s->user, s, &in.s);
	in.s.to = SLICE_NONE;
	presence_contacts_available(&in);
}

/* RFC 6121 4.6: the sender's server remembers whom to tell at the end. */
static void remember(const struct inbound *in, struct slice to)
{
	struct session *self = in->sender, *before = self ? lost_of(self) : NULL;
	bool changed;

	if (!self || slice_eq(jid_text_bare(to), self->user->bare) || is_again(in))
		return;
	if (in->s.type == TYPE_UNAVAILABLE)
		changed = registry_target_remove(self, to) ||
			  (before && registry_target_remove(before, to));
	else
		changed = registry_target_add(self, to);
	if (changed)
		session_blob_emit(in->m, self);
}

static void directed(struct inbound *in)
{
	struct slice to = in->s.to;
	bool local = session_is_local(in->m, jid_text_domain(to));
	const struct user *u;

	if (local && jid_text_local(to).len == 0) {
		reply_consume(in, "presence to the server");
		return;
	}
	if (in->sender && in->s.type == TYPE_NONE && in->sender->ntargets >= PRESENCE_TARGETS_MAX) {
		reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
			    "Too many addresses have directed presence; leave some first.",
			    "rfc6121-4.6.3 directed presence to too many");
		return;
	}
	u = local ? registry_user(in->m, to) : NULL;
	if (u && !blocking_free(&u->contacts) && blocking_in(in, directed))
		return;
	if (presence_to_address(in->m, in->e, false, &in->s)) {
		remember(in, to);
		return;
	}
	if (!local && in->s.type == TYPE_NONE)
		reply_error(in, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND,
			    "This domain is not served here and other servers cannot be reached "
			    "yet.",
			    "rfc6120-10.4 no such server");
	else
		reply_drop(in, "rfc6121-8.5 presence to nobody");
	if (in->s.type == TYPE_UNAVAILABLE)
		remember(in, to);
}

/* An error for a presence of ours: only the resource that sent it may care (8.5.3.1). */
static void error(struct inbound *in)
{
	if (in->s.to.len && jid_text_resource(in->s.to).len &&
	    presence_to_address(in->m, in->e, false, &in->s))
		return;
	if (in->s.to.len && !session_is_local(in->m, jid_text_domain(in->s.to)) &&
	    delivery_remote(in))
		return;
	reply_drop(in, "rfc6121-8.5 presence error to nobody");
}

void presence_handle(struct inbound *in)
{
	bool broadcast = in->s.to.len == 0 && in->sender;

	switch (in->s.type) {
	case TYPE_NONE:
		if (broadcast)
			broadcast_available(in);
		else
			directed(in);
		break;
	case TYPE_UNAVAILABLE:
		if (broadcast)
			broadcast_unavailable(in);
		else
			directed(in);
		break;
	case TYPE_ERROR:
		error(in);
		break;
	case TYPE_SUBSCRIBE:
	case TYPE_SUBSCRIBED:
	case TYPE_UNSUBSCRIBE:
	case TYPE_UNSUBSCRIBED:
	case TYPE_PROBE:
		subscription_handle(in);
		break;
	default:
		reply_error(in, STANZA_ERROR_BAD_REQUEST, "This type of presence is not known.",
			    "rfc6121-4.7.1 presence of unknown type");
	}
}
