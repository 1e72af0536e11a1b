/*
 * router_components - accounts of components change: the datastore first, then the streams of those
 * it concerns are ended. Whatever dies in between, the same command again finishes it: who has no
 * account any more is found by comparing, not by remembering.
 */
#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/xmem.h"
#include "ipc/db_pack.h"
#include "ipc/link.h"
#include "net/loop.h"
#include "router/router_types.h"
#include "ipc/stanza_kinds.h"

#define STORE_MS 10000
#define RETRY_MS 5000
#define WATCH_MS 60000 /* so long may one be on its way whose account was looked up before */

/* A command under way. */
struct change {
	struct list link;
	struct router *router;
	struct router_peer *peer; /* NULL: the command has gone away */
	uint64_t req;
	struct str record; /* component-set: the request */
	char *name;	   /* of it */
	char *jid;
	enum err status; /* component-del: of the deletion */
};

struct components {
	struct list changes;
	struct monotime watch_until;
	struct monotime next;
	bool due, asked; /* to be compared; and being so */
};

void components_start(struct router *r)
{
	r->components = xcalloc(1, sizeof(*r->components));
	list_init(&r->components->changes);
	r->components->due = true;
}

static void change_free(struct change *q)
{
	list_remove(&q->link);
	xwipe(q->record.data, q->record.len); /* it has the secret */
	str_clear(&q->record);
	free(q->name);
	free(q->jid);
	free(q);
}

/* Requests to the datastore have all been answered before: by store_ops_free(). */
void components_end(struct router *r)
{
	free(r->components);
	r->components = NULL;
}

static struct change *change_new(struct router *r, struct router_peer *p, uint64_t req)
{
	struct change *q = xcalloc(1, sizeof(*q));

	q->router = r;
	q->peer = p;
	q->req = req;
	str_init(&q->record);
	list_append(&r->components->changes, &q->link);
	return q;
}

static void reply_take(struct change *q, enum err status, const char *text)
{
	if (q->peer)
		link_put_admin_reply(
			hub_peer_link(q->peer->hub),
			&(struct msg_admin_reply){q->req, (uint8_t)status, 0, slice_str(text)});
	change_free(q);
}

/* status ERR_CLOSED: this router ends, and its links have ended. */
static void reply_closed_take(struct change *q, enum err status, unsigned int closed)
{
	char text[160];

	if (status == ERR_CLOSED) {
		change_free(q);
		return;
	}
	if (status == ERR_OK || status == ERR_NOTFOUND)
		snprintf(text, sizeof(text), "{\"closed\":%u}\n", closed);
	else
		snprintf(text, sizeof(text),
			 "the datastore did not do it (%s); see its log, then run this again: what "
			 "was done already does no harm",
			 err_text(status));
	reply_take(q, status, text);
}

static void ask_list(struct router *r, store_done_fn *done, void *arg)
{
	struct str record = STR_INIT;

	msg_db_component_list_put(&record, &(struct msg_db_component_list){DB_SECRETS_NONE});
	store_ops_ask(r->store, str_slice(&record), STORE_MS, done, arg, loop_now(r->loop));
	str_clear(&record);
}

static enum err list_get(enum err status, uint16_t type, struct slice body, struct slice *list)
{
	struct msg_db_components m;

	if (status != ERR_OK)
		return status;
	if (type != MSG_DB_COMPONENTS || msg_db_components_get(body, &m) != ERR_OK)
		return ERR_FORMAT;
	*list = m.list;
	return ERR_OK;
}

/* ---- who is connected has an account ---- */

/* How many streams were closed. */
static unsigned int compare(struct router *r, struct slice list)
{
	struct msg_db_component account;
	struct router_component c;
	struct map known, gone;
	unsigned int closed = 0;
	struct slice jid;
	size_t it = 0;
	void *value;

	map_init(&known);
	map_init(&gone);
	while (list.len && db_component_get(&list, &account))
		map_put(&known, account.jid, r);
	while (domain_next(r, &it, &c))
		if (!map_find(&known, c.jid))
			map_put(&gone, c.jid, r);
	it = 0;
	while (map_next(&gone, &it, &jid, &value))
		closed += domain_close(r, jid, "not-authorized",
				       "This component has no account any more.");
	map_clear(&known);
	map_clear(&gone);
	return closed;
}

static void on_compared(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct router *r = arg;
	struct slice list;

	if (status == ERR_CLOSED)
		return;
	r->components->asked = false;
	if (list_get(status, type, body, &list) == ERR_OK)
		compare(r, list);
	else
		r->components->due = true; /* a failed read says nothing */
	r->components->next = monotime_add_ms(loop_now(r->loop), RETRY_MS);
}

void components_bound(struct router *r)
{
	if (monotime_before(loop_now(r->loop), r->components->watch_until))
		r->components->due = true;
}

void components_tick(struct router *r)
{
	struct components *c = r->components;

	if (!c->due || c->asked || monotime_before(loop_now(r->loop), c->next))
		return;
	c->due = false;
	if (!domain_count(r))
		return;
	c->asked = true;
	ask_list(r, on_compared, r);
}

/* ---- component-del ---- */

static void on_deleted_list(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct change *q = arg;
	unsigned int closed = 0;
	struct slice list;
	enum err e = list_get(status, type, body, &list);

	if (e == ERR_OK)
		closed = compare(q->router, list);
	reply_closed_take(q, e == ERR_OK ? q->status : e, closed);
}

static void on_deleted(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct change *q = arg;
	struct router *r = q->router;

	(void)type;
	(void)body;
	if (status != ERR_OK && status != ERR_NOTFOUND) {
		reply_closed_take(q, status, 0);
		return;
	}
	q->status = status;
	r->components->watch_until = monotime_add_ms(loop_now(r->loop), WATCH_MS);
	ask_list(r, on_deleted_list, q);
}

enum err components_del(struct router *r, struct router_peer *p, uint64_t req, struct slice name)
{
	struct change *q = change_new(r, p, req);
	struct str record = STR_INIT;

	msg_db_component_del_put(&record, &(struct msg_db_component_del){name});
	store_ops_ask(r->store, str_slice(&record), STORE_MS, on_deleted, q, loop_now(r->loop));
	str_clear(&record);
	return ERR_OK;
}

/* ---- component-set ---- */

static void on_set(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct change *q = arg;
	unsigned int closed = 0;

	(void)type;
	(void)body;
	if (status == ERR_OK)
		closed = domain_close(q->router, slice_str(q->jid), "reset",
				      "The settings of this component have changed.");
	reply_closed_take(q, status, closed);
}

static void on_set_list(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct change *q = arg;
	struct router *r = q->router;
	struct msg_db_component c;
	struct slice list;
	enum err e = list_get(status, type, body, &list);

	while (e == ERR_OK && !q->jid && list.len && db_component_get(&list, &c))
		if (slice_is(c.name, q->name))
			q->jid = xstrndup(c.jid.data, c.jid.len);
	if (e == ERR_OK && !q->jid)
		e = ERR_NOTFOUND;
	if (e != ERR_OK) {
		reply_closed_take(q, e, 0);
		return;
	}
	store_ops_ask(r->store, str_slice(&q->record), STORE_MS, on_set, q, loop_now(r->loop));
}

static bool next_arg(struct slice *args, struct slice *out)
{
	const char *nul = args->len ? memchr(args->data, '\0', args->len) : NULL;
	size_t len = nul ? (size_t)(nul - args->data) : args->len;

	if (!args->data)
		return false;
	*out = slice_of(args->data, len);
	*args = nul ? slice_of(nul + 1, args->len - len - 1) : SLICE_NONE;
	return true;
}

static bool number(struct slice in, uint64_t max, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < in.len; i++) {
		if (in.data[i] < '0' || in.data[i] > '9')
			return false;
		*out = *out * 10 + (uint64_t)(in.data[i] - '0');
		if (*out > max)
			return false;
	}
	return in.len > 0;
}

static const char *const modes[] = {
	[DOMAIN_ONE] = "one", [DOMAIN_SHARED] = "shared", [DOMAIN_STANDBY] = "standby"};

static bool mode_get(struct slice in, uint8_t *out)
{
	for (*out = DOMAIN_ONE; *out <= DOMAIN_STANDBY; (*out)++)
		if (slice_is(in, modes[*out]))
			return true;
	return false;
}

static bool set_get(struct slice args, struct msg_db_component_set *m)
{
	struct slice mode, hidden, max, bytes;
	uint64_t n;

	if (!next_arg(&args, &m->name) || !next_arg(&args, &m->secret) || !next_arg(&args, &mode) ||
	    !next_arg(&args, &hidden) || !next_arg(&args, &max) || !next_arg(&args, &bytes) ||
	    !m->name.len || !mode_get(mode, &m->mode) || !number(hidden, 1, &n))
		return false;
	m->hidden = (uint8_t)n;
	if (!number(max, UINT16_MAX, &n))
		return false;
	m->max = (uint16_t)n;
	if (!number(bytes, UINT32_MAX, &n))
		return false;
	m->bytes_per_second = (uint32_t)n;
	return true;
}

enum err components_set(struct router *r, struct router_peer *p, uint64_t req, struct slice args)
{
	struct msg_db_component_set m;
	struct change *q;

	if (!set_get(args, &m))
		return ERR_FORMAT;
	q = change_new(r, p, req);
	q->name = xstrndup(m.name.data, m.name.len);
	msg_db_component_set_put(&q->record, &m);
	ask_list(r, on_set_list, q);
	return ERR_OK;
}

void components_peer_dead(struct router *r, const struct router_peer *p)
{
	list_each (it, &r->components->changes) {
		struct change *q = list_entry(it, struct change, link);

		if (q->peer == p)
			q->peer = NULL;
	}
}

/* ---- component-close, components ---- */

enum err components_close(struct router *r, struct slice jid, struct str *out)
{
	unsigned int count =
		domain_close(r, jid, "reset", "The administrator has ended this connection.");

	str_addf(out, "{\"closed\":%u}\n", count);
	return count ? ERR_OK : ERR_NOTFOUND;
}

static const char *instance_of(const struct router *r, const struct endpoint *ep)
{
	const char *instance, *service;
	struct hub_peer *hp;
	size_t it = 0;

	while (hub_next(r->hub, &it, &instance, &service, &hp)) {
		const struct router_peer *p = hp ? hub_peer_data(hp) : NULL;

		if (p && p->custody && p->custody == endpoint_owner(ep))
			return instance;
	}
	return "";
}

static void member(struct str *out, const char *key, const char *value)
{
	str_addf(out, ",\"%s\":", key);
	json_text(out, slice_str(value));
}

void components_list(struct router *r, struct slice jid, struct str *out)
{
	struct router_component c;
	size_t it = 0;

	while (domain_next(r, &it, &c)) {
		if (jid.len && !slice_eq(jid, c.jid))
			continue;
		str_adds(out, "{\"jid\":");
		json_text(out, c.jid);
		member(out, "mode", modes[c.policy.mode]);
		str_addf(out, ",\"hidden\":%s,\"max\":%u,\"sid\":\"%016llx\"",
			 c.policy.hidden ? "true" : "false", c.policy.max,
			 (unsigned long long)c.sid);
		member(out, "state", c.state);
		member(out, "conn", c.conn);
		member(out, "addr", c.addr);
		member(out, "instance", instance_of(r, c.ep));
		str_addf(out, ",\"since\":%llu,\"queued\":%zu,\"received\":%llu,\"sent\":%llu}\n",
			 (unsigned long long)c.since_ms, endpoint_queued(c.ep),
			 (unsigned long long)endpoint_received(c.ep),
			 (unsigned long long)endpoint_given(c.ep));
	}
}
