#include "cli/xmpp/show.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/xmpp/account_data.h"
#include "cli/xmpp/remote.h"
#include "cli/xmpp/stamp.h"
#include "ipc/codec.h"
#include "ipc/stanza_kinds.h"
#include "xmpp/ns.h"
#include "xmpp/xml_mask.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

#define ROWS_MAX      500 /* of one aligned piece; longer lists are printed in several */
#define XML_MAX	      65536
#define ARCHIVE_LIMIT 100

/* Rows on their way to the terminal: as a table, piece by piece, or as JSON, line by line. */
struct rows {
	const struct xmpp_values *v;
	const char *const *heading;
	struct table table;
	size_t columns, pending, count;
};

static void rows_begin(struct rows *r, const struct xmpp_values *v, const char *const *heading)
{
	*r = (struct rows){.v = v, .heading = heading};
	while (heading[r->columns])
		r->columns++;
	table_init(&r->table, r->columns);
	for (size_t i = 0; i < r->columns; i++)
		table_add(&r->table, slice_str(heading[i]));
}

static void rows_flush(struct rows *r)
{
	struct str out = STR_INIT;

	if (r->pending && !r->v->common.json) {
		table_write(&r->table, &out);
		fwrite(out.data, 1, out.len, stdout);
	}
	table_clear(&r->table);
	str_clear(&out);
	r->pending = 0;
}

static void rows_next(struct rows *r)
{
	r->count++;
	if (++r->pending == ROWS_MAX)
		rows_flush(r);
}

static void rows_end(struct rows *r, int code, const char *none)
{
	rows_flush(r);
	if (code == COMMAND_OK && r->count == 0 && !r->v->common.json)
		puts(none);
}

/* Opens, checks the JID and runs; the frame of every command here. */
static int run(const struct xmpp_values *v, const char *who,
	       int (*fn)(struct bus_client *c, const struct jid *jid, const struct xmpp_values *v))
{
	struct bus_client *c = NULL;
	struct jid jid = JID_NONE;
	int code = remote_jid(&jid, who, false);

	if (code == COMMAND_OK)
		code = remote_open(v, &c);
	if (code == COMMAND_OK)
		code = account_data_need(c, &jid);
	if (code == COMMAND_OK)
		code = fn(c, &jid, v);
	bus_client_close(&c);
	jid_clear(&jid);
	return code;
}

static void add_json(struct str *out, const char *key, struct slice text)
{
	str_addf(out, "%s\"%s\":", out->len ? "," : "{", key);
	json_line_put_text(out, text);
}

static void print_json(struct str *line)
{
	puts(line->data);
	str_clear(line);
}

/* ---- roster */

static const char *const subscriptions[] = {"none", "to", "from", "both"};

static void add_groups(const struct db_roster_item *item, struct str *out)
{
	struct slice in = item->groups, name;

	while (in.len && codec_get_str(&in, &name))
		str_addf(out, "%s%.*s", out->len ? ", " : "", SLICE_ARG(name));
}

/* What is not settled between the two (RFC 6121 3): ours to them, theirs to us. */
static const char *pending(const struct db_roster_item *item)
{
	if (item->ask && item->pending_in)
		return "out, in";
	if (item->ask)
		return "out";
	return item->pending_in ? "in" : item->approved ? "approved" : "-";
}

/* A request from somebody who is not in the roster is kept as both (db_pack.h). */
static bool is_approved(const struct db_roster_item *item)
{
	return item->approved && !item->pending_in;
}

static int show_item(void *arg, const struct db_roster_item *item)
{
	struct rows *r = arg;
	struct str groups = STR_INIT, line = STR_INIT;

	if (!item)
		return COMMAND_OK;
	add_groups(item, &groups);
	if (r->v->common.json) {
		add_json(&line, "jid", item->jid);
		add_json(&line, "name", item->name);
		add_json(&line, "subscription", slice_str(subscriptions[item->subscription & 3]));
		str_addf(&line, ",\"ask\":%s,\"pending_in\":%s,\"approved\":%s",
			 item->ask ? "true" : "false", item->pending_in ? "true" : "false",
			 is_approved(item) ? "true" : "false");
		add_json(&line, "groups", str_slice(&groups));
		str_addc(&line, '}');
		print_json(&line);
	} else {
		table_add(&r->table, item->jid);
		table_add(&r->table, item->name.len ? item->name : slice_str("-"));
		table_add(&r->table, slice_str(subscriptions[item->subscription & 3]));
		table_add(&r->table, slice_str(pending(item)));
		table_add(&r->table, groups.len ? str_slice(&groups) : slice_str("-"));
	}
	rows_next(r);
	str_clear(&groups);
	return COMMAND_OK;
}

static int roster(struct bus_client *c, const struct jid *jid, const struct xmpp_values *v)
{
	static const char *const heading[] = {"JID",	 "NAME",   "SUBSCRIPTION",
					      "PENDING", "GROUPS", NULL};
	struct rows r;
	int code;

	rows_begin(&r, v, heading);
	code = account_data_roster(c, jid, show_item, NULL, &r);
	rows_end(&r, code, "the roster is empty");
	return code;
}

int show_roster(const void *values, int argc, char **argv)
{
	(void)argc;
	return run(values, argv[0], roster);
}

/* ---- blocklist */

static int show_blocked(void *arg, struct slice jid)
{
	struct rows *r = arg;
	struct str line = STR_INIT;

	if (r->v->common.json) {
		add_json(&line, "jid", jid);
		str_addc(&line, '}');
		print_json(&line);
	} else {
		table_add(&r->table, jid);
	}
	rows_next(r);
	return COMMAND_OK;
}

static int blocklist(struct bus_client *c, const struct jid *jid, const struct xmpp_values *v)
{
	static const char *const heading[] = {"JID", NULL};
	struct rows r;
	int code;

	rows_begin(&r, v, heading);
	code = account_data_roster(c, jid, NULL, show_blocked, &r);
	rows_end(&r, code, "nobody is blocked");
	return code;
}

int show_blocklist(const void *values, int argc, char **argv)
{
	(void)argc;
	return run(values, argv[0], blocklist);
}

/* ---- messages: waiting ones and archived ones */

struct message {
	uint64_t stamp_ms;
	uint8_t type;
	struct slice from, to, id, inner;
};

/* The text of the body, or "[12]"; "-" when there is none. */
static void add_body(const struct message *m, bool open, struct str *out)
{
	struct xml_node *tree = xml_tree_parse_inner(m->inner, NS_CLIENT);
	const char *text = tree ? xml_child_text(tree, NS_CLIENT, "body") : NULL;
	size_t n = 0;

	for (const char *c = text; c && *c; c++)
		n += (*c & 0xc0) != 0x80;
	if (!text)
		str_adds(out, "-");
	else if (open)
		str_adds(out, text);
	else
		str_addf(out, "[%zu]", n);
	xml_tree_free(&tree);
}

static void json_message(const struct message *m, bool open, struct str *line)
{
	struct str xml = STR_INIT;
	char stamp[STAMP_SIZE];

	if (open)
		str_add_slice(&xml, m->inner);
	else
		xml_mask(&xml, m->inner, XML_MAX);
	add_json(line, "stamp", slice_str(stamp_format(stamp, m->stamp_ms)));
	add_json(line, "from", m->from);
	add_json(line, "to", m->to);
	add_json(line, "type", slice_str(stanza_type_name(m->type)));
	add_json(line, "id", m->id);
	str_addf(line, ",\"bytes\":%zu", m->inner.len);
	add_json(line, "xml", str_slice(&xml));
	str_addc(line, '}');
	str_clear(&xml);
}

static void show_message(struct rows *r, const struct message *m)
{
	struct str text = STR_INIT;
	char stamp[STAMP_SIZE];

	if (r->v->common.json) {
		json_message(m, r->v->bodies, &text);
		print_json(&text);
	} else {
		add_body(m, r->v->bodies, &text);
		table_add(&r->table, slice_str(stamp_format(stamp, m->stamp_ms)));
		table_add(&r->table, m->from);
		table_add(&r->table, m->to);
		table_add(&r->table,
			  slice_str(*stanza_type_name(m->type) ? stanza_type_name(m->type)
							       : "normal"));
		table_addf(&r->table, "%zu", m->inner.len);
		table_add(&r->table, str_slice(&text));
	}
	rows_next(r);
	str_clear(&text);
}

static const char *const message_heading[] = {"STAMP", "FROM", "TO", "TYPE", "BYTES", "BODY", NULL};

static int show_waiting(void *arg, const struct db_offline *o)
{
	show_message(arg, &(struct message){.stamp_ms = o->stamp_ms,
					    .type = o->type,
					    .from = o->from,
					    .to = o->to,
					    .id = o->stanza_id,
					    .inner = o->inner});
	return COMMAND_OK;
}

static int offline(struct bus_client *c, const struct jid *jid, const struct xmpp_values *v)
{
	struct rows r;
	int code;

	rows_begin(&r, v, message_heading);
	code = account_data_offline(c, jid, show_waiting, &r);
	rows_end(&r, code, "no messages are waiting");
	return code;
}

int show_offline(const void *values, int argc, char **argv)
{
	(void)argc;
	return run(values, argv[0], offline);
}

static int show_archived(void *arg, const struct db_archive_entry *e)
{
	show_message(arg, &(struct message){.stamp_ms = e->stamp_ms,
					    .type = e->type,
					    .from = e->from,
					    .to = e->to,
					    .id = e->stanza_id,
					    .inner = e->inner});
	return COMMAND_OK;
}

static int get_time(const char *option, const char *text, uint64_t *ms)
{
	*ms = 0;
	if (!text || stamp_parse(text, ms))
		return COMMAND_OK;
	return command_fail("xmpp", COMMAND_USAGE,
			    "%s takes a time such as 2026-11-21 or 2026-11-21T10:00:00Z, not '%s'",
			    option, text);
}

static int archive(struct bus_client *c, const struct jid *jid, const struct xmpp_values *v)
{
	struct account_data_range range = {.limit = v->limit ? (uint32_t)v->limit : ARCHIVE_LIMIT};
	struct jid with = JID_NONE;
	bool more = false;
	struct rows r;
	int code = get_time("--start", v->start, &range.start_ms);

	if (code == COMMAND_OK)
		code = get_time("--end", v->end, &range.end_ms);
	if (code == COMMAND_OK && v->with && jid_parse(&with, slice_str(v->with)) != ERR_OK)
		code = command_fail("xmpp", COMMAND_USAGE, "--with: '%s' is not a JID", v->with);
	if (code != COMMAND_OK)
		return code;
	range.with = with.text ? jid_full(&with) : SLICE_NONE;
	rows_begin(&r, v, message_heading);
	code = account_data_archive(c, jid, &range, show_archived, &r, &more);
	rows_end(&r, code, "no such messages are in the archive");
	if (code == COMMAND_OK && more && !v->common.json)
		printf("there are more than %u; --limit N, --start TIME and --with JID lead to "
		       "them\n",
		       range.limit);
	jid_clear(&with);
	return code;
}

int show_archive(const void *values, int argc, char **argv)
{
	(void)argc;
	return run(values, argv[0], archive);
}
