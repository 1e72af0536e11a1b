#include "cm-client/c2s_csi.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

#define NS_PUBSUB_EVENT "http://jabber.org/protocol/pubsub#event"
#define RECORD_BYTES	128 /* what a stanza is more than its text to those who hold it */

/* One stanza of a sender: it may wait for many receivers. */
struct c2s_csi_stanza {
	struct sender *from;
	uint64_t key;
	size_t bytes;
	unsigned int refs;
};

struct sender {
	uint64_t sid;
	size_t bytes;
	unsigned int stanzas;
};

void c2s_csi_pool_init(struct c2s_csi_pool *p)
{
	map64_init(&p->stanzas);
	map64_init(&p->senders);
	p->bytes = 0;
}

void c2s_csi_pool_clear(struct c2s_csi_pool *p)
{
	check(p->stanzas.count == 0 && p->senders.count == 0 && p->bytes == 0);
	map64_clear(&p->stanzas);
	map64_clear(&p->senders);
}

size_t c2s_csi_pool_of(const struct c2s_csi_pool *p, uint64_t sid)
{
	const struct sender *s = map64_find(&p->senders, sid);

	return s ? s->bytes : 0;
}

/* Of a message that says nothing but this. Neither is anything to look at now. */
static bool only_notifies(const struct xml_node *message)
{
	bool some = false;

	for (const struct xml_node *n = message->first; n; n = n->next) {
		if (strcmp(n->ns, NS_CHATSTATES) == 0 || xml_is(n, NS_PUBSUB_EVENT, "event"))
			some = true;
		else if (!xml_is(n, NS_CLIENT, "thread") && strcmp(n->ns, NS_HINTS) != 0 &&
			 strcmp(n->ns, NS_STANZA_ID) != 0 && !xml_is(n, NS_DELAY, "delay"))
			return false;
	}
	return some;
}

/* The message inside a carbon copy (XEP-0280 section 8); NULL when it is none. */
static const struct xml_node *copied(const struct xml_node *message)
{
	const struct xml_node *n = xml_child_ns(message, NS_CARBONS);

	n = n ? xml_child(n, NS_FORWARD, "forwarded") : NULL;
	return n ? xml_child(n, NS_CLIENT, "message") : NULL;
}

static bool message_is_unimportant(struct slice inner)
{
	struct xml_node *root = xml_tree_parse_inner(inner, NS_CLIENT);
	const struct xml_node *copy = root ? copied(root) : NULL;
	const char *type = copy ? xml_attr(copy, "type") : NULL;
	bool is =
		root && !(type && strcmp(type, "error") == 0) && only_notifies(copy ? copy : root);

	xml_tree_free(&root);
	return is;
}

bool c2s_csi_is_unimportant(const struct msg_deliver *m)
{
	if (m->kind == STANZA_PRESENCE)
		return m->type == TYPE_NONE || m->type == TYPE_UNAVAILABLE;
	if (m->kind != STANZA_MESSAGE || m->type == TYPE_ERROR || (m->flags & STANZA_HAS_BODY))
		return false;
	return m->type == TYPE_HEADLINE || message_is_unimportant(m->inner);
}

struct c2s_csi *c2s_csi_new(void *owner)
{
	struct c2s_csi *c = xcalloc(1, sizeof(*c));

	cm_deadline_init(&c->deadline);
	str_init(&c->out);
	c->owner = owner;
	return c;
}

static void let_go(struct c2s_csi_pool *p, struct c2s_csi_stanza *s)
{
	if (--s->refs > 0)
		return;
	s->from->bytes -= s->bytes;
	if (--s->from->stanzas == 0) {
		map64_remove(&p->senders, s->from->sid);
		free(s->from);
	}
	map64_remove(&p->stanzas, s->key);
	free(s);
}

void c2s_csi_free(struct c2s_csi **cp, struct c2s_csi_pool *p)
{
	struct c2s_csi *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	for (unsigned int i = 0; i < c->count; i++)
		let_go(p, c->stanzas[i]);
	p->bytes -= c->bytes;
	cm_deadline_clear(&c->deadline);
	str_clear(&c->out);
	free(c->stanzas);
	free(c);
}

static size_t size_of(const struct msg_deliver *m)
{
	return m->inner.len + m->children.len + m->from.len + m->to.len + m->id.len + m->lang.len +
	       RECORD_BYTES;
}

static struct c2s_csi_stanza *count(struct c2s_csi_pool *p, const struct msg_deliver *m)
{
	/* Session numbers are random: that two stanzas get the same key is as likely as that two
	 * sessions get the same number. */
	uint64_t key = m->origin_sid + m->origin_n * 0x9E3779B97F4A7C15ULL;
	struct c2s_csi_stanza *s = map64_find(&p->stanzas, key);

	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->key = key;
		s->bytes = size_of(m);
		s->from = map64_find(&p->senders, m->origin_sid);
		if (!s->from) {
			s->from = xcalloc(1, sizeof(*s->from));
			s->from->sid = m->origin_sid;
			map64_put(&p->senders, m->origin_sid, s->from);
		}
		s->from->bytes += s->bytes;
		s->from->stanzas++;
		map64_put(&p->stanzas, key, s);
	}
	s->refs++;
	return s;
}

bool c2s_csi_keep(struct c2s_csi *c, struct c2s_csi_pool *p, const struct c2s_csi_limits *l,
		  const struct msg_deliver *m)
{
	struct c2s_csi_stanza *s = count(p, m);

	if (c->count == c->room) {
		c->room = c->room ? c->room * 2 : 4;
		c->stanzas = xrealloc(c->stanzas, c->room * sizeof(c->stanzas[0]));
	}
	c->stanzas[c->count++] = s;
	xml_out_stanza(&c->out, &(struct stanza_out){.kind = m->kind,
						     .type = m->type,
						     .from = m->from,
						     .to = m->to,
						     .id = m->id,
						     .lang = m->lang,
						     .inner = m->inner});
	c->last_q = m->q;
	c->bytes += size_of(m);
	p->bytes += size_of(m);
	return c->count >= l->stanzas || c->bytes >= l->bytes || s->from->bytes > l->sender;
}
