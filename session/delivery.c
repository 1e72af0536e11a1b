#include "session/delivery.h"

#include "ipc/stanza_kinds.h"
#include "session/archive.h"
#include "session/blocking.h"
#include "session/carbons.h"
#include "session/iq.h"
#include "session/last_activity.h"
#include "session/offline.h"
#include "session/registry.h"
#include "session/reply.h"
#include "xmpp/jid.h"

/* What RFC 6121 8.5 lets us do with a message that no full JID claims. */
enum action {
	TO_BEST,    /* the resources of the highest priority */
	TO_ALL,	    /* every resource of non-negative priority */
	TO_STORE,   /* offline storage */
	TO_ERROR,   /* back to the sender */
	TO_NOTHING, /* silently ignored */
};

enum address { ADDRESS_BARE, ADDRESS_FULL };	/* full: no resource matches */
enum audience { AUDIENCE_NONE, AUDIENCE_SOME }; /* resources of non-negative priority */
enum message { NORMAL, CHAT, GROUPCHAT, HEADLINE, ERROR, MESSAGE_TYPES };

struct rule {
	enum action action;
	const char *name;
};

/*
 * RFC 6121 8.5.4 as a table. A user without resources, an unknown user and one whose resources all
 * have negative priority are alike (8.5.1, 8.5.2.1.1), so that nobody can ask who has an account.
 * Where the RFC lets a server choose between silence and an error it is an error: nothing that was
 * accepted vanishes; except for headlines, which nobody waits for.
 */
static const struct rule rules[2][2][MESSAGE_TYPES] =
	{
		[ADDRESS_BARE] =
			{
				[AUDIENCE_NONE] =
					{
						[NORMAL] = {TO_STORE,
							    "rfc6121-8.5.2.2.1 normal to nobody"},
						[CHAT] = {TO_STORE,
							  "rfc6121-8.5.2.2.1 chat to nobody"},
						[GROUPCHAT] = {TO_ERROR, "rfc6121-8.5.2.2.1 "
									 "groupchat to a bare JID"},
						[HEADLINE] =
							{TO_NOTHING,
							 "rfc6121-8.5.2.2.1 headline to nobody"},
						[ERROR] = {TO_NOTHING,
							   "rfc6121-8.5.2.2.1 error to a bare JID"},
					},
				[AUDIENCE_SOME] =
					{
						[NORMAL] = {TO_BEST, "rfc6121-8.5.2.1.1 normal"},
						[CHAT] = {TO_BEST, "rfc6121-8.5.2.1.1 chat"},
						[GROUPCHAT] = {TO_ERROR, "rfc6121-8.5.2.1.1 "
									 "groupchat to a bare JID"},
						[HEADLINE] = {TO_ALL, "rfc6121-8.5.2.1.1 headline"},
						[ERROR] = {TO_NOTHING,
							   "rfc6121-8.5.2.1.1 error to a bare JID"},
					},
			},
		[ADDRESS_FULL] =
			{
				[AUDIENCE_NONE] =
					{
						[NORMAL] = {TO_ERROR, "rfc6121-8.5.3.2.1 normal to "
								      "no such resource"},
						[CHAT] =
							{TO_STORE,
							 "rfc6121-8.5.3.2.1 chat to nobody"},
						[GROUPCHAT] = {TO_ERROR,
							       "rfc6121-8.5.3.2.1 groupchat to no "
							       "such resource"},
						[HEADLINE] = {TO_NOTHING,
							      "rfc6121-8.5.3.2.1 headline to no "
							      "such resource"},
						[ERROR] = {TO_NOTHING, "rfc6121-8.5.3.2.1 error to "
								       "no such resource"},
					},
				[AUDIENCE_SOME] =
					{
						[NORMAL] = {TO_ERROR, "rfc6121-8.5.3.2.1 normal to "
								      "no such resource"},
						[CHAT] = {TO_BEST, "rfc6121-8.5.3.2.1 chat to "
								   "another resource"},
						[GROUPCHAT] = {TO_ERROR,
							       "rfc6121-8.5.3.2.1 groupchat to no "
							       "such resource"},
						[HEADLINE] = {TO_NOTHING,
							      "rfc6121-8.5.3.2.1 headline to no "
							      "such resource"},
						[ERROR] = {TO_NOTHING, "rfc6121-8.5.3.2.1 error to "
								       "no such resource"},
					},
			},
};

static enum message message_type(uint8_t type)
{
	switch (type) {
	case TYPE_CHAT:
		return CHAT;
	case TYPE_GROUPCHAT:
		return GROUPCHAT;
	case TYPE_HEADLINE:
		return HEADLINE;
	case TYPE_ERROR:
		return ERROR;
	default: /* no type, normal, unknown: RFC 6121 5.2.2 */
		return NORMAL;
	}
}

static bool takes(const struct session *s, uint64_t except)
{
	return registry_takes(s) && s->sid != except;
}

/* The highest priority among them, -1 when there is none. */
static int best_priority(const struct user *u, uint64_t except)
{
	int best = -1;

	for (struct session *s = user_first(u); s; s = user_after(s)) {
		if (takes(s, except) && s->priority > best)
			best = s->priority;
	}
	return best;
}

/* A copy to every resource of at least this priority; the addressee stays as written (8.5.2.1.1).
 * Who was given this stanza before is left out: this may be the second judgement. */
static void copies(const struct inbound *in, const struct user *u, int priority, uint64_t except,
		   const char *rule)
{
	const struct session_host *host = &in->m->host;
	unsigned int given = 0, seen = 0;

	for (struct session *s = user_first(u); s; s = user_after(s)) {
		if (!takes(s, except) || s->priority < priority)
			continue;
		if (except && host->had && host->had(in->m->ctx, in->e, s->sid))
			continue;
		/* It was for a resource that is gone, and this one has seen it. */
		if (carbons_instead(in, s)) {
			seen++;
			continue;
		}
		manager_deliver(in->m, in->e, s->sid, &in->s);
		given++;
	}
	if (given == 0 && seen)
		reply_delivered(in, "xep0280-7 the copy of a message");
	else if (given == 0)
		reply_drop(in, rule);
}

/* What is not to be kept is refused: RFC 6121 8.5.2.2.1; also what a session refused that is still
 * there: it would get it at its next login, after all that is sent to it until then. */
static bool store_offline(const struct inbound *in, uint64_t except, const char *reason,
			  const char *rule)
{
	const struct session *refused = except ? registry_sid(in->m, except) : NULL;
	bool stored = !(refused && registry_takes(refused)) && offline_store(in, rule);

	if (!stored)
		reply_error(in, stanza_error_find(slice_str(reason)), NULL, rule);
	return stored;
}

/* XEP-0334 4.4: what says that it is worth keeping is kept, whatever its type; for a headline that
 * makes a difference. */
static enum action action_of(const struct inbound *in, const struct rule *r, bool audience)
{
	bool keep = (in->s.flags & STANZA_STORE) && !(in->s.flags & STANZA_NO_STORE);

	return in->s.type == TYPE_HEADLINE && keep && !audience ? TO_STORE : r->action;
}

/* Those who are not given it see it all the same, if they want to (XEP-0280 section 7); but not
 * what goes back to its sender. Judged again, the copies have been made. */
static void bystanders(const struct inbound *in, const struct user *u, enum action a, bool stored)
{
	if (a == TO_BEST || a == TO_ALL || (a == TO_NOTHING && in->s.type == TYPE_ERROR))
		carbons_received(in, u, false);
	else if (stored)
		carbons_received(in, u, true);
}

static void apply(struct inbound *in, enum address address, uint64_t except, const char *reason)
{
	struct user *u = registry_user(in->m, in->s.to);
	int best = best_priority(u, except);
	const struct rule *r = &rules[address][best >= 0 ? AUDIENCE_SOME : AUDIENCE_NONE]
				     [message_type(in->s.type)];
	enum action action = action_of(in, r, best >= 0);
	bool stored = false;

	if (action <= TO_STORE)
		archive_message(in, u, except != 0);
	switch (action) {
	case TO_BEST:
		copies(in, u, best, except, r->name);
		break;
	case TO_ALL:
		copies(in, u, 0, except, r->name);
		break;
	case TO_STORE:
		stored = store_offline(in, except, reason, r->name);
		break;
	case TO_ERROR:
		reply_error(in, stanza_error_find(slice_str(reason)), NULL, r->name);
		break;
	case TO_NOTHING:
		reply_drop(in, r->name);
		break;
	}
	if (carbons_wanted(u) && !except)
		bystanders(in, u, action, stored);
}

bool delivery_remote(struct inbound *in)
{
	uint64_t sid = manager_route(in->m, jid_text_domain(in->s.to), in->s.from);

	if (sid) {
		archive_message(in, NULL, false);
		manager_deliver(in->m, in->e, sid, &in->s);
	}
	return sid != 0;
}

static void no_such_server(struct inbound *in)
{
	reply_error(in, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND,
		    "This domain is not served here and other servers cannot be reached yet.",
		    "rfc6120-10.4 no such server");
}

/* To a local account, which may exist or not. */
static void message_to_account(struct inbound *in)
{
	const struct user *u = registry_user(in->m, in->s.to);
	struct slice resource;
	struct session *match;

	/* Without a session the datastore knows whom he has blocked: offline_store(). */
	if (u && !blocking_free(&u->contacts) && blocking_in(in, message_to_account))
		return;
	if (offline_defer(in))
		return;
	resource = jid_text_resource(in->s.to);
	if (resource.len == 0) {
		apply(in, ADDRESS_BARE, 0, "service-unavailable");
		return;
	}
	match = registry_resource(u, resource);
	if (!match) {
		apply(in, ADDRESS_FULL, 0, "service-unavailable");
		return;
	}
	archive_message(in, match->user, false);
	manager_deliver(in->m, in->e, match->sid, &in->s);
	if (carbons_wanted(match->user))
		carbons_received(in, match->user, false);
}

void delivery_message(struct inbound *in)
{
	/* RFC 6120 10.3.1: a message without 'to' is for the sender's own account. */
	if (in->s.to.len == 0 && in->sender)
		in->s.to = in->sender->user->bare;
	if (!in->sender || carbons_wanted(in->sender->user))
		carbons_sent(in);
	if (!session_is_local(in->m, jid_text_domain(in->s.to))) {
		if (!delivery_remote(in))
			no_such_server(in);
		return;
	}
	if (jid_text_local(in->s.to).len == 0) {
		if (in->s.type == TYPE_HEADLINE)
			reply_drop(in, "headline to the server");
		else
			reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
				    "message to the server");
		return;
	}
	message_to_account(in);
}

/* What the server answers for the account of somebody else. */
static void iq_to_account(struct inbound *in)
{
	iq_handle(in, IQ_OTHER);
}

/* Somebody who is blocked shall not learn from the answers whether the user is there: so a user
 * who is not is looked up as well. */
static void iq_to_account_if_allowed(struct inbound *in)
{
	const struct user *u = registry_user(in->m, in->s.to);

	if (u && blocking_free(&u->contacts))
		iq_to_account(in);
	else if (!blocking_in(in, iq_to_account))
		iq_to_account(in);
}

/* RFC 6121 8.5.3: to one resource, or an error if it wants an answer. */
static void iq_to_resource(struct inbound *in)
{
	struct session *match = registry_full(in->m, in->s.to);

	if (match && !blocking_free(&match->user->contacts) && blocking_in(in, iq_to_resource))
		return;
	if (match && offline_defer_iq(in))
		return;
	if (match && last_activity_to_resource(in, match))
		return;
	if (match)
		manager_deliver(in->m, in->e, match->sid, &in->s);
	else
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
			    "rfc6121-8.5.3.2.3 iq to no such resource");
}

void delivery_iq(struct inbound *in)
{
	if (in->s.type != TYPE_GET && in->s.type != TYPE_SET && in->s.type != TYPE_RESULT &&
	    in->s.type != TYPE_ERROR) {
		reply_error(in, STANZA_ERROR_BAD_REQUEST,
			    "The type of an iq is get, set, result or error.",
			    "rfc6120-8.2.3 iq of unknown type");
		return;
	}
	if (inbound_is_own(in)) {
		iq_handle(in, IQ_OWN);
		return;
	}
	if (!session_is_local(in->m, jid_text_domain(in->s.to))) {
		if (!delivery_remote(in))
			no_such_server(in);
		return;
	}
	if (jid_text_local(in->s.to).len == 0)
		iq_handle(in, jid_text_resource(in->s.to).len ? IQ_OTHER : IQ_SERVER);
	else if (jid_text_resource(in->s.to).len == 0)
		iq_to_account_if_allowed(in);
	else
		iq_to_resource(in);
}

void delivery_failed(struct inbound *in, uint64_t sid, const char *reason)
{
	if (!reason || !*reason)
		reason = "service-unavailable";
	if (in->s.kind == STANZA_PRESENCE) {
		reply_drop(in, "rfc6121-8.5.3.2.2 presence to a lost session");
		return;
	}
	if (in->s.kind == STANZA_IQ) {
		reply_error(in, stanza_error_find(slice_str(reason)), NULL,
			    "rfc6121-8.5.3.2.3 iq to a lost session");
		return;
	}
	/* Components have no other resource to turn to. */
	if (!session_is_local(in->m, jid_text_domain(in->s.to)))
		reply_error(in, stanza_error_find(slice_str(reason)), NULL,
			    "rfc6120-8.3.3.19 message to a lost service");
	else
		apply(in, jid_text_resource(in->s.to).len ? ADDRESS_FULL : ADDRESS_BARE, sid,
		      reason);
}
