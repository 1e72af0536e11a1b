#include "session/vcard.h"

#include "ipc/db_pack.h"
#include "session/data_job.h"
#include "session/registry.h"
#include "session/reply.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

static void ask(struct inbound *in, struct slice bare, data_go *go)
{
	struct str record = STR_INIT;

	msg_db_data_get_put(&record, &(struct msg_db_data_get){.user = jid_text_local(bare),
							       .domain = jid_text_domain(bare),
							       .kind = DB_DATA_VCARD});
	data_ask(in, &(struct data_question){.record = &record, .want = MSG_DB_DATA, .go = go});
}

static enum err value_of(const struct data_answer *a, struct slice *value)
{
	struct msg_db_data d;
	enum err e = a->status;

	if (e == ERR_OK)
		e = msg_db_data_get(a->body, &d);
	if (e == ERR_OK)
		*value = d.value;
	return e;
}

static void own_go(struct inbound *in, struct data_answer *a)
{
	struct slice card = slice_str("<vCard xmlns='" NS_VCARD "'/>");
	enum err e = value_of(a, &card);

	/* 3.1: an empty one stands for none. */
	if (e == ERR_OK || e == ERR_NOTFOUND)
		reply_result(in, card, "xep0054-3.1 own vcard");
	else
		data_refuse(in, e);
}

void vcard_get(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	ask(in, in->sender->user->bare, own_go);
}

static void other_go(struct inbound *in, struct data_answer *a)
{
	struct slice card;
	enum err e = value_of(a, &card);

	if (e == ERR_OK)
		reply_result(in, card, "xep0054-3.3 vcard of another user");
	else if (e == ERR_NOTFOUND)
		/* 3.3: the same for a user who does not exist. */
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL, "xep0054-3.3 no vcard");
	else
		data_refuse(in, e);
}

void vcard_get_other(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	if (jid_text_local(in->s.to).len)
		ask(in, jid_text_bare(in->s.to), other_go);
	else
		reply_error(in, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL, "xep0054-3.3 no vcard");
}

static void set_go(struct inbound *in, struct data_answer *a)
{
	if (a->status == ERR_OK)
		reply_result(in, SLICE_NONE, "xep0054-3.2 vcard set");
	else
		data_refuse(in, a->status);
}

void vcard_set(struct inbound *in, const struct xml_node *payload)
{
	struct slice bare = in->sender->user->bare;
	struct str record = STR_INIT, card = STR_INIT;

	xml_tree_write(&card, payload, NULL);
	msg_db_data_set_put(&record, &(struct msg_db_data_set){.user = jid_text_local(bare),
							       .domain = jid_text_domain(bare),
							       .kind = DB_DATA_VCARD,
							       .value = str_slice(&card)});
	str_clear(&card);
	data_ask(in, &(struct data_question){.record = &record, .want = MSG_DB_DONE, .go = set_go});
}

void vcard_set_other(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	reply_error(in, STANZA_ERROR_FORBIDDEN, "A vCard is set by its owner only.",
		    "xep0054-3.2 vcard of somebody else");
}

void vcard_get_server(struct inbound *in, const struct xml_node *payload)
{
	struct str out = STR_INIT;

	(void)payload;
	str_adds(&out, "<vCard xmlns='" NS_VCARD "'><FN>");
	xml_out_text(&out, slice_str(in->m->software_name));
	str_adds(&out, "</FN><JABBERID>");
	xml_out_text(&out, in->s.to);
	str_adds(&out, "</JABBERID></vCard>");
	reply_result(in, str_slice(&out), "xep0054 vcard of the server");
	str_clear(&out);
}
