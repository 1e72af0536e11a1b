#include "session/disco.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "session/archive.h"
#include "session/permission.h"
#include "session/registry.h"
#include "session/reply.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

/* XEP-0160 section 4: a feature without a namespace. */
#define FEATURE_OFFLINE "msgoffline"

#define ITEMS_MAX 1000 /* the answer is one stanza */

static const char *const server_features[] = {
	NS_DISCO_INFO, NS_DISCO_ITEMS,	NS_PING,     NS_VERSION, NS_TIME,
	NS_LAST,       NS_ROSTER,	NS_PRIVATE,  NS_VCARD,	 FEATURE_OFFLINE,
	NS_CARBONS,    NS_CARBON_RULES, NS_BLOCKING, NULL};
static const char *const account_features[] = {
	NS_DISCO_INFO, NS_DISCO_ITEMS, NS_PING,		NS_LAST,
	NS_VCARD,      NS_CARBONS,     NS_CARBON_RULES, NULL};
/* The ids are those of archives; profanity 0.13 looks for NS_MAM here and not at the account. */
static const char *const server_archive_features[] = {NS_STANZA_ID, NS_MAM, NULL};
static const char *const account_archive_features[] = {NS_STANZA_ID, NS_MAM, NS_MAM_EXTENDED,
						       NS_RSM, NULL};

static void feature(struct str *out, const char *var)
{
	str_adds(out, "<feature");
	xml_out_attr(out, "var", slice_str(var));
	str_adds(out, "/>");
}

static void features_add(struct str *out, const char *const *features)
{
	for (; *features; features++)
		feature(out, *features);
}

static void info_open(struct str *out, const char *category, const char *type, const char *name,
		      const char *const *features)
{
	str_adds(out, "<query xmlns='" NS_DISCO_INFO "'><identity");
	xml_out_attr(out, "category", slice_str(category));
	xml_out_attr(out, "type", slice_str(type));
	xml_out_attr(out, "name", slice_str(name));
	str_adds(out, "/>");
	features_add(out, features);
}

/* 3.2: no nodes here, neither at the server nor at accounts. */
static bool refuse_node(struct inbound *in, const struct xml_node *payload)
{
	const char *node = xml_attr(payload, "node");

	if (!node || !*node)
		return false;
	reply_error(in, STANZA_ERROR_ITEM_NOT_FOUND, NULL, "xep0030-3.2 no such node");
	return true;
}

void disco_server_info(struct inbound *in, const struct xml_node *payload)
{
	struct str out = STR_INIT;

	if (refuse_node(in, payload))
		return;
	info_open(&out, "server", "im", in->m->software_name, server_features);
	if (archive_enabled(in->m->archive))
		features_add(&out, server_archive_features);
	if (in->m->change_password || in->m->remove_account)
		feature(&out, NS_REGISTER);
	str_add_slice(&out, str_slice(&in->m->address_form));
	str_adds(&out, "</query>");
	reply_result(in, str_slice(&out), "xep0030 info");
	str_clear(&out);
}

/* The one of our domains that a component is below (the longest, should they nest). Empty: none. */
static struct slice parent_of(const struct session_manager *m, struct slice jid)
{
	struct slice best = SLICE_NONE;

	for (char **d = m->domains; *d; d++) {
		size_t len = strlen(*d);

		if (len > best.len && jid.len > len + 1 && jid.data[jid.len - len - 1] == '.' &&
		    memcmp(jid.data + jid.len - len, *d, len) == 0)
			best = slice_of(*d, len);
	}
	return best;
}

struct items {
	struct slice *jids;
	size_t count, cap;
};

static int by_name(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Components below this domain; one that is below none of ours belongs to each. */
static void components_of(const struct inbound *in, struct items *items)
{
	const struct session_host *host = &in->m->host;
	struct slice jid, parent;
	size_t it = 0;

	while (host->component && host->component(in->m->ctx, &it, &jid)) {
		parent = parent_of(in->m, jid);
		if ((parent.len && !slice_eq(parent, in->s.to)) || items->count == ITEMS_MAX)
			continue;
		if (items->count == items->cap) {
			items->cap = items->cap ? items->cap * 2 : 16;
			items->jids = xrealloc(items->jids, items->cap * sizeof(*items->jids));
		}
		items->jids[items->count++] = jid;
	}
	if (items->count)
		qsort(items->jids, items->count, sizeof(*items->jids), by_name);
}

/* Section 4: the components that are connected here. */
void disco_server_items(struct inbound *in, const struct xml_node *payload)
{
	struct items items = {0};
	struct str out = STR_INIT;

	if (refuse_node(in, payload))
		return;
	components_of(in, &items);
	str_adds(&out, "<query xmlns='" NS_DISCO_ITEMS "'");
	str_adds(&out, items.count ? ">" : "/>");
	for (size_t i = 0; i < items.count; i++) {
		str_adds(&out, "<item");
		xml_out_attr(&out, "jid", items.jids[i]);
		str_adds(&out, "/>");
	}
	if (items.count)
		str_adds(&out, "</query>");
	reply_result(in, str_slice(&out), "xep0030 items");
	free(items.jids);
	str_clear(&out);
}

/* Section 8: the same for those who may not and for accounts that do not exist. */
static bool denied(struct inbound *in, enum err may)
{
	if (may != ERR_OK)
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
			    "xep0030-8 disco of an account without subscription");
	return may != ERR_OK;
}

static void account_info_may(struct inbound *in, struct slice bare, enum err may)
{
	struct str out = STR_INIT;

	(void)bare;
	if (denied(in, may))
		return;
	info_open(&out, "account", "registered", NULL, account_features);
	if (archive_enabled(in->m->archive))
		features_add(&out, account_archive_features);
	str_adds(&out, "</query>");
	reply_result(in, str_slice(&out), "xep0030 info");
	str_clear(&out);
}

static void account_items_may(struct inbound *in, struct slice bare, enum err may)
{
	const struct user *u = registry_user(in->m, bare);
	struct str out = STR_INIT;

	if (denied(in, may))
		return;
	str_adds(&out, "<query xmlns='" NS_DISCO_ITEMS "'>");
	for (struct session *s = user_first(u); s; s = user_after(s)) {
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

static void of_account(struct inbound *in, const struct xml_node *payload,
		       void (*go)(struct inbound *in, struct slice bare, enum err may))
{
	struct slice bare = in->s.to.len ? jid_text_bare(in->s.to) : jid_text_bare(in->s.from);

	if (!jid_text_local(bare).len)
		denied(in, ERR_DENIED);
	else if (inbound_is_own(in) && refuse_node(in, payload))
		return;
	else
		permission_ask(in, bare, go);
}

void disco_account_info(struct inbound *in, const struct xml_node *payload)
{
	of_account(in, payload, account_info_may);
}

void disco_account_items(struct inbound *in, const struct xml_node *payload)
{
	of_account(in, payload, account_items_may);
}
