#include "ipc/db_pack.h"

#include "ipc/codec.h"

void db_roster_item_put(struct str *out, const struct db_roster_item *item)
{
	codec_put_str(out, item->jid);
	codec_put_str(out, item->name);
	codec_put_u8(out, item->subscription);
	codec_put_u8(out, item->ask);
	codec_put_u8(out, item->approved);
	codec_put_u8(out, item->pending_in);
	codec_put_u16(out, item->ngroups);
	codec_put_bytes(out, item->groups);
}

bool db_roster_item_get(struct slice *in, struct db_roster_item *item)
{
	*item = (struct db_roster_item){0};
	return codec_get_str(in, &item->jid) && codec_get_str(in, &item->name) &&
	       codec_get_u8(in, &item->subscription) && codec_get_u8(in, &item->ask) &&
	       codec_get_u8(in, &item->approved) && codec_get_u8(in, &item->pending_in) &&
	       codec_get_u16(in, &item->ngroups) && codec_get_bytes(in, &item->groups);
}

void db_scram_put(struct str *out, const struct db_scram *s)
{
	codec_put_str(out, s->hash);
	codec_put_u32(out, s->iterations);
	codec_put_str(out, s->salt);
	codec_put_str(out, s->stored_key);
	codec_put_str(out, s->server_key);
}

bool db_scram_get(struct slice *in, struct db_scram *s)
{
	*s = (struct db_scram){0};
	return codec_get_str(in, &s->hash) && codec_get_u32(in, &s->iterations) &&
	       codec_get_str(in, &s->salt) && codec_get_str(in, &s->stored_key) &&
	       codec_get_str(in, &s->server_key);
}

void db_offline_put(struct str *out, const struct db_offline *o)
{
	codec_put_u64(out, o->id);
	codec_put_u64(out, o->origin_sid);
	codec_put_u64(out, o->origin_n);
	codec_put_u64(out, o->stamp_ms);
	codec_put_u8(out, o->kind);
	codec_put_u8(out, o->type);
	codec_put_u16(out, o->flags);
	codec_put_str(out, o->from);
	codec_put_str(out, o->to);
	codec_put_str(out, o->stanza_id);
	codec_put_str(out, o->lang);
	codec_put_str(out, o->children);
	codec_put_bytes(out, o->inner);
}

bool db_offline_get(struct slice *in, struct db_offline *o)
{
	*o = (struct db_offline){0};
	return codec_get_u64(in, &o->id) && codec_get_u64(in, &o->origin_sid) &&
	       codec_get_u64(in, &o->origin_n) && codec_get_u64(in, &o->stamp_ms) &&
	       codec_get_u8(in, &o->kind) && codec_get_u8(in, &o->type) &&
	       codec_get_u16(in, &o->flags) && codec_get_str(in, &o->from) &&
	       codec_get_str(in, &o->to) && codec_get_str(in, &o->stanza_id) &&
	       codec_get_str(in, &o->lang) && codec_get_str(in, &o->children) &&
	       codec_get_bytes(in, &o->inner);
}
