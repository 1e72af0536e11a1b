#include "session/iq.h"

#include <string.h>

#include "ipc/stanza_kinds.h"
#include "session/account.h"
#include "session/archive.h"
#include "session/archive_prefs.h"
#include "session/archive_query.h"
#include "session/blocking_change.h"
#include "session/carbons.h"
#include "session/disco.h"
#include "session/last_activity.h"
#include "session/private_data.h"
#include "session/reply.h"
#include "session/roster.h"
#include "session/server_info.h"
#include "session/vcard.h"
#include "xmpp/ns.h"
#include "xmpp/xml_tree.h"

#define GET 1
#define SET 2

struct handler {
	const char *ns, *name;
	uint8_t types; /* GET | SET */
	uint8_t where; /* enum iq_where, as a set */
	void (*handle)(struct inbound *in, const struct xml_node *payload);
};

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

/* What is answered; disco.c says so to those who ask. */
static const struct handler handlers[] = {
	{NS_DISCO_INFO, "query", GET, IQ_SERVER, disco_server_info},
	{NS_DISCO_INFO, "query", GET, IQ_OWN | IQ_OTHER, disco_account_info},
	{NS_DISCO_ITEMS, "query", GET, IQ_SERVER, disco_server_items},
	{NS_DISCO_ITEMS, "query", GET, IQ_OWN | IQ_OTHER, disco_account_items},
	{NS_PING, "ping", GET, IQ_SERVER | IQ_OWN, server_info_ping},
	{NS_VERSION, "query", GET, IQ_SERVER, server_info_version},
	{NS_TIME, "time", GET, IQ_SERVER, server_info_time},
	{NS_LAST, "query", GET, IQ_SERVER, last_activity_server},
	{NS_LAST, "query", GET, IQ_OWN | IQ_OTHER, last_activity_account},
	{NS_VCARD, "vCard", GET, IQ_OWN, vcard_get},
	{NS_VCARD, "vCard", SET, IQ_OWN, vcard_set},
	{NS_VCARD, "vCard", GET, IQ_OTHER, vcard_get_other},
	{NS_VCARD, "vCard", SET, IQ_OTHER | IQ_SERVER, vcard_set_other},
	{NS_VCARD, "vCard", GET, IQ_SERVER, vcard_get_server},
	{NS_PRIVATE, "query", GET, IQ_OWN, private_data_get},
	{NS_PRIVATE, "query", SET, IQ_OWN, private_data_set},
	{NS_PRIVATE, "query", GET | SET, IQ_OTHER | IQ_SERVER, private_data_other},
	{NS_REGISTER, "query", GET, IQ_OWN | IQ_SERVER, account_get},
	{NS_REGISTER, "query", SET, IQ_OWN | IQ_SERVER, account_set},
	{NS_BLOCKING, "blocklist", GET, IQ_OWN, blocking_list},
	{NS_BLOCKING, "block", SET, IQ_OWN, blocking_block},
	{NS_BLOCKING, "unblock", SET, IQ_OWN, blocking_unblock},
	{NS_ROSTER, "query", GET, IQ_OWN, roster_get},
	{NS_ROSTER, "query", SET, IQ_OWN, roster_set},
	{NS_ROSTER, "query", GET | SET, IQ_OTHER, foreign_roster},
	{NS_MAM, "query", GET, IQ_OWN, archive_query_fields},
	{NS_MAM, "query", SET, IQ_OWN, archive_query_run},
	{NS_MAM, "metadata", GET, IQ_OWN, archive_query_metadata},
	{NS_MAM, "prefs", GET, IQ_OWN, archive_prefs_get},
	{NS_MAM, "prefs", SET, IQ_OWN, archive_prefs_set},
	{NS_MAM, "query", GET | SET, IQ_OTHER, archive_query_foreign},
	{NS_MAM, "metadata", GET, IQ_OTHER, archive_query_foreign},
	{NS_MAM, "prefs", GET | SET, IQ_OTHER, archive_query_foreign},
	{NS_SESSION, "session", SET, IQ_SERVER | IQ_OWN, rfc3921_session},
	{NS_CARBONS, "enable", SET, IQ_OWN, carbons_enable},
	{NS_CARBONS, "disable", SET, IQ_OWN, carbons_disable},
	{NS_CARBONS, "enable", SET, IQ_OTHER, carbons_foreign},
	{NS_CARBONS, "disable", SET, IQ_OTHER, carbons_foreign},
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

/* Without archives nobody handles what is asked of them. */
static bool is_off(const struct inbound *in, const struct handler *h)
{
	return !archive_enabled(in->m->archive) && strcmp(h->ns, NS_MAM) == 0;
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
	if (h && !is_off(in, h))
		h->handle(in, tree->first);
	else
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
			    "rfc6120-8.4 iq that nobody handles");
	xml_tree_free(&tree);
}
