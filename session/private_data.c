#include "session/private_data.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "ipc/db_pack.h"
#include "session/data_job.h"
#include "session/registry.h"
#include "session/reply.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/xml_tree.h"

#define ELEMENTS_MAX 32			 /* of one request */
#define KEY_MAX	     2048		 /* the datastore's limit */
#define ANSWER_MAX   (2u * 1024 * 1024)	 /* bytes of one */
#define ANSWERS_MAX  (32u * 1024 * 1024) /* of all that are being put together */

/* A request with several elements: one after the other, in their order. */
struct walk {
	struct session_manager *m;
	unsigned int next;
	struct str found; /* get: what was there */
};

static void walk_free(void *state)
{
	struct walk *w = state;

	w->m->walks_bytes -= w->found.len;
	str_clear(&w->found);
	free(w);
}

/* One value may be asked for again and again in one request. false: it is too much. */
static bool walk_add(struct walk *w, struct slice value)
{
	if (w->found.len + value.len > ANSWER_MAX || w->m->walks_bytes + value.len > ANSWERS_MAX)
		return false;
	str_add_slice(&w->found, value);
	w->m->walks_bytes += value.len;
	return true;
}

static void key_of(struct str *key, const struct xml_node *n)
{
	str_addf(key, "%s %s", n->ns, n->name);
}

/* Section 2: at least one element, each with a namespace of its own. */
static bool refused(struct inbound *in, const struct xml_node *payload)
{
	unsigned int count = 0;

	for (const struct xml_node *n = payload->first; n; n = n->next) {
		if (!*n->ns || strcmp(n->ns, NS_PRIVATE) == 0 ||
		    strlen(n->ns) + 1 + strlen(n->name) > KEY_MAX) {
			reply_error(in, STANZA_ERROR_NOT_ACCEPTABLE,
				    "Each element needs a namespace of its own.",
				    "xep0049-2 element without a namespace");
			return true;
		}
		count++;
	}
	if (count == 0)
		reply_error(in, STANZA_ERROR_NOT_ACCEPTABLE,
			    "There is no element that says what is meant.",
			    "xep0049-2 query without an element");
	else if (count > ELEMENTS_MAX)
		reply_error(in, STANZA_ERROR_NOT_ACCEPTABLE, "Too many elements in one request.",
			    "xep0049-2 too many elements");
	return count == 0 || count > ELEMENTS_MAX;
}

/* The parked request's element number n; NULL behind the last. Free *tree. */
static const struct xml_node *element(const struct inbound *in, unsigned int n,
				      struct xml_node **tree)
{
	const struct xml_node *e;

	*tree = xml_tree_parse_inner(in->s.inner, NS_CLIENT);
	e = *tree && (*tree)->first ? (*tree)->first->first : NULL;
	while (e && n--)
		e = e->next;
	return e;
}

static void get_go(struct inbound *in, struct data_answer *a);

static void get_one(struct inbound *in, const struct xml_node *n, struct walk *w)
{
	struct slice bare = in->sender->user->bare;
	struct str record = STR_INIT, key = STR_INIT;

	key_of(&key, n);
	msg_db_data_get_put(&record, &(struct msg_db_data_get){.user = jid_text_local(bare),
							       .domain = jid_text_domain(bare),
							       .kind = DB_DATA_PRIVATE,
							       .key = str_slice(&key)});
	str_clear(&key);
	data_ask(in, &(struct data_question){&record, MSG_DB_DATA, get_go, w, walk_free});
}

static void get_end(struct inbound *in, struct walk *w)
{
	struct str out = STR_INIT;

	str_adds(&out, "<query xmlns='" NS_PRIVATE "'>");
	str_add_slice(&out, str_slice(&w->found));
	str_adds(&out, "</query>");
	reply_result(in, str_slice(&out), "xep0049 get");
	str_clear(&out);
}

/* What was never stored is as empty as it was asked for. */
static void add_empty(struct str *out, const struct xml_node *n)
{
	struct xml_node bare = {
		.ns = n->ns, .name = n->name, .text = "", .before = "", .after = ""};

	xml_tree_write(out, &bare, NULL);
}

static void get_go(struct inbound *in, struct data_answer *a)
{
	struct walk *w = a->state;
	struct msg_db_data found = {0};
	struct xml_node *tree, *again;
	const struct xml_node *n = element(in, w->next, &tree), *next;
	struct str empty = STR_INIT;
	enum err e = a->status;

	if (e == ERR_OK)
		e = msg_db_data_get(a->body, &found);
	if (e == ERR_NOTFOUND && n) {
		add_empty(&empty, n);
		found.value = str_slice(&empty);
		e = ERR_OK;
	}
	if (e == ERR_OK && !walk_add(w, found.value))
		e = ERR_AGAIN;
	str_clear(&empty);
	xml_tree_free(&tree);
	if (e != ERR_OK && e != ERR_NOTFOUND) {
		data_refuse(in, e);
		return;
	}
	next = element(in, ++w->next, &again);
	if (next) {
		a->state = NULL;
		get_one(in, next, w);
	} else {
		get_end(in, w);
	}
	xml_tree_free(&again);
}

static struct walk *walk_new(struct session_manager *m)
{
	struct walk *w = xcalloc(1, sizeof(*w));

	w->m = m;
	str_init(&w->found);
	return w;
}

void private_data_get(struct inbound *in, const struct xml_node *payload)
{
	if (!refused(in, payload))
		get_one(in, payload->first, walk_new(in->m));
}

static bool is_empty(const struct xml_node *n)
{
	return !n->first && !n->attrs && !*n->text;
}

static void set_go(struct inbound *in, struct data_answer *a);

static void set_one(struct inbound *in, const struct xml_node *n, struct walk *w)
{
	struct slice bare = in->sender->user->bare;
	struct str record = STR_INIT, key = STR_INIT, value = STR_INIT;

	key_of(&key, n);
	/* One that says nothing reads the same when it is not there. */
	if (!is_empty(n))
		xml_tree_write(&value, n, NULL);
	msg_db_data_set_put(&record, &(struct msg_db_data_set){.user = jid_text_local(bare),
							       .domain = jid_text_domain(bare),
							       .kind = DB_DATA_PRIVATE,
							       .key = str_slice(&key),
							       .value = str_slice(&value)});
	str_clear(&key);
	str_clear(&value);
	data_ask(in, &(struct data_question){&record, MSG_DB_DONE, set_go, w, walk_free});
}

static void set_go(struct inbound *in, struct data_answer *a)
{
	struct walk *w = a->state;
	const struct xml_node *next;
	struct xml_node *tree;

	if (a->status != ERR_OK) {
		data_refuse(in, a->status);
		return;
	}
	next = element(in, ++w->next, &tree);
	if (next) {
		a->state = NULL;
		set_one(in, next, w);
	} else {
		reply_result(in, SLICE_NONE, "xep0049 set");
	}
	xml_tree_free(&tree);
}

void private_data_set(struct inbound *in, const struct xml_node *payload)
{
	if (!refused(in, payload))
		set_one(in, payload->first, walk_new(in->m));
}

void private_data_other(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	reply_error(in, STANZA_ERROR_FORBIDDEN, "Private data is for its owner only.",
		    "xep0049-2 private data of somebody else");
}
