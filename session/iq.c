#include "session/iq.h"

#include "base/str.h"
#include "ipc/stanza_kinds.h"
#include "session/registry.h"
#include "session/reply.h"
#include "session/roster.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

#define GET 1
#define SET 2

/* XEP-0160 section 4: a feature without a namespace. */
#define FEATURE_OFFLINE "msgoffline"

struct handler {
	const char *ns, *name;
	uint8_t types; /* GET | SET */
	uint8_t where; /* enum iq_where, as a set */
	void (*handle)(struct inbound *in, const struct xml_node *payload);
};

static const char *const server_features[] = {NS_DISCO_INFO, NS_DISCO_ITEMS,  NS_PING, NS_VERSION,
					      NS_ROSTER,     FEATURE_OFFLINE, NULL};
static const char *const account_features[] = {NS_DISCO_INFO, NS_DISCO_ITEMS, NS_PING, NULL};

/* XEP-0030 3.2: no nodes here, neither at the server nor at accounts. */
static bool refuse_node(struct inbound *in, const struct xml_node *payload)
{
	const char *node = xml_attr(payload, "node");

	if (!node || !*node)
		return false;
	reply_error(in, STANZA_ERROR_ITEM_NOT_FOUND, NULL, "xep0030-3.2 no such node");
	return true;
}

static void disco_info(struct inbound *in, const char *category, const char *type, const char *name,
		       const char *const *features)
{
	struct str out = STR_INIT;

	str_adds(&out, "<query xmlns='" NS_DISCO_INFO "'><identity");
	xml_out_attr(&out, "category", slice_str(category));
	xml_out_attr(&out, "type", slice_str(type));
	xml_out_attr(&out, "name", slice_str(name));
	str_adds(&out, "/>");
	for (; *features; features++) {
		str_adds(&out, "<feature");
		xml_out_attr(&out, "var", slice_str(*features));
		str_adds(&out, "/>");
	}
	str_adds(&out, "</query>");
	reply_result(in, str_slice(&out), "xep0030 info");
	str_clear(&out);
}

static void server_info(struct inbound *in, const struct xml_node *payload)
{
	if (!refuse_node(in, payload))
		disco_info(in, "server", "im", in->m->software_name, server_features);
}

static void account_info(struct inbound *in, const struct xml_node *payload)
{
	if (!refuse_node(in, payload))
		disco_info(in, "account", "registered", NULL, account_features);
}

/* The bus has no list of the domains behind it that could be asked: nothing to name. */
static void server_items(struct inbound *in, const struct xml_node *payload)
{
	if (!refuse_node(in, payload))
		reply_result(in, slice_str("<query xmlns='" NS_DISCO_ITEMS "'/>"), "xep0030 items");
}

/* XEP-0030 section 8: the available resources, for those who see the presence: the user. */
static void account_items(struct inbound *in, const struct xml_node *payload)
{
	struct str out = STR_INIT;

	if (refuse_node(in, payload))
		return;
	str_adds(&out, "<query xmlns='" NS_DISCO_ITEMS "'>");
	for (struct session *s = user_first(in->sender->user); s; s = user_after(s)) {
		if (!registry_shown(s))
			continue;
		str_adds(&out, "<item");
		xml_out_attr(&out, "jid", s->full);
		str_adds(&out, "/>");
	}
	str_adds(&out, "</query>");
	reply_result(in, str_slice(&out), "xep0030 items");
	str_clear(&out);
}

static void ping(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	reply_result(in, SLICE_NONE, "xep0199 ping");
}

static void version(struct inbound *in, const struct xml_node *payload)
{
	struct str out = STR_INIT;

	(void)payload;
	str_adds(&out, "<query xmlns='" NS_VERSION "'><name>");
	xml_out_text(&out, slice_str(in->m->software_name));
	str_adds(&out, "</name><version>");
	xml_out_text(&out, slice_str(in->m->software_version));
	str_adds(&out, "</version></query>");
	reply_result(in, str_slice(&out), "xep0092 version");
	str_clear(&out);
}

/* RFC 3921 section 3: binding has established the session already. */
static void rfc3921_session(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	reply_result(in, SLICE_NONE, "rfc3921-3 session");
}

/* RFC 6121 2.3.3: also for users who do not exist. */
static void foreign_roster(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	reply_error(in, STANZA_ERROR_FORBIDDEN, "A roster is for its owner only.",
		    "rfc6121-2.3.3 roster of somebody else");
}

static const struct handler handlers[] = {
	{NS_DISCO_INFO, "query", GET, IQ_SERVER, server_info},
	{NS_DISCO_INFO, "query", GET, IQ_OWN, account_info},
	{NS_DISCO_ITEMS, "query", GET, IQ_SERVER, server_items},
	{NS_DISCO_ITEMS, "query", GET, IQ_OWN, account_items},
	{NS_PING, "ping", GET, IQ_SERVER | IQ_OWN, ping},
	{NS_VERSION, "query", GET, IQ_SERVER, version},
	{NS_ROSTER, "query", GET, IQ_OWN, roster_get},
	{NS_ROSTER, "query", SET, IQ_OWN, roster_set},
	{NS_ROSTER, "query", GET | SET, IQ_OTHER, foreign_roster},
	{NS_SESSION, "session", SET, IQ_SERVER | IQ_OWN, rfc3921_session},
};

static const struct handler *handler_find(const struct xml_node *payload, uint8_t type,
					  enum iq_where where)
{
	uint8_t bit = type == TYPE_GET ? GET : SET;

	for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++) {
		const struct handler *h = &handlers[i];

		if ((h->types & bit) && (h->where & where) && xml_is(payload, h->ns, h->name))
			return h;
	}
	return NULL;
}

void iq_handle(struct inbound *in, enum iq_where where)
{
	const struct handler *h;
	struct xml_node *tree;

	if (in->s.type == TYPE_RESULT || in->s.type == TYPE_ERROR) {
		/* The answer to a roster push, or to nothing: RFC 6121 2.1.6, 8.5.2.1.3. */
		reply_consume(in, "iq answer to the server");
		return;
	}
	tree = xml_tree_parse_inner(in->s.inner, NS_CLIENT);
	/* RFC 6120 8.2.3: exactly one child says what is asked. */
	if (!tree || !tree->first || tree->first->next) {
		reply_error(in, STANZA_ERROR_BAD_REQUEST, "An iq request has exactly one child.",
			    "rfc6120-8.2.3 iq without exactly one child");
		xml_tree_free(&tree);
		return;
	}
	h = handler_find(tree->first, in->s.type, where);
	if (h)
		h->handle(in, tree->first);
	else
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
			    "rfc6120-8.4 iq that nobody handles");
	xml_tree_free(&tree);
}
