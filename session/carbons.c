#include "session/carbons.h"

#include "base/str.h"
#include "ipc/codec.h"
#include "ipc/stanza_kinds.h"
#include "session/archive.h"
#include "session/reply.h"
#include "session/session_blob.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_out.h"

/* What a copy tells of its inside. */
#define INSIDE (STANZA_HAS_BODY | STANZA_CHAT_STATE | STANZA_RECEIPT | STANZA_MARKER)

static void set_wanted(struct inbound *in, bool wanted, const char *rule)
{
	struct session *self = in->sender;

	if (self->carbons != wanted) {
		registry_set_carbons(self, wanted);
		session_blob_emit(in->m, self);
	}
	reply_result(in, SLICE_NONE, rule);
}

/* Once more is no error (section 10.1). */
void carbons_enable(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	set_wanted(in, true, "xep0280-4 carbons enabled");
}

void carbons_disable(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	set_wanted(in, false, "xep0280-5 carbons disabled");
}

void carbons_foreign(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	reply_error(in, STANZA_ERROR_NOT_ALLOWED, "Carbons are a matter of one's own account.",
		    "xep0280-4.1 carbons of somebody else");
}

/* Section 6.1 for a message that somebody sends. */
static bool eligible(const struct session_stanza *s)
{
	if (s->kind != STANZA_MESSAGE || (s->flags & STANZA_PRIVATE))
		return false;
	switch (s->type) {
	case TYPE_GROUPCHAT:
		return false;
	case TYPE_CHAT:
	case TYPE_ERROR:
		return true;
	case TYPE_HEADLINE:
		break;
	default: /* normal: RFC 6121 5.2.2 */
		if (s->flags & STANZA_HAS_BODY)
			return true;
	}
	return s->flags & (STANZA_RECEIPT | STANZA_CHAT_STATE | STANZA_MARKER | STANZA_INVITE);
}

/* Has a resource of u directed presence to an occupant of this address, so that it is a room? */
static bool is_joined(const struct user *u, struct slice bare)
{
	struct slice left, to;

	for (struct session *s = user_first(u); s; s = user_after(s)) {
		left = str_slice(&s->targets);
		while (codec_get_str(&left, &to)) {
			if (jid_text_resource(to).len && slice_eq(jid_text_bare(to), bare))
				return true;
		}
	}
	return false;
}

/* And for one that u receives: a room has its own copies for all who are in it, and an error by it
 * is about a message of type groupchat. */
static bool eligible_received(const struct session_stanza *s, const struct user *u)
{
	bool full = jid_text_resource(s->from).len != 0;

	if (!eligible(s))
		return false;
	if (s->type == TYPE_ERROR)
		return full || !is_joined(u, s->from);
	return !(full && (s->flags & STANZA_MUC_USER) && !(s->flags & STANZA_INVITE));
}

/* The message as it stood in a stream, in its envelope: the same for each resource. */
static void wrap(struct str *out, const char *direction, const struct session_stanza *s)
{
	const char *type = stanza_type_name(s->type);

	str_addf(out, "<%s xmlns='" NS_CARBONS "'><forwarded xmlns='" NS_FORWARD "'>", direction);
	str_adds(out, "<message xmlns='" NS_CLIENT "'");
	xml_out_attr(out, "from", s->from);
	if (s->to.len)
		xml_out_attr(out, "to", s->to);
	if (s->id.len)
		xml_out_attr(out, "id", s->id);
	if (*type)
		xml_out_attr(out, "type", slice_str(type));
	if (s->lang.len)
		xml_out_attr(out, "xml:lang", s->lang);
	str_addc(out, '>');
	str_add_slice(out, s->inner);
	str_addf(out, "</message></forwarded></%s>", direction);
}

static bool takes_copy(const struct inbound *in, const struct session *s, bool shown_only)
{
	return s->carbons && (registry_shown(s) || !shown_only) && !slice_eq(s->full, in->s.from);
}

/* A copy of s in the making: its outside is for one resource, its inside the same for all. */
struct copy {
	struct session_stanza out;
	struct str inner, children;
};

static void copy_make(struct copy *c, const struct user *u, const struct session_stanza *s,
		      const char *direction)
{
	wrap(&c->inner, direction, s);
	stanza_child_put(&c->children, &(struct stanza_child){.ns = NS_ID_CARBONS,
							      .length = (uint32_t)c->inner.len});
	c->out = (struct session_stanza){.kind = STANZA_MESSAGE,
					 .type = s->type,
					 .flags = STANZA_CARBON | (s->flags & INSIDE),
					 .from = u->bare,
					 .children = str_slice(&c->children),
					 .inner = str_slice(&c->inner)};
}

static void copy_clear(struct copy *c)
{
	str_clear(&c->inner);
	str_clear(&c->children);
}

/* To all resources of u that want copies, but not to the sender. */
static void copies(const struct inbound *in, const struct user *u, const struct session_stanza *s,
		   const char *direction, bool shown_only)
{
	struct copy c = {.inner = STR_INIT, .children = STR_INIT};

	for (struct session *r = user_first(u); r; r = user_after(r)) {
		if (!takes_copy(in, r, shown_only))
			continue;
		if (c.inner.len == 0)
			copy_make(&c, u, s, direction);
		c.out.to = r->full;
		in->m->host.copy(in->m->ctx, in->e, r->sid, &c.out, false);
	}
	copy_clear(&c);
}

bool carbons_instead(const struct inbound *in, const struct session *r)
{
	const struct session_host *host = &in->m->host;
	struct copy c = {.inner = STR_INIT, .children = STR_INIT};

	if (!r->carbons || !host->had_copy || !host->had_copy(in->m->ctx, in->e, r->sid))
		return false;
	copy_make(&c, r->user, &in->s, "received");
	c.out.to = r->full;
	host->copy(in->m->ctx, in->e, r->sid, &c.out, true);
	copy_clear(&c);
	return true;
}

static bool possible(const struct inbound *in)
{
	return in->e && in->m->host.copy;
}

/* The other resources of a session that is over; it may have sent this to an earlier router. */
static const struct user *sender_gone(const struct inbound *in)
{
	return session_is_local(in->m, jid_text_domain(in->s.from))
		       ? registry_user(in->m, in->s.from)
		       : NULL;
}

void carbons_sent(const struct inbound *in)
{
	const struct user *u = in->sender ? in->sender->user : sender_gone(in);
	struct str inner = STR_INIT, children = STR_INIT;
	struct session_stanza s = in->s;

	if (!carbons_wanted(u) || !possible(in) || !eligible(&in->s) ||
	    slice_eq(jid_text_bare(in->s.to), u->bare))
		return;
	archive_name_sent(in, &s, &inner, &children);
	copies(in, u, &s, "sent", false);
	str_clear(&inner);
	str_clear(&children);
}

void carbons_received(const struct inbound *in, const struct user *u, bool shown_only)
{
	if (carbons_wanted(u) && possible(in) && eligible_received(&in->s, u))
		copies(in, u, &in->s, "received", shown_only);
}

void carbons_error(const struct inbound *in, const struct session_stanza *error)
{
	/* Without 'to' it is one that the connection manager refused: nobody has seen it. */
	if (!in->sender || !carbons_wanted(in->sender->user) || !possible(in) || !in->s.to.len ||
	    !eligible(&in->s))
		return;
	copies(in, in->sender->user, error, "received", false);
}
