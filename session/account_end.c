#include "session/account_end.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "session/contacts.h"
#include "session/data_job.h"
#include "session/registry.h"
#include "session/reply.h"
#include "session/roster_job.h"
#include "session/subscription.h"
#include "xmpp/jid.h"

#define STEPS_MAX 16 /* contacts' rosters at work at once: two steps each */

/* Who holds a reference: the step under way, or the pending steps of contacts. */
struct removal {
	struct list all;	   /* in the manager */
	struct session_manager *m; /* NULL: it is gone */
	struct parked *parked;
	uint64_t requester; /* session, 0 = the operator */
	struct str roster;
	struct slice left; /* of roster */
	unsigned int steps;
	enum err status;
	void (*done)(void *arg, enum err status);
	void *arg;
	struct slice bare;
	char text[];
};

struct read_job {
	struct roster_job job;
	struct removal *r;
};

static void removal_free(struct removal *r)
{
	if (r->m) {
		data_leave(r->m);
		list_remove(&r->all);
	}
	reply_unpark(&r->parked, r->m);
	str_clear(&r->roster);
	free(r);
}

static void tell(struct removal *r, enum err status)
{
	struct inbound in;

	reply_resume(r->parked, r->m, &in);
	if (r->done)
		r->done(r->arg, status);
	else if (reply_orphaned(r->parked, &in))
		reply_consume(&in, "xep0077-3.2 account removed");
	else if (status == ERR_OK)
		reply_result(&in, SLICE_NONE, "xep0077-3.2 account removed");
	else
		data_refuse(&in, status);
}

static void end(struct removal *r, enum err status)
{
	struct session_manager *m = r->m;
	struct user *u;

	if (status == ERR_OK || (status == ERR_NOTFOUND && !r->done)) {
		status = ERR_OK;
		log_info("-", "event=account-ended jid=%s by=%s", log_quote(r->bare),
			 r->done ? "operator" : "user");
	}
	if (status != ERR_OK && status != ERR_NOTFOUND)
		log_warn(
			"-",
			"event=account-not-ended jid=%s error=%s hint=\"its contacts may have been "
			"told; remove it again\"",
			log_quote(r->bare), err_name(status));
	tell(r, status);
	if (status == ERR_OK || status == ERR_NOTFOUND) {
		/* Nobody of them is a contact any more: nothing is left to be read. */
		u = registry_user(m, r->bare);
		if (u)
			contacts_load(&u->contacts, &(struct msg_db_roster){0});
		manager_end_user(m, r->bare, 0, "not-authorized", "This account was removed.");
	}
	removal_free(r);
}

static void on_removed(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct removal *r = arg;

	(void)body;
	if (!r->m) {
		removal_free(r);
		return;
	}
	if (status == ERR_OK && type != MSG_DB_DONE)
		status = ERR_FORMAT;
	end(r, status);
}

static void remove_account(struct removal *r)
{
	struct str record = STR_INIT;

	msg_db_account_del_put(&record,
			       &(struct msg_db_account_del){.user = jid_text_local(r->bare),
							    .domain = jid_text_domain(r->bare)});
	r->m->host.store(r->m->ctx, str_slice(&record), DATA_DEADLINE_MS, on_removed, r);
	str_clear(&record);
}

static void walk(struct removal *r);

static void on_contact(void *arg, enum err status)
{
	struct removal *r = arg;

	r->steps--;
	/* A contact who does not exist has no roster. */
	if (status != ERR_OK && status != ERR_NOTFOUND && r->status == ERR_OK)
		r->status = status;
	walk(r);
}

/* The next contacts, as many at once as may be; the end of all. */
static void walk(struct removal *r)
{
	struct db_roster_item item;
	struct inbound in;

	if (r->m)
		reply_resume(r->parked, r->m, &in);
	while (r->m && r->status == ERR_OK && r->steps < STEPS_MAX &&
	       db_roster_item_get(&r->left, &item))
		r->steps += subscription_ended(&in, r->bare, &item, on_contact, r);
	if (r->steps)
		return;
	if (!r->m)
		removal_free(r);
	else if (r->status == ERR_OK)
		remove_account(r);
	else
		end(r, r->status);
}

static void read_loaded(struct roster_job *j, const struct msg_db_roster *roster)
{
	struct removal *r = ((struct read_job *)j)->r;

	str_add_slice(&r->roster, roster->list);
	r->left = str_slice(&r->roster);
}

static void read_failed(struct roster_job *j, enum err why)
{
	((struct read_job *)j)->r->status = why;
}

/* Not before the job has left the queue of its roster. */
static void read_free(struct roster_job *j)
{
	struct removal *r = ((struct read_job *)j)->r;

	free(j);
	walk(r);
}

static const struct roster_job_ops read_ops = {
	.loaded = read_loaded, .failed = read_failed, .free = read_free};

static void start(struct inbound *in, struct slice bare, void (*done)(void *arg, enum err status),
		  void *arg)
{
	struct session_manager *m = in->m;
	struct removal *r = xcalloc(1, sizeof(*r) + bare.len);
	struct read_job *j = xcalloc(1, sizeof(*j));

	r->m = m;
	list_append(&m->removals, &r->all);
	r->parked = reply_park(in);
	r->requester = in->sender ? in->sender->sid : 0;
	str_init(&r->roster);
	memcpy(r->text, bare.data, bare.len);
	r->bare = slice_of(r->text, bare.len);
	r->done = done;
	r->arg = arg;
	j->job.ops = &read_ops;
	j->r = r;
	/* The one who asks stays to hear of it. */
	manager_end_user(m, r->bare, r->requester, "not-authorized",
			 "This account is being removed.");
	roster_job_start_take(m, r->bare, &j->job);
}

void account_end_asked(struct inbound *in)
{
	if (data_enter(in->m))
		start(in, in->sender->user->bare, NULL, NULL);
	else
		reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
			    "The server has too much to do; try again later.",
			    "too many requests wait for the datastore");
}

void session_remove_account(struct session_manager *m, struct slice bare, struct monotime now,
			    void (*done)(void *arg, enum err status), void *arg)
{
	struct inbound in = {.m = m, .now = now};

	if (data_enter(m))
		start(&in, bare, done, arg);
	else
		done(arg, ERR_AGAIN);
}

void account_end_orphan_all(struct session_manager *m)
{
	list_each_safe (it, &m->removals) {
		struct removal *r = list_entry(it, struct removal, all);

		list_remove(&r->all);
		reply_unpark(&r->parked, NULL);
		if (r->done)
			r->done(r->arg, ERR_CLOSED);
		r->m = NULL;
	}
}
