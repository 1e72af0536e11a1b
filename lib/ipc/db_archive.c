#include "ipc/db_archive.h"

#include "ipc/codec.h"

static const char *const policies[] = {
	[ARCHIVE_ALWAYS] = "always", [ARCHIVE_NEVER] = "never", [ARCHIVE_ROSTER] = "roster"};
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

void db_archive_id_put(struct str *out, struct db_archive_id id)
{
	codec_put_u64(out, id.group);
	codec_put_u32(out, id.number);
}

bool db_archive_id_get(struct slice *in, struct db_archive_id *id)
{
	*id = (struct db_archive_id){0};
	return codec_get_u64(in, &id->group) && codec_get_u32(in, &id->number);
}

void db_archive_entry_put(struct str *out, const struct db_archive_entry *e)
{
	db_archive_id_put(out, e->id);
	codec_put_u64(out, e->stamp_ms);
	codec_put_u8(out, e->type);
	codec_put_str(out, e->from);
	codec_put_str(out, e->to);
	codec_put_str(out, e->stanza_id);
	codec_put_str(out, e->lang);
	codec_put_bytes(out, e->inner);
}

bool db_archive_entry_get(struct slice *in, struct db_archive_entry *e)
{
	*e = (struct db_archive_entry){0};
	return db_archive_id_get(in, &e->id) && codec_get_u64(in, &e->stamp_ms) &&
	       codec_get_u8(in, &e->type) && codec_get_str(in, &e->from) &&
	       codec_get_str(in, &e->to) && codec_get_str(in, &e->stanza_id) &&
	       codec_get_str(in, &e->lang) && codec_get_bytes(in, &e->inner);
}

void db_archive_addition_put(struct str *out, const struct db_archive_addition *a)
{
	codec_put_u16(out, a->sender);
	codec_put_u16(out, a->receiver);
	codec_put_u8(out, a->again);
	codec_put_bytes(out, a->entry);
}

bool db_archive_addition_get(struct slice *in, struct db_archive_addition *a)
{
	*a = (struct db_archive_addition){0};
	return codec_get_u16(in, &a->sender) && codec_get_u16(in, &a->receiver) &&
	       codec_get_u8(in, &a->again) && codec_get_bytes(in, &a->entry);
}

void db_archive_prefs_put(struct str *out, const struct db_archive_prefs *p)
{
	codec_put_u8(out, p->policy);
	codec_put_bytes(out, p->always);
	codec_put_bytes(out, p->never);
}

bool db_archive_prefs_get(struct slice *in, struct db_archive_prefs *p)
{
	*p = (struct db_archive_prefs){0};
	return codec_get_u8(in, &p->policy) && p->policy < POLICIES &&
	       codec_get_bytes(in, &p->always) && codec_get_bytes(in, &p->never);
}

static bool listed(struct slice list, struct slice jid)
{
	struct slice each;

	while (list.len && codec_get_str(&list, &each)) {
		if (slice_eq(each, jid))
			return true;
	}
	return false;
}

uint8_t db_archive_prefs_for(const struct db_archive_prefs *p, struct slice peer)
{
	const char *slash = peer.len ? memchr(peer.data, '/', peer.len) : NULL;
	struct slice bare = slash ? slice_of(peer.data, (size_t)(slash - peer.data)) : peer;

	if (listed(p->never, peer))
		return ARCHIVE_NEVER;
	if (listed(p->always, peer))
		return ARCHIVE_ALWAYS;
	if (slash && listed(p->never, bare))
		return ARCHIVE_NEVER;
	if (slash && listed(p->always, bare))
		return ARCHIVE_ALWAYS;
	return p->policy;
}

const char *db_archive_policy_name(uint8_t policy)
{
	return policy < POLICIES ? policies[policy] : "always";
}

bool db_archive_policy_parse(struct slice name, uint8_t *policy)
{
	for (size_t i = 0; i < POLICIES; i++) {
		if (slice_is(name, policies[i])) {
			*policy = (uint8_t)i;
			return true;
		}
	}
	return false;
}
