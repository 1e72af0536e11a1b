#include "session/archive_query.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "ipc/db_archive.h"
#include "ipc/stanza_kinds.h"
#include "session/archive.h"
#include "session/archive_form.h"
#include "session/archive_id.h"
#include "session/data_job.h"
#include "session/registry.h"
#include "session/reply.h"
#include "session/stamp.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

#define ROOM_MIN     4096 /* with less in his queue nobody is sent a page */
#define RESULT_BYTES 512  /* what a <result/> takes there besides the message in it */

void archive_query_fields(struct inbound *in, const struct xml_node *payload)
{
	struct str out = STR_INIT;

	(void)payload;
	str_adds(&out, "<query xmlns='" NS_MAM "'>");
	archive_form_write(&out);
	str_adds(&out, "</query>");
	reply_result(in, str_slice(&out), "xep0313-4.1.5 fields");
	str_clear(&out);
}

void archive_query_foreign(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	reply_error(in, STANZA_ERROR_FORBIDDEN, "An archive is for its owner only.",
		    "xep0313-8.1 archive of somebody else");
}

static void write_message(struct str *out, const struct db_archive_entry *m)
{
	struct slice type = slice_str(stanza_type_name(m->type));

	str_adds(out, "<message xmlns='" NS_CLIENT "'");
	xml_out_attr(out, "from", m->from);
	xml_out_attr(out, "to", m->to);
	if (m->stanza_id.len)
		xml_out_attr(out, "id", m->stanza_id);
	if (type.len)
		xml_out_attr(out, "type", type);
	if (m->lang.len)
		xml_out_attr(out, "xml:lang", m->lang);
	str_addc(out, '>');
	str_add_slice(out, m->inner);
	str_adds(out, "</message>");
}

/* 4.2: one found message, from the archive's account. */
static void send_result(const struct inbound *in, const struct db_archive_entry *m,
			const char *queryid, struct str *inner, struct str *children)
{
	char id[ARCHIVE_ID_TEXT], stamp[STAMP_TEXT];

	archive_id_format(m->id, id);
	stamp_format(m->stamp_ms, stamp);
	str_reset(inner);
	str_reset(children);
	str_adds(inner, "<result xmlns='" NS_MAM "'");
	if (queryid)
		xml_out_attr(inner, "queryid", slice_str(queryid));
	str_addf(inner,
		 " id='%s'><forwarded xmlns='" NS_FORWARD "'><delay xmlns='" NS_DELAY
		 "' stamp='%s'/>",
		 id, stamp);
	write_message(inner, m);
	str_adds(inner, "</forwarded></result>");
	stanza_child_put(children, &(struct stanza_child){.length = (uint32_t)inner->len});
	manager_answer(in->m, in->e, in->sender->sid,
		       &(struct session_stanza){.kind = STANZA_MESSAGE,
						.from = in->sender->user->bare,
						.to = in->sender->full,
						.children = str_slice(children),
						.inner = str_slice(inner)});
}

/* The index (XEP-0059 2.6: where it can be told) of forward pages only: slixmpp, paging backward,
 * takes a last page with an index for the end of the whole. */
static void write_fin(struct str *out, const struct msg_db_archive_page *page,
		      const struct db_archive_entry *first, const struct db_archive_entry *last,
		      bool backward, bool stable)
{
	char id[ARCHIVE_ID_TEXT];

	str_addf(out, "<fin xmlns='" NS_MAM "'%s%s><set xmlns='" NS_RSM "'>",
		 page->more ? "" : " complete='true'", stable ? "" : " stable='false'");
	if (page->count) {
		archive_id_format(first->id, id);
		str_adds(out, "<first");
		if ((page->known & 2) && !backward)
			str_addf(out, " index='%llu'", (unsigned long long)page->index);
		str_addf(out, ">%s</first>", id);
		archive_id_format(last->id, id);
		str_addf(out, "<last>%s</last>", id);
	}
	if (page->known & 1)
		str_addf(out, "<count>%llu</count>", (unsigned long long)page->total);
	str_adds(out, "</set></fin>");
}

/* The page's entries in the order of the archive. NULL: they are not what they should be. */
static struct db_archive_entry *unpack(const struct msg_db_archive_page *page, bool backward)
{
	struct db_archive_entry *all, *m;
	struct slice in = page->list;

	if (page->count > page->list.len)
		return NULL;
	all = xcalloc(page->count + 1, sizeof(*all));
	for (uint32_t i = 0; i < page->count; i++) {
		m = &all[backward ? page->count - 1 - i : i];
		if (!db_archive_entry_get(&in, m)) {
			free(all);
			return NULL;
		}
	}
	return all;
}

static void send_page(struct inbound *in, const struct archive_form *f,
		      const struct msg_db_archive_page *page, const struct db_archive_entry *all,
		      bool stable)
{
	struct str inner = STR_INIT, children = STR_INIT;
	uint32_t n = page->count;

	for (uint32_t i = 0; i < n; i++)
		send_result(in, &all[f->flip ? n - 1 - i : i], f->queryid, &inner, &children);
	str_reset(&inner);
	write_fin(&inner, page, all, all + (n ? n - 1 : 0), f->q.backward, stable);
	reply_result(in, str_slice(&inner), "xep0313-4 archive query");
	str_clear(&inner);
	str_clear(&children);
}

/* What was asked, in the parked iq; false: it was refused. */
static bool read_again(struct inbound *in, struct archive_form *f, struct xml_node **tree)
{
	const struct archive_refusal *bad;

	*tree = xml_tree_parse_inner(in->s.inner, NS_CLIENT);
	if (!*tree || !(*tree)->first) {
		reply_error(in, STANZA_ERROR_BAD_REQUEST, NULL, "xep0313-4 no query");
		*f = (struct archive_form){.with = STR_INIT,
					   .ids = STR_INIT,
					   .after_id = STR_INIT,
					   .before_id = STR_INIT,
					   .after = STR_INIT,
					   .before = STR_INIT};
		return false;
	}
	bad = archive_form_read(f, (*tree)->first, archive_page_max(in->m->archive));
	if (bad)
		reply_error(in, bad->error, bad->text, bad->rule);
	return !bad;
}

static size_t room_of(const struct inbound *in)
{
	return in->m->host.room ? in->m->host.room(in->m->ctx, in->sender->sid) : SIZE_MAX;
}

static void refuse_full(struct inbound *in)
{
	reply_error(in, STANZA_ERROR_RESOURCE_CONSTRAINT,
		    "Too much is waiting for you already; read it, then ask again.",
		    "xep0313-4 no room for a page");
}

/* What the queue does not take is dropped, and <fin/> would say that it was all: so a page fits or
 * is refused. A single message is more than the least room only where it could never be sent. */
static bool fits(const struct inbound *in, const struct msg_db_archive_page *page)
{
	size_t room = room_of(in);

	return room >= ROOM_MIN &&
	       (page->count <= 1 || page->list.len + (size_t)page->count * RESULT_BYTES <= room);
}

static void page_go(struct inbound *in, struct data_answer *a)
{
	const bool *stable = a->state;
	struct msg_db_archive_page page = {0};
	struct db_archive_entry *all = NULL;
	struct archive_form f;
	struct xml_node *tree;

	if (a->status == ERR_OK)
		a->status = msg_db_archive_page_get(a->body, &page);
	if (a->status == ERR_TOOBIG) {
		reply_error(in, STANZA_ERROR_POLICY_VIOLATION,
			    "Too much would have to be looked through; name a shorter time, or "
			    "fewer ids.",
			    "xep0313-4 query too wide");
		return;
	}
	if (a->status != ERR_OK) {
		data_refuse(in, a->status);
		return;
	}
	if (!fits(in, &page)) {
		refuse_full(in);
		return;
	}
	if (read_again(in, &f, &tree)) {
		all = unpack(&page, f.q.backward);
		if (all)
			send_page(in, &f, &page, all, *stable);
		else
			data_refuse(in, ERR_FORMAT);
	}
	free(all);
	archive_form_clear(&f);
	xml_tree_free(&tree);
}

/* No larger than what there is room for: the page says itself that there is more. */
static void limit_page(struct msg_db_archive_query *q, size_t room)
{
	size_t results = room / 2 / RESULT_BYTES;

	q->max = q->max < results ? q->max : (uint32_t)results;
	q->bytes = q->bytes < room / 2 ? q->bytes : (uint32_t)(room / 2);
}

static void ask_page(struct inbound *in, bool complete)
{
	struct slice bare = in->sender->user->bare;
	size_t room = room_of(in);
	struct str record = STR_INIT;
	struct archive_form f;
	struct xml_node *tree;
	bool *stable;

	if (room < ROOM_MIN) {
		refuse_full(in);
		return;
	}
	stable = xmalloc(sizeof(*stable));
	*stable = complete;
	if (read_again(in, &f, &tree)) {
		limit_page(&f.q, room);
		f.q.user = jid_text_local(bare);
		f.q.domain = jid_text_domain(bare);
		msg_db_archive_query_put(&record, &f.q);
		data_ask(in, &(struct data_question){&record, MSG_DB_ARCHIVE_PAGE, page_go, stable,
						     free});
	} else {
		free(stable);
	}
	archive_form_clear(&f);
	xml_tree_free(&tree);
}

void archive_query_run(struct inbound *in, const struct xml_node *payload)
{
	struct archive_form f;
	const struct archive_refusal *bad =
		archive_form_read(&f, payload, archive_page_max(in->m->archive));

	archive_form_clear(&f);
	if (bad)
		reply_error(in, bad->error, bad->text, bad->rule);
	else
		archive_wait(in, ask_page);
}

static void write_end(struct str *out, const char *name, const struct db_archive_entry *m)
{
	char id[ARCHIVE_ID_TEXT], stamp[STAMP_TEXT];

	archive_id_format(m->id, id);
	stamp_format(m->stamp_ms, stamp);
	str_addf(out, "<%s id='%s' timestamp='%s'/>", name, id, stamp);
}

static void ends_go(struct inbound *in, struct data_answer *a)
{
	struct msg_db_archive_page page = {0};
	struct db_archive_entry *all = NULL;
	struct str out = STR_INIT;

	if (a->status == ERR_OK)
		a->status = msg_db_archive_page_get(a->body, &page);
	if (a->status == ERR_OK && !(all = unpack(&page, false)))
		a->status = ERR_FORMAT;
	if (a->status != ERR_OK) {
		data_refuse(in, a->status);
		return;
	}
	str_adds(&out, "<metadata xmlns='" NS_MAM "'>");
	if (page.count) {
		write_end(&out, "start", &all[0]);
		write_end(&out, "end", &all[page.count - 1]);
	}
	str_adds(&out, "</metadata>");
	reply_result(in, str_slice(&out), "xep0313-5 metadata");
	str_clear(&out);
	free(all);
}

static void ask_ends(struct inbound *in, bool complete)
{
	struct slice bare = in->sender->user->bare;
	struct str record = STR_INIT;

	(void)complete;
	msg_db_archive_ends_put(&record, &(struct msg_db_archive_ends){jid_text_local(bare),
								       jid_text_domain(bare)});
	data_ask(in, &(struct data_question){
			     .record = &record, .want = MSG_DB_ARCHIVE_PAGE, .go = ends_go});
}

void archive_query_metadata(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	archive_wait(in, ask_ends);
}
