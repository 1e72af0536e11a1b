#include "session/last_activity.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "ipc/db_pack.h"
#include "ipc/stanza_kinds.h"
#include "session/data_job.h"
#include "session/permission.h"
#include "session/registry.h"
#include "session/reply.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

#define VALUE_VERSION 1
#define STATUS_MAX    1024 /* bytes that are kept of a status */
#define NOTES_FACTOR  10   /* of router.waiting_requests */

/* ---- what is kept ---- */

/* A write that nobody waits for. */
struct note {
	struct session_manager *m; /* NULL: it is gone */
	struct list all;
};

static void on_noted(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct note *n = arg;

	(void)type, (void)body;
	if (n->m) {
		if (--n->m->notes_waiting == 0)
			n->m->notes_full = false;
		list_remove(&n->all);
	}
	if (status != ERR_OK && status != ERR_NOTFOUND && n->m)
		log_debug("-", "event=last-activity-unwritten error=%s", err_name(status));
	free(n);
}

/* Everybody may leave at once: that keeps nobody's requests waiting, and what is too much is not
 * worth more than a line. */
static bool note_enter(struct session_manager *m)
{
	if (m->notes_waiting < (uint64_t)m->data_max * NOTES_FACTOR) {
		m->notes_waiting++;
		return true;
	}
	if (!m->notes_full)
		log_warn("-",
			 "event=last-activity-dropped waiting=%u hint=\"the datastore is away or "
			 "slow: see its log; when these users left is not known\"",
			 m->notes_waiting);
	m->notes_full = true;
	return false;
}

static void note(struct session_manager *m, struct slice bare, struct slice status)
{
	struct str record = STR_INIT, value = STR_INIT;
	struct note *n;

	if (!note_enter(m))
		return;
	n = xcalloc(1, sizeof(*n));
	n->m = m;
	list_append(&m->notes, &n->all);
	codec_put_u8(&value, VALUE_VERSION);
	str_add_slice(&value, status);
	msg_db_data_set_put(&record, &(struct msg_db_data_set){.user = jid_text_local(bare),
							       .domain = jid_text_domain(bare),
							       .kind = DB_DATA_LAST,
							       .value = str_slice(&value)});
	m->host.store(m->ctx, str_slice(&record), DATA_DEADLINE_MS, on_noted, n);
	str_clear(&record);
	str_clear(&value);
}

void last_activity_orphan_all(struct session_manager *m)
{
	list_each_safe (it, &m->notes) {
		list_remove(it);
		list_entry(it, struct note, all)->m = NULL;
	}
}

/* Not in the middle of a character. */
static struct slice cut(struct slice s)
{
	if (s.len <= STATUS_MAX)
		return s;
	s.len = STATUS_MAX;
	while (s.len && ((unsigned char)s.data[s.len] & 0xc0) == 0x80)
		s.len--;
	return s;
}

/* The first <status/> of a presence; free *tree when done with it. */
static struct slice status_of(const struct session_stanza *s, struct xml_node **tree)
{
	struct slice index = s->children;
	struct stanza_child c;

	*tree = NULL;
	while (stanza_child_get(&index, &c)) {
		if (c.ns != NS_ID_CONTENT || c.name != NAME_ID_STATUS || c.offset > s->inner.len ||
		    c.length > s->inner.len - c.offset)
			continue;
		*tree = xml_tree_parse_inner(slice_of(s->inner.data + c.offset, c.length),
					     NS_CLIENT);
		return *tree && (*tree)->first ? cut(slice_str((*tree)->first->text)) : SLICE_NONE;
	}
	return SLICE_NONE;
}

void last_activity_left(struct session_manager *m, const struct session *s,
			const struct session_stanza *with)
{
	struct xml_node *tree = NULL;

	if (!m->last_activity)
		return;
	for (const struct session *o = user_shown(s->user, NULL); o; o = user_shown(s->user, o)) {
		if (o != s)
			return;
	}
	note(m, s->user->bare, with ? status_of(with, &tree) : SLICE_NONE);
	xml_tree_free(&tree);
}

/* ---- what is asked ---- */

static void reply_seconds(struct inbound *in, uint64_t seconds, struct slice status)
{
	struct str out = STR_INIT;

	str_addf(&out, "<query xmlns='" NS_LAST "' seconds='%llu'", (unsigned long long)seconds);
	if (status.len) {
		str_addc(&out, '>');
		xml_out_text(&out, status);
		str_adds(&out, "</query>");
	} else {
		str_adds(&out, "/>");
	}
	reply_result(in, str_slice(&out), "xep0012 last activity");
	str_clear(&out);
}

static void account_go(struct inbound *in, struct data_answer *a)
{
	uint64_t now = manager_wall_ms(in->m), seconds;
	struct msg_db_data d;
	enum err e = a->status;

	if (e == ERR_OK)
		e = msg_db_data_get(a->body, &d);
	if (e == ERR_NOTFOUND) {
		/* Never seen, or before this was kept. */
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
			    "xep0012-3 nothing is known");
		return;
	}
	if (e != ERR_OK) {
		data_refuse(in, e);
		return;
	}
	seconds = now > d.changed_ms ? (now - d.changed_ms) / 1000 : 0;
	if (d.value.len)
		d.value = slice_of(d.value.data + 1, d.value.len - 1);
	reply_seconds(in, seconds, d.value);
}

/* Section 3: "connected or available". */
static bool is_here(const struct user *u)
{
	if (user_shown(u, NULL))
		return true;
	for (const struct session *s = user_first(u); s; s = user_after(s)) {
		if (!s->detached)
			return true;
	}
	return false;
}

static void forbidden(struct inbound *in, enum err why)
{
	if (why == ERR_DENIED)
		reply_error(in, STANZA_ERROR_FORBIDDEN,
			    "Only who may see the presence of a user may ask this.",
			    "xep0012-3 no subscription");
	else
		data_refuse(in, why);
}

static void account_may(struct inbound *in, struct slice bare, enum err may)
{
	struct str record = STR_INIT;

	if (may != ERR_OK) {
		forbidden(in, may);
		return;
	}
	if (is_here(registry_user(in->m, bare))) {
		reply_seconds(in, 0, SLICE_NONE);
		return;
	}
	msg_db_data_get_put(&record, &(struct msg_db_data_get){.user = jid_text_local(bare),
							       .domain = jid_text_domain(bare),
							       .kind = DB_DATA_LAST});
	data_ask(in,
		 &(struct data_question){.record = &record, .want = MSG_DB_DATA, .go = account_go});
}

void last_activity_account(struct inbound *in, const struct xml_node *payload)
{
	struct slice bare = in->s.to.len ? jid_text_bare(in->s.to) : jid_text_bare(in->s.from);

	(void)payload;
	if (jid_text_local(bare).len)
		permission_ask(in, bare, account_may);
	else
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
			    "rfc6120-8.4 iq that nobody handles");
}

void last_activity_server(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	reply_seconds(in, monotime_ms_between(in->m->started, in->m->now) / 1000, SLICE_NONE);
}

static void resource_may(struct inbound *in, struct slice bare, enum err may)
{
	const struct session *match = registry_full(in->m, in->s.to);

	(void)bare;
	if (may != ERR_OK)
		forbidden(in, may);
	else if (match)
		manager_deliver(in->m, in->e, match->sid, &in->s);
	else
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
			    "rfc6121-8.5.3.2.3 iq to no such resource");
}

bool last_activity_to_resource(struct inbound *in, const struct session *match)
{
	static const char ns[] = NS_LAST;
	struct xml_node *tree;
	bool asks;

	/* Nearly none is one: no parser for the others. */
	if (in->s.type != TYPE_GET || in->s.inner.len == 0 ||
	    !memmem(in->s.inner.data, in->s.inner.len, ns, sizeof(ns) - 1))
		return false;
	tree = xml_tree_parse_inner(in->s.inner, NS_CLIENT);
	asks = tree && tree->first && xml_is(tree->first, NS_LAST, "query");
	xml_tree_free(&tree);
	if (asks)
		permission_ask(in, match->user->bare, resource_may);
	return asks;
}
