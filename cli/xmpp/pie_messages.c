/*
 * pie_messages - the messages of an account in a file, waiting ones and archived ones, as records.
 */
#include <stdlib.h>

#include <openssl/evp.h>

#include "cli/xmpp/pie.h"
#include "cli/xmpp/pie_types.h"
#include "cli/xmpp/stamp.h"
#include "ipc/codec.h"
#include "ipc/db_archive.h"
#include "ipc/db_pack.h"
#include "xmpp/ns.h"
#include "xmpp/xml_in.h"

#define ARCHIVE_BATCH 100
#define ARCHIVE_BYTES (1024 * 1024)

struct message {
	struct stanza_in st;
	struct jid from, to;
	struct str xml; /* without the stamp that is taken out of it */
	uint64_t stamp_ms;
};

static void message_clear(struct message *m)
{
	stanza_in_clear(&m->st);
	jid_clear(&m->from);
	jid_clear(&m->to);
	str_clear(&m->xml);
}

/* The server's own stamp is the last one, and goes: it comes back at delivery. */
static void take_stamp(struct import *im, struct xml_node *n, struct message *m)
{
	struct xml_node **at = NULL, *prev = NULL, *before = NULL;
	const char *from;

	for (struct xml_node **c = &n->first; *c; prev = *c, c = &(*c)->next)
		if (xml_is(*c, NS_DELAY, "delay")) {
			at = c;
			before = prev;
		}
	if (!at || !xml_attr(*at, "stamp") || !stamp_parse(xml_attr(*at, "stamp"), &m->stamp_ms))
		return;
	from = xml_attr(*at, "from");
	if (!from || !slice_is(im->user->jid.domain, from))
		return;
	*at = (*at)->next;
	if (!*at)
		n->last = before;
}

/* From a tree: its bytes, judged as if a client had sent them. */
static bool read_message(struct import *im, struct xml_node *n, bool stamped, struct message *m)
{
	const char *from = xml_attr(n, "from"), *to = xml_attr(n, "to");

	*m = (struct message){.xml = STR_INIT};
	if (!xml_is(n, NS_CLIENT, "message")) {
		im->user->did.ignored++;
		return false;
	}
	if (!from || jid_parse(&m->from, slice_str(from)) != ERR_OK ||
	    (to && jid_parse(&m->to, slice_str(to)) != ERR_OK)) {
		import_problem(im, "message from '%s' to '%s': these are not JIDs; left out",
			       from ? from : "", to ? to : "");
		message_clear(m);
		return false;
	}
	if (stamped)
		take_stamp(im, n, m);
	xml_tree_write(&m->xml, n, NULL);
	if (xml_in_stanza(im->xml, str_slice(&m->xml), NS_CLIENT, &m->st) != XML_OK) {
		import_problem(im, "message from %s: %s; left out", from,
			       m->st.why ? m->st.why : "it is no stanza");
		message_clear(m);
		return false;
	}
	return true;
}

/* A name for it that is the same when it is imported again. */
static void make_origin(const struct message *m, uint64_t *sid, uint64_t *n)
{
	unsigned char hash[EVP_MAX_MD_SIZE] = {0};

	EVP_Digest(m->xml.data, m->xml.len, hash, NULL, EVP_sha256(), NULL);
	memcpy(sid, hash, sizeof(*sid));
	*sid &= INT64_MAX;
	*n = m->stamp_ms ? m->stamp_ms : 1;
}

void pie_user_offline(struct import *im, struct slice bytes)
{
	struct xml_node *n = pie_parse(im, bytes);
	struct pie_user *u = im->user;
	struct str packed = STR_INIT, record = STR_INIT;
	struct db_offline o = {0};
	struct message m;

	if (n && read_message(im, n, true, &m)) {
		make_origin(&m, &o.origin_sid, &o.origin_n);
		o.stamp_ms = m.stamp_ms;
		o.kind = m.st.kind;
		o.type = m.st.type;
		o.flags = m.st.flags;
		o.from = jid_full(&m.from);
		o.to = m.to.text ? jid_full(&m.to) : jid_bare(&u->jid);
		o.stanza_id = m.st.id;
		o.lang = m.st.lang;
		o.children = m.st.children;
		o.inner = m.st.inner;
		db_offline_put(&packed, &o);
		msg_db_offline_add_put(&record,
				       &(struct msg_db_offline_add){u->jid.local, u->jid.domain,
								    str_slice(&packed)});
		import_post(im, &record, "a waiting message", &u->did.messages, 1);
		message_clear(&m);
	}
	xml_tree_free(&n);
	str_clear(&packed);
	str_clear(&record);
}

/* ---- archive */

void pie_send_archive(struct import *im)
{
	struct pie_user *u = im->user;
	struct str owners = STR_INIT, record = STR_INIT;

	if (!u->archive_count)
		return;
	codec_put_str(&owners, jid_bare(&u->jid));
	msg_db_archive_add_put(
		&record, &(struct msg_db_archive_add){str_slice(&owners), str_slice(&u->archive)});
	import_post(im, &record, "archived messages", &u->did.archived, u->archive_count);
	u->archive_count = 0;
	str_reset(&u->archive);
	str_clear(&owners);
	str_clear(&record);
}

static bool parse_id(const char *text, struct db_archive_id *id)
{
	char group[17] = "", *end;

	if (!text || strlen(text) != 24 || strspn(text, "0123456789abcdef") != 24)
		return false;
	memcpy(group, text, 16);
	id->group = strtoull(group, NULL, 16);
	id->number = (uint32_t)strtoul(text + 16, &end, 16);
	return true;
}

/* Others' names of messages have another form: made anew, the same again for the same message. */
static struct db_archive_id make_id(const struct message *m, const char *text)
{
	struct str all = STR_INIT;
	unsigned char hash[EVP_MAX_MD_SIZE] = {0};
	struct db_archive_id id;

	str_addf(&all, "%s %llu ", text ? text : "", (unsigned long long)m->stamp_ms);
	str_add_slice(&all, str_slice(&m->xml));
	EVP_Digest(all.data, all.len, hash, NULL, EVP_sha256(), NULL);
	memcpy(&id.group, hash, sizeof(id.group));
	memcpy(&id.number, hash + sizeof(id.group), sizeof(id.number));
	str_clear(&all);
	return id;
}

static void add_archived(struct import *im, const char *text, const struct message *m)
{
	struct pie_user *u = im->user;
	struct db_archive_entry e = {.stamp_ms = m->stamp_ms,
				     .type = m->st.type,
				     .from = jid_full(&m->from),
				     .to = m->to.text ? jid_full(&m->to) : jid_bare(&u->jid),
				     .stanza_id = m->st.id,
				     .lang = m->st.lang,
				     .inner = m->st.inner};
	bool sent = slice_eq(jid_bare(&m->from), jid_bare(&u->jid));
	struct str packed = STR_INIT;

	if (!parse_id(text, &e.id))
		e.id = make_id(m, text);
	db_archive_entry_put(&packed, &e);
	db_archive_addition_put(
		&u->archive, &(struct db_archive_addition){.sender = sent ? 0 : DB_ARCHIVE_NOBODY,
							   .receiver = sent ? DB_ARCHIVE_NOBODY : 0,
							   .again = 1,
							   .entry = str_slice(&packed)});
	str_clear(&packed);
	if (++u->archive_count == ARCHIVE_BATCH || u->archive.len > ARCHIVE_BYTES)
		pie_send_archive(im);
}

void pie_user_archived(struct import *im, struct slice bytes)
{
	struct xml_node *n = pie_parse(im, bytes), *message = NULL;
	const struct xml_node *forwarded = NULL, *delay = NULL;
	uint64_t stamp = 0;
	struct message m;

	if (n && xml_is(n, PIE_NS_ARCHIVE, "result"))
		forwarded = xml_child(n, PIE_NS_FORWARD, "forwarded");
	for (struct xml_node *c = forwarded ? forwarded->first : NULL; c; c = c->next)
		if (xml_is(c, NS_CLIENT, "message"))
			message = c;
	delay = forwarded ? xml_child(forwarded, NS_DELAY, "delay") : NULL;
	if (!message || !delay || !xml_attr(delay, "stamp") ||
	    !stamp_parse(xml_attr(delay, "stamp"), &stamp)) {
		if (n)
			import_problem(im, "an archived message is without a message or a stamp "
					   "(XEP-0313 4.2); left out");
	} else if (read_message(im, message, false, &m)) {
		m.stamp_ms = stamp;
		add_archived(im, xml_attr(n, "id"), &m);
		message_clear(&m);
	}
	xml_tree_free(&n);
}
