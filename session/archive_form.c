#include "session/archive_form.h"

#include <stdlib.h>

#include "session/archive_id.h"
#include "session/stamp.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/xml_tree.h"

#define IDS_MAX	    1000
#define PAGE_BYTES  (512u * 1024)
#define QUERYID_MAX 256

typedef const struct archive_refusal *read_fn(struct archive_form *f, const struct xml_node *field);

static const struct archive_refusal not_a_form = {
	STANZA_ERROR_BAD_REQUEST, "The form is of type submit and its FORM_TYPE is " NS_MAM ".",
	"xep0313-4.1 not a form for archives"};
static const struct archive_refusal unknown_field = {STANZA_ERROR_FEATURE_NOT_IMPLEMENTED,
						     "The form has a field that is not known here.",
						     "xep0313-4.1.5 unknown field"};
static const struct archive_refusal bad_jid = {
	STANZA_ERROR_BAD_REQUEST, "The value of `with` is not a JID.", "xep0313-4.1.1 bad with"};
static const struct archive_refusal bad_date = {
	STANZA_ERROR_BAD_REQUEST, "start and end are like 2010-08-07T00:00:00Z (XEP-0082).",
	"xep0313-4.1.2 bad date"};
static const struct archive_refusal no_such_id = {STANZA_ERROR_ITEM_NOT_FOUND, NULL,
						  "xep0313-4.1.3 no such id"};
static const struct archive_refusal too_many_ids = {
	STANZA_ERROR_BAD_REQUEST, "Too many ids in one query.", "xep0313-4.1.3 too many ids"};
static const struct archive_refusal bad_set = {STANZA_ERROR_BAD_REQUEST, "max is a number.",
					       "xep0059-2.1 bad set"};
static const struct archive_refusal by_index = {STANZA_ERROR_FEATURE_NOT_IMPLEMENTED,
						"Ask for pages with before or after, not by index.",
						"xep0059-2.6 page by index"};

static const struct archive_refusal long_queryid = {
	STANZA_ERROR_BAD_REQUEST, "A queryid has at most 256 bytes.", "xep0313-4 long queryid"};

static struct slice value_of(const struct xml_node *field)
{
	const struct xml_node *v = xml_child(field, NS_DATA_FORM, "value");

	return v ? slice_str(v->text) : SLICE_NONE;
}

static const struct archive_refusal *read_id(struct str *out, struct slice text)
{
	struct db_archive_id id;

	str_reset(out);
	if (!archive_id_parse(text, &id))
		return &no_such_id;
	db_archive_id_put(out, id);
	return NULL;
}

static const struct archive_refusal *read_with(struct archive_form *f, const struct xml_node *field)
{
	struct jid jid;

	if (jid_parse(&jid, value_of(field)) != ERR_OK)
		return &bad_jid;
	str_reset(&f->with);
	str_add_slice(&f->with, jid_full(&jid));
	jid_clear(&jid);
	return NULL;
}

static const struct archive_refusal *read_start(struct archive_form *f,
						const struct xml_node *field)
{
	return stamp_parse(value_of(field), &f->q.start_ms) ? NULL : &bad_date;
}

/* 0 would mean that there is none. */
static const struct archive_refusal *read_end(struct archive_form *f, const struct xml_node *field)
{
	if (!stamp_parse(value_of(field), &f->q.end_ms))
		return &bad_date;
	f->q.end_ms += f->q.end_ms == 0;
	return NULL;
}

static const struct archive_refusal *read_before_id(struct archive_form *f,
						    const struct xml_node *field)
{
	return read_id(&f->before_id, value_of(field));
}

static const struct archive_refusal *read_after_id(struct archive_form *f,
						   const struct xml_node *field)
{
	return read_id(&f->after_id, value_of(field));
}

static const struct archive_refusal *read_ids(struct archive_form *f, const struct xml_node *field)
{
	struct db_archive_id id;
	unsigned int count = 0;

	for (const struct xml_node *v = field->first; v; v = v->next) {
		if (!xml_is(v, NS_DATA_FORM, "value"))
			continue;
		if (!archive_id_parse(slice_str(v->text), &id))
			return &no_such_id;
		if (++count > IDS_MAX)
			return &too_many_ids;
		db_archive_id_put(&f->ids, id);
	}
	return NULL;
}

static const struct {
	const char *var, *type;
	read_fn *read;
} fields[] = {
	{"with", "jid-single", read_with},	    {"start", "text-single", read_start},
	{"end", "text-single", read_end},	    {"before-id", "text-single", read_before_id},
	{"after-id", "text-single", read_after_id}, {"ids", "list-multi", read_ids},
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* 4.1.5: what is not known is refused, so that nobody takes more for what he asked for. */
static const struct archive_refusal *read_field(struct archive_form *f, const struct xml_node *n)
{
	const char *var = xml_attr(n, "var");

	for (size_t i = 0; var && i < FIELDS; i++) {
		if (strcmp(var, fields[i].var) == 0)
			return fields[i].read(f, n);
	}
	return &unknown_field;
}

static bool is_form_type(const struct xml_node *n)
{
	const char *var = xml_attr(n, "var");

	return var && strcmp(var, "FORM_TYPE") == 0;
}

static const struct archive_refusal *read_form(struct archive_form *f, const struct xml_node *x)
{
	const char *type = xml_attr(x, "type");
	const struct archive_refusal *bad = NULL;
	bool ours = false;

	if (!type || strcmp(type, "submit") != 0)
		return &not_a_form;
	for (const struct xml_node *n = x->first; n && !bad; n = n->next) {
		if (!xml_is(n, NS_DATA_FORM, "field"))
			continue;
		if (is_form_type(n))
			ours = slice_is(value_of(n), NS_MAM);
		else
			bad = read_field(f, n);
	}
	return !ours ? &not_a_form : bad;
}

static bool read_max(const struct xml_node *n, unsigned int page_max, uint32_t *max)
{
	unsigned long value;
	char *end;

	if (n->text[0] < '0' || n->text[0] > '9')
		return false;
	value = strtoul(n->text, &end, 10);
	*max = value < page_max ? (uint32_t)value : page_max;
	return *end == '\0';
}

/* XEP-0059: an empty <before/> is the end of the result set (2.5). */
static const struct archive_refusal *read_set(struct archive_form *f, const struct xml_node *set,
					      unsigned int page_max)
{
	const struct xml_node *max = xml_child(set, NS_RSM, "max");
	const char *after = xml_child_text(set, NS_RSM, "after");
	const char *before = xml_child_text(set, NS_RSM, "before");
	const struct archive_refusal *bad = NULL;

	f->q.counted = 1;
	if (max && !read_max(max, page_max, &f->q.max))
		return &bad_set;
	if (xml_child(set, NS_RSM, "index"))
		return &by_index;
	if (after && *after)
		bad = read_id(&f->after, slice_str(after));
	if (!bad && before && *before)
		bad = read_id(&f->before, slice_str(before));
	f->q.backward = before != NULL;
	return bad;
}

const struct archive_refusal *
archive_form_read(struct archive_form *f, const struct xml_node *payload, unsigned int page_max)
{
	const struct xml_node *x = xml_child(payload, NS_DATA_FORM, "x");
	const struct xml_node *set = xml_child(payload, NS_RSM, "set");
	const struct archive_refusal *bad = NULL;

	*f = (struct archive_form){.q = {.max = page_max, .bytes = PAGE_BYTES},
				   .with = STR_INIT,
				   .ids = STR_INIT,
				   .after_id = STR_INIT,
				   .before_id = STR_INIT,
				   .after = STR_INIT,
				   .before = STR_INIT};
	f->queryid = xml_attr(payload, "queryid");
	if (f->queryid && strlen(f->queryid) > QUERYID_MAX) /* it is in each of the results */
		return &long_queryid;
	f->flip = xml_child(payload, NS_MAM, "flip-page") != NULL;
	if (xml_attr(payload, "node")) /* 5.1.3: of pubsub, which is not here */
		return &no_such_id;
	if (x)
		bad = read_form(f, x);
	if (!bad && set)
		bad = read_set(f, set, page_max);
	f->q.with = str_slice(&f->with);
	f->q.ids = str_slice(&f->ids);
	f->q.after_id = str_slice(&f->after_id);
	f->q.before_id = str_slice(&f->before_id);
	f->q.after = str_slice(&f->after);
	f->q.before = str_slice(&f->before);
	return bad;
}

void archive_form_clear(struct archive_form *f)
{
	str_clear(&f->with);
	str_clear(&f->ids);
	str_clear(&f->after_id);
	str_clear(&f->before_id);
	str_clear(&f->after);
	str_clear(&f->before);
}

void archive_form_write(struct str *out)
{
	str_adds(out, "<x xmlns='" NS_DATA_FORM "' type='form'><field type='hidden' "
		      "var='FORM_TYPE'><value>" NS_MAM "</value></field>");
	for (size_t i = 0; i < FIELDS; i++) {
		str_addf(out, "<field type='%s' var='%s'", fields[i].type, fields[i].var);
		/* 4.1.5: open, for the ids are not listed. */
		str_adds(out, fields[i].read == read_ids
				      ? "><validate xmlns='" NS_VALIDATE
					"' datatype='xs:string'><open/></validate></field>"
				      : "/>");
	}
	str_adds(out, "</x>");
}
