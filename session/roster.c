#include "session/roster.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "session/contacts.h"
#include "session/manager.h"
#include "session/registry.h"
#include "session/reply.h"
#include "session/roster_item.h"
#include "session/roster_job.h"
#include "session/session_blob.h"
#include "session/subscription.h"
#include "xmpp/ns.h"
#include "xmpp/xml_tree.h"

static void query_open(struct str *out, uint64_t version)
{
	str_addf(out, "<query xmlns='" NS_ROSTER "' ver='%llu'>", (unsigned long long)version);
}

void roster_push(struct session_manager *m, struct custody_entry *e, struct slice bare,
		 const struct db_roster_item *item, bool removed, uint64_t version)
{
	const struct user *u = registry_user(m, bare);
	struct str inner = STR_INIT;
	char id[32];

	query_open(&inner, version);
	roster_item_write(&inner, item, removed);
	str_adds(&inner, "</query>");
	for (struct session *s = user_first(u); s; s = user_after(s)) {
		if (!s->interested)
			continue;
		snprintf(id, sizeof(id), "push%llx", (unsigned long long)++m->pushes);
		manager_answer(m, e, s->sid,
			       &(struct session_stanza){.kind = STANZA_IQ,
							.type = TYPE_SET,
							.from = bare,
							.to = s->full,
							.id = slice_str(id),
							.inner = str_slice(&inner)});
	}
	str_clear(&inner);
}

void roster_refuse(const struct inbound *in, enum err why)
{
	switch (why) {
	case ERR_NOTFOUND:
		reply_error(in, STANZA_ERROR_ITEM_NOT_FOUND, NULL, "rfc6121-2.5.3 no such item");
		break;
	case ERR_FULL:
		reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
			    "The roster is full; remove a contact first.", "roster full");
		break;
	case ERR_IO:
	case ERR_CORRUPT:
	case ERR_FORMAT:
	case ERR_INTERNAL:
	case ERR_QUARANTINED:
		reply_error(in, STANZA_ERROR_INTERNAL_SERVER_ERROR,
			    "The roster could not be read or written; try again later.",
			    "roster store failed");
		break;
	default:
		reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
			    "The roster cannot be reached now; try again later.",
			    "roster store away");
	}
}

/* A roster request of a client, waiting for the datastore. */
struct request {
	struct roster_job job;
	struct parked *parked;
	char *ver;		 /* get: the version the client has, or NULL */
	struct roster_wish wish; /* set */
	struct db_roster_item before, after;
	struct str kept; /* what after borrows from */
};

static void request_free(struct roster_job *j)
{
	struct request *r = (struct request *)j;

	reply_unpark(&r->parked, j->m);
	free(r->ver);
	roster_wish_clear(&r->wish);
	str_clear(&r->kept);
	free(r);
}

static void request_failed(struct roster_job *j, enum err why)
{
	struct request *r = (struct request *)j;
	struct inbound in;

	reply_resume(r->parked, j->m, &in);
	if (reply_orphaned(r->parked, &in))
		reply_drop(&in, "roster request of a session that is gone");
	else
		roster_refuse(&in, why);
}

static struct request *request_new(const struct inbound *in, const struct roster_job_ops *ops)
{
	struct request *r = xcalloc(1, sizeof(*r));

	r->job.ops = ops;
	r->parked = reply_park(in);
	str_init(&r->wish.name);
	str_init(&r->wish.groups);
	str_init(&r->kept);
	return r;
}

static void get_loaded(struct roster_job *j, const struct msg_db_roster *roster)
{
	struct request *r = (struct request *)j;
	struct slice list = roster->list;
	struct db_roster_item item;
	struct str inner = STR_INIT;
	struct inbound in;
	char ver[24];

	reply_resume(r->parked, j->m, &in);
	if (reply_orphaned(r->parked, &in)) {
		reply_drop(&in, "roster request of a session that is gone");
		return;
	}
	/* From now on it gets pushes (2.2); those of jobs behind this one come after the result. */
	if (!in.sender->interested) {
		in.sender->interested = true;
		session_blob_emit(j->m, in.sender);
	}
	snprintf(ver, sizeof(ver), "%llu", (unsigned long long)roster->version);
	if (!r->ver || strcmp(r->ver, ver) != 0) {
		query_open(&inner, roster->version);
		while (db_roster_item_get(&list, &item)) {
			if (roster_item_visible(&item))
				roster_item_write(&inner, &item, false);
		}
		str_adds(&inner, "</query>");
	}
	reply_result(&in, str_slice(&inner), "rfc6121-2.1.3 roster get");
	str_clear(&inner);
}

static const struct roster_job_ops get_ops = {
	.loaded = get_loaded, .failed = request_failed, .free = request_free};

void roster_get(struct inbound *in, const struct xml_node *payload)
{
	struct request *r = request_new(in, &get_ops);
	const char *ver = xml_attr(payload, "ver");

	r->ver = ver ? xstrdup(ver) : NULL;
	roster_job_start_take(in->m, in->sender->user->bare, &r->job);
}

/* The stored item with the client's name and groups: the rest is the server's (2.1.2). */
static void set_merge(struct request *r, const struct db_roster_item *old)
{
	r->after = *old;
	r->after.jid = jid_full(&r->wish.jid);
	r->after.name = str_slice(&r->wish.name);
	r->after.groups = str_slice(&r->wish.groups);
	r->after.ngroups = r->wish.ngroups;
	roster_item_show(&r->after);
}

static void set_loaded(struct roster_job *j, const struct msg_db_roster *roster)
{
	struct request *r = (struct request *)j;
	bool found = roster_job_find(roster, jid_full(&r->wish.jid), &r->before);

	if (r->wish.remove && (!found || !roster_item_visible(&r->before))) {
		request_failed(j, ERR_NOTFOUND);
		return;
	}
	r->before.jid = jid_full(&r->wish.jid);
	r->before.name = r->before.groups = SLICE_NONE; /* borrowed from roster */
	str_add_slice(&r->kept, r->before.request);
	r->before.request = str_slice(&r->kept);
	set_merge(r, &r->before);
	if (r->wish.remove)
		roster_job_delete(j, r->after.jid);
	else
		roster_job_put(j, &r->after);
}

static void set_written(struct roster_job *j, uint64_t version)
{
	struct request *r = (struct request *)j;
	struct inbound in;

	reply_resume(r->parked, j->m, &in);
	contacts_changed(j->m, roster_job_owner(j), &r->after, r->wish.remove);
	roster_push(j->m, in.e, roster_job_owner(j), &r->after, r->wish.remove, version);
	if (r->wish.remove)
		subscription_removed(&in, roster_job_owner(j), &r->before);
	if (reply_orphaned(r->parked, &in))
		reply_consume(&in, "rfc6121-2.1.5 roster set");
	else
		reply_result(&in, SLICE_NONE, "rfc6121-2.1.5 roster set");
}

static const struct roster_job_ops set_ops = {.loaded = set_loaded,
					      .written = set_written,
					      .failed = request_failed,
					      .free = request_free};

void roster_set(struct inbound *in, const struct xml_node *payload)
{
	struct roster_refusal why;
	struct roster_wish wish;
	struct request *r;

	if (!roster_item_parse(payload, in->sender->user->bare, &wish, &why)) {
		reply_error(in, why.error, why.text, why.rule);
		return;
	}
	r = request_new(in, &set_ops);
	r->wish = wish;
	roster_job_start_take(in->m, in->sender->user->bare, &r->job);
}
