#include "ipc/stanza_kinds.h"
#include "session/blocking.h"
#include "session/registry.h"
#include "session/reply.h"
#include "session/session.h"

/* The error of a stanza that its connection manager could not take (CUSTODY 10): the router numbers
 * it like any other, so it is made here and not there. */
void session_refuse(struct session_manager *m, struct custody_entry *e, struct slice from,
		    const struct msg_refused *r, struct monotime now)
{
	struct inbound in = {.m = m, .e = e, .sender = registry_sid(m, r->sid), .now = now};
	char text[256];

	if (!in.sender && !from.len) {
		reply_drop(&in, "refused stanza of a session that is gone");
		return;
	}
	in.s = (struct session_stanza){
		.kind = r->kind,
		.type = r->type,
		.id = r->id,
		.from = in.sender ? in.sender->full : from,
	};
	/* Whom it was for is not known here: this server has refused it. */
	if (!in.sender)
		in.s.to = manager_domain(m);
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(r->text));
	reply_error(&in, stanza_error_find(r->condition), text,
		    "refused by the connection manager");
}

void session_bounce(struct session_manager *m, uint64_t sid, struct custody_entry *e,
		    const struct msg_stanza *s, const char *condition, struct monotime now)
{
	struct inbound in = {.m = m, .e = e, .sender = registry_sid(m, sid), .now = now};

	if (!in.sender && !s->from.len) {
		reply_drop(&in, "bounced stanza of a session that is gone");
		return;
	}
	in.s = (struct session_stanza){
		.kind = s->kind,
		.type = s->type,
		.flags = s->flags,
		.id = s->id,
		.from = in.sender ? in.sender->full : s->from,
		.to = s->to,
	};
	if (in.sender && blocking_refuse_again(&in))
		return;
	reply_error(&in, stanza_error_find(slice_str(condition)), NULL, "bounced before");
}
