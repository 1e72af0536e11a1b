#include "session/blocking_change.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "ipc/codec.h"
#include "ipc/stanza_kinds.h"
#include "session/blocking.h"
#include "session/presence.h"
#include "session/presence_contacts.h"
#include "session/reply.h"
#include "session/roster_job.h"
#include "session/session_blob.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

/* A command, waiting for its turn on the user's roster. */
struct command {
	struct roster_job job;
	struct parked *parked;
	bool unblock;
	bool was_empty;	  /* before it */
	struct str jids;  /* packed; none with unblock: all */
	struct str freed; /* unblock: what of the list before it goes */
};

static void command_free(struct roster_job *j)
{
	struct command *c = (struct command *)j;

	reply_unpark(&c->parked, j->m);
	str_clear(&c->jids);
	str_clear(&c->freed);
	free(c);
}

static void command_failed(struct roster_job *j, enum err why)
{
	struct command *c = (struct command *)j;
	struct inbound in;

	reply_resume(c->parked, j->m, &in);
	if (reply_orphaned(c->parked, &in))
		reply_drop(&in, "blocking command of a session that is gone");
	else if (why == ERR_FULL)
		reply_error(&in, STANZA_ERROR_RESOURCE_CONSTRAINT,
			    "Too many addresses are blocked; unblock some first.",
			    "xep0191 blocklist full");
	else if (why == ERR_NOTFOUND)
		reply_error(&in, STANZA_ERROR_ITEM_NOT_FOUND, NULL, "xep0191 no such account");
	else
		reply_error(&in, STANZA_ERROR_RESOURCE_CONSTRAINT,
			    "The list cannot be read or changed now; try again later.",
			    "xep0191 blocklist store failed");
}

static struct command *command_new(const struct inbound *in, const struct roster_job_ops *ops)
{
	struct command *c = xcalloc(1, sizeof(*c));

	c->job.ops = ops;
	c->parked = reply_park(in);
	str_init(&c->jids);
	str_init(&c->freed);
	return c;
}

static void write_element(struct str *out, const char *name, struct slice jids)
{
	struct slice jid;

	str_addf(out, "<%s xmlns='" NS_BLOCKING "'", name);
	str_adds(out, jids.len ? ">" : "/>");
	if (jids.len == 0)
		return;
	while (codec_get_str(&jids, &jid)) {
		str_adds(out, "<item");
		xml_out_attr(out, "jid", jid);
		str_adds(out, "/>");
	}
	str_addf(out, "</%s>", name);
}

static void list_answer(struct roster_job *j, struct slice packed)
{
	struct command *c = (struct command *)j;
	struct str inner = STR_INIT;
	struct inbound in;

	reply_resume(c->parked, j->m, &in);
	if (reply_orphaned(c->parked, &in)) {
		reply_drop(&in, "blocking command of a session that is gone");
		return;
	}
	/* From now on it gets pushes; those of commands behind this one come after the result. */
	if (!in.sender->follows_blocked) {
		in.sender->follows_blocked = true;
		session_blob_emit(j->m, in.sender);
	}
	write_element(&inner, "blocklist", packed);
	reply_result(&in, str_slice(&inner), "xep0191-3.2 blocklist");
	str_clear(&inner);
}

static bool list_ready(struct roster_job *j)
{
	const struct user *u = registry_user(j->m, roster_job_owner(j));

	if (!u || u->contacts.blocking == BLOCKING_UNKNOWN)
		return false;
	list_answer(j, blob_slice(u->contacts.blocked));
	return true;
}

static void list_loaded(struct roster_job *j, const struct msg_db_roster *roster)
{
	list_answer(j, roster->blocked);
}

static const struct roster_job_ops list_ops = {
	.ready = list_ready, .loaded = list_loaded, .failed = command_failed, .free = command_free};

void blocking_list(struct inbound *in, const struct xml_node *payload)
{
	struct command *c = command_new(in, &list_ops);

	(void)payload;
	roster_job_start_take(in->m, in->sender->user->bare, &c->job);
}

/* Of the list before: what of it is freed by the command. Its effects are the same when it is
 * judged again after a crash, when the list has been changed already: then all that it names
 * counts. */
static void note_freed(struct command *c, struct slice before)
{
	c->was_empty = before.len == 0;
	if (c->unblock)
		str_add_slice(&c->freed, c->jids.len ? str_slice(&c->jids) : before);
}

static void change_loaded(struct roster_job *j, const struct msg_db_roster *roster)
{
	struct command *c = (struct command *)j;
	struct user *u = registry_user(j->m, roster_job_owner(j));

	/* Who is to be told needs the contacts when the change is written. */
	if (u)
		contacts_load(&u->contacts, roster);
	note_freed(c, roster->blocked);
	if (c->unblock)
		roster_job_unblock(j, str_slice(&c->jids));
	else
		roster_job_block(j, str_slice(&c->jids));
}

/* Section 3.3: unavailable to whom the user's presence went. */
static void hide_from_contacts(struct inbound *in, const struct user *u, struct slice jids)
{
	struct slice left = contacts_all(&u->contacts), all = jids, jid;
	uint8_t bits;

	while (contacts_next(&left, &bits, &jid)) {
		if ((bits & CONTACT_FROM) && blocking_listed(jids, u->bare, jid))
			presence_show(in->m, in->e, u->bare, jid, TYPE_UNAVAILABLE);
	}
	/* One resource of a contact. */
	while (codec_get_str(&all, &jid)) {
		struct slice bare = jid_text_bare(jid);

		if (jid_text_resource(jid).len && !blocking_listed(jids, u->bare, bare) &&
		    (contacts_find(&u->contacts, bare) & CONTACT_FROM))
			presence_show(in->m, in->e, u->bare, jid, TYPE_UNAVAILABLE);
	}
}

/* And to whom one of his resources had sent directed presence (RFC 6121 4.6). */
static void hide_from_targets(struct inbound *in, struct session *s, struct slice jids)
{
	struct slice bare = s->user->bare, left, to;
	struct str copy = STR_INIT;

	str_add_slice(&copy, str_slice(&s->targets));
	left = str_slice(&copy);
	while (codec_get_str(&left, &to)) {
		struct session_stanza out = {
			.kind = STANZA_PRESENCE, .type = TYPE_UNAVAILABLE, .from = s->full};

		if (!blocking_listed(jids, bare, to))
			continue;
		registry_target_remove(s, to);
		s->knows_blocked = false; /* its blob is not what it was */
		if (registry_shown(s) && (contacts_find(&s->user->contacts, to) & CONTACT_FROM))
			continue; /* was told as a contact */
		out.to = to;
		presence_to_address(in->m, in->e, true, &out);
	}
	str_clear(&copy);
}

static void hide(struct inbound *in, struct user *u, struct slice jids)
{
	hide_from_contacts(in, u, jids);
	for (struct session *s = user_first(u); s; s = user_after(s))
		hide_from_targets(in, s, jids);
	list_each (it, &u->lost)
		hide_from_targets(in, list_entry(it, struct session, link), jids);
}

/* The user sees the contact again: what became of it meanwhile nobody has told him. */
static void see_again(struct inbound *in, const struct user *u, struct slice contact)
{
	for (struct session *s = user_first(u); s; s = user_after(s)) {
		struct inbound as = *in;

		if (!registry_shown(s))
			continue;
		as.sender = s;
		as.s.from = s->full;
		presence_contacts_see_again(&as, contact);
	}
}

/* Section 3.4: what holds for those who are not blocked any more. all: nothing is known of whom. */
static void show(struct inbound *in, const struct user *u, struct slice jids, bool all)
{
	struct str copy = STR_INIT;
	struct slice left, jid;
	uint8_t bits;

	str_add_slice(&copy, contacts_all(&u->contacts));
	left = str_slice(&copy);
	while (contacts_next(&left, &bits, &jid)) {
		if (!all && !blocking_listed(jids, u->bare, jid))
			continue;
		if (blocking_hits(&u->contacts, u->bare, jid))
			continue;
		if (bits & CONTACT_FROM)
			presence_show(in->m, in->e, u->bare, jid, TYPE_NONE);
		if (bits & CONTACT_TO)
			see_again(in, u, jid);
	}
	str_clear(&copy);
	while (codec_get_str(&jids, &jid)) {
		struct slice bare = jid_text_bare(jid);

		if (jid_text_resource(jid).len &&
		    (contacts_find(&u->contacts, bare) & CONTACT_FROM))
			presence_show(in->m, in->e, u->bare, jid, TYPE_NONE);
	}
}

/* To all resources that have asked for the list (sections 3.3 to 3.5). */
static void push(struct inbound *in, const struct user *u, const struct command *c)
{
	struct str inner = STR_INIT;
	char id[32];

	write_element(&inner, c->unblock ? "unblock" : "block", str_slice(&c->jids));
	for (struct session *s = user_first(u); s; s = user_after(s)) {
		if (!s->follows_blocked)
			continue;
		snprintf(id, sizeof(id), "push%llx", (unsigned long long)++in->m->pushes);
		manager_answer(in->m, in->e, s->sid,
			       &(struct session_stanza){.kind = STANZA_IQ,
							.type = TYPE_SET,
							.from = u->bare,
							.to = s->full,
							.id = slice_str(id),
							.inner = str_slice(&inner)});
	}
	str_clear(&inner);
}

static void change_written(struct roster_job *j, uint64_t version)
{
	struct command *c = (struct command *)j;
	struct user *u = registry_user(j->m, roster_job_owner(j));
	struct inbound in;

	(void)version;
	reply_resume(c->parked, j->m, &in);
	if (u && c->unblock)
		show(&in, u, str_slice(&c->freed), c->jids.len == 0 && c->was_empty);
	else if (u)
		hide(&in, u, str_slice(&c->jids));
	blocking_spread(j->m, roster_job_owner(j));
	if (u)
		push(&in, u, c);
	if (reply_orphaned(c->parked, &in))
		reply_consume(&in, "xep0191 blocking command");
	else
		reply_result(&in, SLICE_NONE, "xep0191 blocking command");
}

static const struct roster_job_ops change_ops = {.loaded = change_loaded,
						 .written = change_written,
						 .failed = command_failed,
						 .free = command_free};

/* The JIDs of the items, normalised. false: it was refused. */
static bool parse(struct inbound *in, const struct xml_node *payload, struct str *out)
{
	for (const struct xml_node *n = payload->first; n; n = n->next) {
		const char *text = xml_attr(n, "jid");
		struct jid jid;

		if (!xml_is(n, NS_BLOCKING, "item") || !text || !*text) {
			reply_error(in, STANZA_ERROR_BAD_REQUEST,
				    "The command's children are items with a jid.",
				    "xep0191-3.3 malformed item");
			return false;
		}
		if (jid_parse(&jid, slice_str(text)) != ERR_OK) {
			reply_error(in, STANZA_ERROR_JID_MALFORMED,
				    "The jid is not a valid address.", "xep0191-3.3 malformed jid");
			return false;
		}
		codec_put_str(out, jid_full(&jid));
		jid_clear(&jid);
	}
	return true;
}

static void change(struct inbound *in, const struct xml_node *payload, bool unblock)
{
	struct str jids = STR_INIT;
	struct command *c;

	if (!parse(in, payload, &jids)) {
		str_clear(&jids);
		return;
	}
	if (!unblock && jids.len == 0) {
		reply_error(in, STANZA_ERROR_BAD_REQUEST, "Nothing is said to be blocked.",
			    "xep0191-3.3 block without an item");
		return;
	}
	c = command_new(in, &change_ops);
	c->unblock = unblock;
	c->jids = jids;
	roster_job_start_take(in->m, in->sender->user->bare, &c->job);
}

void blocking_block(struct inbound *in, const struct xml_node *payload)
{
	change(in, payload, false);
}

void blocking_unblock(struct inbound *in, const struct xml_node *payload)
{
	change(in, payload, true);
}
