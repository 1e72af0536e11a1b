#include "session/roster_item.h"

#include "ipc/codec.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

static bool refuse(struct roster_refusal *why, enum stanza_error error, const char *text,
		   const char *rule)
{
	*why = (struct roster_refusal){error, text, rule};
	return false;
}

static bool has_group(const struct str *packed, struct slice name)
{
	struct slice left = str_slice(packed), one;

	while (codec_get_str(&left, &one)) {
		if (slice_eq(one, name))
			return true;
	}
	return false;
}

static bool parse_groups(const struct xml_node *item, struct roster_wish *wish,
			 struct roster_refusal *why)
{
	for (const struct xml_node *n = item->first; n; n = n->next) {
		struct slice name = slice_str(n->text);

		if (!xml_is(n, NS_ROSTER, "group"))
			continue;
		if (name.len == 0 || name.len > ROSTER_NAME_MAX)
			return refuse(why, STANZA_ERROR_NOT_ACCEPTABLE,
				      "A group's name has 1 to 1023 bytes.",
				      "rfc6121-2.3.3 length of a group");
		if (has_group(&wish->groups, name))
			return refuse(why, STANZA_ERROR_BAD_REQUEST,
				      "The same group is there twice.",
				      "rfc6121-2.3.3 duplicate group");
		if (++wish->ngroups > ROSTER_GROUPS_MAX)
			return refuse(why, STANZA_ERROR_NOT_ACCEPTABLE,
				      "A contact is in at most 64 groups.",
				      "rfc6121-2.3.3 too many groups");
		codec_put_str(&wish->groups, name);
	}
	return true;
}

static bool parse_jid(const struct xml_node *item, struct slice bare, struct roster_wish *wish,
		      struct roster_refusal *why)
{
	const char *text = xml_attr(item, "jid");

	if (!text || !*text)
		return refuse(why, STANZA_ERROR_BAD_REQUEST, "The item has no jid.",
			      "rfc6121-2.1.2.3 item without jid");
	if (jid_parse(&wish->jid, slice_str(text)) != ERR_OK)
		return refuse(why, STANZA_ERROR_JID_MALFORMED, "The jid is not a valid address.",
			      "rfc6121-2.1.2.3 malformed jid");
	if (wish->jid.resource.len)
		return refuse(why, STANZA_ERROR_BAD_REQUEST,
			      "A contact's jid has no resource part.",
			      "rfc6121-2.1.2.3 jid with a resource");
	if (slice_eq(jid_full(&wish->jid), bare))
		return refuse(why, STANZA_ERROR_NOT_ALLOWED, "You cannot be a contact of yourself.",
			      "rfc6121-2.1.2 own jid in the roster");
	return true;
}

bool roster_item_parse(const struct xml_node *payload, struct slice bare, struct roster_wish *wish,
		       struct roster_refusal *why)
{
	const struct xml_node *item = payload->first;
	const char *name, *subscription;

	*wish = (struct roster_wish){.name = STR_INIT, .groups = STR_INIT};
	if (!item || item->next || !xml_is(item, NS_ROSTER, "item"))
		return refuse(why, STANZA_ERROR_BAD_REQUEST, "A roster set has exactly one item.",
			      "rfc6121-2.1.5 not exactly one item");
	if (!parse_jid(item, bare, wish, why))
		goto bad;
	subscription = xml_attr(item, "subscription");
	/* Any other value is the server's to say and is ignored (2.1.2.5). */
	wish->remove = subscription && strcmp(subscription, "remove") == 0;
	if (wish->remove)
		return true;
	name = xml_attr(item, "name");
	if (name && strlen(name) > ROSTER_NAME_MAX) {
		refuse(why, STANZA_ERROR_NOT_ACCEPTABLE, "A name has at most 1023 bytes.",
		       "rfc6121-2.3.3 length of the name");
		goto bad;
	}
	if (name)
		str_adds(&wish->name, name);
	if (!parse_groups(item, wish, why))
		goto bad;
	return true;
bad:
	roster_wish_clear(wish);
	return false;
}

void roster_wish_clear(struct roster_wish *wish)
{
	jid_clear(&wish->jid);
	str_clear(&wish->name);
	str_clear(&wish->groups);
}

bool roster_item_visible(const struct db_roster_item *item)
{
	return !(item->pending_in && item->approved);
}

void roster_item_hide(struct db_roster_item *item)
{
	item->pending_in = item->approved = 1;
}

void roster_item_show(struct db_roster_item *item)
{
	if (!roster_item_visible(item))
		item->approved = 0;
}

void roster_item_write(struct str *out, const struct db_roster_item *item, bool removed)
{
	static const char *const names[] = {"none", "to", "from", "both"};
	struct slice groups = item->groups, group;

	str_adds(out, "<item");
	xml_out_attr(out, "jid", item->jid);
	if (removed) {
		str_adds(out, " subscription='remove'/>");
		return;
	}
	if (item->name.len)
		xml_out_attr(out, "name", item->name);
	xml_out_attr(out, "subscription", slice_str(names[item->subscription & 3]));
	if (item->ask)
		str_adds(out, " ask='subscribe'");
	if (item->approved)
		str_adds(out, " approved='true'");
	if (item->ngroups == 0) {
		str_adds(out, "/>");
		return;
	}
	str_addc(out, '>');
	while (codec_get_str(&groups, &group)) {
		str_adds(out, "<group>");
		xml_out_text(out, group);
		str_adds(out, "</group>");
	}
	str_adds(out, "</item>");
}
