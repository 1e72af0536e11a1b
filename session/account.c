#include "session/account.h"

#include "session/account_end.h"
#include "session/data_job.h"
#include "session/registry.h"
#include "session/reply.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

/* Asked of his own account, or of the server that it is on? */
static bool is_owner(struct inbound *in)
{
	const struct session *s = in->sender;

	if (s && (inbound_is_own(in) || slice_eq(in->s.to, jid_text_domain(s->full))))
		return true;
	reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL,
		    "xep0077 registration with another domain");
	return false;
}

void account_get(struct inbound *in, const struct xml_node *payload)
{
	struct str out = STR_INIT;

	(void)payload;
	if (!is_owner(in))
		return;
	str_adds(&out, "<query xmlns='" NS_REGISTER "'><registered/><username>");
	xml_out_text(&out, jid_text_local(in->sender->full));
	str_adds(&out, "</username><password/></query>");
	reply_result(in, str_slice(&out), "xep0077-3.1 registered");
	str_clear(&out);
}

static void password_go(struct inbound *in, struct data_answer *a)
{
	switch (a->status) {
	case ERR_OK:
		reply_result(in, SLICE_NONE, "xep0077-3.3 password changed");
		break;
	case ERR_FORMAT:
	case ERR_TOOBIG:
		/* RFC 4013: the datastore could not prepare it. */
		reply_error(in, STANZA_ERROR_NOT_ACCEPTABLE,
			    "This password cannot be used; choose one without control characters "
			    "and emoji, in one direction of writing, of at most 1023 bytes.",
			    "xep0077-3.3 password that cannot be");
		break;
	case ERR_NOTFOUND:
		reply_error(in, STANZA_ERROR_REGISTRATION_REQUIRED, NULL,
			    "xep0077-3.3 account is gone");
		break;
	default:
		data_refuse(in, a->status);
	}
}

static bool is_own_name(const struct inbound *in, const char *username)
{
	char local[JID_PART_MAX + 1];

	return jid_prepare_local(local, slice_str(username)) == ERR_OK &&
	       slice_is(jid_text_local(in->sender->full), local);
}

static void change_password(struct inbound *in, const struct xml_node *payload)
{
	const char *username = xml_child_text(payload, NS_REGISTER, "username");
	const char *password = xml_child_text(payload, NS_REGISTER, "password");
	struct slice bare = in->sender->user->bare;
	struct str record = STR_INIT;

	if (!username || !password || !*username || !*password) {
		reply_error(in, STANZA_ERROR_BAD_REQUEST,
			    "A change of password names the username and the new password.",
			    "xep0077-3.3 incomplete");
		return;
	}
	if (!is_own_name(in, username)) {
		reply_error(in, STANZA_ERROR_NOT_ACCEPTABLE,
			    "This session can change the password of its own account only.",
			    "xep0077-3.1 second identity");
		return;
	}
	if (!in->m->change_password) {
		reply_error(in, STANZA_ERROR_NOT_ALLOWED,
			    "Passwords are changed by the administrator here.",
			    "xep0077-3.3 password change is off");
		return;
	}
	msg_db_account_password_put(
		&record, &(struct msg_db_account_password){.user = jid_text_local(bare),
							   .domain = jid_text_domain(bare),
							   .password = slice_str(password)});
	data_ask(in, &(struct data_question){
			     .record = &record, .want = MSG_DB_DONE, .go = password_go});
}

static void remove_account(struct inbound *in, const struct xml_node *payload)
{
	if (payload->first->next)
		reply_error(in, STANZA_ERROR_BAD_REQUEST, "<remove/> stands alone.",
			    "xep0077-3.2 remove with something else");
	else if (!in->m->remove_account)
		reply_error(in, STANZA_ERROR_NOT_ALLOWED,
			    "Accounts are removed by the administrator here.",
			    "xep0077-3.2 removal is off");
	else
		account_end_asked(in);
}

void account_set(struct inbound *in, const struct xml_node *payload)
{
	if (!is_owner(in))
		return;
	if (xml_child(payload, NS_REGISTER, "remove"))
		remove_account(in, payload);
	else
		change_password(in, payload);
}
