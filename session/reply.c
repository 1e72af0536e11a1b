#include "session/reply.h"

#include <stdlib.h>

#include "base/str.h"
#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "session/carbons.h"
#include "session/registry.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

struct parked {
	struct custody_entry *e;
	uint64_t sid; /* 0: from another service */
	struct monotime now;
	struct session_stanza s;
	char text[];
};

static void conclude(const struct inbound *in, uint8_t how, const char *rule)
{
	if (in->e)
		in->m->host.conclude(in->m->ctx, in->e, how, rule);
}

void reply_delivered(const struct inbound *in, const char *rule)
{
	conclude(in, SETTLED_DELIVERED, rule);
}

void reply_consume(const struct inbound *in, const char *rule)
{
	conclude(in, SETTLED_CONSUMED, rule);
}

void reply_stored(const struct inbound *in, const char *rule)
{
	conclude(in, SETTLED_STORED, rule);
}

void reply_drop(const struct inbound *in, const char *rule)
{
	conclude(in, SETTLED_DISCARDED, rule);
}

bool inbound_is_own(const struct inbound *in)
{
	if (!in->sender)
		return false;
	return in->s.to.len == 0 || slice_eq(in->s.to, in->sender->user->bare);
}

/* Where an answer goes: the sender's session, or that of the service it came through. */
static uint64_t reply_sid(const struct inbound *in)
{
	struct slice domain = jid_text_domain(in->s.from);

	if (in->sender)
		return in->sender->sid;
	return session_is_local(in->m, domain) ? 0 : manager_route(in->m, domain, in->s.to);
}

/* Sends an answer whose inner is one element (or nothing) of the given index numbers. */
static bool send(const struct inbound *in, uint8_t type, struct slice inner, uint16_t ns,
		 uint16_t name)
{
	struct session_stanza out = {.kind = in->s.kind,
				     .type = type,
				     .from = in->s.to,
				     .to = in->s.from,
				     .id = in->s.id,
				     .inner = inner};
	struct str children = STR_INIT;
	uint64_t sid = reply_sid(in);

	if (!sid)
		return false;
	/* Without a 'to' the account itself was meant (RFC 6120 10.3). */
	if (out.from.len == 0)
		out.from = jid_text_bare(in->s.from);
	if (inner.len)
		stanza_child_put(&children, &(struct stanza_child){.ns = ns,
								   .name = name,
								   .length = (uint32_t)inner.len});
	out.children = str_slice(&children);
	manager_answer(in->m, in->e, sid, &out);
	if (out.kind == STANZA_MESSAGE && in->sender && carbons_wanted(in->sender->user))
		carbons_error(in, &out);
	str_clear(&children);
	return true;
}

void reply_error_with(const struct inbound *in, enum stanza_error error, const char *text,
		      const char *condition, const char *rule)
{
	static const char end[] = "</error>";
	struct str inner = STR_INIT;

	if (in->s.type == TYPE_ERROR || (in->s.kind == STANZA_IQ && in->s.type == TYPE_RESULT)) {
		reply_drop(in, rule);
		return;
	}
	stanza_error_write(&inner, error, text);
	if (*condition) {
		inner.len -= sizeof(end) - 1;
		str_adds(&inner, condition);
		str_adds(&inner, end);
	}
	if (send(in, TYPE_ERROR, str_slice(&inner), NS_ID_CONTENT, NAME_ID_ERROR))
		conclude(in, SETTLED_BOUNCED, rule);
	else
		reply_drop(in, "no way back to the sender");
	str_clear(&inner);
}

void reply_error(const struct inbound *in, enum stanza_error error, const char *text,
		 const char *rule)
{
	reply_error_with(in, error, text, "", rule);
}

void reply_result(const struct inbound *in, struct slice inner, const char *rule)
{
	if (send(in, TYPE_RESULT, inner, NS_ID_OTHER, NAME_ID_OTHER))
		reply_consume(in, rule);
	else
		reply_drop(in, "no way back to the sender");
}

static struct slice keep(char **at, struct slice s)
{
	char *start = *at;

	if (s.len)
		memcpy(start, s.data, s.len);
	*at += s.len;
	return slice_of(start, s.len);
}

struct parked *reply_park(const struct inbound *in)
{
	const struct session_stanza *s = &in->s;
	size_t size =
		s->from.len + s->to.len + s->id.len + s->lang.len + s->children.len + s->inner.len;
	struct parked *p = xmalloc(sizeof(*p) + size);
	char *at = p->text;

	p->e = in->e;
	p->sid = in->sender ? in->sender->sid : 0;
	p->now = in->now;
	p->s = *s;
	p->s.from = keep(&at, s->from);
	p->s.to = keep(&at, s->to);
	p->s.id = keep(&at, s->id);
	p->s.lang = keep(&at, s->lang);
	p->s.children = keep(&at, s->children);
	p->s.inner = keep(&at, s->inner);
	if (in->e)
		in->m->host.hold(in->m->ctx, in->e);
	return p;
}

void reply_resume(const struct parked *p, struct session_manager *m, struct inbound *in)
{
	*in = (struct inbound){.m = m,
			       .e = p->e,
			       .sender = p->sid ? registry_sid(m, p->sid) : NULL,
			       .s = p->s,
			       .now = p->now};
}

bool reply_orphaned(const struct parked *p, const struct inbound *in)
{
	return p->sid && !in->sender;
}

void reply_unpark(struct parked **pp, struct session_manager *m)
{
	struct parked *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	if (m && p->e)
		m->host.release(m->ctx, p->e);
	if (p->s.inner.len && p->s.flags & STANZA_SECRET)
		xwipe((char *)p->s.inner.data, p->s.inner.len);
	free(p);
}
