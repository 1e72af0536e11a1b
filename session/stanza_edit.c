#include "session/stanza_edit.h"

#include "ipc/stanza_kinds.h"
#include "session/manager.h"
#include "session/registry.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_tree.h"

void stanza_edit_clear(struct stanza_edit *b)
{
	str_clear(&b->inner);
	str_clear(&b->children);
}

/* The old buffers may be what s borrows: they go last. */
static void take(struct session_stanza *s, struct stanza_edit *b, const struct stanza_edit *fresh)
{
	stanza_edit_clear(b);
	*b = *fresh;
	s->inner = str_slice(&b->inner);
	s->children = str_slice(&b->children);
}

static struct slice upto(struct slice s, size_t end)
{
	return slice_of(s.data, end);
}

static struct slice from(struct slice s, size_t begin)
{
	return slice_of(s.data + begin, s.len - begin);
}

void stanza_edit_remove(struct session_stanza *s, unsigned int k, struct stanza_edit *b)
{
	struct stanza_edit fresh = STANZA_EDIT_INIT;
	struct slice index = s->children;
	struct stanza_child c, gone = {0};
	unsigned int i;

	for (i = 0; stanza_child_get(&index, &c); i++) {
		if (i == k) {
			gone = c;
			continue;
		}
		c.offset -= i > k ? gone.length : 0;
		stanza_child_put(&fresh.children, &c);
	}
	str_add_slice(&fresh.inner, upto(s->inner, gone.offset));
	str_add_slice(&fresh.inner, from(s->inner, gone.offset + gone.length));
	take(s, b, &fresh);
}

static unsigned int count(struct slice index)
{
	struct stanza_child c;
	unsigned int n = 0;

	while (stanza_child_get(&index, &c))
		n++;
	return n;
}

void stanza_edit_append(struct session_stanza *s, uint16_t ns, uint16_t name, struct slice element,
			struct stanza_edit *b)
{
	struct stanza_edit fresh = STANZA_EDIT_INIT;

	str_add_slice(&fresh.inner, s->inner);
	str_add_slice(&fresh.inner, element);
	str_add_slice(&fresh.children, s->children);
	if (count(s->children) < STANZA_CHILD_MAX)
		stanza_child_put(&fresh.children,
				 &(struct stanza_child){.ns = ns,
							.name = name,
							.offset = (uint32_t)s->inner.len,
							.length = (uint32_t)element.len});
	take(s, b, &fresh);
}

/* Is `by` an address whose stanza ids are this server's to give? */
static bool is_ours(const struct inbound *in, const char *by)
{
	struct slice to = in->s.to.len ? in->s.to : in->s.from;
	struct slice bare;
	struct jid jid;
	bool ours;

	if (!by || jid_parse(&jid, slice_str(by)) != ERR_OK)
		return false;
	bare = jid_text_bare(jid_full(&jid));
	ours = session_is_local(in->m, jid_text_domain(bare)) &&
	       (jid_text_local(bare).len == 0 || slice_eq(bare, jid_text_bare(to)) ||
		slice_eq(bare, jid_text_bare(in->s.from)));
	jid_clear(&jid);
	return ours;
}

static bool is_own_domain(const struct inbound *in, const char *who)
{
	struct jid jid;
	bool own;

	if (!who || jid_parse(&jid, slice_str(who)) != ERR_OK)
		return false;
	own = jid_text_local(jid_full(&jid)).len == 0 &&
	      session_is_local(in->m, jid_text_domain(jid_full(&jid)));
	jid_clear(&jid);
	return own;
}

static bool is_forged(const struct inbound *in, const struct stanza_child *c)
{
	bool sid = c->ns == NS_ID_STANZA_ID && c->name == NAME_ID_STANZA_ID, forged;
	struct xml_node *tree;

	if (c->offset > in->s.inner.len || c->length > in->s.inner.len - c->offset)
		return false;
	tree = xml_tree_parse_inner(slice_of(in->s.inner.data + c->offset, c->length), NS_CLIENT);
	if (!tree || !tree->first)
		forged = false;
	else if (sid)
		forged = is_ours(in, xml_attr(tree->first, "by"));
	else
		forged = is_own_domain(in, xml_attr(tree->first, "from"));
	xml_tree_free(&tree);
	return forged;
}

bool stanza_edit_forged(struct inbound *in, struct stanza_edit *b)
{
	struct slice index = in->s.children;
	struct stanza_child c;
	uint16_t kept = 0;
	unsigned int k = 0;

	if (count(index) >= STANZA_CHILD_MAX)
		return false;
	while (stanza_child_get(&index, &c)) {
		uint16_t flag = 0;

		if (c.ns == NS_ID_STANZA_ID && c.name == NAME_ID_STANZA_ID)
			flag = STANZA_HAS_SID;
		else if (c.ns == NS_ID_DELAY && c.name == NAME_ID_DELAY)
			flag = STANZA_DELAYED;
		if (!flag || !is_forged(in, &c)) {
			kept |= flag;
			k++;
			continue;
		}
		stanza_edit_remove(&in->s, k, b);
		/* The index is another now; everything before k was looked at. */
		index = in->s.children;
		for (unsigned int i = 0; i < k; i++)
			stanza_child_get(&index, &c);
	}
	in->s.flags &= (uint16_t) ~(STANZA_HAS_SID | STANZA_DELAYED);
	in->s.flags |= kept;
	return true;
}
