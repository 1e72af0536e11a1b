#include "session/session.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "session/blocking.h"
#include "session/carbons.h"
#include "session/account_end.h"
#include "session/archive.h"
#include "session/data_job.h"
#include "session/delivery.h"
#include "session/detached.h"
#include "session/last_activity.h"
#include "session/lost.h"
#include "session/motd.h"
#include "session/manager.h"
#include "session/offline.h"
#include "session/presence.h"
#include "session/registry.h"
#include "session/reply.h"
#include "session/roster_job.h"
#include "session/server_info.h"
#include "session/session_blob.h"
#include "session/stanza_edit.h"
#include "xmpp/jid.h"

#define RESOURCE_RANDOM_BYTES 8
#define WAITING_REQUESTS      1000

struct session_manager *session_new(const struct session_host *host, void *ctx)
{
	struct session_manager *m = xcalloc(1, sizeof(*m));

	m->host = *host;
	m->ctx = ctx;
	m->domains = xcalloc(1, sizeof(*m->domains));
	m->software_name = xstrdup("");
	m->software_version = xstrdup("");
	m->sessions_per_user = 1;
	map_init(&m->users);
	map64_init(&m->sessions);
	due_init(&m->due);
	list_init(&m->lost);
	map_init(&m->roster_queues);
	list_init(&m->roster_jobs);
	map_init(&m->offline_boxes);
	list_init(&m->offline_jobs);
	list_init(&m->data_jobs);
	list_init(&m->notes);
	list_init(&m->removals);
	m->data_max = WAITING_REQUESTS;
	m->archive = archive_new(m);
	str_init(&m->address_form);
	str_init(&m->motd);
	/* Push ids must not repeat after a restart: a client could take an old answer for a new. */
	m->pushes = random_u64() >> 16;
	return m;
}

static void domains_free(char **domains)
{
	for (char **d = domains; *d; d++)
		free(*d);
	free(domains);
}

void session_free(struct session_manager **mp)
{
	struct session_manager *m = *mp;
	struct session *s;
	size_t it = 0;

	*mp = NULL;
	if (!m)
		return;
	account_end_orphan_all(m);
	roster_job_orphan_all(m);
	data_orphan_all(m);
	archive_free(&m->archive);
	last_activity_orphan_all(m);
	offline_orphan_all(m);
	due_clear(&m->due);
	list_each_safe (lost, &m->lost) {
		s = list_entry(lost, struct session, all);
		registry_free(m, &s);
	}
	while (map64_next(&m->sessions, &it, NULL, (void **)&s))
		registry_free(m, &s);
	map64_clear(&m->sessions);
	map_clear(&m->users);
	domains_free(m->domains);
	free(m->software_name);
	free(m->software_version);
	str_clear(&m->address_form);
	str_clear(&m->motd);
	free(m);
}

static void log_session(const struct session *s, const char *event, const char *reason)
{
	char ctx[64];

	snprintf(ctx, sizeof(ctx), "%.*s", SLICE_ARG(s->conn));
	log_info(ctx[0] ? ctx : "-", "event=%s jid=%s sid=%016llx%s%s", event, log_quote(s->full),
		 (unsigned long long)s->sid, reason[0] ? " reason=" : "", reason);
}

/* The session is over, and this manager is the one who says so. Its entry in the registry goes
 * first: what the host finds undelivered is judged while it is no longer there. */
static void take_out(struct session_manager *m, struct session *s, const char *condition,
		     const char *text)
{
	log_session(s, "session-closed", condition);
	registry_remove(m, s);
	m->host.close(m->ctx, s->sid, condition, text);
}

/* Nothing of it remains, nor of what it has inherited. */
static void tell_gone(struct session_manager *m, struct session *s)
{
	lost_adopt(m, s);
	lost_forsaken(s);
	presence_gone(m, s);
	registry_free(m, &s);
}

static void end(struct session_manager *m, struct session *s, const char *condition,
		const char *text)
{
	take_out(m, s, condition, text);
	tell_gone(m, s);
}

void manager_end_user(struct session_manager *m, struct slice bare, uint64_t except,
		      const char *condition, const char *text)
{
	struct jid who;
	struct session *s;

	for (;;) {
		s = user_first(registry_user(m, bare));
		while (s && s->sid == except)
			s = user_after(s);
		if (!s)
			break;
		end(m, s, condition, text);
	}
	if (jid_parse(&who, bare) != ERR_OK)
		return;
	lost_end_matching(m, &who);
	jid_clear(&who);
}

static char **domains_copy(const char *const *domains)
{
	size_t n = 0;
	char **copy;

	while (domains[n])
		n++;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(domains[i]);
	return copy;
}

/* Ends the sessions of one user (bare) or one resource (full) or, when filter is NULL, those whose
 * domain is not served. Collects the numbers first: end() changes the maps. */
static unsigned int end_matching(struct session_manager *m, const struct jid *filter,
				 const char *condition, const char *text)
{
	uint64_t *sids = xcalloc(m->sessions.count + 1, sizeof(*sids));
	unsigned int n = 0, ended = 0;
	struct session *s;
	size_t it = 0;

	while (map64_next(&m->sessions, &it, NULL, (void **)&s)) {
		bool hit;

		if (!filter)
			hit = !session_is_local(m, jid_text_domain(s->full));
		else if (filter->resource.len)
			hit = slice_eq(s->full, jid_full(filter));
		else
			hit = slice_eq(s->user->bare, jid_full(filter));
		if (hit)
			sids[n++] = s->sid;
	}
	for (unsigned int i = 0; i < n; i++) {
		s = registry_sid(m, sids[i]);
		if (!s)
			continue;
		end(m, s, condition, text);
		ended++;
	}
	free(sids);
	return ended;
}

void session_end_all(struct session_manager *m)
{
	uint64_t *sids = xcalloc(m->sessions.count + 1, sizeof(*sids));
	size_t it = 0, n = 0;
	struct session *s;

	while (map64_next(&m->sessions, &it, NULL, (void **)&s))
		sids[n++] = s->sid;
	for (size_t i = 0; i < n; i++) {
		s = registry_sid(m, sids[i]);
		if (s)
			end(m, s, "system-shutdown", "This service has been disabled.");
	}
	list_each_safe (lost, &m->lost)
		lost_end(m, list_entry(lost, struct session, all));
	free(sids);
}

void session_configure(struct session_manager *m, const struct session_config *cfg)
{
	domains_free(m->domains);
	m->domains = domains_copy(cfg->domains);
	free(m->software_name);
	m->software_name = xstrdup(cfg->software_name ? cfg->software_name : "");
	free(m->software_version);
	m->software_version = xstrdup(cfg->software_version ? cfg->software_version : "");
	m->sessions_per_user = cfg->sessions_per_user;
	m->conflict = CONFLICT_REPLACE;
	if (cfg->resource_conflict && strcmp(cfg->resource_conflict, "reject") == 0)
		m->conflict = CONFLICT_REJECT;
	else if (cfg->resource_conflict && strcmp(cfg->resource_conflict, "rename") == 0)
		m->conflict = CONFLICT_RENAME;
	m->data_max = cfg->waiting_requests ? cfg->waiting_requests : WAITING_REQUESTS;
	archive_configure(m->archive, cfg);
	m->last_activity = cfg->last_activity;
	m->change_password = cfg->change_password;
	m->remove_account = cfg->remove_account;
	str_reset(&m->address_form);
	server_info_form(&m->address_form, cfg);
	motd_configure(m, cfg->motd);
	m->presence_grace_s = cfg->presence_grace_s;
	m->reconnect_grace_s = cfg->reconnect_grace_s;
	m->disabled = cfg->disabled;
	if (cfg->disabled) {
		session_end_all(m);
		return;
	}
	end_matching(m, NULL, "host-gone", "This domain is no longer served here.");
	lost_end_matching(m, NULL);
}

bool session_is_local(const struct session_manager *m, struct slice domain)
{
	for (char **d = m->domains; *d; d++) {
		if (slice_is(domain, *d))
			return true;
	}
	return false;
}

/* RFC 6120 7.6: a resource of ours, hard to guess. */
static struct slice generate(const struct user *u, char out[JID_PART_MAX + 1])
{
	do {
		random_hex(out, RESOURCE_RANDOM_BYTES);
	} while (registry_resource(u, slice_str(out)));
	return slice_str(out);
}

/* Who stands where a new session wants to be (RFC 6120 7.7.2.2), and what is done about it: a
 * detached one has nobody who could mind. false: refused. *old: to be closed. */
static bool settle_conflict(const struct session_manager *m, const struct user *u,
			    char resource[JID_PART_MAX + 1], struct session **old)
{
	*old = registry_resource(u, slice_str(resource));
	if (!*old || (*old)->detached)
		return true;
	if (m->conflict == CONFLICT_REJECT)
		return false;
	if (m->conflict == CONFLICT_RENAME) {
		generate(u, resource);
		*old = NULL;
	}
	return true;
}

static bool bind_valid(struct session_manager *m, uint64_t sid, struct slice bare)
{
	return sid != 0 && !registry_sid(m, sid) && jid_text_local(bare).len &&
	       jid_text_resource(bare).len == 0 && session_is_local(m, jid_text_domain(bare));
}

/* A new session, where old was: a live one is gone at once; the presence of a detached one, or what
 * a live one has only inherited, stands until the new one has its own. */
static struct session *take_place(struct session_manager *m, struct session *old, uint64_t sid,
				  struct slice bare, struct slice resource, struct slice conn,
				  struct slice addr)
{
	static const char text[] = "Replaced by a new connection of the same resource.";
	struct session *s;

	if (!old || (!old->detached && !lost_of(old))) {
		if (old)
			end(m, old, "conflict", text);
		return registry_add(m, sid, bare, resource, conn, addr);
	}
	lost_adopt(m, old);
	take_out(m, old, "conflict", text);
	lost_forsaken(old);
	s = registry_add(m, sid, bare, resource, conn, addr);
	lost_leave_take(m, old, s);
	return s;
}

void session_bind(struct session_manager *m, uint64_t sid, struct slice bare, struct slice wish,
		  struct slice conn, struct slice addr, struct monotime now)
{
	struct user *u = registry_user(m, bare);
	char resource[JID_PART_MAX + 1];
	struct session *s, *old = NULL;
	bool fresh;

	(void)now;
	if (!bind_valid(m, sid, bare)) {
		m->host.bind_refused(m->ctx, sid, "not-allowed",
				     "This address cannot have a session here.");
		return;
	}
	/* Its connection manager does not know it yet, or cannot apply it. */
	if (m->disabled) {
		m->host.bind_refused(m->ctx, sid, "service-unavailable",
				     "This service has been disabled.");
		return;
	}
	if (wish.len == 0) {
		generate(u, resource);
	} else if (jid_prepare_resource(resource, wish) != ERR_OK) {
		m->host.bind_refused(m->ctx, sid, "bad-request", "This resource is not valid.");
		return;
	}
	if (!settle_conflict(m, u, resource, &old)) {
		m->host.bind_refused(m->ctx, sid, "conflict", "This resource is in use.");
		return;
	}
	if (!old && u && m->sessions_per_user && u->count >= m->sessions_per_user) {
		m->host.bind_refused(m->ctx, sid, "resource-constraint",
				     "Too many sessions of this account; end one of them.");
		return;
	}
	fresh = !old;
	s = take_place(m, old, sid, bare, slice_str(resource), conn, addr);
	log_session(s, "session-bound", "");
	m->host.bound(m->ctx, sid, s->full);
	lost_claim(m, s, fresh);
}

/* May this one be announced? *old: what is detached there and gives way. */
static enum err announce_valid(const struct session_manager *m, uint64_t sid, struct slice full,
			       struct session **old)
{
	struct session *by_sid = registry_sid(m, sid), *by_jid = registry_full(m, full);

	if (sid == 0 || jid_text_local(full).len == 0 || jid_text_resource(full).len == 0)
		return ERR_FORMAT;
	if (!session_is_local(m, jid_text_domain(full)))
		return ERR_NOTFOUND;
	if ((by_sid && by_sid != by_jid) || (by_jid && !by_jid->detached))
		return ERR_CONFLICT;
	*old = by_jid;
	return ERR_OK;
}

/* The same session with a newer owner: only that one knows what became of it. */
static void forget_older(struct session_manager *m, struct session **old, uint64_t sid)
{
	struct session *s = *old;

	if (!s || s->sid != sid)
		return;
	*old = NULL;
	lost_dropped(m, s);
	registry_remove(m, s);
	registry_free(m, &s);
}

enum err session_announce(struct session_manager *m, uint64_t sid, struct slice full,
			  struct slice conn, struct slice addr, struct slice blob,
			  struct monotime now)
{
	struct session *s, *old;
	enum err e = announce_valid(m, sid, full, &old);

	if (e != ERR_OK)
		return e;
	forget_older(m, &old, sid);
	s = take_place(m, old, sid, jid_text_bare(full), jid_text_resource(full), conn, addr);
	e = session_blob_restore(s, blob);
	/* Such a session can still send and receive; its next presence makes it whole. */
	if (e != ERR_OK)
		log_warn("-",
			 "event=session-blob-unread jid=%s error=%s hint=\"the client is "
			 "seen again at its next presence\"",
			 log_quote(full), err_name(e));
	if (s->said_at > m->moment)
		m->moment = s->said_at;
	log_session(s, "session-announced", "");
	lost_announced(m, s, blob, now);
	detached_announced(m, s, now);
	/* CUSTODY 5: what was being delivered to it goes on, before anything new. */
	if (s->backlog && offline_wanted(m, s, false))
		offline_available(m, s);
	return ERR_OK;
}

void session_unbind(struct session_manager *m, uint64_t sid, struct slice reason,
		    struct monotime now)
{
	struct session *s = registry_sid(m, sid);

	(void)now;
	if (!s)
		return;
	log_session(s, "session-ended", log_quote(reason));
	registry_remove(m, s);
	tell_gone(m, s);
}

void session_lost(struct session_manager *m, uint64_t sid, struct slice reason, uint32_t seconds,
		  struct monotime now)
{
	struct session *s = registry_sid(m, sid);

	if (!s)
		return;
	log_session(s, "session-lost", log_quote(reason));
	lost_adopt(m, s);
	registry_remove(m, s);
	lost_forsaken(s);
	lost_keep_take(m, s, seconds ? seconds : m->reconnect_grace_s, now);
}

/* RFC 6121 8: each kind has its room. */
static void route(struct inbound *in)
{
	static void (*const kinds[])(struct inbound *) = {
		[STANZA_MESSAGE] = delivery_message,
		[STANZA_PRESENCE] = presence_handle,
		[STANZA_IQ] = delivery_iq,
	};

	if (in->s.kind < STANZA_MESSAGE || in->s.kind > STANZA_IQ)
		reply_drop(in, "not a stanza");
	else
		kinds[in->s.kind](in);
}

/* Nothing goes to whom the sender has blocked (XEP-0191 3.3). */
static void handle(struct inbound *in)
{
	if (in->sender && in->s.to.len && !blocking_free(&in->sender->user->contacts) &&
	    blocking_out(in, route))
		return;
	route(in);
}

/* May it say what only this server may say? What was archived has been through here before. */
static bool may_be_forged(const struct session_stanza *s)
{
	return (s->flags & (STANZA_HAS_SID | STANZA_DELAYED)) && !(s->flags & STANZA_ARCHIVED);
}

/* That is taken out first. */
static void enter(struct inbound *in)
{
	struct stanza_edit b = STANZA_EDIT_INIT;

	if (!may_be_forged(&in->s)) {
		handle(in);
		return;
	}
	if (stanza_edit_forged(in, &b))
		handle(in);
	else
		reply_error(in, STANZA_ERROR_NOT_ACCEPTABLE,
			    "Too many children beside a stanza id or a delay.",
			    "xep0359-4 too many children");
	stanza_edit_clear(&b);
}

static struct session_stanza envelope(const struct msg_stanza *s, struct slice from)
{
	return (struct session_stanza){
		.kind = s->kind,
		.type = s->type,
		.flags = s->flags,
		.from = from,
		.to = s->flags & STANZA_TO_SELF ? SLICE_NONE : s->to,
		.id = s->id,
		.lang = s->lang,
		.children = s->children,
		.inner = s->inner,
	};
}

void session_stanza(struct session_manager *m, uint64_t sid, struct custody_entry *e,
		    const struct msg_stanza *s, struct monotime now)
{
	struct inbound in = {.m = m, .e = e, .sender = registry_sid(m, sid), .now = now};

	if (!in.sender) {
		reply_drop(&in, "stanza of a session that is gone");
		return;
	}
	in.s = envelope(s, in.sender->full);
	enter(&in);
}

void session_stanza_from(struct session_manager *m, struct slice from, struct custody_entry *e,
			 const struct msg_stanza *s, struct monotime now)
{
	struct inbound in = {.m = m, .e = e, .s = envelope(s, from), .now = now};

	if (in.s.to.len) {
		enter(&in);
		return;
	}
	in.s.to = manager_domain(m);
	reply_error(&in, STANZA_ERROR_BAD_REQUEST, "A stanza of a component needs a 'to'.",
		    "xep0114-3 stanza of a service without an addressee");
}

/* Then it was bounced before anybody could see it. */
static bool is_blocked(const struct inbound *in)
{
	const struct user *u = in->sender ? in->sender->user : NULL;

	return u && blocking_hits(&u->contacts, u->bare, in->s.to);
}

void session_copies(struct session_manager *m, uint64_t sid, struct slice from,
		    struct custody_entry *e, const struct msg_stanza *s, bool delivered,
		    struct monotime now)
{
	struct inbound in = {.m = m, .e = e, .sender = registry_sid(m, sid), .now = now};
	struct stanza_edit b = STANZA_EDIT_INIT;

	if (s->kind != STANZA_MESSAGE)
		return;
	in.s = envelope(s, in.sender ? in.sender->full : from);
	in.s.to = s->to;
	if (!may_be_forged(&in.s) || stanza_edit_forged(&in, &b)) {
		if (delivered || !is_blocked(&in))
			carbons_sent(&in);
		if (delivered)
			archive_message(&in, registry_user(m, in.s.to), true);
		if (delivered)
			carbons_received(&in, registry_user(m, in.s.to), false);
	}
	stanza_edit_clear(&b);
}

void session_undelivered(struct session_manager *m, struct custody_entry *e, uint64_t sid,
			 const struct session_stanza *s, const char *reason, struct monotime now)
{
	struct inbound in = {.m = m, .e = e, .s = *s, .now = now};

	/* Without an entry nothing can be answered or counted: its sender is not known any more. */
	if (!e)
		return;
	if (s->flags & STANZA_CARBON) {
		reply_drop(&in, "xep0280 copy that nobody took");
		return;
	}
	if (session_is_local(m, jid_text_domain(s->from))) {
		in.sender = registry_full(m, s->from);
		/* A push or an answer of the server's own, or of somebody who has left. */
		if (!in.sender && s->kind != STANZA_MESSAGE) {
			reply_drop(&in, "undelivered, and nobody is there to be told");
			return;
		}
	}
	delivery_failed(&in, sid, reason);
}

unsigned int session_flush(struct session_manager *m, struct monotime now)
{
	return archive_flush(m->archive, now);
}

const char *session_alarm(const struct session_manager *m)
{
	return archive_alarm(m->archive);
}

bool session_archiving(const struct session_manager *m)
{
	return archive_busy(m->archive);
}

void session_add_stats(const struct session_manager *m, struct str *out)
{
	archive_stats(m->archive, out);
}

bool session_exists(const struct session_manager *m, uint64_t sid)
{
	return registry_sid(m, sid) != NULL;
}

uint64_t session_find(const struct session_manager *m, struct slice full)
{
	const struct session *s = registry_full(m, full);

	return s ? s->sid : 0;
}

struct slice session_jid(const struct session_manager *m, uint64_t sid)
{
	const struct session *s = registry_sid(m, sid);

	return s ? s->full : SLICE_NONE;
}

size_t session_count(const struct session_manager *m)
{
	return m->sessions.count;
}

unsigned int session_kick(struct session_manager *m, struct slice jid, struct monotime now)
{
	unsigned int n = 0;
	struct jid who;

	(void)now;
	if (jid_parse(&who, jid) != ERR_OK)
		return 0;
	if (who.local.len) {
		n = end_matching(m, &who, "policy-violation",
				 "The administrator has ended this session.");
		lost_end_matching(m, &who);
	}
	jid_clear(&who);
	return n;
}
