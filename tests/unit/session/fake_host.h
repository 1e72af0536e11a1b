/*
 * fake_host - the world of a session manager under test: writes down what is asked of it as a
 * readable trace, and keeps a small datastore of rosters that answers when told to.
 */
#ifndef TESTS_UNIT_SESSION_FAKE_HOST_H
#define TESTS_UNIT_SESSION_FAKE_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"
#include "base/xmem.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"
#include "ipc/stanza_kinds.h"
#include "session/registry.h"
#include "session/session.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_out.h"

#define FAKE_SIDS     32
#define FAKE_ITEMS    64
#define FAKE_BLOCKED  16
#define FAKE_REQUESTS 32
#define NOW	      ((struct monotime){1000000})

/* What the host knows of one accepted stanza. */
struct custody_entry {
	unsigned int delivered, answered, concluded;
	int holds;
	bool had[FAKE_SIDS];
	bool copied[2][FAKE_SIDS]; /* of the stanza, of its error */
	bool copy_seen[FAKE_SIDS]; /* or on its way to the client: the test says so */
	bool instead[FAKE_SIDS];   /* a copy stands for it */
};

struct fake_request {
	char *body;
	size_t len;
	void (*done)(void *arg, enum err status, uint16_t type, struct slice body);
	void *arg;
};

struct fake_item {
	char *owner; /* bare JID */
	char *jid;
	char *packed;
	size_t len;
};

struct fake {
	struct session_manager *m;
	struct str trace;
	struct str blobs[FAKE_SIDS];
	bool show_blobs, show_inner;
	bool slow_store; /* the datastore answers when the test says so, not after each presence */
	struct custody_entry entries[256];
	size_t nentries;
	struct fake_request requests[FAKE_REQUESTS];
	size_t nrequests;
	struct fake_item items[FAKE_ITEMS];
	size_t nitems;
	uint64_t version;
	char *blocked[FAKE_BLOCKED][2]; /* owner, JID: in order of JID */
	size_t nblocked, max_blocked;
	bool slow_lists; /* whom somebody has blocked is read when the test says so, not at once */
	const char *unknown;	/* an account that the datastore does not have */
	const void *inner_seen; /* inner.data of the last delivery */
	unsigned int inner_same;
	char push_id[32];
	/* Requests that are not about rosters. */
	enum err (*execute)(struct fake *f, uint16_t type, struct slice body, struct str *out);
	void *more;		       /* whatever the test adds */
	uint64_t wall_ms;	       /* the time of day */
	const char *const *components; /* that may be seen, NULL-terminated */
	char peer[64];		       /* of the last route that was asked for */
};

static inline struct slice S(const char *text) {
	return slice_str(text);
}

static inline void
fake_stanza(struct fake *f, const char *what, struct custody_entry *e, uint64_t sid,
	    const struct session_stanza *s)
{
	str_addf(&f->trace, "%s sid=%u %s%s%s", what, (unsigned int)sid, stanza_kind_name(s->kind),
		 *stanza_type_name(s->type) ? " " : "", stanza_type_name(s->type));
	if (s->from.len)
		str_addf(&f->trace, " from=%.*s", SLICE_ARG(s->from));
	if (s->to.len)
		str_addf(&f->trace, " to=%.*s", SLICE_ARG(s->to));
	if (s->id.len > 4 && memcmp(s->id.data, "push", 4) == 0)
		snprintf(f->push_id, sizeof(f->push_id), "%.*s", SLICE_ARG(s->id));
	else if (s->id.len)
		str_addf(&f->trace, " id=%.*s", SLICE_ARG(s->id));
	if (f->show_inner && s->inner.len)
		str_addf(&f->trace, " %.*s", SLICE_ARG(s->inner));
	str_addf(&f->trace, "%s\n", e ? "" : " (for no stanza)");
	f->inner_same += s->inner.data == f->inner_seen;
	f->inner_seen = s->inner.data;
}

static inline void fake_deliver(void *ctx, struct custody_entry *e, uint64_t sid,
				const struct session_stanza *s)
{
	struct fake *f = ctx;

	fake_stanza(f, "deliver", e, sid, s);
	assert_non_null(e);
	e->delivered++;
	e->had[sid % FAKE_SIDS] = true;
}

static inline void fake_answer(void *ctx, struct custody_entry *e, uint64_t sid,
			       const struct session_stanza *s)
{
	fake_stanza(ctx, "answer", e, sid, s);
	if (e)
		e->answered++;
}

static inline void fake_copy(void *ctx, struct custody_entry *e, uint64_t sid,
			     const struct session_stanza *s, bool instead)
{
	bool *copied = &e->copied[s->type == TYPE_ERROR][sid % FAKE_SIDS];

	assert_true(s->flags & STANZA_CARBON);
	e->instead[sid % FAKE_SIDS] |= instead;
	if (*copied || e->had[sid % FAKE_SIDS])
		return;
	*copied = true;
	fake_stanza(ctx, "copy", e, sid, s);
}

static inline bool fake_had_copy(void *ctx, const struct custody_entry *e, uint64_t sid)
{
	(void)ctx;
	return e->copy_seen[sid % FAKE_SIDS];
}

static inline void fake_conclude(void *ctx, struct custody_entry *e, uint8_t how, const char *rule)
{
	static const char *const names[] = {"?",       "delivered", "stored",
					    "bounced", "consumed",  "discarded"};
	struct fake *f = ctx;

	str_addf(&f->trace, "%s: %s\n", names[how], rule);
	e->concluded++;
}

static inline void fake_hold(void *ctx, struct custody_entry *e)
{
	(void)ctx;
	e->holds++;
}

static inline void fake_release(void *ctx, struct custody_entry *e)
{
	(void)ctx;
	e->holds--;
	assert_true(e->holds >= 0);
	if (e->holds == 0)
		assert_true(e->delivered || e->concluded);
}

static inline void fake_bound(void *ctx, uint64_t sid, struct slice jid)
{
	struct fake *f = ctx;

	str_addf(&f->trace, "bound sid=%u jid=%.*s\n", (unsigned int)sid, SLICE_ARG(jid));
}

static inline void fake_bind_refused(void *ctx, uint64_t sid, const char *condition,
				     const char *text)
{
	struct fake *f = ctx;

	assert_true(*text);
	str_addf(&f->trace, "refused sid=%u %s\n", (unsigned int)sid, condition);
}

static inline void fake_close(void *ctx, uint64_t sid, const char *condition, const char *text)
{
	struct fake *f = ctx;

	assert_true(*text);
	str_addf(&f->trace, "close sid=%u %s\n", (unsigned int)sid, condition);
	assert_false(session_exists(f->m, sid));
}

static inline void fake_blob(void *ctx, uint64_t sid, struct slice blob)
{
	struct fake *f = ctx;
	struct str *keep = &f->blobs[sid % FAKE_SIDS];

	str_reset(keep);
	str_add_slice(keep, blob);
	if (f->show_blobs)
		str_addf(&f->trace, "blob sid=%u\n", (unsigned int)sid);
}

static inline void fake_store(void *ctx, struct slice body, uint32_t deadline_ms,
			      void (*done)(void *, enum err, uint16_t, struct slice), void *arg)
{
	struct fake *f = ctx;
	struct fake_request *r = &f->requests[f->nrequests++];

	assert_true(f->nrequests < FAKE_REQUESTS);
	assert_in_range(deadline_ms, 1, 60000);
	*r = (struct fake_request){xstrndup(body.data, body.len), body.len, done, arg};
}

static inline uint64_t fake_route(void *ctx, struct slice domain, struct slice peer)
{
	struct fake *f = ctx;

	snprintf(f->peer, sizeof(f->peer), "%.*s", SLICE_ARG(peer));
	assert_false(slice_is(domain, "example.com") || slice_is(domain, "example.org"));
	if (slice_is(domain, "rooms.example.com"))
		return 30;
	return 0;
}

static inline bool fake_component(void *ctx, size_t *it, struct slice *jid)
{
	struct fake *f = ctx;

	if (!f->components || !f->components[*it])
		return false;
	*jid = slice_str(f->components[(*it)++]);
	return true;
}

static inline uint64_t fake_wall_ms(void *ctx)
{
	return ((struct fake *)ctx)->wall_ms;
}

static inline bool fake_had(void *ctx, const struct custody_entry *e, uint64_t sid)
{
	(void)ctx;
	return e->had[sid % FAKE_SIDS];
}

static inline void fake_lost(void *ctx, uint64_t sid, struct slice full, struct slice blob,
			     uint32_t seconds)
{
	struct fake *f = ctx;

	assert_false(session_exists(f->m, sid));
	str_addf(&f->trace, "lost sid=%u %.*s for %u s\n", (unsigned int)sid, SLICE_ARG(full),
		 seconds);
	str_reset(&f->blobs[sid % FAKE_SIDS]);
	str_add_slice(&f->blobs[sid % FAKE_SIDS], blob);
}

static inline void fake_lost_over(void *ctx, uint64_t sid)
{
	struct fake *f = ctx;

	str_addf(&f->trace, "lost over sid=%u\n", (unsigned int)sid);
}

static const struct session_host fake_host = {
	.deliver = fake_deliver,
	.answer = fake_answer,
	.copy = fake_copy,
	.had_copy = fake_had_copy,
	.conclude = fake_conclude,
	.hold = fake_hold,
	.release = fake_release,
	.bound = fake_bound,
	.bind_refused = fake_bind_refused,
	.close = fake_close,
	.blob = fake_blob,
	.store = fake_store,
	.route = fake_route,
	.component = fake_component,
	.wall_ms = fake_wall_ms,
	.had = fake_had,
	.lost = fake_lost,
	.lost_over = fake_lost_over,
};

static const char *const fake_domains[] = {"example.com", "example.org", NULL};

static inline void fake_configure(struct fake *f, const char *conflict, unsigned int limit)
{
	session_configure(f->m, &(struct session_config){.domains = fake_domains,
							 .sessions_per_user = limit,
							 .resource_conflict = conflict,
							 .software_name = "Roundhouse",
							 .software_version = "0.1",
							 .presence_grace_s = 60,
							 .reconnect_grace_s = 10});
}

static inline int fake_setup(void **state)
{
	struct fake *f = xcalloc(1, sizeof(*f));

	log_set_level(LOG_LEVEL_ERROR);
	str_init(&f->trace);
	for (size_t i = 0; i < FAKE_SIDS; i++)
		str_init(&f->blobs[i]);
	f->version = 7;
	f->m = session_new(&fake_host, f);
	fake_configure(f, "replace", 4);
	*state = f;
	return 0;
}

static inline void fake_item_free(struct fake_item *i)
{
	free(i->owner);
	free(i->jid);
	free(i->packed);
}

static inline int fake_teardown(void **state)
{
	struct fake *f = *state;

	session_free(&f->m);
	for (size_t i = 0; i < f->nrequests; i++) {
		f->requests[i].done(f->requests[i].arg, ERR_CLOSED, 0, SLICE_NONE);
		free(f->requests[i].body);
	}
	for (size_t i = 0; i < f->nitems; i++)
		fake_item_free(&f->items[i]);
	while (f->nblocked) {
		f->nblocked--;
		free(f->blocked[f->nblocked][0]);
		free(f->blocked[f->nblocked][1]);
	}
	for (size_t i = 0; i < FAKE_SIDS; i++)
		str_clear(&f->blobs[i]);
	str_clear(&f->trace);
	free(f);
	return 0;
}

/* The trace since the last call, exactly. */
#define expect(f, text)                                     \
	do {                                                \
		assert_string_equal((f)->trace.data, text); \
		str_reset(&(f)->trace);                     \
		(f)->trace.data[0] = '\0';                  \
	} while (0)

static inline void fake_forget(struct fake *f)
{
	str_reset(&f->trace);
	if (f->trace.cap)
		f->trace.data[0] = '\0';
}

static inline void bind_to(struct fake *f, uint64_t sid, const char *bare, const char *resource)
{
	session_bind(f->m, sid, S(bare), S(resource), S("c2s#1"), S("127.0.0.1:4000"), NOW);
}

/* So long after everything began. */
static inline struct monotime after_s(unsigned int seconds)
{
	return monotime_add_ms(NOW, seconds * UINT64_C(1000));
}

static inline void tick(struct fake *f, unsigned int seconds)
{
	session_tick(f->m, after_s(seconds));
}

/* The router starts anew: nothing is left but what others keep. */
static inline void fake_restart(struct fake *f)
{
	session_free(&f->m);
	f->m = session_new(&fake_host, f);
	fake_configure(f, "replace", 4);
	str_reset(&f->trace);
	if (f->trace.cap)
		f->trace.data[0] = '\0';
}

static inline enum err announce(struct fake *f, uint64_t sid, const char *full, struct slice blob)
{
	return session_announce(f->m, sid, S(full), S("c2s#1"), S("127.0.0.1:4000"), blob, NOW);
}

/* A child index as xml_in makes it, for the children that presence.c and last_activity.c look for.
 */
static inline void fake_index_one(struct str *out, struct slice inner, uint16_t name,
				  const char *start, const char *stop)
{
	const char *at = inner.len ? memmem(inner.data, inner.len, start, strlen(start)) : NULL;
	const char *end = at ? strstr(at, stop) : NULL;

	if (end)
		stanza_child_put(
			out, &(struct stanza_child){.ns = NS_ID_CONTENT,
						    .name = name,
						    .offset = (uint32_t)(at - inner.data),
						    .length = (uint32_t)(end + strlen(stop) - at)});
}

static inline void fake_index(struct str *out, struct slice inner)
{
	fake_index_one(out, inner, NAME_ID_PRIORITY, "<priority", "</priority>");
	fake_index_one(out, inner, NAME_ID_STATUS, "<status>", "</status>");
}

/* Whom somebody has blocked is read before the first stanza for or from him is judged: most tests
 * are not about that. What was asked since there were `before` requests. */
static inline void fake_lists(struct fake *f, size_t before, bool iq);

static inline struct custody_entry *fake_send(struct fake *f, uint64_t sid, const char *from,
					      uint8_t kind, const char *type, const char *to,
					      const char *id, const char *inner)
{
	struct custody_entry *e = &f->entries[f->nentries++];
	struct str children = STR_INIT;
	size_t before = f->nrequests;
	struct msg_stanza s = {
		.sid = sid, .kind = kind, .to = S(to), .id = S(id), .inner = S(inner)};

	assert_true(f->nentries < 256);
	s.type = *type ? stanza_type_parse(kind, S(type)) : TYPE_NONE;
	s.flags = *to ? 0 : STANZA_TO_SELF;
	fake_index(&children, s.inner);
	s.children = str_slice(&children);
	if (from)
		session_stanza_from(f->m, S(from), e, &s, NOW);
	else
		session_stanza(f->m, sid, e, &s, NOW);
	str_clear(&children);
	fake_lists(f, before, kind == STANZA_IQ && *to);
	/* Every stanza is delivered, concluded, or held for later; never two conclusions. */
	assert_true(e->delivered || e->concluded || e->holds);
	assert_true(e->concluded <= 1);
	return e;
}

static inline struct custody_entry *message(struct fake *f, uint64_t sid, const char *type,
					    const char *to)
{
	return fake_send(f, sid, NULL, STANZA_MESSAGE, type, to, "m1", "<body>hi</body>");
}

static inline void store_run(struct fake *f);

static inline struct custody_entry *presence(struct fake *f, uint64_t sid, const char *type,
					     const char *to, const char *inner)
{
	struct custody_entry *e = fake_send(f, sid, NULL, STANZA_PRESENCE, type, to, "", inner);

	if (!f->slow_store)
		store_run(f);
	return e;
}

static inline struct custody_entry *iq(struct fake *f, uint64_t sid, const char *type,
				       const char *to, const char *inner)
{
	return fake_send(f, sid, NULL, STANZA_IQ, type, to, "q1", inner);
}

/* A session that has sent its presence; NULL priority: bound only. Leaves no trace. */
static inline void online(struct fake *f, uint64_t sid, const char *bare, const char *resource,
			  const char *priority)
{
	char inner[64];

	bind_to(f, sid, bare, resource);
	if (priority) {
		snprintf(inner, sizeof(inner), "<priority>%s</priority>", priority);
		presence(f, sid, "", "", inner);
	}
	fake_forget(f);
}

static inline struct fake_item *fake_item_find(struct fake *f, const char *owner, struct slice jid)
{
	for (size_t i = 0; i < f->nitems; i++) {
		if (strcmp(f->items[i].owner, owner) == 0 && slice_is(jid, f->items[i].jid))
			return &f->items[i];
	}
	return NULL;
}

static inline void fake_item_set(struct fake *f, const char *owner, struct slice packed)
{
	struct slice in = packed;
	struct db_roster_item item;
	struct fake_item *at;

	assert_true(db_roster_item_get(&in, &item) && in.len == 0);
	/* What the datastore refuses. */
	assert_true(item.subscription <= 3 && item.ask <= 1 && item.approved <= 1 &&
		    item.pending_in <= 1);
	at = fake_item_find(f, owner, item.jid);
	if (at)
		fake_item_free(at);
	else
		at = &f->items[f->nitems++];
	assert_true(f->nitems < FAKE_ITEMS);
	*at = (struct fake_item){xstrdup(owner), xstrndup(item.jid.data, item.jid.len),
				 xmalloc(packed.len), packed.len};
	memcpy(at->packed, packed.data, packed.len);
}

/* A contact that is there from the start. subscription: "none", "to", "from", "both". */
static inline void contact(struct fake *f, const char *owner, const char *jid,
			   const char *subscription)
{
	struct db_roster_item item = {.jid = S(jid)};
	struct str packed = STR_INIT;

	item.subscription = *subscription == 't'   ? 1
			    : *subscription == 'f' ? 2
			    : *subscription == 'b' ? 3
						   : 0;
	db_roster_item_put(&packed, &item);
	fake_item_set(f, owner, str_slice(&packed));
	str_clear(&packed);
}

/* "to ask", "both", "none hidden"...: the stored state of a contact, "-" when there is none. */
static inline const char *stored(struct fake *f, const char *owner, const char *jid)
{
	static const char *const names[] = {"none", "to", "from", "both"};
	static char out[64];
	struct fake_item *at = fake_item_find(f, owner, S(jid));
	struct db_roster_item item;
	struct slice in;

	if (!at)
		return "-";
	in = slice_of(at->packed, at->len);
	assert_true(db_roster_item_get(&in, &item));
	snprintf(out, sizeof(out), "%s%s%s%s", names[item.subscription], item.ask ? " ask" : "",
		 item.approved ? " approved" : "", item.pending_in ? " pending" : "");
	return out;
}

static inline void fake_blocklist(struct fake *f, const char *owner, struct str *out)
{
	for (size_t i = 0; i < f->nblocked; i++) {
		if (strcmp(f->blocked[i][0], owner) == 0)
			codec_put_str(out, S(f->blocked[i][1]));
	}
}

static inline void fake_free(struct fake *f, size_t i)
{
	free(f->blocked[i][0]);
	free(f->blocked[i][1]);
	f->nblocked--;
	memmove(&f->blocked[i], &f->blocked[i + 1], (f->nblocked - i) * sizeof(f->blocked[0]));
}

/* -1: not there; *at is where it would be. */
static inline int fake_blocked_find(struct fake *f, const char *owner, struct slice jid, size_t *at)
{
	for (*at = 0; *at < f->nblocked; (*at)++) {
		struct slice have = S(f->blocked[*at][1]);

		if (strcmp(f->blocked[*at][0], owner) == 0 && slice_eq(have, jid))
			return 0;
		if (memcmp(have.data, jid.data, have.len < jid.len ? have.len : jid.len) > 0)
			break;
	}
	return -1;
}

static inline void fake_block(struct fake *f, const char *owner, struct slice jid)
{
	size_t at;

	if (fake_blocked_find(f, owner, jid, &at) == 0)
		return;
	assert_true(f->nblocked < FAKE_BLOCKED);
	memmove(&f->blocked[at + 1], &f->blocked[at], (f->nblocked - at) * sizeof(f->blocked[0]));
	f->blocked[at][0] = xstrdup(owner);
	f->blocked[at][1] = xstrndup(jid.data, jid.len);
	f->nblocked++;
}

/* DB_BLOCK and DB_UNBLOCK. */
static inline enum err fake_change_blocked(struct fake *f, uint16_t type, struct slice body,
					   struct str *out)
{
	struct str list = STR_INIT;
	struct msg_db_block m;
	struct slice jid;
	char owner[128];
	size_t at;

	/* Both have the same fields. */
	assert_int_equal(msg_db_block_get(body, &m), ERR_OK);
	snprintf(owner, sizeof(owner), "%.*s@%.*s", SLICE_ARG(m.user), SLICE_ARG(m.domain));
	if (type == MSG_DB_BLOCK && f->max_blocked && f->nblocked >= f->max_blocked)
		return ERR_FULL;
	for (size_t i = f->nblocked; i-- > 0 && type == MSG_DB_UNBLOCK && m.jids.len == 0;) {
		if (strcmp(f->blocked[i][0], owner) == 0)
			fake_free(f, i);
	}
	while (m.jids.len) {
		assert_true(codec_get_str(&m.jids, &jid));
		if (type == MSG_DB_BLOCK)
			fake_block(f, owner, jid);
		else if (fake_blocked_find(f, owner, jid, &at) == 0)
			fake_free(f, at);
	}
	fake_blocklist(f, owner, &list);
	msg_db_blocked_put(out, &(struct msg_db_blocked){.blocked = str_slice(&list)});
	str_clear(&list);
	return ERR_OK;
}

static inline void fake_roster(struct fake *f, const char *owner, struct str *out)
{
	struct msg_db_roster r = {.version = f->version};
	struct str list = STR_INIT, blocked = STR_INIT;

	for (size_t i = 0; i < f->nitems; i++) {
		if (strcmp(f->items[i].owner, owner) != 0)
			continue;
		str_add(&list, f->items[i].packed, f->items[i].len);
		r.count++;
	}
	fake_blocklist(f, owner, &blocked);
	r.list = str_slice(&list);
	r.blocked = str_slice(&blocked);
	msg_db_roster_put(out, &r);
	str_clear(&list);
	str_clear(&blocked);
}

/* Does what the datastore would do with one request; the answering record goes to out. */
static inline enum err fake_execute(struct fake *f, struct slice request, struct str *out)
{
	struct msg_db_roster_get get;
	struct msg_db_roster_set set;
	struct msg_db_roster_del del;
	struct fake_item *at;
	char owner[128];
	struct slice body;
	uint16_t type;

	assert_int_equal(codec_next(&request, &type, &body), ERR_OK);
	assert_true(codec_may_send(type, IPC_ROUTER));
	if (type == MSG_DB_BLOCK || type == MSG_DB_UNBLOCK)
		return fake_change_blocked(f, type, body, out);
	if (f->execute && type != MSG_DB_ROSTER_SET &&
	    (type >= MSG_DB_OFFLINE_ADD || type < MSG_DB_ROSTER_GET))
		return f->execute(f, type, body, out);
	if (type == MSG_DB_ROSTER_GET) {
		assert_int_equal(msg_db_roster_get_get(body, &get), ERR_OK);
		snprintf(owner, sizeof(owner), "%.*s@%.*s", SLICE_ARG(get.user),
			 SLICE_ARG(get.domain));
		if (f->unknown && strcmp(owner, f->unknown) == 0)
			return ERR_NOTFOUND;
		fake_roster(f, owner, out);
		return ERR_OK;
	}
	if (type == MSG_DB_ROSTER_SET) {
		assert_int_equal(msg_db_roster_set_get(body, &set), ERR_OK);
		snprintf(owner, sizeof(owner), "%.*s@%.*s", SLICE_ARG(set.user),
			 SLICE_ARG(set.domain));
		fake_item_set(f, owner, set.item);
	} else {
		assert_int_equal(type, MSG_DB_ROSTER_DEL);
		assert_int_equal(msg_db_roster_del_get(body, &del), ERR_OK);
		snprintf(owner, sizeof(owner), "%.*s@%.*s", SLICE_ARG(del.user),
			 SLICE_ARG(del.domain));
		at = fake_item_find(f, owner, del.jid);
		if (!at)
			return ERR_NOTFOUND;
		fake_item_free(at);
		*at = f->items[--f->nitems];
	}
	msg_db_roster_changed_put(out, &(struct msg_db_roster_changed){.version = ++f->version});
	return ERR_OK;
}

/* Answers one request: carried out (ERR_OK) or failed. */
static inline void store_answer_at(struct fake *f, size_t at, enum err status)
{
	struct fake_request r = f->requests[at];
	struct str out = STR_INIT;
	struct slice answer, body = SLICE_NONE;
	uint16_t type = 0;

	assert_true(f->nrequests > at);
	f->nrequests--;
	memmove(f->requests + at, f->requests + at + 1, (f->nrequests - at) * sizeof(r));
	if (status == ERR_OK)
		status = fake_execute(f, slice_of(r.body, r.len), &out);
	answer = str_slice(&out);
	if (status == ERR_OK)
		assert_int_equal(codec_next(&answer, &type, &body), ERR_OK);
	r.done(r.arg, status, type, body);
	str_clear(&out);
	free(r.body);
}

/* The oldest one. */
static inline void store_answer(struct fake *f, enum err status)
{
	store_answer_at(f, 0, status);
}

/* Is the request for a blocklist that a stanza waits for? iq: to an account. */
static inline bool fake_wants_list(const struct fake *f, const struct fake_request *r, bool iq)
{
	struct slice request = slice_of(r->body, r->len), body;
	struct msg_db_roster_get get;
	const struct user *u;
	char owner[128];
	uint16_t type;

	assert_int_equal(codec_next(&request, &type, &body), ERR_OK);
	if (type != MSG_DB_ROSTER_GET)
		return false;
	assert_int_equal(msg_db_roster_get_get(body, &get), ERR_OK);
	snprintf(owner, sizeof(owner), "%.*s@%.*s", SLICE_ARG(get.user), SLICE_ARG(get.domain));
	u = registry_user(f->m, S(owner));
	return u ? u->wait != NULL : iq;
}

static inline void fake_lists(struct fake *f, size_t before, bool iq)
{
	for (size_t i = before; i < f->nrequests && !f->slow_lists;) {
		if (fake_wants_list(f, &f->requests[i], iq)) {
			store_answer_at(f, i, ERR_OK);
			i = before;
		} else {
			i++;
		}
	}
}

/* Until the datastore has nothing more to do. */
static inline void store_run(struct fake *f)
{
	while (f->nrequests)
		store_answer(f, ERR_OK);
}

#endif
