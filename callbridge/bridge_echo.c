#include "callbridge/bridge_echo.h"

#include "ipc/stanza_kinds.h"
#include "xmpp/ns.h"
#include "xmpp/stanza_error.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

static struct stanza_out answer_to(const struct stanza_in *st)
{
	return (struct stanza_out){
		.kind = st->kind,
		.type = st->type,
		.from = jid_full(&st->to),
		.to = jid_full(&st->from),
		.id = st->id,
		.lang = st->lang,
	};
}

static bool echo_message(struct str *out, const struct stanza_in *st)
{
	struct stanza_out o = answer_to(st);

	if (st->type == TYPE_ERROR || st->type == TYPE_GROUPCHAT)
		return false;
	o.inner = st->inner;
	xml_out_stanza(out, &o);
	return true;
}

static void add_disco_info(struct str *inner, const char *name)
{
	str_adds(inner,
		 "<query xmlns='" NS_DISCO_INFO "'><identity category='component' type='generic'");
	xml_out_attr(inner, "name", slice_str(name));
	str_adds(inner, "/><feature var='" NS_DISCO_INFO "'/><feature var='" NS_PING "'/></query>");
}

/* True: the request is understood and inner is its result. */
static bool answer_get(struct str *inner, const struct stanza_in *st, const char *name)
{
	struct xml_node *tree = xml_tree_parse_inner(st->inner, NS_COMPONENT);
	const struct xml_node *query = tree ? tree->first : NULL;
	bool known = true;

	if (query && xml_is(query, NS_PING, "ping"))
		; /* an empty result */
	else if (query && xml_is(query, NS_DISCO_INFO, "query") && !xml_attr(query, "node"))
		add_disco_info(inner, name);
	else if (query && xml_is(query, NS_DISCO_ITEMS, "query") && !xml_attr(query, "node"))
		str_adds(inner, "<query xmlns='" NS_DISCO_ITEMS "'/>");
	else
		known = false;
	xml_tree_free(&tree);
	return known;
}

static bool echo_iq(struct str *out, const struct stanza_in *st, const char *name)
{
	struct stanza_out o = answer_to(st);
	struct str inner = STR_INIT;

	if ((st->type != TYPE_GET && st->type != TYPE_SET) || st->id.len == 0)
		return false;
	o.type = TYPE_RESULT;
	if (st->type != TYPE_GET || !answer_get(&inner, st, name)) {
		o.type = TYPE_ERROR;
		stanza_error_write(&inner, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
	}
	o.inner = str_slice(&inner);
	xml_out_stanza(out, &o);
	str_clear(&inner);
	return true;
}

static bool echo_presence(struct str *out, const struct stanza_in *st)
{
	struct stanza_out o = answer_to(st);

	if (st->type != TYPE_SUBSCRIBE)
		return false;
	o.type = TYPE_SUBSCRIBED;
	xml_out_stanza(out, &o);
	return true;
}

bool bridge_echo(struct str *out, const struct stanza_in *st, const char *name)
{
	if (!st->from.text || !st->to.text)
		return false;
	switch (st->kind) {
	case STANZA_MESSAGE:
		return echo_message(out, st);
	case STANZA_IQ:
		return echo_iq(out, st, name);
	default:
		return echo_presence(out, st);
	}
}
