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
