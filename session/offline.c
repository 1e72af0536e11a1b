#include "session/offline.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "ipc/db_pack.h"
#include "ipc/stanza_kinds.h"
#include "session/delivery.h"
#include "session/offline_box.h"
#include "session/registry.h"
#include "session/reply.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"

struct offline_waiting {
	struct list link;
	struct parked *parked;
};

struct offline_box *offline_box_get(struct session_manager *m, struct slice bare)
{
	struct offline_box *b = map_find(&m->offline_boxes, bare);

	if (b)
		return b;
	b = xcalloc(1, sizeof(*b) + bare.len);
	memcpy(b->text, bare.data, bare.len);
	b->bare = slice_of(b->text, bare.len);
	b->m = m;
	list_init(&b->waiting);
	list_init(&b->rows);
	list_init(&b->done);
	map_put(&m->offline_boxes, bare, b);
	return b;
}

void offline_box_put(struct offline_box *b)
{
	if (b->busy || b->adds || b->state != OFFLINE_IDLE || !list_empty(&b->waiting))
		return;
	map_remove(&b->m->offline_boxes, b->bare);
	free(b);
}

struct offline_job *offline_job_new(struct offline_box *b)
{
	struct offline_job *j = xcalloc(1, sizeof(*j));

	j->m = b->m;
	j->box = b;
	list_append(&b->m->offline_jobs, &j->all);
	return j;
}

void offline_job_ask(struct offline_job *j, struct str *record,
		     void (*done)(void *arg, enum err status, uint16_t type, struct slice body))
{
	j->m->host.store(j->m->ctx, str_slice(record), OFFLINE_DEADLINE_MS, done, j);
	str_clear(record);
}

void offline_job_free(struct offline_job *j)
{
	list_remove(&j->all);
	reply_unpark(&j->parked, j->m);
	free(j);
}

bool offline_job_answered(struct offline_job *j, enum err status)
{
	/* ERR_CLOSED: the host itself is being taken down; custody is not there any more. */
	if (status == ERR_CLOSED)
		j->m = NULL;
	if (j->m)
		return true;
	offline_job_free(j);
	return false;
}

/* What nobody misses who was not there: chat states (XEP-0160 section 3), and what goes with them.
 */
static bool is_fleeting(const struct stanza_child *c)
{
	switch (c->ns) {
	case NS_ID_CHATSTATES:
	case NS_ID_HINTS:
	case NS_ID_CARBONS:
	case NS_ID_STANZA_ID:
	case NS_ID_CAPS:
	case NS_ID_DELAY:
		return true;
	case NS_ID_CONTENT:
		return c->name == NAME_ID_THREAD;
	default:
		return false;
	}
}

static bool says_something(const struct session_stanza *s)
{
	struct slice index = s->children;
	struct stanza_child c;

	while (stanza_child_get(&index, &c)) {
		if (!is_fleeting(&c))
			return true;
	}
	return false;
}

/* XEP-0160 section 3, XEP-0334: what says something, unless it says not to be kept. */
static bool worth_keeping(const struct inbound *in)
{
	const struct session_host *host = &in->m->host;

	if (!host->origin || !host->originate || !in->e)
		return false;
	if (in->s.flags & STANZA_NO_STORE)
		return false;
	return (in->s.flags & (STANZA_HAS_BODY | STANZA_STORE)) || says_something(&in->s);
}

/* There may be somebody now who takes messages. */
static bool has_audience(const struct inbound *in)
{
	const struct user *u = registry_user(in->m, in->s.to);

	for (struct session *s = user_first(u); s; s = user_after(s)) {
		if (registry_takes(s))
			return true;
	}
	return false;
}

/* An unknown user, a full store and a user who has blocked the sender have the same answer (RFC
 * 6121 8.5.1, XEP-0160 section 2, XEP-0191 3.3): nobody learns who has an account by filling it. */
static void not_stored(struct inbound *in, enum err why, const char *rule)
{
	if (has_audience(in)) {
		delivery_message(in);
		return;
	}
	if (why == ERR_NOTFOUND || why == ERR_FULL || why == ERR_BLOCKED) {
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL, rule);
		return;
	}
	log_warn("-", "event=offline-not-stored to=%s error=%s hint=\"see the log of datastore\"",
		 log_quote(jid_text_bare(in->s.to)), err_name(why));
	reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
		    "The message could not be stored now; try again later.", rule);
}

static void on_added(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct offline_job *j = arg;
	struct offline_box *b = j->box;
	struct inbound in;

	(void)body;
	if (!offline_job_answered(j, status))
		return;
	if (status == ERR_OK && type != MSG_DB_DONE)
		status = ERR_FORMAT;
	b->adds--;
	reply_resume(j->parked, j->m, &in);
	if (status == ERR_OK)
		reply_stored(&in, "xep0160 stored");
	else
		not_stored(&in, status, j->rule);
	offline_job_free(j);
	offline_step(b);
}

bool offline_store(const struct inbound *in, const char *rule)
{
	const struct session_stanza *s = &in->s;
	struct str packed = STR_INIT, record = STR_INIT;
	struct db_offline o = {.kind = s->kind,
			       .type = s->type,
			       .flags = s->flags,
			       .from = s->from,
			       .to = s->to,
			       .stanza_id = s->id,
			       .lang = s->lang,
			       .children = s->children,
			       .inner = s->inner};
	struct offline_job *j;

	if (!worth_keeping(in))
		return false;
	in->m->host.origin(in->m->ctx, in->e, &o.origin_sid, &o.origin_n);
	db_offline_put(&packed, &o);
	msg_db_offline_add_put(&record,
			       &(struct msg_db_offline_add){.user = jid_text_local(s->to),
							    .domain = jid_text_domain(s->to),
							    .message = str_slice(&packed)});
	str_clear(&packed);
	j = offline_job_new(offline_box_get(in->m, jid_text_bare(s->to)));
	j->parked = reply_park(in);
	j->rule = rule;
	j->box->adds++;
	offline_job_ask(j, &record, on_added);
	return true;
}

bool offline_defer(const struct inbound *in)
{
	size_t bytes = in->s.inner.len + in->s.children.len;
	struct offline_waiting *w;
	struct offline_box *b;

	if (in->m->offline_boxes.count == 0) /* as a rule */
		return false;
	b = map_find(&in->m->offline_boxes, jid_text_bare(in->s.to));
	if (!b || !offline_holds(b) || !in->e)
		return false;
	if (b->waiting_bytes + bytes > OFFLINE_WAITING_MAX) {
		reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
			    "Too much is waiting for this user; try again later.",
			    "too much waits behind offline messages");
		return true;
	}
	w = xcalloc(1, sizeof(*w));
	w->parked = reply_park(in);
	list_append(&b->waiting, &w->link);
	b->waiting_bytes += bytes;
	return true;
}

bool offline_defer_iq(const struct inbound *in)
{
	const struct offline_box *b;

	if (in->m->offline_boxes.count == 0) /* as a rule */
		return false;
	b = map_find(&in->m->offline_boxes, jid_text_bare(in->s.to));
	if (!b || !offline_holds(b))
		return false;
	list_each (it, &b->waiting) {
		struct inbound other;

		reply_resume(list_entry(it, struct offline_waiting, link)->parked, b->m, &other);
		if (slice_eq(other.s.from, in->s.from) && slice_eq(other.s.to, in->s.to))
			return offline_defer(in);
	}
	return false;
}

void offline_release_waiting(struct offline_box *b)
{
	struct list *it;

	b->waiting_bytes = 0;
	while (!offline_holds(b) && (it = list_first(&b->waiting)) != NULL) {
		struct offline_waiting *w = list_entry(it, struct offline_waiting, link);
		struct inbound in;

		list_remove(it);
		reply_resume(w->parked, b->m, &in);
		if (in.s.kind == STANZA_IQ)
			delivery_iq(&in);
		else
			delivery_message(&in);
		reply_unpark(&w->parked, b->m);
		free(w);
	}
}

bool session_catching_up(const struct session_manager *m)
{
	struct offline_box *b;
	size_t at = 0;

	if (m->leaves)
		return true;
	while (map_next(&m->offline_boxes, &at, NULL, (void **)&b)) {
		if (offline_holds(b))
			return true;
	}
	return false;
}

void offline_orphan_all(struct session_manager *m)
{
	struct offline_box *b;
	struct list *it;
	size_t at = 0;

	while ((it = list_first(&m->offline_jobs)) != NULL) {
		list_remove(it);
		list_entry(it, struct offline_job, all)->m = NULL;
	}
	while (map_next(&m->offline_boxes, &at, NULL, (void **)&b)) {
		while ((it = list_first(&b->waiting)) != NULL) {
			struct offline_waiting *w = list_entry(it, struct offline_waiting, link);

			list_remove(it);
			reply_unpark(&w->parked, NULL);
			free(w);
		}
		offline_rows_forget(b);
		free(b);
	}
	map_clear(&m->offline_boxes);
}
