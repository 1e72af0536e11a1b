/*
 * pie_user - what the file says of one account, as records for the datastore (XEP-0227).
 */
#include <stdlib.h>

#include "base/random.h"
#include "base/xmem.h"
#include "cli/xmpp/account_data.h"
#include "cli/xmpp/base64.h"
#include "cli/xmpp/pie.h"
#include "cli/xmpp/pie_types.h"
#include "scram/scram_keys.h"
#include "ipc/codec.h"
#include "xmpp/ns.h"
#include "xmpp/xml_in.h"

struct xml_node *pie_parse(struct import *im, struct slice bytes)
{
	struct xml_node *n = NULL;

	if (xml_in_tree(im->xml, bytes, "", &n) != XML_OK) {
		import_problem(im, "an element cannot be read (a prefix that is not declared, or "
				   "not UTF-8); left out");
		xml_tree_free(&n);
		return NULL;
	}
	return n;
}

/* ---- credentials */

/* Keys that nobody knows, until everything is there: so a broken import is seen and gone on with.
 */
static void add_lock(struct str *out)
{
	static const struct {
		const char *hash;
		size_t len;
	} hashes[] = {{"SHA-1", 20}, {"SHA-256", 32}};
	char stored[32], server[32];

	for (size_t i = 0; i < 2; i++) {
		random_bytes(stored, sizeof(stored));
		random_bytes(server, sizeof(server));
		db_scram_put(out, &(struct db_scram){
					  .hash = slice_str(hashes[i].hash),
					  .iterations = SCRAM_KEYS_ITERATIONS,
					  .salt = slice_str(ACCOUNT_DATA_LOCK),
					  .stored_key = slice_of(stored, hashes[i].len),
					  .server_key = slice_of(server, hashes[i].len),
				  });
	}
}

static bool read_key_part(const struct xml_node *n, const char *name, struct str *out)
{
	const char *text = xml_child_text(n, PIE_NS_SCRAM, name);

	return text && base64_read(out, slice_str(text));
}

static void take_scram(struct import *im, const struct xml_node *n)
{
	const char *mechanism = xml_attr(n, "mechanism");
	const char *count = xml_child_text(n, PIE_NS_SCRAM, "iter-count");
	struct str salt = STR_INIT, stored = STR_INIT, server = STR_INIT;
	unsigned long iterations = count ? strtoul(count, NULL, 10) : 0;
	size_t len;

	if (!mechanism ||
	    (strcmp(mechanism, "SCRAM-SHA-1") != 0 && strcmp(mechanism, "SCRAM-SHA-256") != 0)) {
		im->user->did.ignored++; /* not kept here */
		return;
	}
	len = strcmp(mechanism, "SCRAM-SHA-1") == 0 ? 20 : 32;
	if (iterations < SCRAM_KEYS_ITERATIONS || iterations > UINT32_MAX)
		import_problem(im,
			       "%s has %lu iterations, at least %d are needed; give the account a "
			       "new password with 'xmpp user passwd'",
			       mechanism, iterations, SCRAM_KEYS_ITERATIONS);
	else if (!read_key_part(n, "salt", &salt) || !read_key_part(n, "stored-key", &stored) ||
		 !read_key_part(n, "server-key", &server) || stored.len != len || server.len != len)
		import_problem(im,
			       "%s lacks a salt, stored-key or server-key in base64 of its "
			       "right length; export it again",
			       mechanism);
	else
		db_scram_put(&im->user->keys,
			     &(struct db_scram){.hash = slice_str(mechanism + strlen("SCRAM-")),
						.iterations = (uint32_t)iterations,
						.salt = str_slice(&salt),
						.stored_key = str_slice(&stored),
						.server_key = str_slice(&server)});
	xwipe(stored.data, stored.len);
	xwipe(server.data, server.len);
	str_clear(&salt);
	str_clear(&stored);
	str_clear(&server);
}

static void set_keys(struct import *im)
{
	struct pie_user *u = im->user;
	struct str record = STR_INIT, why = STR_INIT;
	uint32_t iterations =
		im->v->iterations ? (uint32_t)im->v->iterations : SCRAM_KEYS_ITERATIONS;

	if (!u->keys.len && u->password.len &&
	    scram_keys_pack(&u->keys, u->password.data, iterations, &why) != ERR_OK)
		import_problem(im, "%s; give it another with 'xmpp user passwd'", why.data);
	if (u->keys.len) {
		msg_db_account_set_put(&record,
				       &(struct msg_db_account_set){u->jid.local, u->jid.domain,
								    str_slice(&u->keys)});
		import_post(im, &record, "its credentials", &u->uncounted, 1);
	} else if (!why.len) {
		import_problem(im, "there are no credentials that could be taken over, so nobody "
				   "can log in; give it a password with 'xmpp user passwd'");
	}
	str_clear(&record);
	str_clear(&why);
}

/* ---- roster, requests */

static bool parse_jid(struct import *im, const char *text, struct jid *out, const char *what)
{
	if (text && jid_parse(out, slice_str(text)) == ERR_OK)
		return true;
	import_problem(im, "%s: '%s' is not a JID; left out", what, text ? text : "");
	return false;
}

static uint8_t parse_subscription(const char *text)
{
	static const char *const names[] = {"none", "to", "from", "both"};

	for (uint8_t i = 0; text && i < 4; i++)
		if (strcmp(text, names[i]) == 0)
			return i;
	return 0;
}

static bool is_true(const char *text)
{
	return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

static void free_str(void *value)
{
	struct str *s = value;

	if (!s)
		return;
	str_clear(s);
	free(s);
}

/* Kept until the end: requests may come behind it, and belong to it. */
static void take_item(struct import *im, const struct xml_node *n)
{
	const char *name = xml_attr(n, "name"), *subscription = xml_attr(n, "subscription");
	struct db_roster_item item = {.name = slice_str(name)};
	struct str groups = STR_INIT, *packed;
	struct jid jid = JID_NONE;

	if ((subscription && strcmp(subscription, "remove") == 0) ||
	    !parse_jid(im, xml_attr(n, "jid"), &jid, "contact"))
		return;
	for (const struct xml_node *g = n->first; g; g = g->next) {
		if (!xml_is(g, NS_ROSTER, "group") || !*g->text || item.ngroups == UINT16_MAX)
			continue;
		codec_put_str(&groups, slice_str(g->text));
		item.ngroups++;
	}
	item.jid = jid_bare(&jid);
	item.groups = str_slice(&groups);
	item.subscription = parse_subscription(subscription);
	item.ask = xml_attr(n, "ask") != NULL && !(item.subscription & 1);
	item.approved = is_true(xml_attr(n, "approved"));
	packed = xcalloc(1, sizeof(*packed));
	str_init(packed);
	db_roster_item_put(packed, &item);
	free_str(map_put(&im->user->roster, item.jid, packed));
	str_clear(&groups);
	jid_clear(&jid);
}

static void take_roster(struct import *im, const struct xml_node *n)
{
	for (const struct xml_node *i = n->first; i; i = i->next)
		if (xml_is(i, NS_ROSTER, "item"))
			take_item(im, i);
}

static void take_request(struct import *im, const struct xml_node *n)
{
	const char *type = xml_attr(n, "type");
	struct jid jid = JID_NONE;

	if (!type || strcmp(type, "subscribe") != 0)
		im->user->did.ignored++;
	else if (parse_jid(im, xml_attr(n, "from"), &jid, "subscription request"))
		map_put(&im->user->requests, jid_bare(&jid), im->user);
	jid_clear(&jid);
}

static void put_item(struct import *im, const struct db_roster_item *item, unsigned int *count)
{
	struct str record = STR_INIT, packed = STR_INIT, what = STR_INIT;

	db_roster_item_put(&packed, item);
	msg_db_roster_set_put(&record,
			      &(struct msg_db_roster_set){im->user->jid.local, im->user->jid.domain,
							  str_slice(&packed)});
	str_addf(&what, "contact %.*s", SLICE_ARG(item->jid));
	import_post(im, &record, what.data, count, 1);
	str_clear(&record);
	str_clear(&packed);
	str_clear(&what);
}

static void set_roster(struct import *im)
{
	struct pie_user *u = im->user;
	struct db_roster_item item;
	struct slice jid, in;
	struct str *packed;
	size_t it = 0;
	void *unused;

	while (!im->fatal && map_next(&u->roster, &it, NULL, (void **)&packed)) {
		in = str_slice(packed);
		if (!db_roster_item_get(&in, &item))
			continue;
		/* A pre-approval is used up by a request (RFC 6121 3.4.2). */
		item.pending_in = !(item.subscription & 2) && map_find(&u->requests, item.jid);
		item.approved = item.approved && !item.pending_in;
		put_item(im, &item, &u->did.contacts);
		u->did.requests += item.pending_in && !im->fatal;
	}
	for (it = 0; !im->fatal && map_next(&u->requests, &it, &jid, &unused);)
		if (!map_find(&u->roster, jid)) /* no item of the roster: db_pack.h */
			put_item(im,
				 &(struct db_roster_item){
					 .jid = jid, .approved = 1, .pending_in = 1},
				 &u->did.requests);
}

/* ---- values */

static void put_value(struct import *im, uint8_t kind, struct slice key, const struct str *value,
		      const char *what, unsigned int *count)
{
	struct str record = STR_INIT;

	msg_db_data_set_put(&record,
			    &(struct msg_db_data_set){im->user->jid.local, im->user->jid.domain,
						      kind, key, str_slice(value)});
	import_post(im, &record, what, count, 1);
	str_clear(&record);
}

static void take_vcard(struct import *im, const struct xml_node *n)
{
	struct str value = STR_INIT;

	xml_tree_write(&value, n, NULL);
	put_value(im, DB_DATA_VCARD, SLICE_NONE, &value, "its vCard", &im->user->did.vcards);
	str_clear(&value);
}

static void take_private(struct import *im, const struct xml_node *n)
{
	for (const struct xml_node *c = n->first; c; c = c->next) {
		struct str key = STR_INIT, value = STR_INIT;

		str_addf(&key, "%s %s", c->ns, c->name);
		xml_tree_write(&value, c, NULL);
		put_value(im, DB_DATA_PRIVATE, str_slice(&key), &value, "a private value",
			  &im->user->did.values);
		str_clear(&key);
		str_clear(&value);
	}
}

static void pack_jids(struct import *im, const struct xml_node *list, struct str *out)
{
	for (const struct xml_node *c = list ? list->first : NULL; c; c = c->next) {
		struct jid jid = JID_NONE;

		if (strcmp(c->name, "jid") == 0 &&
		    parse_jid(im, c->text, &jid, "archiving preference"))
			codec_put_str(out, jid_full(&jid));
		jid_clear(&jid);
	}
}

static void take_prefs(struct import *im, const struct xml_node *n)
{
	struct str always = STR_INIT, never = STR_INIT;
	struct db_archive_prefs p = {0};
	const char *policy = xml_attr(n, "default");

	if (policy && db_archive_policy_parse(slice_str(policy), &p.policy)) {
		pack_jids(im, xml_child(n, PIE_NS_ARCHIVE, "always"), &always);
		pack_jids(im, xml_child(n, PIE_NS_ARCHIVE, "never"), &never);
		p.always = str_slice(&always);
		p.never = str_slice(&never);
		str_reset(&im->user->prefs);
		db_archive_prefs_put(&im->user->prefs, &p);
	}
	str_clear(&always);
	str_clear(&never);
}

static void put_prefs(struct import *im, const struct str *value, unsigned int *count)
{
	put_value(im, DB_DATA_ARCHIVE_PREFS, SLICE_NONE, value, "archiving preferences", count);
}

void pie_user_open_archive(struct import *im)
{
	struct str value = STR_INIT;

	if (im->user->archive_opened || im->user->fate == PIE_MERGE)
		return;
	im->user->archive_opened = true;
	db_archive_prefs_put(&value, &(struct db_archive_prefs){.policy = ARCHIVE_ALWAYS});
	put_prefs(im, &value, &im->user->uncounted);
	str_clear(&value);
}

static void set_prefs(struct import *im)
{
	struct pie_user *u = im->user;

	if (u->prefs.len)
		put_prefs(im, &u->prefs, &u->did.values);
	else if (u->archive_opened)
		put_prefs(im, &u->prefs, &u->uncounted); /* none: removed */
}

/* ---- who is blocked */

static void add_blocked(struct import *im, const char *text)
{
	struct jid jid = JID_NONE;

	if (parse_jid(im, text, &jid, "blocked")) {
		codec_put_str(&im->user->blocked, jid_full(&jid));
		im->user->did.blocked++;
	}
	jid_clear(&jid);
}

static void take_blocklist(struct import *im, const struct xml_node *n)
{
	for (const struct xml_node *c = n->first; c; c = c->next)
		if (xml_is(c, PIE_NS_BLOCK, "item"))
			add_blocked(im, xml_attr(c, "jid"));
}

static bool attr_is(const struct xml_node *n, const char *name, const char *value)
{
	const char *text = xml_attr(n, name);

	return text && strcmp(text, value) == 0;
}

/* Of privacy lists only what XEP-0191 can say: the default list's JIDs that are denied whole. */
static void take_privacy(struct import *im, const struct xml_node *n)
{
	const struct xml_node *chosen = xml_child(n, PIE_NS_PRIVACY, "default");
	const char *name = chosen ? xml_attr(chosen, "name") : NULL;

	for (const struct xml_node *l = n->first; l; l = l->next) {
		if (!xml_is(l, PIE_NS_PRIVACY, "list"))
			continue;
		if (!name || !attr_is(l, "name", name)) {
			im->user->did.ignored++;
			continue;
		}
		for (const struct xml_node *i = l->first; i; i = i->next) {
			if (attr_is(i, "type", "jid") && attr_is(i, "action", "deny") && !i->first)
				add_blocked(im, xml_attr(i, "value"));
			else if (xml_attr(i, "type"))
				im->user->did.ignored++;
		}
	}
}

static void set_blocked(struct import *im)
{
	struct pie_user *u = im->user;
	struct str record = STR_INIT;

	if (!u->blocked.len)
		return;
	msg_db_block_put(&record, &(struct msg_db_block){u->jid.local, u->jid.domain,
							 str_slice(&u->blocked)});
	if (!import_store(im, &record, "whom it has blocked"))
		u->did.blocked = 0;
	str_clear(&record);
}

/* ---- all of it */

static const struct {
	const char *ns, *name;
	void (*take)(struct import *im, const struct xml_node *n);
} children[] = {
	{PIE_NS_SCRAM, "scram-credentials", take_scram}, {NS_ROSTER, "query", take_roster},
	{NS_CLIENT, "presence", take_request},		 {PIE_NS_VCARD, "vCard", take_vcard},
	{PIE_NS_PRIVATE, "query", take_private},	 {PIE_NS_PRIVACY, "query", take_privacy},
	{PIE_NS_BLOCK, "blocklist", take_blocklist},	 {PIE_NS_ARCHIVE, "prefs", take_prefs},
};

void pie_user_child(struct import *im, struct slice bytes)
{
	struct xml_node *n = pie_parse(im, bytes);
	bool taken = !n;

	for (size_t i = 0; !taken && i < sizeof(children) / sizeof(children[0]); i++)
		if (xml_is(n, children[i].ns, children[i].name)) {
			children[i].take(im, n);
			taken = true;
		}
	if (!taken) {
		im->user->did.ignored++;
		import_problem(im, "<%s xmlns='%s'> is nothing that is kept here; left out",
			       n->name, n->ns);
	}
	xml_tree_free(&n);
}

static bool end_sessions(struct import *im)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	enum err e = im->v->dry_run ? ERR_OK
				    : bus_client_admin(im->c, "kick", jid_bare(&im->user->jid), &a);

	if (e != ERR_OK) {
		import_problem(im, "%s", a.text.data);
		im->fatal = COMMAND_UNREACHABLE;
	}
	bus_client_answer_clear(&a);
	return e == ERR_OK;
}

/* Whoever is online has his roster in the router's memory: he is to log in again. */
void pie_user_begin(struct import *im, struct pie_user *u)
{
	struct str record = STR_INIT, keys = STR_INIT;

	im->user = u;
	if (u->fate == PIE_REPLACE) {
		msg_db_account_del_put(&record,
				       &(struct msg_db_account_del){u->jid.local, u->jid.domain});
		import_store(im, &record, "the account that was there");
	}
	if (!im->fatal && (u->fate == PIE_REPLACE || u->fate == PIE_MERGE))
		end_sessions(im);
	if (!im->fatal && (u->fate == PIE_REPLACE || u->fate == PIE_ADD)) {
		add_lock(&keys);
		msg_db_account_add_put(&record,
				       &(struct msg_db_account_add){u->jid.local, u->jid.domain,
								    str_slice(&keys)});
		if (!import_store(im, &record, "the account"))
			u->fate = PIE_SKIP;
	}
	str_clear(&record);
	str_clear(&keys);
}

void pie_user_end(struct import *im)
{
	set_roster(im);
	if (!im->fatal)
		set_blocked(im);
	if (!im->fatal)
		pie_send_archive(im);
	if (!im->fatal)
		set_prefs(im);
	if (im->user->fate == PIE_MERGE)
		import_flush(im);
	if (!im->fatal && im->user->fate == PIE_MERGE)
		end_sessions(im);
	if (!im->fatal && im->user->fate != PIE_MERGE)
		set_keys(im);
}

void pie_user_clear(struct pie_user *u)
{
	struct str *packed;
	size_t it = 0;

	while (map_next(&u->roster, &it, NULL, (void **)&packed))
		free_str(packed);
	map_clear(&u->roster);
	map_clear(&u->requests);
	xwipe(u->password.data, u->password.len);
	xwipe(u->keys.data, u->keys.len);
	str_clear(&u->password);
	str_clear(&u->keys);
	str_clear(&u->blocked);
	str_clear(&u->archive);
	str_clear(&u->prefs);
	jid_clear(&u->jid);
}
