#include "session/permission.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "session/contacts.h"
#include "session/data_job.h"
#include "session/registry.h"
#include "session/reply.h"
#include "session/roster_item.h"
#include "session/roster_job.h"
#include "xmpp/jid.h"

struct question {
	struct roster_job job;
	struct parked *parked;
	void (*go)(struct inbound *in, struct slice bare, enum err may);
};

static void answer(struct roster_job *j, enum err may)
{
	struct question *q = (struct question *)j;
	struct inbound in;

	reply_resume(q->parked, j->m, &in);
	if (reply_orphaned(q->parked, &in))
		reply_drop(&in, "request of a session that is gone");
	else
		q->go(&in, roster_job_owner(j), may);
}

static void loaded(struct roster_job *j, const struct msg_db_roster *roster)
{
	struct question *q = (struct question *)j;
	struct db_roster_item item;
	struct inbound in;

	reply_resume(q->parked, j->m, &in);
	roster_job_find(roster, jid_text_bare(in.s.from), &item);
	answer(j, item.subscription & ROSTER_FROM ? ERR_OK : ERR_DENIED);
}

static void failed(struct roster_job *j, enum err why)
{
	answer(j, why == ERR_NOTFOUND ? ERR_DENIED : why);
}

static void question_free(struct roster_job *j)
{
	struct question *q = (struct question *)j;

	struct inbound in;

	if (j->m) {
		reply_resume(q->parked, j->m, &in);
		data_leave_for(j->m, in.s.from);
	}
	reply_unpark(&q->parked, j->m);
	free(q);
}

static const struct roster_job_ops ops = {
	.loaded = loaded, .failed = failed, .free = question_free};

void permission_ask(struct inbound *in, struct slice bare,
		    void (*go)(struct inbound *in, struct slice bare, enum err may))
{
	const struct user *u = registry_user(in->m, bare);
	struct slice asker = jid_text_bare(in->s.from);
	struct question *q;

	if (slice_eq(asker, bare)) {
		go(in, bare, ERR_OK);
		return;
	}
	if (u && u->contacts.known) {
		go(in, bare,
		   contacts_find(&u->contacts, asker) & CONTACT_FROM ? ERR_OK : ERR_DENIED);
		return;
	}
	if (!data_enter_for(in))
		return;
	q = xcalloc(1, sizeof(*q));
	q->job.ops = &ops;
	q->parked = reply_park(in);
	q->go = go;
	roster_job_start_take(in->m, bare, &q->job);
}
