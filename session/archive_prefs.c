#include "session/archive_prefs.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "ipc/db_archive.h"
#include "ipc/db_pack.h"
#include "session/archive.h"
#include "session/data_job.h"
#include "session/registry.h"
#include "session/reply.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

#define USERS_MAX   50000 /* then all are forgotten, in the next turn */
#define KEPT_MS	    60000
#define DEADLINE_MS 5000
#define JIDS_MAX    1000

/* A question under way: the memory may be gone when the answer comes. */
struct memory_job {
	struct list all;
	struct archive_memory *memory; /* NULL: it is gone */
	struct slice bare;
	char text[];
};

void archive_memory_init(struct archive_memory *a, struct session_manager *m)
{
	a->m = m;
	map_init(&a->users);
	list_init(&a->asked);
	a->forgotten = 1;
}

static void forget_all(struct archive_memory *a)
{
	struct archive_owner *u;
	size_t at = 0;

	while (map_next(&a->users, &at, NULL, (void **)&u)) {
		free(u->text);
		free(u);
	}
	map_clear(&a->users);
	a->forgotten++;
}

void archive_memory_trim(struct archive_memory *a)
{
	if (a->users.count >= USERS_MAX)
		forget_all(a);
}

void archive_memory_clear(struct archive_memory *a)
{
	list_each_safe (it, &a->asked) {
		list_remove(it);
		list_entry(it, struct memory_job, all)->memory = NULL;
	}
	forget_all(a);
}

static void remember(struct archive_memory *a, struct slice bare, struct slice value,
		     struct monotime now)
{
	struct archive_owner *u = map_find(&a->users, bare);

	if (!u)
		return;
	free(u->text);
	u->text = xmalloc(value.len + 1);
	memcpy(u->text, value.len ? value.data : "", value.len);
	u->value = slice_of(u->text, value.len);
	u->known = true;
	u->asked = false;
	u->until = monotime_add_ms(now, KEPT_MS);
}

/* What could not be read is not remembered: the old stays, and the next message asks again, but not
 * before the datastore had time. */
static void on_read(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct memory_job *j = arg;
	struct archive_memory *a = j->memory;
	struct archive_owner *u = a && status != ERR_CLOSED ? map_find(&a->users, j->bare) : NULL;
	struct msg_db_data data = {0};

	list_remove(&j->all);
	if (status == ERR_OK && (type != MSG_DB_DATA || msg_db_data_get(body, &data) != ERR_OK))
		status = ERR_FORMAT;
	if (u && !u->asked)
		u = NULL; /* it was set meanwhile */
	if (u && (status == ERR_OK || status == ERR_NOTFOUND))
		remember(a, j->bare, data.value, a->m->now);
	else if (u)
		u->asked = false;
	free(j);
}

static void data_key(struct str *record, struct slice bare)
{
	msg_db_data_get_put(record, &(struct msg_db_data_get){.user = jid_text_local(bare),
							      .domain = jid_text_domain(bare),
							      .kind = DB_DATA_ARCHIVE_PREFS});
}

static void ask(struct archive_memory *a, struct archive_owner *u, struct slice bare,
		struct monotime now)
{
	struct memory_job *j = xcalloc(1, sizeof(*j) + bare.len);
	struct str record = STR_INIT;

	memcpy(j->text, bare.data, bare.len);
	j->bare = slice_of(j->text, bare.len);
	j->memory = a;
	list_append(&a->asked, &j->all);
	u->asked = true;
	u->until = monotime_add_ms(now, DEADLINE_MS);
	data_key(&record, bare);
	a->m->host.store(a->m->ctx, str_slice(&record), DEADLINE_MS, on_read, j);
	str_clear(&record);
}

static struct archive_owner *memory_of(struct archive_memory *a, struct slice bare)
{
	struct archive_owner *u = map_find(&a->users, bare);

	if (u)
		return u;
	u = xcalloc(1, sizeof(*u));
	map_put(&a->users, bare, u);
	return u;
}

/* Whom the roster's part in memory shows is in it; for all others the datastore looks. */
static bool is_contact(const struct session_manager *m, struct slice bare, struct slice peer)
{
	const struct user *u = registry_user(m, bare);

	return u && u->contacts.known &&
	       (contacts_find(&u->contacts, jid_text_bare(peer)) & (CONTACT_TO | CONTACT_FROM));
}

struct archive_owner *archive_memory_owner(struct archive_memory *a, struct slice bare,
					   struct user *u)
{
	if (!u)
		return memory_of(a, bare);
	if (u->archive_forgotten != a->forgotten) {
		u->archive_owner = memory_of(a, bare);
		u->archive_forgotten = a->forgotten;
	}
	return u->archive_owner;
}

enum archive_wish archive_memory_wish(struct archive_memory *a, struct archive_owner *u,
				      struct slice bare, struct slice peer, uint8_t policy,
				      struct monotime now)
{
	struct db_archive_prefs prefs = {.policy = policy};
	struct slice in = u->value;
	uint8_t wish;

	if (!u->asked && monotime_before(u->until, now))
		ask(a, u, bare, now);
	if (in.len && !db_archive_prefs_get(&in, &prefs))
		prefs = (struct db_archive_prefs){.policy = policy};
	wish = db_archive_prefs_for(&prefs, peer);
	if (wish == ARCHIVE_ALWAYS)
		return ARCHIVE_WANTED;
	if (wish == ARCHIVE_NEVER)
		return u->known ? ARCHIVE_UNWANTED : ARCHIVE_PERHAPS;
	return is_contact(a->m, bare, peer) ? ARCHIVE_WANTED : ARCHIVE_PERHAPS;
}

/* The commands. */

static void write_list(struct str *out, const char *name, struct slice list)
{
	struct slice jid;

	str_addf(out, "<%s>", name);
	while (list.len && codec_get_str(&list, &jid)) {
		str_adds(out, "<jid>");
		xml_out_text(out, jid);
		str_adds(out, "</jid>");
	}
	str_addf(out, "</%s>", name);
}

static void answer(struct inbound *in, const struct db_archive_prefs *p, const char *rule)
{
	struct str out = STR_INIT;

	str_addf(&out, "<prefs xmlns='" NS_MAM "' default='%s'>",
		 db_archive_policy_name(p->policy));
	write_list(&out, "always", p->always);
	write_list(&out, "never", p->never);
	str_adds(&out, "</prefs>");
	reply_result(in, str_slice(&out), rule);
	str_clear(&out);
}

static void get_go(struct inbound *in, struct data_answer *a)
{
	struct db_archive_prefs prefs;
	struct msg_db_data data = {0};

	if (a->status == ERR_OK)
		a->status = msg_db_data_get(a->body, &data);
	if (a->status != ERR_OK && a->status != ERR_NOTFOUND) {
		data_refuse(in, a->status);
		return;
	}
	if (data.value.len == 0 || !db_archive_prefs_get(&data.value, &prefs))
		prefs = (struct db_archive_prefs){.policy = archive_policy(in->m->archive)};
	answer(in, &prefs, "xep0441-2.1 archiving preferences");
}

void archive_prefs_get(struct inbound *in, const struct xml_node *payload)
{
	struct str record = STR_INIT;

	(void)payload;
	data_key(&record, in->sender->user->bare);
	data_ask(in, &(struct data_question){.record = &record, .want = MSG_DB_DATA, .go = get_go});
}

static void set_go(struct inbound *in, struct data_answer *a)
{
	struct str *value = a->state;
	struct slice packed = str_slice(value);
	struct db_archive_prefs prefs;

	if (a->status != ERR_OK) {
		data_refuse(in, a->status);
		return;
	}
	memory_of(archive_memory(in->m->archive), in->sender->user->bare);
	remember(archive_memory(in->m->archive), in->sender->user->bare, packed, in->m->now);
	db_archive_prefs_get(&packed, &prefs);
	answer(in, &prefs, "xep0441-2.1 archiving preferences set");
}

/* Appends the normalised JIDs of <always/> or <never/>. false: one is none, or they are too many.
 */
static bool read_list(struct str *out, const struct xml_node *list)
{
	unsigned int count = 0;
	struct jid jid;

	for (const struct xml_node *n = list ? list->first : NULL; n; n = n->next) {
		if (!xml_is(n, NS_MAM, "jid"))
			continue;
		if (++count > JIDS_MAX || jid_parse(&jid, slice_str(n->text)) != ERR_OK)
			return false;
		codec_put_str(out, jid_full(&jid));
		jid_clear(&jid);
	}
	return true;
}

static void value_free(void *state)
{
	str_clear(state);
	free(state);
}

static struct str *value_of(const struct xml_node *payload)
{
	const char *policy = xml_attr(payload, "default");
	struct str always = STR_INIT, never = STR_INIT, *value = NULL;
	struct db_archive_prefs p = {0};

	if (policy && db_archive_policy_parse(slice_str(policy), &p.policy) &&
	    read_list(&always, xml_child(payload, NS_MAM, "always")) &&
	    read_list(&never, xml_child(payload, NS_MAM, "never"))) {
		p.always = str_slice(&always);
		p.never = str_slice(&never);
		value = xcalloc(1, sizeof(*value));
		str_init(value);
		db_archive_prefs_put(value, &p);
	}
	str_clear(&always);
	str_clear(&never);
	return value;
}

void archive_prefs_set(struct inbound *in, const struct xml_node *payload)
{
	struct slice bare = in->sender->user->bare;
	struct str *value = value_of(payload), record = STR_INIT;

	if (!value) {
		reply_error(in, STANZA_ERROR_BAD_REQUEST,
			    "The default is always, never or roster; each jid is a JID.",
			    "xep0441-2.1 bad archiving preferences");
		return;
	}
	msg_db_data_set_put(&record, &(struct msg_db_data_set){.user = jid_text_local(bare),
							       .domain = jid_text_domain(bare),
							       .kind = DB_DATA_ARCHIVE_PREFS,
							       .value = str_slice(value)});
	data_ask(in, &(struct data_question){&record, MSG_DB_DONE, set_go, value, value_free});
}
